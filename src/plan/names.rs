//! Names in a plan that was read: most of them become names of files and folders when the plan is
//! applied.

use super::{Plan, PlannedStage};
use crate::model::ArtifactRef;
use crate::model::names::is_path_part;
use crate::util::hash::Digest;

/// Checks all names of a plan; the error names the field and what is in it.
pub(super) fn check(plan: &Plan) -> Result<(), String> {
    named("job", &plan.job, is_path_part)?;
    let inputs = &plan.inputs;
    for (field, digest) in [
        ("job", &inputs.job),
        ("policy", &inputs.policy),
        ("catalog", &inputs.catalog),
    ] {
        digest
            .parse::<Digest>()
            .map_err(|error| format!("`inputs.{field}`: {error}"))?;
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        check_stage(&format!("stages[{number}]"), stage)?;
    }
    for (number, transfer) in plan.transfers.iter().enumerate() {
        artifact(&format!("transfers[{number}].artifact"), &transfer.artifact)?;
    }
    for name in plan.datasets.keys() {
        named("datasets", name, is_path_part)?;
    }
    if let Some(from) = &plan.from_state {
        for (name, done) in &from.done {
            named("from_state.done", name, is_path_part)?;
            for output in done.outputs.keys() {
                named(
                    &format!("from_state.done.{name}.outputs"),
                    output,
                    is_path_part,
                )?;
            }
        }
    }
    Ok(())
}

fn check_stage(field: &str, stage: &PlannedStage) -> Result<(), String> {
    named(&format!("{field}.name"), &stage.name, is_path_part)?;
    if let Some(replica) = &stage.replica {
        named(&format!("{field}.copy.stage"), &replica.stage, is_path_part)?;
    }
    for read in &stage.reads {
        artifact(&format!("{field}.reads"), read)?;
    }
    for output in stage.writes.keys() {
        named(&format!("{field}.writes"), output, is_path_part)?;
    }
    for before in &stage.after {
        named(&format!("{field}.after"), before, is_path_part)?;
    }
    Ok(())
}

fn artifact(field: &str, artifact: &ArtifactRef) -> Result<(), String> {
    match artifact {
        ArtifactRef::Dataset(name) => named(field, name, is_path_part),
        ArtifactRef::Output { stage, .. } => {
            named(field, stage, is_path_part)?;
            named(field, artifact.file_name(), is_path_part)
        }
    }
}

fn named(field: &str, text: &str, may_be: fn(&str) -> bool) -> Result<(), String> {
    match may_be(text) {
        true => Ok(()),
        false => Err(format!(
            "`{field}` has `{}`, which no job can have there",
            text.escape_debug()
        )),
    }
}
