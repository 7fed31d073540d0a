//! Names in a policy that the catalog does not have.

use super::known_names::KnownNames;
use super::nearest_name::{listed, nearest};
use super::unknown_name::{InputFile, UnknownName};
use crate::model::{Allowance, Pattern, Policy};
use std::collections::BTreeSet;

/// Adds every name and pattern of the policy that matches nothing in the catalog.
pub(super) fn policy_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    listed_names(policy, known_names, unknown_names);
    country_names(policy, known_names, unknown_names);
    partition_names(policy, known_names, unknown_names);
    certification_names(policy, known_names, unknown_names);
    account_names(policy, known_names, unknown_names);
    quota_names(policy, known_names, unknown_names);
    link_names(policy, known_names, unknown_names);
}

fn unknown_warning(key: String, message: String, hint: Option<String>) -> UnknownName {
    UnknownName::warning(InputFile::Policy, key, message, hint)
}

/// Adds patterns of the lists that allow or deny clouds, places and operators.
fn listed_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    for (key, pattern) in allowed_and_denied("clouds", &policy.clouds) {
        if !known_names.is_cloud(pattern) {
            let hint = known_names.nearest_cloud(&pattern.0);
            unknown_names.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
        }
    }
    for (key, pattern) in allowed_and_denied("places", &policy.places) {
        if !known_names.is_place(pattern) {
            let hint = known_names.nearest_place(&pattern.0);
            unknown_names.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
        }
    }
    for (key, pattern) in allowed_and_denied("operators", &policy.operators) {
        if !known_names
            .operators
            .iter()
            .any(|name| pattern.matches(name))
        {
            let hint = nearest(&pattern.0, known_names.operators.iter().copied());
            unknown_names.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
        }
    }
}

/// Returns the patterns of a table of the policy, each with the key of its list.
fn allowed_and_denied<'p>(
    table: &str,
    allowance: &'p Allowance,
) -> impl Iterator<Item = (String, &'p Pattern)> {
    let (allow, deny) = (format!("{table}.allow"), format!("{table}.deny"));
    let allowed_patterns = allowance.allow.iter().flatten();
    let allowed_patterns = allowed_patterns.map(move |pattern| (allow.clone(), pattern));
    allowed_patterns.chain(
        allowance
            .deny
            .iter()
            .map(move |pattern| (deny.clone(), pattern)),
    )
}

/// Adds lists of countries of which the catalog has none.
fn country_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    if let Some(parents) = &policy.parents
        && !parents
            .iter()
            .any(|country| known_names.parent_countries.contains(country.as_str()))
    {
        let message = "operators.parents: the catalog has no operator whose ultimate parent is of these countries";
        unknown_names.push(unknown_warning(
            "operators.parents".to_owned(),
            message.to_owned(),
            listed("has", &known_names.parent_countries),
        ));
    }
    for (label, countries) in &policy.residency {
        if !countries
            .iter()
            .any(|country| known_names.countries.contains(country.as_str()))
        {
            let message = format!("residency.{label}: the catalog has no place in these countries");
            let hint = listed("has places in", &known_names.countries);
            unknown_names.push(unknown_warning(format!("residency.{label}"), message, hint));
        }
    }
}

/// Adds closed classes of places that the catalog does not have.
fn partition_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    let classes: BTreeSet<&str> = known_names
        .classes
        .iter()
        .copied()
        .filter(|class| !class.is_empty())
        .collect();
    for class in &policy.partitions {
        if !known_names.classes.contains(class.as_str()) {
            let hint = nearest(class, classes.iter().copied()).or_else(|| listed("has", &classes));
            unknown_names.push(UnknownName::matches_nothing(
                "partitions.allow",
                class,
                hint,
            ));
        }
    }
}

/// A scheme that the catalog has never heard of may be mistyped: no place could satisfy it, and a
/// plan that fails for it would blame every place.
fn certification_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    for (label, schemes) in &policy.certifications {
        for scheme in schemes
            .iter()
            .filter(|scheme| !known_names.schemes.contains(scheme.as_str()))
        {
            unknown_names.push(UnknownName::error(
                InputFile::Policy,
                format!("certifications.{label}"),
                format!("the catalog has no certification scheme `{scheme}`"),
                nearest(scheme, known_names.schemes.iter().copied())
                    .or_else(|| listed("knows", &known_names.schemes)),
            ));
        }
    }
}

/// Adds clouds of accounts that the catalog does not have.
fn account_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    for cloud in policy.accounts.keys() {
        if !known_names.clouds.contains(cloud.as_str()) {
            let message = format!("accounts: the catalog has no cloud `{cloud}`");
            let hint = known_names.nearest_cloud(cloud);
            unknown_names.push(unknown_warning(format!("accounts.{cloud}"), message, hint));
        }
    }
}

/// Adds places and accelerators of quotas that the catalog does not have.
fn quota_names(
    policy: &Policy,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    for (pattern, quota) in &policy.quotas {
        let is_of_places = pattern.0.contains(':');
        let is_known = match is_of_places {
            true => known_names.is_place(pattern),
            false => known_names.is_cloud(pattern),
        };
        if !is_known {
            let message = format!("quotas: `{pattern}` matches nothing in the catalog");
            let hint = match is_of_places {
                true => known_names.nearest_place(&pattern.0),
                false => known_names.nearest_cloud(&pattern.0),
            };
            unknown_names.push(unknown_warning(format!("quotas.{pattern}"), message, hint));
        }
        let unknown_cards = quota
            .by_accelerator
            .keys()
            .filter(|name| known_names.catalog.accelerator_name(name).is_none());
        for name in unknown_cards {
            let message = format!("quotas of `{pattern}`: the catalog has no accelerator `{name}`");
            let quota_key = format!("quotas.{pattern}.accelerators.{name}");
            unknown_names.push(unknown_warning(
                quota_key,
                message,
                known_names.nearest_accelerator(name),
            ));
        }
    }
}

/// Adds ends of links that match no place of the catalog.
fn link_names(policy: &Policy, known_names: &KnownNames<'_>, unknown_names: &mut Vec<UnknownName>) {
    for (index, link) in policy.links.iter().enumerate() {
        for (end, pattern) in [("from", &link.from), ("to", &link.to)] {
            if !known_names.is_place(pattern) {
                let message = format!("links: `{pattern}` matches nothing in the catalog");
                let hint = known_names.nearest_place(&pattern.0);
                unknown_names.push(unknown_warning(
                    format!("links.{index}.{end}"),
                    message,
                    hint,
                ));
            }
        }
    }
}
