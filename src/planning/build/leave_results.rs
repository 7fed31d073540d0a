//! Outputs that come home by default, where that would take away the only plan.
//!
//! A default must not make a job unplannable. So where there is no plan that brings home what is
//! brought home only by default, and only some of the places have a price for the transfer, the job
//! is planned again with these outputs left where they are made ([`PartlyPriced`]). That never
//! loses a plan: leaving them forbids nothing that bringing them home allows.

use crate::catalog::Catalog;
use crate::model::{ArtifactRef, Destination, Job, Policy};
use crate::planning::NoPlan;
use crate::planning::compile::{self, Compiled, PartlyPriced};
use crate::planning::solve::{self, Effort, Highs, Outcome, SolverError};
use std::collections::BTreeSet;

/// The first answer that is good: of the problem that brings home what it can, then of the one that
/// leaves what has a price from some places only. If neither is good, the first. `None`: there is
/// no problem to solve.
pub(in crate::planning) fn first_good_answer<A, E>(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    answer: impl Fn(&Compiled) -> Result<A, E>,
    is_good: impl Fn(&A) -> bool,
) -> Result<Option<(Compiled, A)>, E> {
    let Ok(compiled) = compile::compile(job, policy, catalog) else {
        return Ok(None);
    };
    let first_answer = answer(&compiled)?;
    if !is_good(&first_answer)
        && compiled.results.partly_priced
        && let Ok(left) = compile::compile_with(job, policy, catalog, PartlyPriced::There)
    {
        let second_answer = answer(&left)?;
        if is_good(&second_answer) {
            return Ok(Some((left, second_answer)));
        }
    }
    Ok(Some((compiled, first_answer)))
}

/// The problem of a job, and its best placement.
pub(super) fn solved(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<(Compiled, Outcome), NoPlan> {
    let solve = |compiled: &Compiled| {
        solve::solve(&compiled.instance, &Highs, effort).map_err(NoPlan::Solver)
    };
    match first_good_answer(job, policy, catalog, solve, |outcome| {
        matches!(outcome, Outcome::Solved(_))
    })? {
        Some(solved) => Ok(solved),
        None => match compile::compile(job, policy, catalog) {
            Err(refusal) => Err(NoPlan::Refused(refusal)),
            Ok(_) => Err(NoPlan::Solver(SolverError(
                "the same inputs were refused and then accepted".to_owned(),
            ))),
        },
    }
}

/// Outputs that are brought home although the job does not say so, if a job that leaves them where
/// they are made has a plan, and this one has none. None if a time limit is over.
pub fn left_for_a_plan(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<BTreeSet<ArtifactRef>, SolverError> {
    if effort.should_stop() {
        return Ok(BTreeSet::new());
    }
    let Ok(compiled) = compile::compile(job, policy, catalog) else {
        return Ok(BTreeSet::new());
    };
    let homeward = compiled
        .results
        .homeward()
        .map(|output| match &output.artifact {
            ArtifactRef::Output { stage, name } => ArtifactRef::Output {
                stage: compile::base_name(stage).to_owned(),
                name: name.clone(),
            },
            dataset => dataset.clone(),
        });
    let unsaid: BTreeSet<ArtifactRef> = homeward
        .filter(|output| !job.outputs.contains_key(output))
        .collect();
    let mut job_with_results_there = job.clone();
    job_with_results_there.outputs.extend(
        unsaid
            .iter()
            .map(|output| (output.clone(), Destination::There)),
    );
    let helps = !unsaid.is_empty() && feasible(&job_with_results_there, policy, catalog, effort)?;
    Ok(if helps { unsaid } else { BTreeSet::new() })
}

/// Whether there is any plan.
pub(in crate::planning) fn feasible(
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<bool, SolverError> {
    let feasible = |compiled: &Compiled| solve::feasible(&compiled.instance, &Highs, effort);
    Ok(
        first_good_answer(job, policy, catalog, feasible, |feasible| *feasible)?
            .is_some_and(|(_, feasible)| feasible),
    )
}
