//! What a plan says of its proof of optimality, checked without a solver.

use super::difference::Difference;
use crate::model::Policy;
use crate::plan::{Plan, PlannedObjective, SolverReport};
use crate::planning::problem::SOLVER_SEED;

/// What can be said of the proof without a solver: a bound is no more than what it bounds, and
/// gap and status follow from it.
pub(in crate::planning) fn proof(plan: &Plan, policy: &Policy) -> Vec<Difference> {
    let SolverReport {
        status,
        bound_micro_usd,
        bound_ms,
        gap,
        seed,
        threads,
        ..
    } = &plan.solver;
    let mut found = Vec::new();
    let mut wrong = |at: &str, says: String, should: String| {
        if says != should {
            found.push(Difference::new(format!("solver.{at}"), says, should));
        }
    };
    let worth = policy
        .hour
        .map_or(0, |hour| hour.cost(1, plan.totals.makespan_ms).0);
    let cost = i128::from(plan.totals.cost_micro_usd.0) + i128::from(worth);
    let time = i128::from(plan.totals.makespan_ms.0);
    let (value, bound) = match (plan.objective, bound_ms) {
        (PlannedObjective::Time, Some(bound)) => (time, i128::from(bound.0)),
        _ => (cost, i128::from(bound_micro_usd.0)),
    };
    let by_time = if plan.objective == PlannedObjective::Time {
        "a bound on time"
    } else {
        "none"
    };
    wrong(
        "bound_ms",
        if bound_ms.is_some() {
            "a bound on time"
        } else {
            "none"
        }
        .to_owned(),
        by_time.to_owned(),
    );
    if bound > value {
        let at = if bound_ms.is_some() {
            "bound_ms"
        } else {
            "bound_micro_usd"
        };
        wrong(
            at,
            bound.to_string(),
            format!("at most {value}, what the plan itself has"),
        );
    }
    if i128::from(bound_micro_usd.0) > cost {
        wrong(
            "bound_micro_usd",
            bound_micro_usd.0.to_string(),
            format!("at most {cost}, the plan's own"),
        );
    }
    let missing = (value - bound).max(0) * 1_000_000;
    let parts = (missing + value.max(1) - 1) / value.max(1);
    wrong("gap", gap.to_string(), parts.to_string());
    let closed = value <= bound
        && (plan.objective != PlannedObjective::Time || cost <= i128::from(bound_micro_usd.0));
    match status.as_str() {
        "optimal" if closed => {}
        "optimal" => wrong(
            "status",
            status.clone(),
            "feasible: the bound is not reached".to_owned(),
        ),
        "feasible" => {}
        other => wrong("status", other.to_owned(), "optimal or feasible".to_owned()),
    }
    wrong("seed", seed.to_string(), SOLVER_SEED.to_string());
    wrong("threads", threads.to_string(), "1".to_owned());
    found
}
