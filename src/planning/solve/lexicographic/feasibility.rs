//! Whether there is any placement at all.

use super::passes::figures;
use crate::planning::problem::{Instance, concurrency};
use crate::planning::solve::backend::solver::{Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::planning::solve::heuristic::local_search::local_search;
use crate::planning::solve::limits::Limits;
use crate::planning::solve::presolve::reduction::reduce;

/// Whether some placement keeps the limits: the first one that the search finds is enough, and
/// only without one the solver is asked.
pub fn feasible(
    instance: &Instance,
    solver: &dyn Solver,
    effort: &Effort,
) -> Result<bool, SolverError> {
    let shape = instance.shape();
    let limits = Limits {
        cost: instance.budget,
        time: instance.deadline,
        ..Limits::default()
    };
    if reduce(instance, &shape, limits, effort).is_none() {
        return Ok(false);
    }
    if local_search(instance, &shape, effort)
        .is_some_and(|placement| concurrency::exceeded_cap(instance, &shape, &placement).is_none())
    {
        return Ok(true);
    }
    figures(instance, solver, effort).map(|found| found.is_some())
}
