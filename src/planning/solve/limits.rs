//! Limits that a placement keeps while one of its figures is minimised.

/// What a placement must keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// The most that the placement may cost, in micro-USD.
    pub cost: Option<i64>,
    /// Whether `cost` is proven to be the least cost of all placements, whatever their time.
    pub least: bool,
    /// The most time that the placement may take, in milliseconds.
    pub time: Option<i64>,
    /// The most that the cost and what the makespan is worth may come to together, in micro-USD.
    pub score: Option<i64>,
}
