//! The user's cache folder: what is kept there may be lost at any time, and nothing needs it.

use super::variables::{self, Variable};
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME/sky`, else `$HOME/.cache/sky`; none if neither is set to an absolute path.
pub fn folder() -> Option<PathBuf> {
    let absolute = |variable: Variable| {
        super::environment::bytes(variable)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute(variables::XDG_CACHE_HOME)
        .or_else(|| Some(absolute(variables::HOME)?.join(".cache")))
        .map(|cache| cache.join("sky"))
}

/// Creates a folder in or beside the cache folder, which nobody else may look into: what is in it
/// tells what a user asks for.
pub fn create(wanted_folder: &Path) -> std::io::Result<()> {
    super::file::create_private_folders(wanted_folder)?;
    // An earlier sky has made it like any other folder.
    if let Some(cache) = folder().filter(|cache| wanted_folder.starts_with(cache)) {
        super::file::make_private(&cache);
    }
    Ok(())
}
