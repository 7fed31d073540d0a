//! Whether there is any placement at all.

use super::capacity_search::limits_of;
use super::passes::figures;
use crate::planning::problem::timetable::{
    START_RULES, capacity_waits, concurrent_uses, levelled, with_waits,
};
use crate::planning::problem::{Instance, Placement, Shape, concurrency, evaluate_on, routes};
use crate::planning::solve::backend::solver::{Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::planning::solve::heuristic::local_search::local_search;
use crate::planning::solve::presolve::reduction::reduce;

/// Whether some placement keeps the limits: the first one that the search finds is enough, and
/// only without one the solver is asked.
pub fn feasible(
    instance: &Instance,
    solver: &dyn Solver,
    effort: &Effort,
) -> Result<bool, SolverError> {
    let shape = instance.shape();
    if reduce(instance, &shape, limits_of(instance), effort).is_none() {
        return Ok(false);
    }
    let caps = instance.caps.iter().filter(|cap| !cap.concurrent);
    let relaxed = Instance {
        caps: caps.cloned().collect(),
        ..instance.clone()
    };
    let found = local_search(&relaxed, &shape, effort);
    if found.is_some_and(|placement| has_schedule(instance, &shape, &placement)) {
        return Ok(true);
    }
    figures(instance, solver, effort).map(|found| found.is_some())
}

/// Whether some schedule of a placement keeps the concurrent caps and all limits, with all transfers
/// on their cheapest routes.
fn has_schedule(instance: &Instance, shape: &Shape, placement: &Placement) -> bool {
    if concurrency::exceeded_cap(instance, shape, placement).is_none() {
        return true;
    }
    let routes = routes::cheapest(instance, placement);
    START_RULES.into_iter().any(|rule| {
        let times = levelled(instance, &instance.caps, shape, placement, &routes, rule);
        let uses = concurrent_uses(&instance.caps, instance, placement);
        let waits = capacity_waits(&instance.caps, &uses, shape, &times);
        let waiting = Instance {
            precedence: with_waits(&instance.precedence, &waits),
            ..instance.clone()
        };
        let shape = waiting.shape();
        let kept = concurrency::exceeded_cap(&waiting, &shape, placement).is_none();
        let evaluation = evaluate_on(&waiting, &shape, placement, &routes);
        kept && evaluation.is_some_and(|found| limits_of(instance).hold(instance, &found))
    })
}
