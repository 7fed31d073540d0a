//! `sky catalog list|search|show|import|update|register|lock|diff|check`.

mod check;
mod cloud_terms;
mod diff;
mod diff_side;
mod import;
mod list;
mod lock;
mod offer_table;
mod register;
mod search;
mod show;
#[cfg(test)]
mod tests;
mod update;

use super::{Exit, Failure, Terminal};
use crate::catalog::{Catalog, CatalogError};
use crate::util::variables;
pub use check::CheckArgs;
use clap::{Args, Subcommand};
pub use diff::DiffArgs;
pub use import::{ImportArgs, import, report_text};
pub use list::{ListArgs, list};
pub use lock::LockArgs;
pub use register::{RegisterArgs, register};
pub use search::{SearchArgs, search};
pub use show::{ShowArgs, show};
use std::path::PathBuf;
pub use update::{UpdateArgs, update};

/// Show what clouds offer and at which price, and keep catalogs up to date
#[derive(Debug, Args)]
pub struct CatalogArgs {
    /// Catalog folder [default: the catalog that sky.lock pins, else the built-in catalog]
    #[arg(long, global = true, value_name = "DIR", env = variables::SKY_CATALOG.name)]
    pub catalog: Option<PathBuf>,
    /// The verb of the catalog.
    #[command(subcommand)]
    pub verb: CatalogVerb,
}

/// What to do with a catalog.
#[allow(
    missing_docs,
    reason = "the help text of a verb is that of its arguments"
)]
#[derive(Debug, Subcommand)]
pub enum CatalogVerb {
    /// List offers, the cheapest first
    List(ListArgs),
    /// Search offers, in words or by flags
    Search(SearchArgs),
    /// Show a place, an instance type or an accelerator; without a name, what the catalog holds
    Show(ShowArgs),
    /// Add the offers of a cloud that describes itself in a signed file
    Register(RegisterArgs),
    /// Read foreign price lists into a catalog folder
    Import(ImportArgs),
    /// Fetch live prices into a catalog folder [default: ./catalog]
    Update(UpdateArgs),
    Lock(LockArgs),
    Diff(DiffArgs),
    Check(CheckArgs),
}

/// Runs the verb: those that have exit codes of their own, or print what the others return.
pub fn verb(args: &CatalogArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let named = args.catalog.as_deref();
    match &args.verb {
        CatalogVerb::Lock(verb) => return lock::run(verb, named, terminal),
        CatalogVerb::Diff(verb) => return diff::run(verb, named, terminal),
        CatalogVerb::Check(verb) => return check::run(verb, named, terminal),
        CatalogVerb::Update(verb) => return update(verb, named, terminal),
        CatalogVerb::Register(verb) => {
            let out = super::lock::home(named)?;
            terminal.out(&register(verb, &out).map_err(Failure::error)?)?;
            lock::follow(&out, named.is_some(), terminal)
                .map_err(|failure| failure.told_if(verb.json))?;
            return Ok(Exit::Success);
        }
        CatalogVerb::Import(verb) => {
            terminal.out(&import(verb).map_err(Failure::error)?)?;
            lock::follow(&verb.out, true, terminal)
                .map_err(|failure| failure.told_if(verb.json))?;
            return Ok(Exit::Success);
        }
        _ => {}
    }
    let mut refused = None;
    let load = || {
        super::lock::catalog_to_show(named, terminal).map_err(|failure| {
            refused = Some(failure);
            CatalogError::default()
        })
    };
    let text = run(args, load);
    match (refused, text) {
        (Some(failure), _) => Err(failure),
        (None, text) => terminal
            .out(&text.map_err(Failure::error)?)
            .map(|()| Exit::Success),
    }
}

/// Runs a verb that only reads; what to print. `load` reads the catalog that the settings name.
pub fn run(
    args: &CatalogArgs,
    load: impl FnOnce() -> Result<Catalog, CatalogError>,
) -> Result<String, CatalogError> {
    match &args.verb {
        CatalogVerb::List(args) => list(&load()?, args),
        CatalogVerb::Search(args) => search(&load()?, args),
        CatalogVerb::Show(args) => show(&load()?, args),
        // These are run by `verb`, with a terminal.
        CatalogVerb::Register(_) | CatalogVerb::Import(_) | CatalogVerb::Update(_) => {
            Ok(String::new())
        }
        CatalogVerb::Lock(_) | CatalogVerb::Diff(_) | CatalogVerb::Check(_) => Ok(String::new()),
    }
}
