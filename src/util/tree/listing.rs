//! The listing of a directory, whose digest is that of the directory.

use super::value::{Kind, Measured, leads_out, refuse};
use super::walk::stays_inside;
use crate::util::hash::{self, Digest};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An entry of a directory that is not on this machine, as somebody there has listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A directory.
    Folder,
    /// A file.
    File {
        /// Whether the file has an executable bit.
        executable: bool,
        /// The digest of the file's content.
        digest: Digest,
        /// The size of the file.
        bytes: u64,
    },
    /// With its target.
    Link(PathBuf),
}

/// What [`measure`] would say of a directory with these entries, by their names relative to it.
pub fn measure_listed(entries: &BTreeMap<PathBuf, Listed>) -> io::Result<Measured> {
    let mut listing = hash::Hasher::default();
    let mut total_bytes = 0;
    // Paths compare by their parts, so this is the order of a walk.
    for (inside, listed) in entries {
        match listed {
            Listed::Link(target) if !stays_inside(inside, target) => {
                return Err(refuse(inside, &leads_out(target)));
            }
            Listed::File { bytes, .. } => total_bytes += bytes,
            Listed::Link(_) | Listed::Folder => {}
        }
        listing.update(line(inside, listed).as_bytes());
    }
    Ok(Measured {
        digest: listing.finish(),
        bytes: total_bytes,
        kind: Kind::Directory,
    })
}

/// The line of an entry in the listing of a directory.
pub(super) fn line(inner_path: &Path, listed: &Listed) -> String {
    let name = name_in_listing(inner_path.as_os_str());
    let json_line = match listed {
        Listed::Link(target) => {
            serde_json::json!([name, "symlink", name_in_listing(target.as_os_str())])
        }
        Listed::Folder => serde_json::json!([name, "directory"]),
        Listed::File {
            executable: false,
            digest,
            ..
        } => serde_json::json!([name, Kind::File, digest]),
        Listed::File {
            executable: true,
            digest,
            ..
        } => serde_json::json!([name, Kind::Executable, digest]),
    };
    format!("{json_line}\n")
}

/// A name as a listing has it: a text; or, if it is none in UTF-8, the list of its bytes.
fn name_in_listing(name: &OsStr) -> serde_json::Value {
    match name.to_str() {
        Some(text) => serde_json::json!(text),
        None => serde_json::json!(name.as_bytes()),
    }
}
