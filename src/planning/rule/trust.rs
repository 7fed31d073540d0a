//! `[trust]`: trusted execution environments that labelled data needs.

use super::contract::{Labels, Rule, Terms, any_place, entries_that_apply};
use crate::model::{Policy, TeeSet};

pub(super) const RULE: Rule = Rule {
    place: any_place,
    machine,
};

/// A machine runs with one environment: it must be one that all labels trust.
fn machine(policy: &Policy, labels: &Labels, terms: &Terms) -> Option<String> {
    let mut tees_left = terms.tees;
    entries_that_apply(&policy.trust, labels)
        .find(|(_, trusted)| {
            tees_left = tees_left.and(trusted.iter().copied().collect());
            tees_left.is_empty()
        })
        .map(|(label, _)| format!("trust.{label}"))
}

/// The environments that the policy trusts with such data; none: it asks for none.
pub fn trusted(policy: &Policy, labels: &Labels) -> Option<TeeSet> {
    let sets = entries_that_apply(&policy.trust, labels)
        .map(|(_, trusted)| trusted.iter().copied().collect());
    sets.reduce(TeeSet::and)
}
