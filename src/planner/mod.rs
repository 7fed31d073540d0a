//! Job, policy and catalog in; plan out. Pure: no IO, no clock, no environment.

mod assemble;
mod best;
mod conflict;
mod demands;
mod explain;
mod frontier;
mod hitting;
mod homeward;
mod lines;
mod old_prices;
mod recompute;
mod relax;
mod rest;
mod rungs;
mod touched;
mod used;
mod verify;

pub use best::{Figures, base};
pub use conflict::{Clashing, Conflict, conflict};
pub use explain::{BreakEven, Elsewhere, ExplainError, Explanation, Ruled, Why, explain};
pub use frontier::{Frontier, Placed, Point, frontier};
pub use homeward::left_for_a_plan;
pub use lines::{Counted, File, Line, Need, What, without, written};
pub use relax::{Relaxation, Relaxed};
pub use rest::{UsedUp, nothing_left};
pub use touched::{Touched, TouchedStage, TouchedTransfer, touched};
pub use verify::{Difference, verify};

use crate::catalog::Catalog;
use crate::compile::{self, Compiled, Refusal};
use crate::model::{Allowance, Job, Objective, Pattern, Policy, canonical};
use crate::plan::{self, FromState, Inputs, Plan, SingleCloud};
use crate::problem::{Target, lower, mps};
use crate::solve::{self, Effort, Highs, Outcome, Shortfall, Solver, SolverError};
use crate::util::hash;
use std::collections::BTreeSet;

/// How to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub effort: Effort,
    /// Also plan inside every single cloud, for comparison.
    pub compare: bool,
}

/// Jobs up to this many stages are compared with every single cloud unless asked otherwise.
pub const COMPARED_STAGES: usize = 30;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPlan {
    /// A name that the catalog does not know, or stages that nothing may run.
    Refused(Refusal),
    /// No placement keeps the limits.
    Infeasible(Shortfall),
    /// The state that it was to go on from has left nothing of a limit.
    UsedUp(UsedUp),
    Solver(SolverError),
}

/// The one best plan of a job under a policy.
pub fn plan(job: &Job, policy: &Policy, catalog: &Catalog, settings: &Settings) -> Result<Plan, NoPlan> {
    let inputs = inputs(job, policy, catalog).map_err(|error| NoPlan::Solver(SolverError(error.to_string())))?;
    planned((job, job), policy, catalog, settings, (inputs, None))
}

/// The one best plan of what a state has left to do of a job under a policy.
pub fn plan_rest(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
    from: &FromState,
) -> Result<Plan, NoPlan> {
    let inputs = inputs(job, policy, catalog).map_err(|error| NoPlan::Solver(SolverError(error.to_string())))?;
    let (left, policy) = rest::rest(job, policy, from).map_err(NoPlan::UsedUp)?;
    planned((job, &left), &policy, catalog, settings, (inputs, Some(from)))
}

/// Plans `left`, what is left of the job.
fn planned(
    (job, left): (&Job, &Job),
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
    (inputs, from_state): (Inputs, Option<&FromState>),
) -> Result<Plan, NoPlan> {
    let solver = Highs;
    let (compiled, outcome) = homeward::solved(left, policy, catalog, &settings.effort)?;
    match outcome {
        Outcome::Infeasible(shortfall) => Err(NoPlan::Infeasible(shortfall)),
        Outcome::Solved(solved) => {
            let single =
                if settings.compare { single_cloud(left, policy, catalog, &compiled, settings)? } else { None };
            let (compiled, solved) = (&compiled, &solved);
            let parts = assemble::Parts { job, policy, catalog, compiled, solved, single, inputs, from_state };
            let solver = assemble::SolverName { name: solver.name(), version: solver.version() };
            let mut plan = assemble::assemble(&parts, &solver);
            plan.solver.time_limited = settings.effort.limit.is_some();
            verify::signed(plan)
        }
    }
}

