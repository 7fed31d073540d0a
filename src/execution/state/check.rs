//! What a state or a record says that was read, from a file or a bucket that others may write to:
//! names and tokens become names of files, and buckets are deleted, so nothing is believed that
//! `sky` cannot have written.

use super::data::{Artifact, StageRecord, State};
use super::event::Event;
use crate::model::names::{is_lineage, is_output_name, is_path_part, is_token};
use crate::model::{Pack, bucket_name, pack};

/// Checks a whole state; the error names the field and what is in it.
pub(super) fn state(state: &State) -> Result<(), String> {
    named("lineage", &state.lineage, is_lineage)?;
    for (name, stage) in &state.stages {
        named("stages", name, is_path_part)?;
        record(&format!("stages.{name}"), stage)?;
    }
    for (name, held) in &state.artifacts {
        named("artifacts", name, is_output_name)?;
        artifact(&format!("artifacts.{name}"), held)?;
    }
    for name in state.copies.keys() {
        named("copies", name, is_artifact)?;
    }
    for offer in &state.exhausted {
        named("exhausted.stage", &offer.stage, is_path_part)?;
    }
    buckets(state)
}

/// Checks the addresses of a state's buckets: only those that the own lineage can have made are
/// ever touched.
pub(super) fn buckets(state: &State) -> Result<(), String> {
    for (place, address) in &state.buckets {
        if let Some(fault) = bucket_name::fault(address, place, &state.lineage) {
            return Err(format!(
                "`buckets.{place}` is `{}`: {fault}",
                address.escape_debug()
            ));
        }
    }
    Ok(())
}

/// Checks what a record of the journal says.
pub(super) fn event(event: &Event) -> Result<(), String> {
    match event {
        Event::Begun { .. } | Event::Emptied | Event::Bucket { .. } => Ok(()),
        Event::Unstaging { .. } | Event::Unstaged { .. } => Ok(()),
        Event::Exhausted { offer } => named("offer.stage", &offer.stage, is_path_part),
        Event::Brought { artifact, .. } | Event::Discarded { artifact, .. } => {
            named("artifact", artifact, is_artifact)
        }
        Event::Observed { stage, .. }
        | Event::Moved { stage, .. }
        | Event::Exited { stage, .. }
        | Event::Ended { stage, .. }
        | Event::Released { stage, .. }
        | Event::Forgotten { stage } => named("stage", stage, is_path_part),
        Event::Attempt { stage, token, .. }
        | Event::Reserved { stage, token, .. }
        | Event::Charged { stage, token, .. }
        | Event::Intent { stage, token, .. }
        | Event::Result { stage, token, .. } => stage_and_token(stage, token),
        Event::Copied {
            stage,
            token,
            artifact,
            ..
        }
        | Event::Staging {
            stage,
            token,
            artifact,
            ..
        }
        | Event::Fetching {
            stage,
            token,
            artifact,
            ..
        }
        | Event::Fetched {
            stage,
            token,
            artifact,
            ..
        } => {
            stage_and_token(stage, token)?;
            named("artifact", artifact, is_artifact)
        }
        Event::Staged {
            stage,
            token,
            artifact,
            pack,
            ..
        } => {
            stage_and_token(stage, token)?;
            named("artifact", artifact, is_artifact)?;
            check_pack("pack", pack)
        }
        Event::Checkpointed {
            stage,
            artifact: saved,
        } => {
            named("stage", stage, is_path_part)?;
            artifact("artifact", saved)
        }
        Event::Done { stage, outputs, .. } => {
            named("stage", stage, is_path_part)?;
            for (name, output) in outputs {
                named("outputs", name, is_path_part)?;
                artifact(&format!("outputs.{name}"), output)?;
            }
            Ok(())
        }
        Event::NotBegun {
            stage,
            record: skipped,
        } => {
            named("stage", stage, is_path_part)?;
            record("record", skipped)
        }
        Event::Renamed { stage, to } => {
            named("stage", stage, is_path_part)?;
            named("to", to, is_path_part)
        }
    }
}

fn stage_and_token(stage: &str, token: &str) -> Result<(), String> {
    named("stage", stage, is_path_part)?;
    named("token", token, is_token)
}

fn record(field: &str, record: &StageRecord) -> Result<(), String> {
    // A stage that was never begun has none.
    named(&format!("{field}.token"), &record.token, |token| {
        token.is_empty() || is_token(token)
    })?;
    record.checkpoint.as_ref().map_or(Ok(()), |saved| {
        artifact(&format!("{field}.checkpoint"), saved)
    })
}

fn artifact(field: &str, artifact: &Artifact) -> Result<(), String> {
    artifact
        .staged
        .iter()
        .try_for_each(|(place, pack)| check_pack(&format!("{field}.staged.{place}"), pack))
}

fn check_pack(field: &str, pack: &Pack) -> Result<(), String> {
    named(&format!("{field}.key"), &pack.key, pack::is_key)?;
    match pack.chunk_bytes > 0 && pack.chunks() <= pack::MOST_CHUNKS {
        true => Ok(()),
        false => Err(format!(
            "`{field}` has {} bytes in chunks of {}: a pack has at most {} chunks",
            pack.bytes,
            pack.chunk_bytes,
            pack::MOST_CHUNKS
        )),
    }
}

/// A dataset, or what a stage wrote.
fn is_artifact(text: &str) -> bool {
    is_path_part(text)
}

fn named(field: &str, text: &str, may_be: impl Fn(&str) -> bool) -> Result<(), String> {
    match may_be(text) {
        true => Ok(()),
        false => Err(format!(
            "`{field}` has `{}`, which sky never writes there",
            text.escape_debug()
        )),
    }
}
