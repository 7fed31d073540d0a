//! `limits.max_price`: the most that an hour of one machine may cost.

use super::contract::{Labels, Rule, Terms, any_place};
use crate::model::Policy;

pub(super) const RULE: Rule = Rule {
    place: any_place,
    machine,
};

/// What is not billed by the hour has no price that could be compared.
fn machine(policy: &Policy, _: &Labels, terms: &Terms) -> Option<String> {
    let is_over = policy
        .max_price
        .zip(terms.hourly)
        .is_some_and(|(most, hourly)| hourly > most);
    is_over.then(|| "limits.max_price".to_owned())
}
