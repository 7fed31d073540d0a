//! What a state or a record says that was read, from a file or a bucket that others may write to:
//! names and tokens become names of files, and buckets are deleted, so nothing is believed that
//! `sky` cannot have written.

use super::data::{Artifact, StageRecord, State};
use super::event::{Event, Record};
use crate::model::names::{is_lineage, is_output_name, is_path_part, is_token};
use crate::model::{Pack, PlaceName, bucket_name, pack};
use std::collections::BTreeMap;

/// What a state or a record has that no `sky` has written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// A name that could lead elsewhere.
    #[error("`{field}` has `{}`, which sky never writes there", text.escape_debug())]
    Name {
        /// The field that holds the name.
        field: String,
        /// The name.
        text: String,
    },
    /// A bucket that is not of this state.
    #[error("`buckets.{place}` is `{}`: {fault}", address.escape_debug())]
    Bucket {
        /// The place of the bucket.
        place: PlaceName,
        /// The address of the bucket.
        address: String,
        /// What is wrong with the address.
        fault: &'static str,
    },
    /// A pack of more chunks than any has.
    #[error(
        "`{field}` has {bytes} bytes in chunks of {chunk_bytes}: a pack has at most {} chunks",
        pack::MOST_CHUNKS
    )]
    Pack {
        /// The field that holds the pack.
        field: String,
        /// The size of the pack.
        bytes: u64,
        /// The size of its chunks.
        chunk_bytes: u64,
    },
}

/// Checks a whole state; the error names the field and what is in it.
pub(super) fn check_state(state: &State) -> Result<(), Unbelievable> {
    check_name("lineage", &state.lineage, is_lineage)?;
    for (name, stage) in &state.stages {
        check_name("stages", name, is_path_part)?;
        check_record(&format!("stages.{name}"), stage)?;
    }
    for (name, held) in &state.artifacts {
        check_name("artifacts", name, is_output_name)?;
        check_artifact(&format!("artifacts.{name}"), held)?;
    }
    for name in state.copies.keys() {
        check_name("copies", name, is_artifact)?;
    }
    for (field, time) in [("begun", &state.begun), ("newest", &state.newest)] {
        check_time(field, time.as_deref())?;
    }
    for offer in &state.exhausted {
        check_name("exhausted.stage", &offer.stage, is_path_part)?;
    }
    check_buckets(state)
}

/// Checks the addresses of a state's buckets: only those that the own lineage can have made are
/// ever touched.
pub(super) fn check_buckets(state: &State) -> Result<(), Unbelievable> {
    for (place, address) in &state.buckets {
        if let Some(fault) = bucket_name::fault(address, place, &state.lineage) {
            return Err(Unbelievable::Bucket {
                place: place.clone(),
                address: address.clone(),
                fault,
            });
        }
    }
    Ok(())
}

/// Checks a record of the journal: when it was written, and what it says.
pub(super) fn check_journal_record(record: &Record) -> Result<(), Unbelievable> {
    check_time("at", Some(&record.at))?;
    if let Event::Reserved { lease_end, .. } = &record.event {
        check_time("lease_end", Some(lease_end))?;
    }
    check_event(&record.event)
}

