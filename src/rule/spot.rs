//! `[spot]`: whether machines that may be taken away are allowed at all. Whether a stage asks for
//! them is its allocation.

use super::{Labels, Rule, any_place};
use crate::model::{Policy, Purchase, TeeSet};

pub const RULE: Rule = Rule { place: any_place, machine };

fn machine(policy: &Policy, _: &Labels, _: TeeSet, purchase: Purchase) -> Option<String> {
    (purchase == Purchase::Spot && policy.allow_spot == Some(false)).then(|| "spot.allow".to_owned())
}
