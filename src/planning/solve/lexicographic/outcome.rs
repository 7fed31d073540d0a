//! What solving a placement problem comes to.

use crate::planning::problem::{Evaluation, Placement};

/// The outcome of solving a placement problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Solved(Box<Solved>),
    Infeasible(Shortfall),
}

/// A placement and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    pub picks: Placement,
    pub evaluation: Evaluation,
    pub proof: Proof,
}

/// The proof of how good a placement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whether it is proven that the objective cannot be lower.
    pub optimal: bool,
    /// No placement within the limits costs less (with what its makespan is worth, if that counts);
    /// when time comes first: none as fast.
    pub cost_bound: i64,
    /// When time comes first: no placement within the limits is faster.
    pub time_bound: Option<i64>,
}

/// How far the limits are from what is possible, as `(cost, makespan)` pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// The fastest placement within the budget, were there no deadline.
    pub fastest: Option<(i64, i64)>,
    /// The cheapest placement by the deadline, were there no budget.
    pub cheapest: Option<(i64, i64)>,
    /// The cheapest placement with neither limit; `None`: it is not the limits that clash.
    pub unlimited: Option<(i64, i64)>,
    /// Artifacts that cannot get from any site of their origin to any of some reader.
    pub stuck: Vec<String>,
}
