//! What every rule of a policy provides, and the helpers that several rules share.

use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Place, Policy, Purchase, Rate, TeeSet};
use std::collections::{BTreeMap, BTreeSet};

/// One rule of the policy: two functions that name the line of the policy which forbids something.
pub struct Rule {
    /// Returns the policy's dotted key that keeps stages which read data with such labels out of a
    /// place.
    pub place: fn(&Policy, &Labels, &Place) -> Option<String>,
    /// Returns the policy's dotted key that keeps stages which read data with such labels off a
    /// machine.
    pub machine: fn(&Policy, &Labels, &Terms) -> Option<String>,
}

/// The properties of an offered machine that rules look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Terms {
    /// The machine's trusted execution environments.
    pub tees: TeeSet,
    /// How the machine is bought.
    pub purchase: Purchase,
    /// The price of one hour of the machine; `None` where it is not billed by the hour.
    pub hourly: Option<Rate>,
}

/// Labels of the data that a stage reads.
pub type Labels = BTreeSet<String>;

/// The `place` function of a rule that forbids no place.
pub(super) fn any_place(_: &Policy, _: &Labels, _: &Place) -> Option<String> {
    None
}

/// The `machine` function of a rule that forbids no machine.
pub(super) fn any_machine(_: &Policy, _: &Labels, _: &Terms) -> Option<String> {
    None
}

/// The entries of a table by label that apply to data: the default one, then those of the labels
/// that the data carries.
pub(super) fn entries_that_apply<'a, T>(
    entries: &'a BTreeMap<String, T>,
    labels: &'a Labels,
) -> impl Iterator<Item = (&'a str, &'a T)> {
    std::iter::once(DEFAULT_LABEL)
        .chain(labels.iter().map(String::as_str))
        .filter_map(|label| entries.get(label).map(|entry| (label, entry)))
}
