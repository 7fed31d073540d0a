//! `sky state …`, `sky lock show`, `sky force-unlock`: a state and its lock, looked at and changed by hand.

mod change;
mod journal;
mod list;
mod lock;
mod transfer;

use super::state::PlaceArgs;
use super::{Exit, Failure, Terminal};
use crate::state::{State, Store};
use clap::{Args, Subcommand};
use std::path::Path;

pub use lock::{ForceUnlockArgs, LockVerbArgs, force_unlock, show as lock_show};

/// Look at the state and change it by hand
#[derive(Debug, Args)]
pub struct StateVerbArgs {
    #[command(subcommand)]
    pub verb: StateVerb,
}

/// What to do with a state.
#[derive(Clone, Debug, Subcommand)]
pub enum StateVerb {
    List(list::ListArgs),
    Show(list::ShowArgs),
    Journal(journal::JournalArgs),
    Mv(change::MvArgs),
    Rm(change::RmArgs),
    Pull(transfer::PullArgs),
    Push(transfer::PushArgs),
}

/// Runs the verb.
pub fn run(args: &StateVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))?;
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
        *place = place.or_rehearsal(&here, terminal);
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

/// The state's place and the state, which must be there.
fn read(place: &PlaceArgs) -> Result<(Store, State), Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))?;
    let store = place.store(&here)?;
    match store.read().map_err(|error| super::state::failure(error.into(), &store))? {
        Some(state) => Ok((store, state)),
        None => Err(nothing(&store)),
    }
}

fn nothing(store: &Store) -> Failure {
    Failure::error(format!("there is no state in {}: nothing was applied there", store.name()))
        .hint("name its place with --state URL or --state-dir DIR")
}

/// The stage's name in `stage.NAME`; the name alone will do.
fn name(address: &str) -> &str {
    address.strip_prefix("stage.").unwrap_or(address)
}

/// The name of a stage that the state knows.
fn known<'a>(address: &'a str, state: &State) -> Result<&'a str, Failure> {
    let name = name(address);
    if state.stages.contains_key(name) {
        return Ok(name);
    }
    let failure = Failure::error(format!("the state has no `stage.{name}`"));
    let near = state.stages.keys().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
    Err(match near.filter(|near| strsim::jaro(near, name) > 0.7) {
        Some(near) => failure.hint(format!("did you mean stage.{near}?")),
        None => failure.hint("`sky state list` names them all"),
    })
}