/// What a plan says of the inputs that it was made from.
pub fn inputs(job: &Job, policy: &Policy, catalog: &Catalog) -> Result<Inputs, serde_json::Error> {
    Ok(Inputs {
        job: hash::digest(canonical::to_text(job)?.as_bytes()).into(),
        policy: hash::digest(canonical::to_text(policy)?.as_bytes()).into(),
        catalog: catalog.digest.clone(),
        catalog_date: catalog.date.clone(),
    })
}

/// The program of a job as MPS text: its objective and limits, before any choice is dropped
/// that a bound rules out.
pub fn program(job: &Job, policy: &Policy, catalog: &Catalog, effort: &Effort) -> Result<String, NoPlan> {
    let compiled = compile::compile(job, policy, catalog).map_err(NoPlan::Refused)?;
    let instance = solve::with_rows(&compiled.instance, &Highs, effort).map_err(NoPlan::Solver)?;
    Ok(mps::text(&lower(&instance, &Target::of(&instance)).program))
}

/// The best plan inside one cloud: within the limits if any cloud can, else without them.
fn single_cloud(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    compiled: &Compiled,
    settings: &Settings,
) -> Result<Option<SingleCloud>, NoPlan> {
    // Compared with what was done for all clouds, also where one cloud alone would be few places.
    let policy = &Policy { relay: Some(compiled.instance.relays), ..policy.clone() };
    let unlimited = Policy { deadline: None, budget: None, ..policy.clone() };
    let limited = policy.deadline.is_some() || policy.budget.is_some();
    for (policy, within_limits) in [(policy, true), (&unlimited, false)] {
        let mut best: Option<SingleCloud> = None;
        for cloud in complete_clouds(compiled, catalog) {
            // A comparison with some clouds only would be none.
            if settings.effort.is_over() {
                return Ok(None);
            }
            let only = Allowance { allow: Some(BTreeSet::from([Pattern(cloud.clone())])), ..policy.clouds.clone() };
            let policy = Policy { clouds: only, ..policy.clone() };
            let Some(found) = inside(job, &policy, catalog, settings, cloud)? else { continue };
            let found = SingleCloud { within_limits, ..found };
            let rank = |single: &SingleCloud| match policy.minimize {
                Objective::Cost => (single.cost_micro_usd.0, i64::try_from(single.makespan_ms.0).unwrap_or(i64::MAX)),
                Objective::Time => (i64::try_from(single.makespan_ms.0).unwrap_or(i64::MAX), single.cost_micro_usd.0),
            };
            if best.as_ref().is_none_or(|best| rank(&found) < rank(best)) {
                best = Some(found);
            }
        }
        if best.is_some() || !limited {
            return Ok(best);
        }
    }
    Ok(None)
}

/// Clouds that have a candidate for every stage, by name.
fn complete_clouds(compiled: &Compiled, catalog: &Catalog) -> BTreeSet<String> {
    let clouds_of = |candidates: &Vec<compile::Candidate>| -> BTreeSet<String> {
        candidates.iter().map(|candidate| catalog.place(&catalog.offers[candidate.offer]).name.cloud.clone()).collect()
    };
    let mut stages = compiled.candidates.iter().map(clouds_of);
    let first = stages.next().unwrap_or_default();
    stages.fold(first, |common, clouds| common.intersection(&clouds).cloned().collect())
}

fn inside(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
    cloud: String,
) -> Result<Option<SingleCloud>, NoPlan> {
    let figures =
        |compiled: &Compiled| solve::figures(&compiled.instance, &Highs, &settings.effort).map_err(NoPlan::Solver);
    let Some((_, figures)) = homeward::first(job, policy, catalog, figures, Option::is_some)? else {
        return Ok(None);
    };
    Ok(figures.map(|(cost, makespan)| SingleCloud {
        cloud,
        cost_micro_usd: plan::money(cost),
        makespan_ms: plan::millis(makespan),
        within_limits: true,
    }))
}
