//! `[residency]`: countries where data may lie and be processed.
//!
//! An artifact lies where its writer runs and where its readers run, and a stage's outputs carry
//! no label that its inputs lack; so binding the stages by what they read binds the artifacts.
//! Transfers go straight from one of these places to another, without a relay.

use super::contract::{Labels, Rule, any_machine, entries_that_apply};
use crate::model::{Place, Policy};

pub(super) const RULE: Rule = Rule {
    place,
    machine: any_machine,
};

fn place(policy: &Policy, labels: &Labels, place: &Place) -> Option<String> {
    entries_that_apply(&policy.residency, labels)
        .find(|(_, countries)| {
            !place
                .country
                .as_ref()
                .is_some_and(|country| countries.contains(country))
        })
        .map(|(label, _)| format!("residency.{label}"))
}
