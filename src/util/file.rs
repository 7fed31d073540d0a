//! Files: read with the name in every error, written atomically.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Names the file in an error.
pub fn named(path: &Path, verb: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {verb} {}: {}", path.display(), plain(&error)))
}

/// The error's words without Rust's `(os error N)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| first.to_lowercase().chain(characters).collect())
}

/// Reads a UTF-8 file.
pub fn read_text(path: &Path) -> io::Result<String> {
    let bytes = std::fs::read(path).map_err(|error| named(path, "read", error))?;
    String::from_utf8(bytes).map_err(|error| {
        let message = format!("cannot read {}: byte {} is not UTF-8", path.display(), error.utf8_error().valid_up_to());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

/// Replaces `path` by `contents`, whole or not at all: a temporary file in the same folder is
/// written, synced and renamed, then the folder is synced.
pub fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || -> io::Result<()> {
        // The mode that any new file would get: the umask still applies to it.
        let mode = std::fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().prefix(".sky-").permissions(mode).tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| named(path, "write", error))
}

/// Creates a folder and those above it.
pub fn create_folders(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| named(folder, "create", error))
}

/// Writes `name` (with `/`) below a folder, whose folders are created.
pub fn write_below(folder: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        create_folders(parent)?;
    }
    write_atomic(&path, contents)
}

/// Removes a file.
pub fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path).map_err(|error| named(path, "remove", error))
}

/// Writes a result where the user wants it: a regular file atomically, through a symbolic link,
/// and not at all if it holds just that already; a device or a pipe as it is, unread.
pub fn write_result(path: &Path, contents: &[u8]) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            let error = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder");
            Err(named(path, "write", error))
        }
        Ok(found) if !found.is_file() => {
            let mut file =
                std::fs::OpenOptions::new().write(true).open(path).map_err(|error| named(path, "write", error))?;
            file.write_all(contents).map_err(|error| named(path, "write", error))
        }
        Ok(found) => {
            let same = found.len() == contents.len() as u64 && std::fs::read(path).is_ok_and(|old| old == contents);
            let target = std::fs::canonicalize(path).map_err(|error| named(path, "write", error))?;
            if same { Ok(()) } else { write_atomic(&target, contents) }
        }
        Err(_) => write_atomic(path, contents),
    }
}
