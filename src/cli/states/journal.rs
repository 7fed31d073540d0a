//! `sky state journal`: what an operation has done, step by step. No lock is taken.

use super::super::state::{PlaceArgs, failure};
use super::lookup::read_state;
use crate::cli::{Exit, Failure, Terminal};

/// Print the journal of the last operation: every provider call, attempt, payment and transfer, one
/// JSON object a line
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JournalArgs {
    /// Accepted for scripts: a journal is always printed as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub place: PlaceArgs,
}

pub(super) fn run(args: &JournalArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (store, _) = read_state(&args.place)?;
    let Some(records) = store
        .records()
        .map_err(|error| failure(error.into(), &store))?
    else {
        let message = format!(
            "{} is in a bucket, where a journal ends with its operation",
            store.name()
        );
        return Err(
            Failure::error(message).hint("a state in a folder keeps that of the last operation")
        );
    };
    let mut text = String::new();
    for record in &records {
        text += &serde_json::to_string(record).map_err(Failure::error)?;
        text.push('\n');
    }
    terminal.out(&text).map(|()| Exit::Success)
}
