//! The folder that the process was started in. Only the command line knows it: everything below
//! gets absolute paths.

use std::path::{Path, PathBuf};

use super::exit::Failure;

/// Returns the working folder as an absolute path.
///
/// # Errors
/// The folder was deleted, or may not be read.
pub(super) fn working_folder() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))
}
