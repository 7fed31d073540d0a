//! Every change of the file system goes through this file, so that one search finds what `sky`
//! writes, moves and removes. The functions are those of [`std::fs`] of the same names, with the
//! same errors; [`super::file`] has those that write whole files at once, or only for the user.

#![expect(
    clippy::disallowed_methods,
    reason = "the one place that changes files"
)]

use std::fs::{self, File, Permissions};
use std::io;
use std::path::Path;

/// Writes a file with these contents, in place of what is there.
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    fs::write(path, contents)
}

/// Opens an empty file for writing, in place of what is there.
pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
    File::create(path)
}

/// Moves a file or folder within one file system, in place of what is there.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    fs::rename(from, to)
}

/// Copies the contents and the permissions of a file, and returns its size in bytes.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    fs::copy(from, to)
}

/// Gives a file one more name.
pub fn hard_link(file: impl AsRef<Path>, name: impl AsRef<Path>) -> io::Result<()> {
    fs::hard_link(file, name)
}

/// Removes a file or a link.
pub fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_file(path)
}

/// Removes an empty folder.
pub fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_dir(path)
}

/// Removes a folder with all that is in it.
pub fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// Creates a folder whose parent is there.
pub fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    fs::create_dir(path)
}

/// Creates a folder and those of its parents that are missing.
pub fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    fs::create_dir_all(path)
}

/// Changes who may read, write and run a file.
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    fs::set_permissions(path, permissions)
}
