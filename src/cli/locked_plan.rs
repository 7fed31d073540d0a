//! Whether a plan file was made from the catalog that `sky.lock` pins.

use super::{Exit, Failure, hosts, lock};
use crate::catalog::lock::LOCK;
use std::path::Path;

/// Refuses a plan file that was not made from the pinned catalog, as `--locked` asks.
pub(super) fn check_plan(
    path: &Path,
    catalog_of_plan: &str,
    hosts: Option<&Path>,
) -> Result<(), Failure> {
    let Some(pinned) = lock::read()? else {
        let message = format!(
            "there is no {LOCK} here, and --locked takes nothing but plans of the catalog that it pins"
        );
        return Err(
            Failure::error(message).hint("write one with `sky catalog lock`, and commit it")
        );
    };
    if pinned.digest == catalog_of_plan {
        return Ok(());
    }
    // It may have been made with one's own hosts beside the pinned catalog.
    let catalog = lock::load_pinned(&pinned, lock::folder(&pinned.at).as_deref(), false)?;
    if catalog.digest == pinned.digest
        && hosts::laid_over(catalog, None, hosts)?.digest == catalog_of_plan
    {
        return Ok(());
    }
    let message = format!(
        "{} was not made from the catalog that {LOCK} pins ({}, newest price {})",
        path.display(),
        pinned.at,
        pinned.date
    );
    Err(Failure::new(Exit::Stale, message).hint("plan again"))
}
