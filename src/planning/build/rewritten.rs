//! Checks a plan against what it was made from, without a solver.
//!
//! Three times over, because each sees what the others do not: the plan's own sums, schedule and
//! rules are worked out again from job, policy and catalog by code that shares nothing with the
//! planner's ([`crate::planning::verify`]); the whole plan is written down again from the offers
//! that it takes, and compared member by member; and the digest in the plan is that of its other
//! members, so that what only a solver could work out again cannot have been changed either.

use super::plan_parts::{Parts, SolverName, limit_keys, with_waits};
use super::{assemble, inputs::inputs};
use crate::catalog::Catalog;
use crate::model::{Destination, Job, Objective, PlaceName, Policy};
use crate::plan::{Plan, PlannedStage, PlannedTransfer, file as plan_file};
use crate::planning::compile::{self, Compiled};
use crate::planning::problem::timetable::CapacityWait;
use crate::planning::problem::{ChoiceId, Placement, Routes, StageId, evaluate_on};
use crate::planning::remaining_job;
use crate::planning::solve::{Proof, Solved};
use crate::planning::verify::{self, Difference};
use crate::util::id_vec::Id;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// All that is wrong with a plan of these inputs; `text` is its file.
pub fn verify(
    plan: &Plan,
    text: &str,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> Vec<Difference> {
    let remaining = match &plan.from_state {
        Some(from) => remaining_job::remaining_job(job, policy, from)
            .map(|(job, policy)| (Cow::Owned(job), Cow::Owned(policy))),
        None => Ok((Cow::Borrowed(job), Cow::Borrowed(policy))),
    };
    let (left, limits) = match remaining {
        Ok(remaining) => remaining,
        Err(used_up) => {
            return vec![Difference::new(
                "from_state",
                used_up,
                "a state that leaves something to plan",
            )];
        }
    };
    let mut found = Vec::new();
    match plan_file::encode(plan) {
        Ok(canonical) if canonical == text => {}
        _ => found.push(Difference::new(
            "the file",
            "other bytes",
            "the canonical bytes of its members, and no others",
        )),
    }
    match (&plan.digest, plan_file::self_digest(plan)) {
        (Some(says), Ok(should)) if *says == should => {}
        (Some(says), Ok(should)) => found.push(Difference::new("digest", says, should)),
        _ => found.push(Difference::new(
            "digest",
            "none",
            "that of the plan: it was written by an older sky",
        )),
    }
    found.extend(verify::differences(plan, &left, &limits, catalog));
    let written = WrittenAndLeft {
        job,
        left: &left,
        policy,
        limits: &limits,
    };
    found.extend(compare_rewritten(plan, &written, catalog));
    found.extend(verify::check_proof(plan, policy));
    found.sort();
    found.dedup_by(|a, b| a.at == b.at);
    found
}

/// Whether a plan leaves an output where it is made that would be brought home if some plan could.
fn leaves_results(plan: &Plan, compiled: &compile::Compiled) -> bool {
    let leaves_result = |output: &compile::Output| {
        let planned = plan
            .stages
            .iter()
            .find(|stage| stage.name == compiled.stages[output.stage]);
        planned.and_then(|stage| stage.outputs.get(output.artifact.file_name()))
            == Some(&Destination::There)
    };
    compiled.results.homeward().any(leaves_result)
}

/// Job and policy as they are written, and what is left of them after a state.
struct WrittenAndLeft<'a> {
    job: &'a Job,
    /// The part of the job that is left to do.
    left: &'a Job,
    policy: &'a Policy,
    /// The policy with what is left of its limits.
    limits: &'a Policy,
}

