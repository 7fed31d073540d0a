//! `sky catalog list|show|import|update`.

mod import;
mod list;
mod show;
mod table;
mod terms;
#[cfg(test)]
mod tests;
mod update;

use crate::catalog::{Catalog, CatalogError};
use clap::{Args, Subcommand};
pub use import::{ImportArgs, import, report_text};
pub use list::{ListArgs, list};
pub use show::{ShowArgs, show};
use std::path::PathBuf;
pub use update::{UpdateArgs, update};

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
    /// Show a place, an instance type or an accelerator; without a name, what the catalog holds
    Show(ShowArgs),
    /// Read foreign price lists into a catalog folder
    Import(ImportArgs),
    /// Fetch live prices into a catalog folder [default: ./catalog]
    Update(UpdateArgs),
}

/// Runs the verb; what to print. `load` reads the catalog that the settings name: `import` needs
/// none.
pub fn run(args: &CatalogArgs, load: impl FnOnce() -> Result<Catalog, CatalogError>) -> Result<String, CatalogError> {
    match &args.verb {
        CatalogVerb::List(args) => list(&load()?, args),
        CatalogVerb::Show(args) => show(&load()?, args),
        CatalogVerb::Import(args) => import(args),
        // It has an exit code of its own and talks on the way: the caller runs it.
        CatalogVerb::Update(_) => Ok(String::new()),
    }
}
