//! `sky catalog list|search|show|import`.

mod import;
mod list;
mod register;
mod search;
mod show;
mod table;
mod terms;
#[cfg(test)]
mod tests;

use crate::catalog::{Catalog, CatalogError};
use clap::{Args, Subcommand};
pub use import::{ImportArgs, import, report_text};
pub use list::{ListArgs, list};
pub use register::{RegisterArgs, register};
pub use search::{SearchArgs, search};
pub use show::{ShowArgs, show};
use std::path::PathBuf;

/// List and show what clouds offer; import price lists into a catalog
#[derive(Debug, Args)]
pub struct CatalogArgs {
    /// Catalog folder [default: the one that sky was built with]
    #[arg(long, global = true, value_name = "DIR", env = "SKY_CATALOG")]
    pub catalog: Option<PathBuf>,
    #[command(subcommand)]
    pub verb: CatalogVerb,
}

/// What to do with a catalog.
#[derive(Debug, Subcommand)]
pub enum CatalogVerb {
    /// List offers, the cheapest first
    List(ListArgs),
    /// Search offers, in words or by flags
    Search(SearchArgs),
    /// Show a place, an instance type or an accelerator; without a name, what the catalog holds
    Show(ShowArgs),
    /// Add the offers of a cloud that joins with a file of its own
    Register(RegisterArgs),
    /// Read foreign price lists into a catalog folder
    Import(ImportArgs),
}

/// Runs the verb; what to print. `load` reads the catalog that the settings name: `import` needs
/// none.
pub fn run(args: &CatalogArgs, load: impl FnOnce() -> Result<Catalog, CatalogError>) -> Result<String, CatalogError> {
    match &args.verb {
        CatalogVerb::List(args) => list(&load()?, args),
        CatalogVerb::Search(args) => search(&load()?, args),
        CatalogVerb::Show(args) => show(&load()?, args),
        CatalogVerb::Register(joining) => register(joining, args.catalog.as_deref()),
        CatalogVerb::Import(args) => import(args),
    }
}