/// Compares with the plan that comes of the same offers.
fn compare_rewritten(
    plan: &Plan,
    written: &WrittenAndLeft<'_>,
    catalog: &Catalog,
) -> Vec<Difference> {
    let WrittenAndLeft {
        job,
        left,
        policy: written,
        limits: policy,
    } = *written;
    let Some(compiled) = compile_as_planned(plan, left, policy, catalog) else {
        return vec![Difference::new(
            "stages",
            "some",
            "none: no plan of these inputs is possible",
        )];
    };
    let waits = planned_waits(plan, &compiled);
    let compiled = with_waits(compiled, &waits);
    let placement = match planned_placement(plan, &compiled, catalog) {
        Ok(placement) => placement,
        Err(difference) => return vec![difference],
    };
    let Some(evaluated) = evaluated_placement(plan, &compiled, placement, policy, catalog) else {
        return vec![Difference::new(
            "transfers",
            "some",
            "none: a way has no price",
        )];
    };
    let solved = Solved { waits, ..evaluated };
    let Ok(inputs) = inputs(job, written, catalog) else {
        return Vec::new();
    };
    let plan_parts = Parts {
        job,
        policy,
        catalog,
        compiled: &compiled,
        solved: &solved,
        wait_limits: limit_keys(&compiled),
        single: plan.single_cloud.clone(),
        inputs,
        from_state: plan.from_state.as_ref(),
    };
    let solver = SolverName {
        name: "",
        version: String::new(),
    };
    let plan_again = with_unchecked_members(assemble::assemble(&plan_parts, &solver), plan);
    let mut differences = Vec::new();
    match (
        serde_json::to_value(plan),
        serde_json::to_value(&plan_again),
    ) {
        (Ok(says), Ok(should)) => compare_members("", &says, &should, &mut differences),
        _ => differences.push(Difference::new("the file", "no JSON", "JSON")),
    }
    differences
}

/// Makes the placement problem that a plan is a solution of; `None`: the inputs have none.
fn compile_as_planned(
    plan: &Plan,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
) -> Option<Compiled> {
    let compiled = compile::compile(job, policy, catalog).ok()?;
    if compiled.results.partly_priced && leaves_results(plan, &compiled) {
        return compile::compile_with(job, policy, catalog, compile::PartlyPriced::There).ok();
    }
    Some(compiled)
}

/// Evaluates a placement with the routes of a plan; `None`: a transfer has no price. The proof is
/// that of the plan, which is judged apart.
fn evaluated_placement(
    plan: &Plan,
    compiled: &Compiled,
    placement: Placement,
    policy: &Policy,
    catalog: &Catalog,
) -> Option<Solved> {
    let instance = &compiled.instance;
    let routes = planned_routes(plan, compiled, catalog);
    let evaluation = evaluate_on(instance, &instance.shape(), &placement, &routes)?;
    let is_by_time = policy.minimize == Objective::Time;
    let proof = Proof {
        optimal: true,
        cost_bound: evaluation.cost(),
        time_bound: is_by_time.then_some(evaluation.makespan),
    };
    Some(Solved {
        placement,
        evaluation,
        proof,
        waits: Vec::new(),
    })
}

/// The waits of a plan that the problem of its inputs has limits for; a plan that says others is
/// found to differ.
fn planned_waits(plan: &Plan, compiled: &Compiled) -> Vec<CapacityWait> {
    let stage_of = |name: &String| compiled.stages.binary_search(name).ok();
    let limits = limit_keys(compiled);
    let cap_of = |key: &String| limits.ids().find(|cap| limits[*cap] == *key);
    let waits_of = |stage: &PlannedStage| {
        let waits = stage.waits_for.iter().filter_map(|wait| {
            Some(CapacityWait {
                after: stage_of(&stage.name)?,
                before: stage_of(&wait.stage)?,
                cap: cap_of(&wait.limit)?,
            })
        });
        waits.collect::<Vec<CapacityWait>>()
    };
    plan.stages.iter().flat_map(waits_of).collect()
}

/// Returns the plan that was written again, with those members of the plan that are judged apart,
/// and without those that plans of earlier versions do not have.
fn with_unchecked_members(again: Plan, plan: &Plan) -> Plan {
    Plan {
        // What the solver said is judged apart.
        solver: plan.solver.clone(),
        digest: plan.digest.clone(),
        contents: plan.contents.clone(),
        sky_version: plan.sky_version.clone(),
        // Plans of earlier versions do not say what rests on old prices, or only of machines.
        old_prices: match &plan.old_prices {
            Some(says) if !says.kinds.is_empty() => again.old_prices.clone(),
            says => says.clone(),
        },
        // Nor do they say which prices of disks are estimates.
        estimated_disks: match plan.estimated_disks.is_empty() {
            true => BTreeSet::new(),
            false => again.estimated_disks.clone(),
        },
        ..again
    }
}

