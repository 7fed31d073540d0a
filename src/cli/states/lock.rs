//! `sky lock show` and `sky force-unlock`.

use super::lookup::one_object;
use crate::cli::state::PlaceArgs;
use crate::cli::working_folder::working_folder;
use crate::cli::{Exit, Failure, Terminal};
use crate::execution::state::Store;
use crate::model::canonical;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

/// Show who is at work on the state (for the lock file of a catalog: `sky catalog lock`)
#[derive(Debug, Args)]
pub(crate) struct LockVerbArgs {
    #[command(subcommand)]
    pub verb: LockVerb,
}

/// What to do with a lock.
#[derive(Debug, Subcommand)]
pub(crate) enum LockVerb {
    /// Show who is at work on the state, without taking the lock
    Show(LockShowArgs),
}

/// Arguments of `sky lock show`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LockShowArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// End the lock of an operation that has crashed or hangs on another machine
///
/// If it still lives, it stops before its next call. Locks of processes of this machine end with
/// them.
#[derive(Clone, Debug, Args)]
pub(crate) struct ForceUnlockArgs {
    /// The lock's ID, as the message of the operation that was locked out says
    pub id: String,
    /// Do not ask for confirmation
    #[arg(long, visible_alias = "force")]
    pub auto_approve: bool,
    /// As one JSON object; needs --auto-approve
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

fn open_store(place: &PlaceArgs, terminal: &Terminal) -> Result<Store, Failure> {
    let working_dir = working_folder()?;
    place
        .or_rehearsal(&working_dir, terminal)
        .store(&working_dir)
}

/// Shows who holds it.
pub(crate) fn show(args: &LockVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let LockVerb::Show(args) = &args.verb;
    let store = open_store(&args.place, terminal)?;
    let holder = store.holder().map_err(Failure::error)?;
    let is_over = holder.as_ref().is_some_and(|holder| holder.is_over());
    let text = match holder {
        _ if args.json => {
            let holder = holder.as_ref().map_or(Value::Null, |holder| json!(holder));
            let text = json!({ "format_version": "1.0", "state": store.name(), "over": is_over, "holder": holder });
            canonical::to_text(&text).map_err(Failure::error)?
        }
        None => format!("Nobody is at work on {}.\n", store.name()),
        Some(holder) => {
            let over_words = if is_over {
                "  It was not renewed in time: the next operation takes it over.\n"
            } else {
                ""
            };
            format!(
                "The state is locked:\n{}\n{over_words}",
                holder.lines().join("\n")
            )
        }
    };
    terminal.out(&text).map(|()| Exit::Success)
}

/// Shows who holds it, asks, and ends it.
pub(crate) fn force_unlock(args: &ForceUnlockArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.json && !args.auto_approve {
        return Err(Failure::error("--json cannot ask: it needs --auto-approve"));
    }
    let store = open_store(&args.place, terminal)?;
    let Some(holder) = store.holder().map_err(Failure::error)? else {
        return Err(Failure::error(format!(
            "nobody holds the lock of {}",
            store.name()
        )));
    };
    if holder.id != args.id {
        let message = format!(
            "the lock has another ID than {}:\n{}",
            args.id,
            holder.lines().join("\n")
        );
        return Err(Failure::error(message)
            .hint("whoever had that ID no longer holds it: look who is at work now"));
    }
    if !args.auto_approve {
        if !terminal.interactive {
            return Err(Failure::error(
                "force-unlock asks first, and there is no terminal to ask on",
            )
            .hint("give --auto-approve, once you are sure that its process is gone"));
        }
        terminal.note(&holder.lines().join("\n"));
        if !terminal.confirm(
            "Do you really want to end this lock? Whoever holds it stops before its next call.",
        )? {
            return Err(Failure::error(
                "force-unlock cancelled: the lock is as it was",
            ));
        }
    }
    if !store.force_unlock(&args.id).map_err(Failure::error)? {
        return Err(Failure::error("the lock has changed hands meanwhile")
            .hint("`sky lock show` says who has it"));
    }
    let text = if args.json {
        one_object(&json!({ "ended": args.id, "state": store.name() }))?
    } else {
        format!("The lock {} is ended.\n", args.id)
    };
    terminal.out(&text).map(|()| Exit::Success)
}
