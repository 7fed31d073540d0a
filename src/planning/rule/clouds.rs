//! `[clouds]` and `[places]`: allowed and denied by name.

use super::contract::{Labels, Rule, any_machine};
use crate::model::{Allowance, Place, Policy};

pub(super) const RULE: Rule = Rule {
    place,
    machine: any_machine,
};

fn place(policy: &Policy, _: &Labels, place: &Place) -> Option<String> {
    let key_of = |table: &str, allowance: &Allowance, name: &str| {
        let is_denied = allowance.deny.iter().any(|pattern| pattern.matches(name));
        format!("{table}.{}", if is_denied { "deny" } else { "allow" })
    };
    let (cloud, name) = (&place.name.cloud, place.name.to_string());
    if !policy.clouds.permits(cloud) {
        return Some(key_of("clouds", &policy.clouds, cloud));
    }
    (!policy.places.permits(&name)).then(|| key_of("places", &policy.places, &name))
}
