//! The user's cache folder: what is kept there may be lost at any time, and nothing needs it.

use std::path::PathBuf;

/// `$XDG_CACHE_HOME/sky`, else `$HOME/.cache/sky`; none if neither is set to an absolute path.
pub fn folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))).map(|cache| cache.join("sky"))
}
