//! Names in a plan that was read: most of them become names of files and folders when the plan is
//! applied.

use super::{Plan, PlannedStage};
use crate::model::ArtifactRef;
use crate::model::names::is_path_part;
use crate::util::hash::Digest;

/// What a plan has that no plan of a job can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidPlanText {
    /// A name that could lead elsewhere.
    #[error("`{field}` has `{}`, which no job can have there", text.escape_debug())]
    Name { field: String, text: String },
    /// A digest of an input that is none.
    #[error("`inputs.{field}`: {reason}")]
    Digest { field: &'static str, reason: String },
}

/// Checks all names of a plan; the error names the field and what is in it.
pub(super) fn check_names(plan: &Plan) -> Result<(), InvalidPlanText> {
    check_name("job", &plan.job, is_path_part)?;
    let inputs = &plan.inputs;
    for (field, digest) in [
        ("job", &inputs.job),
        ("policy", &inputs.policy),
        ("catalog", &inputs.catalog),
    ] {
        digest
            .parse::<Digest>()
            .map_err(|error| InvalidPlanText::Digest {
                field,
                reason: error.to_string(),
            })?;
    }
    for (number, stage) in plan.stages.iter().enumerate() {
        check_stage(&format!("stages[{number}]"), stage)?;
    }
    for (number, transfer) in plan.transfers.iter().enumerate() {
        check_artifact(&format!("transfers[{number}].artifact"), &transfer.artifact)?;
    }
    for name in plan.datasets.keys() {
        check_name("datasets", name, is_path_part)?;
    }
    if let Some(from) = &plan.from_state {
        for (name, done) in &from.done {
            check_name("from_state.done", name, is_path_part)?;
            for output in done.outputs.keys() {
                check_name(
                    &format!("from_state.done.{name}.outputs"),
                    output,
                    is_path_part,
                )?;
            }
        }
    }
    Ok(())
}

fn check_stage(field: &str, stage: &PlannedStage) -> Result<(), InvalidPlanText> {
    check_name(&format!("{field}.name"), &stage.name, is_path_part)?;
    if let Some(replica) = &stage.replica {
        check_name(&format!("{field}.copy.stage"), &replica.stage, is_path_part)?;
    }
    for read in &stage.reads {
        check_artifact(&format!("{field}.reads"), read)?;
    }
    for output in stage.writes.keys() {
        check_name(&format!("{field}.writes"), output, is_path_part)?;
    }
    for before in &stage.after {
        check_name(&format!("{field}.after"), before, is_path_part)?;
    }
    for wait in &stage.waits_for {
        check_name(
            &format!("{field}.waits_for.stage"),
            &wait.stage,
            is_path_part,
        )?;
    }
    Ok(())
}

fn check_artifact(field: &str, artifact: &ArtifactRef) -> Result<(), InvalidPlanText> {
    match artifact {
        ArtifactRef::Dataset(name) => check_name(field, name, is_path_part),
        ArtifactRef::Output { stage, .. } => {
            check_name(field, stage, is_path_part)?;
            check_name(field, artifact.file_name(), is_path_part)
        }
    }
}

fn check_name(field: &str, text: &str, may_be: fn(&str) -> bool) -> Result<(), InvalidPlanText> {
    match may_be(text) {
        true => Ok(()),
        false => Err(InvalidPlanText::Name {
            field: field.to_owned(),
            text: text.to_owned(),
        }),
    }
}
