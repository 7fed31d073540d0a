//! `sky version`.

use super::{Exit, Failure, Terminal};
use crate::catalog;
use crate::model::canonical;
use crate::planning::solve::{Highs, Solver};
use serde_json::json;

/// Show the versions of sky, its solver and its catalog.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VersionArgs {
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Shows them.
pub(super) fn run(args: &VersionArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let catalog = catalog::load::shipped().map_err(Failure::error)?;
    let (solver, version) = (Highs.name(), Highs.version());
    let sky = env!("CARGO_PKG_VERSION");
    let text = if args.json {
        canonical::to_text(&json!({
            "sky_version": sky,
            "platform": format!("{}_{}", std::env::consts::OS, std::env::consts::ARCH),
            "solver": { "name": solver, "version": version },
            "catalog": { "date": catalog.date, "digest": catalog.digest },
        }))
        .map_err(Failure::error)?
    } else {
        format!(
            "sky {sky}\nsolver {solver} {version}\ncatalog {} ({})\n",
            catalog.date, catalog.digest
        )
    };
    terminal.out(&text).map(|()| Exit::Success)
}
