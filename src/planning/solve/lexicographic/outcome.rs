//! What solving a placement problem comes to.

use crate::model::{Millis, Money};
use crate::planning::problem::timetable::CapacityWait;
use crate::planning::problem::{Evaluation, Placement};

/// The outcome of solving a placement problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a placement that keeps every limit.
    Solved(Box<Solved>),
    /// No placement keeps every limit.
    Infeasible(UnmetLimits),
}

/// A placement and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// The choice that each stage takes.
    pub placement: Placement,
    /// Cost and schedule of the placement, worked out exactly.
    pub evaluation: Evaluation,
    /// How good the placement is known to be.
    pub proof: Proof,
    /// Stages that wait for others so that caps on what runs at once hold; `evaluation` has these
    /// waits in it.
    pub waits: Vec<CapacityWait>,
}

/// The proof of how good a placement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Whether it is proven that the objective cannot be lower.
    pub optimal: bool,
    /// No placement within the limits costs less (with what its makespan is worth, if that counts);
    /// when time comes first: none as fast.
    pub cost_bound: Money,
    /// When time comes first: no placement within the limits is faster.
    pub time_bound: Option<Millis>,
}

/// Cost and makespan of a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacementFigures {
    /// What the whole placement costs.
    pub cost: Money,
    /// The time from the start of the job to its end.
    pub makespan: Millis,
}

impl PlacementFigures {
    /// Returns both figures of an evaluated placement.
    pub fn of(evaluation: &Evaluation) -> Self {
        Self {
            cost: evaluation.cost(),
            makespan: evaluation.makespan,
        }
    }
}

/// How far the limits are from what is possible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnmetLimits {
    /// The fastest placement within the budget, were there no deadline.
    pub fastest: Option<PlacementFigures>,
    /// The cheapest placement by the deadline, were there no budget.
    pub cheapest: Option<PlacementFigures>,
    /// The cheapest placement with neither limit; `None`: it is not the limits that clash.
    pub unlimited: Option<PlacementFigures>,
    /// Artifacts that cannot get from any site of their origin to any of some reader.
    pub unreachable: Vec<String>,
}
