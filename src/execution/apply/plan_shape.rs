//! Whether a plan is whole in itself: a plan file may have been edited by hand.

use crate::model::ArtifactRef;
use crate::plan::{DoneStage, Plan, PlannedStage};
use std::collections::{BTreeMap, BTreeSet};

/// The stages that must end before `stage`, by data or by order.
pub(super) fn predecessors(stage: &PlannedStage) -> BTreeSet<&str> {
    let by_data = stage.reads.iter().filter_map(|read| match read {
        ArtifactRef::Output { stage, .. } => Some(stage.as_str()),
        ArtifactRef::Dataset(_) => None,
    });
    by_data
        .chain(stage.after.iter().map(String::as_str))
        .collect()
}

/// The stages that must have ended before `stage` starts, well or not, so that limits on what runs
/// at once hold.
pub(super) fn stages_ahead(stage: &PlannedStage) -> BTreeSet<&str> {
    let stages = stage.waits_for.iter().map(|wait| wait.stage.as_str());
    stages.collect()
}

/// All stages that have to end before `stage` starts.
pub(super) fn stages_before(stage: &PlannedStage) -> BTreeSet<&str> {
    let mut stages = predecessors(stage);
    stages.extend(stages_ahead(stage));
    stages
}

/// Names must be plain, references must lead somewhere, and no stage may wait for itself.
pub(super) fn check_shape(plan: &Plan, problems: &mut Vec<String>) {
    let mut known_stages: BTreeMap<&str, &PlannedStage> = BTreeMap::new();
    for stage in &plan.stages {
        if known_stages.insert(&stage.name, stage).is_some() {
            problems.push(format!("stage.{} is in the plan twice", stage.name));
        }
        check_outputs(stage, problems);
    }
    for stage in &plan.stages {
        if done_stage(plan, &stage.name).is_some() {
            problems.push(format!(
                "stage.{} is in the plan, which says that it is done already",
                stage.name
            ));
        }
        check_reads(plan, &known_stages, stage, problems);
        check_order(plan, &known_stages, stage, problems);
    }
    check_circles(&known_stages, problems);
}

/// The stage of that name, if it was done before the job went on with this plan.
fn done_stage<'p>(plan: &'p Plan, name: &str) -> Option<&'p DoneStage> {
    plan.from_state.as_ref()?.done.get(name)
}

fn check_outputs(stage: &PlannedStage, problems: &mut Vec<String>) {
    for output in stage
        .outputs
        .keys()
        .filter(|output| !stage.writes.contains_key(*output))
    {
        problems.push(format!(
            "stage.{} sends `{output}` somewhere, which it does not write",
            stage.name
        ));
    }
    let names = std::iter::once(&stage.name).chain(stage.writes.keys());
    for name in names.filter(|name| !is_plain(name)) {
        problems.push(format!(
            "`{}` cannot be the name of a folder or file",
            name.escape_debug()
        ));
    }
}

fn check_reads(
    plan: &Plan,
    known_stages: &BTreeMap<&str, &PlannedStage>,
    stage: &PlannedStage,
    problems: &mut Vec<String>,
) {
    for read in &stage.reads {
        let is_there = match read {
            ArtifactRef::Dataset(name) => plan.datasets.contains_key(name) && is_plain(name),
            ArtifactRef::Output { stage, name } => {
                known_stages
                    .get(stage.as_str())
                    .is_some_and(|stage| stage.writes.contains_key(name))
                    || done_stage(plan, stage).is_some_and(|done| done.outputs.contains_key(name))
            }
        };
        if !is_there {
            problems.push(format!(
                "stage.{} reads `{read}`, which the plan does not have",
                stage.name
            ));
        }
    }
}

fn check_order(
    plan: &Plan,
    known_stages: &BTreeMap<&str, &PlannedStage>,
    stage: &PlannedStage,
    problems: &mut Vec<String>,
) {
    for before in stage.after.iter().filter(|before| {
        !known_stages.contains_key(before.as_str()) && done_stage(plan, before).is_none()
    }) {
        problems.push(format!(
            "stage.{} waits for stage.{before}, which the plan does not have",
            stage.name
        ));
    }
    for ahead in stages_ahead(stage)
        .into_iter()
        .filter(|ahead| !known_stages.contains_key(ahead))
    {
        problems.push(format!(
            "because of a limit, stage.{} waits for stage.{ahead}, which the plan does not have",
            stage.name
        ));
    }
}

fn check_circles(known_stages: &BTreeMap<&str, &PlannedStage>, problems: &mut Vec<String>) {
    let mut stages_left: BTreeMap<&str, BTreeSet<&str>> = known_stages
        .values()
        .map(|stage| (stage.name.as_str(), stages_before(stage)))
        .collect();
    loop {
        let open_stages: BTreeSet<&str> = stages_left.keys().copied().collect();
        let count_before = stages_left.len();
        stages_left.retain(|_, waits| waits.iter().any(|name| open_stages.contains(name)));
        if stages_left.len() == count_before {
            break;
        }
    }
    if !stages_left.is_empty() {
        let names: Vec<&str> = stages_left.keys().copied().collect();
        problems.push(format!(
            "stages wait for each other in a circle: {}",
            names.join(", ")
        ));
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']) && name.len() <= 200
}

/// Every stage must have a command.
pub(super) fn check_commands(plan: &Plan, problems: &mut Vec<String>) {
    let has_no_command =
        |stage: &&PlannedStage| stage.run.as_deref().is_none_or(|run| run.trim().is_empty());
    let names: Vec<String> = plan
        .stages
        .iter()
        .filter(has_no_command)
        .map(|stage| format!("stage.{}", stage.name))
        .collect();
    if !names.is_empty() {
        let verb = if names.len() == 1 { "has" } else { "have" };
        problems.push(format!(
            "{} {verb} no `run`: give the command in the job file and plan again",
            names.join(", ")
        ));
    }
}
