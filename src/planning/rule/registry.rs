//! All rules of a policy, and what they forbid together.

use super::contract::{Labels, Rule, Terms};
use super::{certifications, clouds, operators, partitions, price, residency, spot, trust};
use crate::model::{Place, Policy};

/// All rules, in the order in which they are named when several forbid.
pub const RULES: [&Rule; 8] = [
    &clouds::RULE,
    &partitions::RULE,
    &operators::RULE,
    &residency::RULE,
    &certifications::RULE,
    &trust::RULE,
    &spot::RULE,
    &price::RULE,
];

/// Returns the policy's key of the first rule that keeps stages which read data with such labels
/// out of `place`.
pub fn forbids_place(policy: &Policy, labels: &Labels, place: &Place) -> Option<String> {
    RULES
        .iter()
        .find_map(|rule| (rule.place)(policy, labels, place))
}

/// Returns the policy's key of the first rule that keeps stages which read data with such labels
/// off a machine.
pub fn forbids_machine(policy: &Policy, labels: &Labels, terms: &Terms) -> Option<String> {
    RULES
        .iter()
        .find_map(|rule| (rule.machine)(policy, labels, terms))
}
