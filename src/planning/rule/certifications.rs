//! `[certifications]`: schemes that a place must be certified by where labelled data lies or is
//! processed. One that is only sought, or of a part of a cloud, does not count.

use super::contract::{Labels, Rule, any_machine, entries_that_apply};
use crate::model::{Place, Policy};

pub(super) const RULE: Rule = Rule {
    place,
    machine: any_machine,
};

fn place(policy: &Policy, labels: &Labels, place: &Place) -> Option<String> {
    entries_that_apply(&policy.certifications, labels)
        .find(|(_, needed)| !needed.is_subset(&place.certifications))
        .map(|(label, _)| format!("certifications.{label}"))
}
