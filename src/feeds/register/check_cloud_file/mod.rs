//! What a file must be before any of it is taken: names, days, answers and figures that can be
//! meant, rows that say something, and no two that say different things. Every fault is at its
//! line.

mod checker;
mod cloud_and_places;
mod network_and_limits;
mod offers;

use super::cloud_file::CloudFile;
use crate::catalog::files::File;
use checker::{Check, Checked};

/// Checks all of a file.
pub(super) fn check(cloud_file: &CloudFile, file: &File) -> Checked {
    let check = Check { cloud_file, file };
    check.cloud()?;
    check.days()?;
    check.terms()?;
    check.places()?;
    check.machines()?;
    check.prices()?;
    check.services()?;
    check.network()?;
    check.quotas()?;
    check.discounts()
}
