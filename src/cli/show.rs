//! `sky show`: a plan or a state, stale or not.

use super::state::PlaceArgs;
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::state::cipher::{Cipher, is_sealed};
use crate::execution::state::{self, State, snapshot};
use crate::model::canonical;
use crate::plan::file as plan_file;
use crate::render::{markdown, plan_text, table};
use crate::util::file;
use std::path::{Path, PathBuf};

/// Show a plan file, or the state of this folder.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Plan or state file; `-` reads standard input [default: the state of this folder]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print a plan as Markdown
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Shows it.
pub(super) fn run(args: &ShowArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let text = match &args.file {
        Some(path) => {
            let read_snapshot = |bytes: &[u8], cipher: &Cipher| {
                snapshot::decode(bytes, &file::shown(path), cipher).map_err(Failure::error)
            };
            if let Some(bytes) = file::read_bytes(path).ok().filter(|bytes| is_sealed(bytes)) {
                let working_dir = working_folder()?;
                let saved_state = read_snapshot(&bytes, &args.place.store(&working_dir)?.cipher)?;
                return terminal
                    .out(&of_state(Some(&saved_state), args, terminal)?)
                    .map(|()| Exit::Success);
            }
            let text = file::read_text(path).map_err(Failure::error)?;
            let json_value: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            if json_value
                .as_ref()
                .is_some_and(|value| value.get("lineage").is_some())
            {
                of_state(
                    Some(&read_snapshot(text.as_bytes(), &Cipher::default())?),
                    args,
                    terminal,
                )?
            } else if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let message = format!("{} is not a plan or a state", path.display());
                return Err(
                    Failure::error(message).hint("`sky plan` plans a job, `sky graph` draws it")
                );
            } else {
                of_plan(path, args, terminal)?
            }
        }
        None => {
            let working_dir = working_folder()?;
            let saved_state = args
                .place
                .or_rehearsal(&working_dir, terminal)
                .store(&working_dir)?
                .read()
                .map_err(Failure::error)?;
            of_state(saved_state.as_ref(), args, terminal)?
        }
    };
    terminal.out(&text).map(|()| Exit::Success)
}

fn of_plan(path: &Path, args: &ShowArgs, terminal: &Terminal) -> Result<String, Failure> {
    let plan = plan_file::read(path).map_err(Failure::error)?;
    if args.json {
        return plan_file::encode(&plan).map_err(Failure::error);
    }
    for warning in &plan.warnings {
        terminal.warn(warning);
    }
    if args.markdown {
        return Ok(markdown::text(&plan));
    }
    let missing_clouds =
        plan_text::without_provider(&super::compute_plan::missing_providers(&plan));
    let note = missing_clouds
        .map(|said| format!("\nNote: {said}.\n"))
        .unwrap_or_default();
    Ok(plan_text::text(&plan, terminal.width) + &note)
}

fn of_state(
    state: Option<&State>,
    args: &ShowArgs,
    terminal: &Terminal,
) -> Result<String, Failure> {
    match state {
        Some(state) if args.json => {
            canonical::to_text(&state::summary::summary(state)).map_err(Failure::error)
        }
        Some(state) => {
            let mut summary_rows = state::summary::text_rows(state);
            let head_row = summary_rows.remove(0);
            let head_cells: Vec<&str> = head_row.iter().map(String::as_str).collect();
            Ok(table::text(&head_cells, &summary_rows, terminal.width))
        }
        None if args.json => Ok("{}\n".to_owned()),
        None => Ok("No state: nothing was applied in this folder.\n".to_owned()),
    }
}
