//! What a plan says of its proof of optimality, checked without a solver.

use super::difference::Difference;
use crate::model::Policy;
use crate::plan::{Plan, PlannedObjective, SolverReport};
use crate::planning::problem::SOLVER_SEED;

/// What can be said of the proof without a solver: a bound is no more than what it bounds, and
/// gap and status follow from it.
pub(in crate::planning) fn check_proof(plan: &Plan, policy: &Policy) -> Vec<Difference> {
    let SolverReport {
        status,
        bound_micro_usd,
        bound_ms,
        gap,
        seed,
        threads,
        ..
    } = &plan.solver;
    let mut differences = Vec::new();
    let mut check_says = |at: &str, says: String, should: String| {
        if says != should {
            differences.push(Difference::new(format!("solver.{at}"), says, should));
        }
    };
    let time_worth = policy
        .hour
        .map_or(0, |hour| hour.cost(1, plan.totals.makespan_ms).0);
    let cost = i128::from(plan.totals.cost_micro_usd.0) + i128::from(time_worth);
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
    check_says(
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
        let bound_key = if bound_ms.is_some() {
            "bound_ms"
        } else {
            "bound_micro_usd"
        };
        check_says(
            bound_key,
            bound.to_string(),
            format!("at most {value}, what the plan itself has"),
        );
    }
    if i128::from(bound_micro_usd.0) > cost {
        check_says(
            "bound_micro_usd",
            bound_micro_usd.0.to_string(),
            format!("at most {cost}, the plan's own"),
        );
    }
    let missing_parts = (value - bound).max(0) * 1_000_000;
    let gap_parts = (missing_parts + value.max(1) - 1) / value.max(1);
    check_says("gap", gap.to_string(), gap_parts.to_string());
    let is_closed = value <= bound
        && (plan.objective != PlannedObjective::Time || cost <= i128::from(bound_micro_usd.0));
    match status.as_str() {
        "optimal" if is_closed => {}
        "optimal" => check_says(
            "status",
            status.clone(),
            "feasible: the bound is not reached".to_owned(),
        ),
        "feasible" => {}
        other => check_says("status", other.to_owned(), "optimal or feasible".to_owned()),
    }
    check_says("seed", seed.to_string(), SOLVER_SEED.to_string());
    check_says("threads", threads.to_string(), "1".to_owned());
    differences
}