/// The positions of the choices that the stages take.
fn planned_placement(
    plan: &Plan,
    compiled: &Compiled,
    catalog: &Catalog,
) -> Result<Placement, Difference> {
    let choice_of = |(index, name): (StageId, &String)| {
        let stage_key = || format!("stages.{name}");
        let mut planned = plan.stages.iter().filter(|stage| stage.name == *name);
        let (Some(stage), None) = (planned.next(), planned.next()) else {
            return Err(Difference::new(
                stage_key(),
                "not once",
                "one stage of the job",
            ));
        };
        let takes = |choice: &crate::planning::problem::Choice| {
            let offer = &catalog.offers[compiled.candidates[index][choice.tag].offer.index()];
            catalog.place(offer).name == stage.place
                && catalog.machine(offer).instance_type == stage.instance_type
                && offer.purchase == stage.purchase
        };
        let mut choices = compiled.instance.stages[index].choices.iter_enumerated();
        let position = choices.find(|(_, choice)| takes(choice)).map(|(id, _)| id);
        let says = || format!("{} {} {}", stage.place, stage.instance_type, stage.purchase);
        position.ok_or_else(|| {
            Difference::new(
                stage_key(),
                says(),
                "an offer that it may take, and that no other beats",
            )
        })
    };
    let mut placement: Placement = compiled
        .stages
        .iter_enumerated()
        .map(choice_of)
        .collect::<Result<_, _>>()?;
    // What stands for bringing an output home has one choice.
    placement.resize(compiled.instance.stages.len(), ChoiceId::default());
    Ok(placement)
}

/// The routes of transfers, where they do not come from the artifact's origin.
fn planned_routes(plan: &Plan, compiled: &Compiled, catalog: &Catalog) -> Routes {
    let site = |place: &PlaceName| compiled.sites.binary_search(&catalog.place_id(place)?).ok();
    let relayed = |transfer: &PlannedTransfer| {
        let artifact = compiled
            .artifacts
            .iter_enumerated()
            .find(|(_, artifact)| **artifact == transfer.artifact)?
            .0;
        let brought_home = transfer.readers.is_empty();
        let arrived_again = plan
            .transfers
            .iter()
            .any(|other| other.artifact == transfer.artifact && other.to == transfer.from);
        (arrived_again && !brought_home)
            .then_some(((artifact, site(&transfer.to)?), site(&transfer.from)?))
    };
    plan.transfers.iter().filter_map(relayed).collect()
}

/// Member by member.
fn compare_members(at: &str, says: &Value, should: &Value, differences: &mut Vec<Difference>) {
    let member_path = |key: &str| {
        if at.is_empty() {
            key.to_owned()
        } else {
            format!("{at}.{key}")
        }
    };
    match (says, should) {
        (Value::Object(says), Value::Object(should)) => {
            let keys: std::collections::BTreeSet<&String> =
                says.keys().chain(should.keys()).collect();
            for key in keys {
                let null = Value::Null;
                compare_members(
                    &member_path(key),
                    says.get(key).unwrap_or(&null),
                    should.get(key).unwrap_or(&null),
                    differences,
                );
            }
        }
        (Value::Array(says), Value::Array(should)) if says.len() == should.len() => {
            for (index, (says, should)) in says.iter().zip(should).enumerate() {
                let name = says.get("name").and_then(Value::as_str).map(str::to_owned);
                compare_members(
                    &member_path(&name.unwrap_or_else(|| index.to_string())),
                    says,
                    should,
                    differences,
                );
            }
        }
        _ if says == should => {}
        _ => differences.push(Difference::new(at, says, should)),
    }
}
