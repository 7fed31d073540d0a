//! `sky state list` and `sky state show`. No lock is taken: whoever is at work is not held up.

use super::super::state::PlaceArgs;
use super::lookup::{known_stage, read_state};
use crate::cli::{Exit, Failure, Terminal};
use crate::execution::state::{State, summary};
use crate::model::{Bytes, canonical};
use serde_json::json;

/// List the stages in the state by their addresses
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Print one JSON object, with status, place and artifacts
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Show all that the state knows of a stage
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ShowArgs {
    /// `stage.NAME`
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

pub(super) fn list(args: &ListArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (_, state) = read_state(&args.place)?;
    let text = match args.json {
        true => canonical::to_text(&summary(&state)).map_err(Failure::error)?,
        false => state
            .stages
            .keys()
            .map(|name| format!("stage.{name}\n"))
            .collect(),
    };
    terminal.out(&text).map(|()| Exit::Success)
}

pub(super) fn show(args: &ShowArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (_, state) = read_state(&args.place)?;
    let name = known_stage(&args.address, &state)?;
    let text = if args.json {
        json_text(name, &state)?
    } else {
        stage_text(name, &state)
    };
    terminal.out(&text).map(|()| Exit::Success)
}

/// Its outputs, by the name that they have within the stage.
fn outputs_of_stage<'a>(
    name: &str,
    state: &'a State,
) -> Vec<(&'a str, &'a crate::execution::state::Artifact)> {
    let own_output = |full: &'a String| full.strip_prefix(name)?.strip_prefix('.');
    state
        .artifacts
        .iter()
        .filter_map(|(full, artifact)| Some((own_output(full)?, artifact)))
        .collect()
}

fn json_text(name: &str, state: &State) -> Result<String, Failure> {
    let outputs: serde_json::Map<String, serde_json::Value> = outputs_of_stage(name, state)
        .into_iter()
        .map(|(output, artifact)| (output.to_owned(), json!(artifact)))
        .collect();
    let text = json!({
        "format_version": "1.0",
        "address": format!("stage.{name}"),
        "record": state.stages.get(name),
        "outputs": outputs,
    });
    canonical::to_text(&text).map_err(Failure::error)
}

fn stage_text(name: &str, state: &State) -> String {
    let Some(record) = state.stages.get(name) else {
        return String::new();
    };
    let mut record_rows = vec![
        ("status", record.status.to_string()),
        ("attempt", record.attempt.to_string()),
    ];
    let mut put_row = |name: &'static str, value: Option<String>| {
        record_rows.extend(value.map(|value| (name, value)))
    };
    put_row(
        "live",
        record
            .live
            .then(|| "something of it may run or cost money".to_owned()),
    );
    put_row(
        "provider",
        Some(record.provider.clone()).filter(|provider| !provider.is_empty()),
    );
    put_row("place", Some(record.place.to_string()));
    put_row(
        "machine",
        record
            .rented
            .as_ref()
            .map(|rented| format!("{} x {}", rented.nodes, rented.instance_type)),
    );
    put_row(
        "token",
        Some(record.token.clone()).filter(|token| !token.is_empty()),
    );
    put_row("lease ends", record.lease_end.clone());
    put_row("exit code", record.exit_code.map(|code| code.to_string()));
    put_row("note", record.message.clone());
    put_row("begun", Some(record.started.clone()));
    put_row("ended", record.ended.clone());
    put_row(
        "spent",
        (record.spent_micro_usd.0 > 0).then(|| record.spent_micro_usd.to_string()),
    );
    for (output, artifact) in outputs_of_stage(name, state) {
        put_row(
            "output",
            Some(format!(
                "{output}, {}, {}",
                Bytes(artifact.bytes),
                artifact.digest
            )),
        );
    }
    let record_lines = record_rows
        .iter()
        .map(|(name, value)| format!("  {name:<10}  {value}\n"));
    format!("stage.{name}\n{}", record_lines.collect::<String>())
}
