//! Job, policy and catalog in; plan out.

use super::plan_parts::{Parts, SolverName, limit_keys, with_waits};
use super::{assemble, inputs::inputs, leave_results};
use crate::catalog::Catalog;
use crate::model::{Allowance, Job, Objective, Pattern, Policy};
use crate::plan::{self, FromState, Inputs, Plan, SingleCloud};
use crate::planning::compile::{self, Compiled};
use crate::planning::problem::{CandidateId, Target, lower, mps};
use crate::planning::solve::{self, Effort, Highs, Outcome, Solver, SolverError};
use crate::planning::{NoPlan, Settings, remaining_job};
use crate::util::id_vec::{Id, IdVec};
use std::collections::BTreeSet;

/// The one best plan of a job under a policy.
pub fn plan(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Plan, NoPlan> {
    let inputs = inputs(job, policy, catalog)
        .map_err(|error| NoPlan::Solver(SolverError(error.to_string())))?;
    let request = PlanRequest {
        job,
        left: job,
        inputs,
        from_state: None,
    };
    planned(request, policy, catalog, settings)
}

/// The one best plan of what a state has left to do of a job under a policy.
pub fn plan_remaining(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
    from_state: &FromState,
) -> Result<Plan, NoPlan> {
    let inputs = inputs(job, policy, catalog)
        .map_err(|error| NoPlan::Solver(SolverError(error.to_string())))?;
    let (left, policy) =
        remaining_job::remaining_job(job, policy, from_state).map_err(NoPlan::UsedUp)?;
    let request = PlanRequest {
        job,
        left: &left,
        inputs,
        from_state: Some(from_state),
    };
    planned(request, &policy, catalog, settings)
}

/// The job that is planned, and what a plan says of where that comes from.
struct PlanRequest<'a> {
    /// The job as it is written.
    job: &'a Job,
    /// The part of it that is left to plan.
    left: &'a Job,
    inputs: Inputs,
    from_state: Option<&'a FromState>,
}

/// Plans what is left of a job, within what is left of the limits of its policy.
fn planned(
    request: PlanRequest<'_>,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
) -> Result<Plan, NoPlan> {
    let PlanRequest {
        job,
        left,
        inputs,
        from_state,
    } = request;
    let solver = Highs;
    let (compiled, outcome) = leave_results::solved(left, policy, catalog, &settings.effort)?;
    match outcome {
        Outcome::Infeasible(unmet_limits) => Err(NoPlan::Infeasible(unmet_limits)),
        Outcome::Solved(solved) => {
            let single = if settings.compare {
                single_cloud(left, policy, catalog, &compiled, settings)?
            } else {
                None
            };
            let compiled = with_waits(compiled, &solved.waits);
            let plan_parts = Parts {
                job,
                policy,
                catalog,
                compiled: &compiled,
                solved: &solved,
                wait_limits: limit_keys(&compiled),
                single,
                inputs,
                from_state,
            };
            let solver = SolverName {
                name: solver.name(),
                version: solver.version(),
            };
            let mut plan = assemble::assemble(&plan_parts, &solver);
            plan.solver.time_limited = settings.effort.is_time_limited();
            signed_plan(plan)
        }
    }
}

/// The program of a job as MPS text: its objective and limits, before any choice is dropped
/// that a bound rules out.
pub fn program(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<String, NoPlan> {
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
    let policy = &Policy {
        relay: Some(compiled.instance.relays),
        ..policy.clone()
    };
    let unlimited = Policy {
        deadline: None,
        budget: None,
        ..policy.clone()
    };
    let limited = policy.deadline.is_some() || policy.budget.is_some();
    for (policy, within_limits) in [(policy, true), (&unlimited, false)] {
        let mut best_cloud: Option<SingleCloud> = None;
        for cloud in complete_clouds(compiled, catalog) {
            // A comparison with some clouds only would be none.
            if settings.effort.should_stop() {
                return Ok(None);
            }
            let only = Allowance {
                allow: Some(BTreeSet::from([Pattern(cloud.clone())])),
                ..policy.clouds.clone()
            };
            let policy = Policy {
                clouds: only,
                ..policy.clone()
            };
            let Some(found) = plan_inside(job, &policy, catalog, settings, cloud)? else {
                continue;
            };
            let found = SingleCloud {
                within_limits,
                ..found
            };
            let rank_of = |single: &SingleCloud| match policy.minimize {
                Objective::Cost => (single.cost_micro_usd.0, single.makespan_ms.signed()),
                Objective::Time => (single.makespan_ms.signed(), single.cost_micro_usd.0),
            };
            if best_cloud
                .as_ref()
                .is_none_or(|best| rank_of(&found) < rank_of(best))
            {
                best_cloud = Some(found);
            }
        }
        if best_cloud.is_some() || !limited {
            return Ok(best_cloud);
        }
    }
    Ok(None)
}

/// Clouds that have a candidate for every stage, by name.
fn complete_clouds(compiled: &Compiled, catalog: &Catalog) -> BTreeSet<String> {
    let clouds_of = |candidates: &IdVec<CandidateId, compile::Candidate>| -> BTreeSet<String> {
        candidates
            .iter()
            .map(|candidate| {
                catalog
                    .place(&catalog.offers[candidate.offer.index()])
                    .name
                    .cloud
                    .clone()
            })
            .collect()
    };
    let mut stages = compiled.candidates.iter().map(clouds_of);
    let Some(first) = stages.next() else {
        return BTreeSet::new();
    };
    stages.fold(first, |common, clouds| {
        common.intersection(&clouds).cloned().collect()
    })
}

fn plan_inside(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    settings: &Settings,
    cloud: String,
) -> Result<Option<SingleCloud>, NoPlan> {
    let figures = |compiled: &Compiled| {
        solve::figures(&compiled.instance, &Highs, &settings.effort).map_err(NoPlan::Solver)
    };
    let Some((_, figures)) =
        leave_results::first_good_answer(job, policy, catalog, figures, Option::is_some)?
    else {
        return Ok(None);
    };
    Ok(figures.map(|figures| SingleCloud {
        cloud,
        cost_micro_usd: figures.cost,
        makespan_ms: figures.makespan,
        within_limits: true,
    }))
}

/// A plan with the digest of its other members.
fn signed_plan(plan: Plan) -> Result<Plan, NoPlan> {
    let digest = plan::file::self_digest(&plan);
    let digest = digest.map_err(|error| NoPlan::Solver(SolverError(error.to_string())))?;
    Ok(Plan {
        digest: Some(digest),
        ..plan
    })
}
