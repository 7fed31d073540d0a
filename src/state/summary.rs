//! What a state says, for `sky show` and for `sky plan --detailed-exitcode`.

use super::data::{State, Status};
use crate::model::canonical;
use crate::plan::{Plan, PlannedStage};
use crate::util::hash;
use serde_json::{Value, json};

/// The state for programs: its head, its stages with their addresses, its artifacts.
pub fn summary(state: &State) -> Value {
    let stages: Vec<Value> = state
        .stages
        .iter()
        .map(|(name, stage)| {
            json!({
                "address": format!("stage.{name}"),
                "name": name,
                "status": stage.status,
                "attempt": stage.attempt,
                "live": stage.live,
                "provider": stage.provider,
                "place": stage.place,
                "exit_code": stage.exit_code,
                "message": stage.message,
                "started": stage.started,
                "ended": stage.ended,
            })
        })
        .collect();
    let artifacts: Vec<Value> = state
        .artifacts
        .iter()
        .map(|(name, artifact)| {
            json!({
                "artifact": name,
                "digest": artifact.digest,
                "bytes": artifact.bytes,
                "kind": artifact.kind,
                "attempt": artifact.attempt,
            })
        })
        .collect();
    json!({
        "format_version": "1.0",
        "version": state.version,
        "serial": state.serial,
        "lineage": state.lineage,
        "sky_version": state.sky_version,
        "job": state.job,
        "plan": state.plan,
        "stages": stages,
        "artifacts": artifacts,
    })
}

/// The stages for people, with a head row: address, status, attempt, place, note.
pub fn text_rows(state: &State) -> Vec<Vec<String>> {
    let head = ["stage", "status", "attempt", "place", "note"].map(str::to_owned).to_vec();
    let rows = state.stages.iter().map(|(name, stage)| {
        let note = stage.message.clone().unwrap_or_default();
        vec![
            format!("stage.{name}"),
            stage.status.to_string(),
            stage.attempt.to_string(),
            stage.place.to_string(),
            note,
        ]
    });
    std::iter::once(head).chain(rows).collect()
}

/// Whether the state already holds all of the plan done, as far as the plan itself can tell: the
/// content of datasets and files is looked at by `apply` alone.
pub fn holds(state: &State, plan: &Plan) -> bool {
    let done = |stage: &PlannedStage| {
        state
            .stages
            .get(&stage.name)
            .is_some_and(|record| record.status == Status::Done && record.definition == definition(stage))
            && stage.writes.keys().all(|output| state.artifacts.contains_key(&format!("{}.{output}", stage.name)))
    };
    state.job.as_deref() == Some(plan.job.as_str()) && plan.stages.iter().all(done)
}

/// Digest of the work that a plan gives a stage, wherever it runs: the command, the names of what
/// it reads, writes and brings along, the number of nodes it is told of.
pub fn definition(stage: &PlannedStage) -> String {
    let outputs: Vec<&String> = stage.writes.keys().collect();
    let work = json!({
        "run": stage.run,
        "reads": stage.reads,
        "writes": outputs,
        "files": stage.files,
        "nodes": stage.nodes,
    });
    // The canonical text of strings and numbers cannot fail to be written.
    hash::digest(canonical::to_text(&work).unwrap_or_default().as_bytes())
}
