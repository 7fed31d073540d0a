//! The verbs of `sky state`.

use super::{change, journal, list, transfer};
use crate::cli::working_folder::working_folder;
use crate::cli::{Exit, Failure, Terminal};
use clap::{Args, Subcommand};

/// Look at the state, and change it by hand
#[derive(Debug, Args)]
pub(crate) struct StateVerbArgs {
    #[command(subcommand)]
    pub verb: StateVerb,
}

/// What to do with a state.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StateVerb {
    List(list::ListArgs),
    Show(list::ShowArgs),
    Journal(journal::JournalArgs),
    Mv(change::MvArgs),
    Rm(change::RmArgs),
    Pull(transfer::PullArgs),
    Push(transfer::PushArgs),
}

/// Runs the verb.
pub(crate) fn run(args: &StateVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let working_dir = working_folder()?;
    let mut verb = args.verb.clone();
    // A state that is pushed may be the first of its place.
    let place = match &mut verb {
        StateVerb::List(args) => Some(&mut args.place),
        StateVerb::Show(args) => Some(&mut args.place),
        StateVerb::Journal(args) => Some(&mut args.place),
        StateVerb::Mv(args) => Some(&mut args.place),
        StateVerb::Rm(args) => Some(&mut args.place),
        StateVerb::Pull(args) => Some(&mut args.place),
        StateVerb::Push(_) => None,
    };
    if let Some(place) = place {
        *place = place.or_rehearsal(&working_dir, terminal);
    }
    match &verb {
        StateVerb::List(args) => list::list(args, terminal),
        StateVerb::Show(args) => list::show(args, terminal),
        StateVerb::Journal(args) => journal::run(args, terminal),
        StateVerb::Mv(args) => change::mv(args, terminal),
        StateVerb::Rm(args) => change::rm(args, terminal),
        StateVerb::Pull(args) => transfer::pull(args, terminal),
        StateVerb::Push(args) => transfer::push(args, terminal),
    }
}