/// Checks what a record of the journal says.
fn check_event(event: &Event) -> Result<(), Unbelievable> {
    match event {
        Event::Begun { .. } | Event::Emptied | Event::Bucket { .. } => Ok(()),
        Event::Unstaging { .. } | Event::Unstaged { .. } => Ok(()),
        Event::Exhausted { offer } => check_name("offer.stage", &offer.stage, is_path_part),
        Event::Brought { artifact, .. } | Event::Discarded { artifact, .. } => {
            check_name("artifact", artifact, is_artifact)
        }
        Event::Observed { stage, .. }
        | Event::Moved { stage, .. }
        | Event::Exited { stage, .. }
        | Event::Ended { stage, .. }
        | Event::Released { stage, .. }
        | Event::Forgotten { stage } => check_name("stage", stage, is_path_part),
        Event::Attempt { stage, token, .. }
        | Event::Reserved { stage, token, .. }
        | Event::Charged { stage, token, .. }
        | Event::Intent { stage, token, .. }
        | Event::Result { stage, token, .. } => check_stage_and_token(stage, token),
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
        } => check_stage_artifact(stage, token, artifact),
        Event::Staged {
            stage,
            token,
            artifact,
            pack,
            ..
        } => {
            check_stage_artifact(stage, token, artifact)?;
            check_pack("pack", pack)
        }
        Event::Checkpointed {
            stage,
            artifact: saved,
        } => {
            check_name("stage", stage, is_path_part)?;
            check_artifact("artifact", saved)
        }
        Event::Done { stage, outputs, .. } => {
            check_name("stage", stage, is_path_part)?;
            check_outputs(outputs)
        }
        Event::NotBegun {
            stage,
            record: skipped,
        } => {
            check_name("stage", stage, is_path_part)?;
            check_record("record", skipped)
        }
        Event::Renamed { stage, to } => {
            check_name("stage", stage, is_path_part)?;
            check_name("to", to, is_path_part)
        }
    }
}

fn check_stage_artifact(stage: &str, token: &str, artifact: &str) -> Result<(), Unbelievable> {
    check_stage_and_token(stage, token)?;
    check_name("artifact", artifact, is_artifact)
}

fn check_outputs(outputs: &BTreeMap<String, Artifact>) -> Result<(), Unbelievable> {
    for (name, output) in outputs {
        check_name("outputs", name, is_path_part)?;
        check_artifact(&format!("outputs.{name}"), output)?;
    }
    Ok(())
}

fn check_stage_and_token(stage: &str, token: &str) -> Result<(), Unbelievable> {
    check_name("stage", stage, is_path_part)?;
    check_name("token", token, is_token)
}

fn check_record(field: &str, record: &StageRecord) -> Result<(), Unbelievable> {
    // A stage that was never begun has none.
    check_name(&format!("{field}.token"), &record.token, |token| {
        token.is_empty() || is_token(token)
    })?;
    check_time(&format!("{field}.lease_end"), record.lease_end.as_deref())?;
    // A stage that was never begun has none.
    let started = Some(record.started.as_str()).filter(|started| !started.is_empty());
    check_time(&format!("{field}.started"), started)?;
    record.checkpoint.as_ref().map_or(Ok(()), |saved| {
        check_artifact(&format!("{field}.checkpoint"), saved)
    })
}

/// Checks a moment: money is counted by it, so one that cannot be read must not pass for any other.
fn check_time(field: &str, time: Option<&str>) -> Result<(), Unbelievable> {
    time.map_or(Ok(()), |time| {
        check_name(field, time, |time| time.parse::<jiff::Timestamp>().is_ok())
    })
}

fn check_artifact(field: &str, artifact: &Artifact) -> Result<(), Unbelievable> {
    artifact
        .staged
        .iter()
        .try_for_each(|(place, pack)| check_pack(&format!("{field}.staged.{place}"), pack))
}

fn check_pack(field: &str, pack: &Pack) -> Result<(), Unbelievable> {
    check_name(&format!("{field}.key"), &pack.key, pack::is_key)?;
    match pack.chunk_bytes > 0 && pack.chunks() <= pack::MOST_CHUNKS {
        true => Ok(()),
        false => Err(Unbelievable::Pack {
            field: field.to_owned(),
            bytes: pack.bytes,
            chunk_bytes: pack.chunk_bytes,
        }),
    }
}

/// A dataset, or what a stage wrote.
fn is_artifact(text: &str) -> bool {
    is_path_part(text)
}

fn check_name(field: &str, text: &str, may_be: impl Fn(&str) -> bool) -> Result<(), Unbelievable> {
    match may_be(text) {
        true => Ok(()),
        false => Err(Unbelievable::Name {
            field: field.to_owned(),
            text: text.to_owned(),
        }),
    }
}
