//! Limits that a placement keeps while one of its figures is minimised.

use crate::model::{Millis, Money};

/// What a placement must keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most that the placement may cost.
    pub cost: Option<Money>,
    /// Whether `cost` is proven to be the least cost of all placements, whatever their time.
    pub least: bool,
    /// The most time that the placement may take.
    pub time: Option<Millis>,
    /// The most that the cost and what the makespan is worth may come to together.
    pub score: Option<Money>,
}
