//! Names in a policy that the catalog does not have.

use super::known_names::KnownNames;
use super::nearest_name::{listed, nearest};
use super::unknown_name::{InputFile, UnknownName};
use crate::model::{Allowance, Pattern, Policy};
use std::collections::BTreeSet;

/// Adds every name and pattern of the policy that matches nothing in the catalog.
pub(super) fn policy_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    listed_names(policy, known, found);
    country_names(policy, known, found);
    partition_names(policy, known, found);
    certification_names(policy, known, found);
    account_names(policy, known, found);
    quota_names(policy, known, found);
    link_names(policy, known, found);
}

fn unknown_warning(key: String, message: String, hint: Option<String>) -> UnknownName {
    UnknownName::warning(InputFile::Policy, key, message, hint)
}

/// Adds patterns of the lists that allow or deny clouds, places and operators.
fn listed_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    for (key, pattern) in allowed_and_denied("clouds", &policy.clouds) {
        if !known.is_cloud(pattern) {
            let hint = known.nearest_cloud(&pattern.0);
            found.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
        }
    }
    for (key, pattern) in allowed_and_denied("places", &policy.places) {
        if !known.is_place(pattern) {
            let hint = known.nearest_place(&pattern.0);
            found.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
        }
    }
    for (key, pattern) in allowed_and_denied("operators", &policy.operators) {
        if !known.operators.iter().any(|name| pattern.matches(name)) {
            let hint = nearest(&pattern.0, known.operators.iter().copied());
            found.push(UnknownName::matches_nothing(&key, &pattern.0, hint));
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
fn country_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    if let Some(parents) = &policy.parents
        && !parents
            .iter()
            .any(|country| known.parent_countries.contains(country.as_str()))
    {
        let message = "operators.parents: the catalog has no operator whose ultimate parent is of these countries";
        found.push(unknown_warning(
            "operators.parents".to_owned(),
            message.to_owned(),
            listed("has", &known.parent_countries),
        ));
    }
    for (label, countries) in &policy.residency {
        if !countries
            .iter()
            .any(|country| known.countries.contains(country.as_str()))
        {
            let message = format!("residency.{label}: the catalog has no place in these countries");
            let hint = listed("has places in", &known.countries);
            found.push(unknown_warning(format!("residency.{label}"), message, hint));
        }
    }
}

/// Adds closed classes of places that the catalog does not have.
fn partition_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    let classes: BTreeSet<&str> = known
        .classes
        .iter()
        .copied()
        .filter(|class| !class.is_empty())
        .collect();
    for class in &policy.partitions {
        if !known.classes.contains(class.as_str()) {
            let hint = nearest(class, classes.iter().copied()).or_else(|| listed("has", &classes));
            found.push(UnknownName::matches_nothing(
                "partitions.allow",
                class,
                hint,
            ));
        }
    }
}

/// A scheme that the catalog has never heard of may be mistyped: no place could satisfy it, and a
/// plan that fails for it would blame every place.
fn certification_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    for (label, schemes) in &policy.certifications {
        for scheme in schemes
            .iter()
            .filter(|scheme| !known.schemes.contains(scheme.as_str()))
        {
            found.push(UnknownName::error(
                InputFile::Policy,
                format!("certifications.{label}"),
                format!("the catalog has no certification scheme `{scheme}`"),
                nearest(scheme, known.schemes.iter().copied())
                    .or_else(|| listed("knows", &known.schemes)),
            ));
        }
    }
}

/// Adds clouds of accounts that the catalog does not have.
fn account_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    for cloud in policy.accounts.keys() {
        if !known.clouds.contains(cloud.as_str()) {
            let message = format!("accounts: the catalog has no cloud `{cloud}`");
            let hint = known.nearest_cloud(cloud);
            found.push(unknown_warning(format!("accounts.{cloud}"), message, hint));
        }
    }
}

/// Adds places and accelerators of quotas that the catalog does not have.
fn quota_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    for (pattern, quota) in &policy.quotas {
        let is_of_places = pattern.0.contains(':');
        let is_known = match is_of_places {
            true => known.is_place(pattern),
            false => known.is_cloud(pattern),
        };
        if !is_known {
            let message = format!("quotas: `{pattern}` matches nothing in the catalog");
            let hint = match is_of_places {
                true => known.nearest_place(&pattern.0),
                false => known.nearest_cloud(&pattern.0),
            };
            found.push(unknown_warning(format!("quotas.{pattern}"), message, hint));
        }
        let unknown_cards = quota
            .by_accelerator
            .keys()
            .filter(|name| known.catalog.accelerator_name(name).is_none());
        for name in unknown_cards {
            let message = format!("quotas of `{pattern}`: the catalog has no accelerator `{name}`");
            let quota_key = format!("quotas.{pattern}.accelerators.{name}");
            found.push(unknown_warning(
                quota_key,
                message,
                known.nearest_accelerator(name),
            ));
        }
    }
}

/// Adds ends of links that match no place of the catalog.
fn link_names(policy: &Policy, known: &KnownNames<'_>, found: &mut Vec<UnknownName>) {
    for (index, link) in policy.links.iter().enumerate() {
        for (end, pattern) in [("from", &link.from), ("to", &link.to)] {
            if !known.is_place(pattern) {
                let message = format!("links: `{pattern}` matches nothing in the catalog");
                let hint = known.nearest_place(&pattern.0);
                found.push(unknown_warning(
                    format!("links.{index}.{end}"),
                    message,
                    hint,
                ));
            }
        }
    }
}
