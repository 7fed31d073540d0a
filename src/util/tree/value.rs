//! What a value is, and what is refused as one.

use crate::util::hash::Digest;
use serde::{Deserialize, Serialize};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a value is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file without an executable bit.
    File,
    /// A file with an executable bit.
    Executable,
    /// A directory with all that is in it.
    Directory,
}

/// What symbolic links inside a directory mean. The value's own name may always be a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are part of the value, and must stay inside it.
    Keep,
    /// Those that stay inside the value are part of it; all others stand for what they lead to,
    /// which must be there: the value is going elsewhere.
    Resolve,
    /// They stand for what they lead to. One that leads nowhere, or in a circle, is kept.
    Follow,
}

/// How a copy may share its bytes with the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Its own, writable bytes. (On file systems that can, they are shared until written.)
    Own,
    /// Its own bytes as well, read-only: nobody who has the original open reaches them.
    ReadOnly,
}

/// The digest and the size of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The digest of the file, or of the listing of the directory.
    pub digest: Digest,
    /// Sum over its files.
    pub bytes: u64,
    /// Whether the value is a file, an executable file or a directory.
    pub kind: Kind,
}

pub(super) fn kind_of(path: &Path, metadata: &Metadata) -> io::Result<Kind> {
    match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => Ok(Kind::Directory),
        (_, true) if metadata.mode() & 0o111 != 0 => Ok(Kind::Executable),
        (_, true) => Ok(Kind::File),
        _ => Err(refuse(
            path,
            "is a pipe, a socket or a device: only files, directories and links are data",
        )),
    }
}

pub(super) fn refuse(path: &Path, message: &str) -> io::Error {
    refuse_as(io::ErrorKind::InvalidInput, path, message)
}

pub(super) fn refuse_as(kind: io::ErrorKind, path: &Path, message: &str) -> io::Error {
    io::Error::new(kind, format!("{} {message}", path.display()))
}

/// What is said of a link that leads out of its value.
pub(super) fn leads_out(target: &Path) -> String {
    format!(
        "is a symbolic link to {}, outside of the artifact: copy the file instead",
        target.display()
    )
}
