//! `[spot]`: whether machines that may be taken away are allowed at all. Whether a stage asks for
//! them is its allocation.

use super::contract::{Labels, Rule, Terms, any_place};
use crate::model::{Policy, Purchase};

pub(super) const RULE: Rule = Rule {
    place: any_place,
    machine,
};

fn machine(policy: &Policy, _: &Labels, terms: &Terms) -> Option<String> {
    (terms.purchase == Purchase::Spot && policy.allow_spot == Some(false))
        .then(|| "spot.allow".to_owned())
}
