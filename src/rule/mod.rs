//! The policy's rules, one file each: what a rule forbids, by the line that says so.
//!
//! The same functions serve both sides: compiling (which offers a stage may take) and judging a
//! finished placement. A new rule is one file and one line in [`RULES`].
//!
//! Invariant: what is unknown never satisfies a rule.

mod certifications;
mod clouds;
mod home;
mod operators;
mod partitions;
mod price;
mod residency;
mod spot;
mod trust;

use crate::model::{Place, Policy, Purchase, Rate, TeeSet};
use std::collections::BTreeSet;

/// One rule of the policy.
pub struct Rule {
    /// The policy's dotted key that forbids stages which read such data to run at `place`.
    pub place: fn(&Policy, &Labels, &Place) -> Option<String>,
    /// The policy's dotted key that forbids them this machine.
    pub machine: fn(&Policy, &Labels, &Terms) -> Option<String>,
}

/// What rules look at of a machine that is on offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    /// Its trusted execution environments.
    pub tees: TeeSet,
    /// How it is bought.
    pub purchase: Purchase,
    /// What an hour of it costs; none: it is not billed by the hour.
    pub hourly: Option<Rate>,
}

/// Labels of the data that a stage reads.
pub type Labels = BTreeSet<String>;

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

/// The key of the first rule that keeps stages with such data out of `place`.
pub fn forbids_place(policy: &Policy, labels: &Labels, place: &Place) -> Option<String> {
    RULES.iter().find_map(|rule| (rule.place)(policy, labels, place))
}

pub use home::forbids_home;

/// The key of the first rule that keeps stages with such data off this machine.
pub fn forbids_machine(policy: &Policy, labels: &Labels, terms: &Terms) -> Option<String> {
    RULES.iter().find_map(|rule| (rule.machine)(policy, labels, terms))
}

/// The environments of which a machine has to run with one for such data; none: it may run with none.
pub fn trusted(policy: &Policy, labels: &Labels) -> Option<TeeSet> {
    trust::trusted(policy, labels)
}

fn any_place(_: &Policy, _: &Labels, _: &Place) -> Option<String> {
    None
}

fn any_machine(_: &Policy, _: &Labels, _: &Terms) -> Option<String> {
    None
}

#[cfg(test)]
mod tests;

/// The default rule, then those of the labels that the data carries.
fn that_apply<'a, T>(
    rules: &'a std::collections::BTreeMap<String, T>,
    labels: &'a Labels,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    use crate::model::policy::DEFAULT_LABEL;
    std::iter::once(DEFAULT_LABEL)
        .chain(labels.iter().map(String::as_str))
        .filter_map(|label| rules.get(label).map(|rule| (label, rule)))
}
