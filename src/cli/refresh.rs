//! `sky refresh`: the state as the world is. `sky import stage.NAME ID`: a machine that the state
//! does not know.

use super::progress::Stream;
use super::state::{StateArgs, failure, open_locked};
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::refresh::{Drift, Refreshed, What, refresh};
use crate::execution::apply::take_over::take_over_machine;
use crate::model::canonical;
use serde_json::json;

/// Compare the state with what really exists, and record the differences.
///
/// Shows machines that were deleted, resized, moved or re-tagged outside, and commands that were
/// killed. Changes no machine.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct RefreshArgs {
    /// Exit code 2 if anything differs
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Compares.
pub(super) fn run(args: &RefreshArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let stream = args.json.then(|| Stream::begin(terminal));
    let refresh_result = compare_with_clouds(args, terminal, stream.as_ref());
    refresh_result.map_err(|failure| match &stream {
        Some(stream) => {
            stream.failed(&failure, "refresh");
            failure.told()
        }
        None => failure,
    })
}

fn compare_with_clouds(
    args: &RefreshArgs,
    terminal: &Terminal,
    stream: Option<&Stream>,
) -> Result<Exit, Failure> {
    let working_dir = working_folder()?;
    let args = &RefreshArgs {
        state: args.state.or_rehearsal(&working_dir, terminal),
        ..args.clone()
    };
    let store = args.state.store(&working_dir)?;
    let refreshed = match store
        .exists()
        .map_err(|error| failure(error.into(), &store))?
    {
        false => Refreshed::default(),
        true => {
            let (lock, opened) = open_locked(&store, "refresh", &args.state.locking)?;
            for warning in &opened.warnings {
                match stream {
                    Some(stream) => stream.diagnostic("warning", warning, "", None),
                    None => terminal.warn(warning),
                }
            }
            let refreshed = super::runtime::runtime()?
                .block_on(refresh(opened, &args.state.access(&working_dir)));
            drop(lock);
            refreshed.map_err(|error| failure(error, &store))?
        }
    };
    let drifts = &refreshed.drifts;
    for (stage, error) in &refreshed.unseen {
        let message = format!(
            "its machine is there, and lets nobody in to see how its command is doing: {error}"
        );
        tell_of_stage(terminal, stream, "warning", stage, &message);
    }
    for (stage, error) in &refreshed.failed {
        tell_of_stage(
            terminal,
            stream,
            "error",
            stage,
            &format!("nothing is known of its machine: {error}"),
        );
    }
    match stream {
        Some(stream) => {
            for drift in drifts {
                let (action, message) = (action_of(&drift.what), words_of(&drift.what));
                stream.hook(
                    "resource_drift",
                    &drift.stage,
                    message,
                    json!({ "action": action }),
                );
            }
            let change = drifts.len();
            stream.summary(json!({ "add": 0, "change": change, "import": 0, "remove": 0, "operation": "refresh" }));
        }
        None if drifts.is_empty() && !refreshed.failed.is_empty() => {
            terminal.out("No drift in what could be looked at.\n")?;
        }
        None => terminal.out(&drifts_text(drifts))?,
    }
    if !refreshed.failed.is_empty() {
        return Ok(Exit::Error);
    }
    Ok(if args.detailed_exitcode && !drifts.is_empty() {
        Exit::Changes
    } else {
        Exit::Success
    })
}

/// Tells something about a stage: as an event, or on stderr.
fn tell_of_stage(
    terminal: &Terminal,
    stream: Option<&Stream>,
    severity: &str,
    stage: &str,
    message: &str,
) {
    match stream {
        Some(stream) => stream.diagnostic(severity, message, "", Some(&format!("stage.{stage}"))),
        None if severity == "error" => terminal.note(&format!("error: stage.{stage}: {message}")),
        None => terminal.warn(&format!("stage.{stage}: {message}")),
    }
}

fn action_of(difference: &What) -> &'static str {
    match difference {
        What::Gone | What::Killed => "delete",
        _ => "update",
    }
}

fn words_of(difference: &What) -> String {
    match difference {
        What::Gone => {
            "its machine was deleted outside of sky: the next apply runs it again".to_owned()
        }
        What::Killed => {
            "its command was killed outside of sky: the next apply runs it again".to_owned()
        }
        What::Resized { state, now } => format!("its machine is a {now}, and was a {state}"),
        What::Moved { state, now } => format!("its machine is at {now}, and was at {state}"),
        What::Retagged { now } => {
            format!("its machine carries other tags: {now}; `sky import` takes it back")
        }
        What::Lease { state, now } => {
            format!("its lease ends at {now}, not at {state}: the next apply renews it")
        }
    }
}

fn drifts_text(drifts: &[Drift]) -> String {
    if drifts.is_empty() {
        return "No drift: what is there is as the state has it.\n".to_owned();
    }
    let drift_lines: String = drifts
        .iter()
        .map(|drift| format!("  ~ stage.{}: {}\n", drift.stage, words_of(&drift.what)))
        .collect();
    format!("Drift:\n{drift_lines}\nThe state has what was seen.\n")
}

/// Takes a machine over.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct TakeOverArgs {
    /// The stage that takes the machine over, as stage.NAME
    #[arg(value_name = "ADDR")]
    pub address: Option<String>,
    /// The name that the provider gave the machine
    #[arg(value_name = "ID", requires = "address")]
    pub id: Option<String>,
    /// The provider of the machine
    #[arg(long, value_name = "NAME", requires = "address")]
    pub provider: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Takes it over.
pub(super) fn import(args: &TakeOverArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let usage = "sky import stage.NAME ID --provider NAME, or sky import wfformat FILE";
    let stage = args
        .address
        .as_deref()
        .and_then(|address| address.strip_prefix("stage."));
    let (Some(stage), Some(id)) = (stage, &args.id) else {
        let message = match &args.address {
            Some(address) if !address.starts_with("stage.") => {
                format!("`{address}` is not an address such as stage.train")
            }
            _ => "what is to be imported?".to_owned(),
        };
        return Err(Failure::error(message).hint(usage));
    };
    let Some(provider) = &args.provider else {
        return Err(Failure::error(format!("which provider has the machine `{id}`?")).hint(usage));
    };
    let working_dir = working_folder()?;
    let args = &TakeOverArgs {
        state: args.state.or_rehearsal(&working_dir, terminal),
        ..args.clone()
    };
    let store = args.state.store(&working_dir)?;
    let (lock, opened) = open_locked(&store, "import", &args.state.locking)?;
    opened
        .warnings
        .iter()
        .for_each(|warning| terminal.warn(warning));
    let access = args.state.access(&working_dir);
    let take_over = take_over_machine(opened, &access, (stage, provider, id));
    let taken_machine = super::runtime::runtime()?.block_on(take_over);
    drop(lock);
    let (machine, serial) = taken_machine.map_err(|error| failure(error, &store))?;
    let attempt = machine.token.attempt;
    terminal.out(&if args.json {
        canonical::to_text(&json!({
            "format_version": "1.0", "address": format!("stage.{stage}"), "machine": machine.id,
            "provider": provider, "attempt": attempt, "serial": serial,
        }))
        .map_err(Failure::error)?
    } else {
        format!(
            "stage.{stage}: {} at {provider} is its attempt {attempt} now (serial {serial}).\n",
            machine.id
        )
    })?;
    Ok(Exit::Success)
}
