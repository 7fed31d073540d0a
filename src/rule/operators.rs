//! `[operators]`: whose law the operator of a place obeys.

use super::{Labels, Rule, any_machine};
use crate::model::{Place, Policy, Reach};

pub const RULE: Rule = Rule { place, machine: any_machine };

/// Only a place known to be out of reach passes; contested and unknown do not.
fn place(policy: &Policy, _: &Labels, place: &Place) -> Option<String> {
    (policy.exclude_cloud_act && place.cloud_act != Reach::No).then(|| "operators.us_cloud_act".to_owned())
}
