//! `sky state mv` and `sky state rm`: under the lock, with the former snapshot kept beside the new
//! one.

use super::super::state::{LockArgs, PlaceArgs, failure, open_locked};
use super::lookup::{known_stage, no_state, one_object, stage_name};
use crate::cli::working_folder::working_folder;
use crate::cli::{Exit, Failure, Terminal};
use crate::execution::apply::Recorder;
use crate::execution::state::journal::Durability;
use crate::execution::state::wait;
use crate::execution::state::{Event, Lock, Opened, StageRecord, State, Store};
use crate::model::names::is_stage_name;
use crate::util::file_changes;
use serde_json::json;

/// Rename a stage in the state, after it was renamed in the job
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MvArgs {
    /// `stage.NAME`
    pub from: String,
    /// `stage.NAME`
    pub to: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub locking: LockArgs,
}

/// Forget a stage: the next apply knows nothing of it
///
/// Nothing is ended or deleted. What the stage has live is said, and is only forgotten with
/// --force; `sky sweep` finds it then.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RmArgs {
    /// `stage.NAME`
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Forget the stage even if something of it may run or cost money
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub locking: LockArgs,
}

pub(super) fn mv(args: &MvArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (store, lock, opened) = open_state("state mv", &args.place, &args.locking, terminal)?;
    let (from, to) = (
        known_stage(&args.from, &opened.state)?,
        stage_name(&args.to),
    );
    if !is_stage_name(to) {
        return Err(Failure::error(format!("`{to}` is not a name of a stage"))
            .hint("names are made of letters, digits, `_` and `-`; a copy is `NAME[N]`"));
    }
    if opened.state.stages.contains_key(to) {
        let failure = Failure::error(format!("the state has a `stage.{to}` already"));
        return Err(failure.hint(format!(
            "if it is to go: sky state rm stage.{to}{}",
            args.place.words()
        )));
    }
    let record = &opened.state.stages[from];
    if record.live {
        let message = format!(
            "{}: its machine is known by that name",
            live_words(from, record)
        );
        return Err(Failure::error(message)
            .hint("let an apply bring it to its end first, or `sky destroy`"));
    }
    let events = vec![Event::Renamed {
        stage: from.to_owned(),
        to: to.to_owned(),
    }];
    let (kept, serial) =
        write_state(opened, events).map_err(|error| failure(error.into(), &store))?;
    // Outputs by name are for people; the next apply makes those that are missing.
    let _ = file_changes::rename(
        store.folder.artifacts().join(from),
        store.folder.artifacts().join(to),
    );
    drop(lock);
    terminal.out(&if args.json {
        one_object(&json!({
            "from": format!("stage.{from}"), "to": format!("stage.{to}"), "serial": serial, "backup": kept,
        }))?
    } else {
        format!("stage.{from} is stage.{to} now (serial {serial}; before: {kept}).\n")
    })?;
    Ok(Exit::Success)
}

pub(super) fn rm(args: &RmArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (store, lock, opened) = open_state("state rm", &args.place, &args.locking, terminal)?;
    let names = args
        .addresses
        .iter()
        .map(|address| known_stage(address, &opened.state))
        .collect::<Result<Vec<_>, _>>()?;
    let live: Vec<String> = names
        .iter()
        .filter_map(|name| {
            Some(live_words(
                name,
                opened
                    .state
                    .stages
                    .get(*name)
                    .filter(|record| record.live)?,
            ))
        })
        .collect();
    if !live.is_empty() && !args.force {
        return Err(Failure::error(live.join("\nerror: ")).hint(
            "end it first: an apply, or `sky destroy`; --force forgets it, and leaves it running",
        ));
    }
    let events = names
        .iter()
        .map(|name| Event::Forgotten {
            stage: (*name).to_owned(),
        })
        .collect();
    let (kept, serial) =
        write_state(opened, events).map_err(|error| failure(error.into(), &store))?;
    drop(lock);
    for words in &live {
        terminal.warn(&format!(
            "{words}; it is left as it is, and `sky sweep` finds it"
        ));
    }
    let forgotten_stages: Vec<String> = names.iter().map(|name| format!("stage.{name}")).collect();
    terminal.out(&if args.json {
        one_object(&json!({ "forgotten": forgotten_stages, "serial": serial, "backup": kept }))?
    } else {
        format!(
            "Forgotten: {} (serial {serial}; before: {kept}).\n",
            forgotten_stages.join(", ")
        )
    })?;
    Ok(Exit::Success)
}

/// What of a stage there may be.
fn live_words(name: &str, record: &StageRecord) -> String {
    let machine = record
        .rented
        .as_ref()
        .map(|rented| format!("{} x {} ", rented.nodes, rented.instance_type));
    let lease = record
        .lease_end
        .as_ref()
        .map(|end| format!(", its lease ends at {end}"));
    format!(
        "stage.{name} is live: attempt {} ({}) has {}at {} through {}, token {}{}",
        record.attempt,
        record.status,
        machine.unwrap_or_else(|| "a machine ".to_owned()),
        record.place,
        record.provider,
        record.token,
        lease.unwrap_or_default()
    )
}

/// The state, which must be there, open under its lock.
fn open_state(
    operation: &str,
    place: &PlaceArgs,
    locking: &LockArgs,
    terminal: &Terminal,
) -> Result<(Store, Option<Lock>, Opened), Failure> {
    let working_dir = working_folder()?;
    let store = place.store(&working_dir)?.lasting(locking.lock_lease);
    if !store
        .exists()
        .map_err(|error| failure(error.into(), &store))?
    {
        return Err(no_state(&store));
    }
    let (lock, opened) = open_locked(&store, operation, locking)?;
    for warning in &opened.warnings {
        terminal.warn(warning);
    }
    Ok((store, lock, opened))
}

/// Keeps the snapshot, and writes the next one with what the events change; where, and the new
/// serial.
fn write_state(opened: Opened, events: Vec<Event>) -> std::io::Result<(String, u64)> {
    let kept_backup = wait(opened.keep())?;
    let recorder = Recorder::new(opened);
    for event in events {
        wait(recorder.record(event, Durability::Now))?;
    }
    let mut opened_state = recorder.into_inner();
    wait(opened_state.compact())?;
    let State { serial, .. } = opened_state.state;
    Ok((kept_backup, serial))
}
