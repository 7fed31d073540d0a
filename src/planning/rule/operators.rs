//! `[operators]`: who runs a place, who owns that company, and whose law it obeys.

use super::contract::{Labels, Rule, any_machine};
use crate::model::{Pattern, Place, Policy, Reach};
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    place,
    machine: any_machine,
};

/// Only a place known to be out of reach passes; contested and unknown do not.
fn place(policy: &Policy, _: &Labels, place: &Place) -> Option<String> {
    if policy.exclude_cloud_act && place.cloud_act != Reach::No {
        return Some("operators.us_cloud_act".to_owned());
    }
    if let Some(countries) = &policy.parents
        && !place
            .parent_country
            .as_ref()
            .is_some_and(|country| countries.contains(country))
    {
        return Some("operators.parents".to_owned());
    }
    let names = [place.operator.as_str(), place.parent.as_str()];
    let is_listed = |list: &BTreeSet<Pattern>| {
        list.iter()
            .any(|pattern| names.iter().any(|name| pattern.matches(name)))
    };
    // Whoever is not known may be one of those who are denied.
    let has_unknown = names.iter().any(|name| name.is_empty());
    if !policy.operators.deny.is_empty() && (has_unknown || is_listed(&policy.operators.deny)) {
        return Some("operators.deny".to_owned());
    }
    let is_allowed = |list: &BTreeSet<Pattern>| {
        let is_known = |pattern: &Pattern| {
            names
                .iter()
                .any(|name| !name.is_empty() && pattern.matches(name))
        };
        list.iter().any(is_known)
    };
    (!policy.operators.allow.as_ref().is_none_or(is_allowed)).then(|| "operators.allow".to_owned())
}
