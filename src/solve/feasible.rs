//! Whether there is any placement at all.

use super::placement::figures;
use super::reduce::{Limits, reduce};
use super::search::search;
use super::solver::{Effort, Solver, SolverError};
use crate::problem::{Instance, together};

/// Whether some placement keeps the limits: the first one that the search finds is enough, and
/// only without one the solver is asked.
pub fn feasible(instance: &Instance, solver: &dyn Solver, effort: &Effort) -> Result<bool, SolverError> {
    let shape = instance.shape();
    let limits = Limits { cost: instance.budget, time: instance.deadline, ..Limits::default() };
    if reduce(instance, &shape, limits).is_none() {
        return Ok(false);
    }
    if search(instance, &shape, effort).is_some_and(|(picks, _, _)| together::clash(instance, &shape, &picks).is_none())
    {
        return Ok(true);
    }
    figures(instance, solver, effort).map(|found| found.is_some())
}
