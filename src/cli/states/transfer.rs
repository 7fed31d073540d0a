//! `sky state pull` and `sky state push`: the whole state, out and in.

use super::super::state::{LockArgs, PlaceArgs, failure, open_locked};
use super::lookup::{one_object, read_state};
use crate::cli::working_folder::working_folder;
use crate::cli::{Exit, Failure, Terminal};
use crate::execution::state::{StateError, edit, snapshot, wait};
use crate::model::canonical;
use crate::util::file;
use serde_json::json;
use std::path::PathBuf;

/// Print the whole state as one JSON object, decrypted
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PullArgs {
    /// Accepted for scripts: a state is always printed as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Replace the state by a file
///
/// Refused if the file is of another lineage or has an older serial than the state that is there.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PushArgs {
    /// State file that `sky state pull` printed; `-` reads standard input
    pub file: PathBuf,
    /// Replace the state whatever its lineage and serial are
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

pub(super) fn pull(args: &PullArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (_, state) = read_state(&args.place)?;
    terminal
        .out(&canonical::to_text(&state).map_err(Failure::error)?)
        .map(|()| Exit::Success)
}

pub(super) fn push(args: &PushArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let working_dir = working_folder()?;
    let store = args
        .place
        .store(&working_dir)?
        .lasting(args.locking.lock_lease);
    let name = file::shown(&args.file);
    let bytes = file::read_bytes(&args.file).map_err(Failure::error)?;
    let pushed = snapshot::decode(&bytes, &name, &store.cipher).map_err(|error| match error {
        // The way out of a damaged state is none of a file that is another one.
        StateError::Malformed { path, reason } => {
            Failure::error(format!("{path} is not a state: {reason}"))
                .hint("a file to push is one that `sky state pull` has printed")
        }
        other => Failure::error(other),
    })?;
    let (lock, mut opened) = open_locked(&store, "state push", &args.locking)?;
    for warning in &opened.warnings {
        terminal.warn(warning);
    }
    match edit::may_push(&opened, &pushed) {
        Ok(false) => {
            let text = if args.json {
                one_object(&json!({ "pushed": false, "serial": opened.state.serial }))?
            } else {
                "No changes: that is the state that is there.\n".to_owned()
            };
            return terminal.out(&text).map(|()| Exit::Success);
        }
        Ok(true) => {}
        Err(refused) if args.force => {
            terminal.warn(&format!("{name}: {refused}; it is pushed all the same"))
        }
        Err(refused) => {
            return Err(Failure::new(Exit::Stale, format!("{name} is not pushed: {refused}"))
                .hint("`sky state pull` prints the state that is there; --force puts the file in its place"));
        }
    }
    let replace = || -> std::io::Result<String> {
        let kept_backup = wait(opened.keep())?;
        wait(opened.replace(pushed))?;
        Ok(kept_backup)
    };
    let kept_backup = replace().map_err(|error| failure(error.into(), &store))?;
    drop(lock);
    let serial = opened.state.serial;
    terminal.out(&if args.json {
        one_object(&json!({ "pushed": true, "serial": serial, "backup": kept_backup }))?
    } else {
        format!(
            "Pushed to {} (serial {serial}; before: {kept_backup}).\n",
            store.name()
        )
    })?;
    Ok(Exit::Success)
}
