//! Why there is no plan.

use super::compile::Refusal;
use super::remaining_job::UsedUp;
use super::solve::{SolverError, UnmetLimits};

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlan {
    /// A name that the catalog does not know, or stages that nothing may run.
    Refused(Refusal),
    /// No placement keeps the limits.
    Infeasible(UnmetLimits),
    /// The state that it was to go on from has left nothing of a limit.
    UsedUp(UsedUp),
    /// The solver broke down, so it is not known whether there is a plan.
    Solver(SolverError),
}
