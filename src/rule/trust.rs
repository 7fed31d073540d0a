//! `[trust]`: trusted execution environments that labelled data needs.

use super::{Labels, Rule, any_place, that_apply};
use crate::model::{Policy, Purchase, TeeSet};

pub const RULE: Rule = Rule { place: any_place, machine };

fn machine(policy: &Policy, labels: &Labels, tee: TeeSet, _: Purchase) -> Option<String> {
    that_apply(&policy.trust, labels)
        .find(|(_, trusted)| !trusted.iter().any(|trusted| tee.has(*trusted)))
        .map(|(label, _)| format!("trust.{label}"))
}
