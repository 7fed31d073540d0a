//! A file or a directory as one value: its digest, a copy of it, its removal.
//!
//! A directory's digest is that of the sorted listing of all that is in it: names, contents,
//! executable bits, symbolic links; not owners, times or other mode bits.

use super::{file, hash};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Deeper than this, a followed link is taken to lead in a circle.
const DEPTH: usize = 100;

/// What a value is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    File,
    /// A file with an executable bit.
    Executable,
    Directory,
}

/// What symbolic links inside a directory mean. The value's own name may always be a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// They are part of the value, and must stay inside it: it is going elsewhere.
    Keep,
    /// They stand for what they point at.
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
    pub digest: String,
    /// Sum over its files.
    pub bytes: u64,
    pub kind: Kind,
}

/// Reads a whole value and digests it.
pub fn measure(path: &Path, links: Links) -> io::Result<Measured> {
    let metadata = std::fs::metadata(path).map_err(|error| file::named(path, "read", error))?;
    let kind = kind(path, &metadata)?;
    if kind != Kind::Directory {
        let (digest, bytes) = digest_file(path)?;
        return Ok(Measured { digest, bytes, kind });
    }
    let mut listing = hash::Hasher::default();
    let mut total = 0;
    walk(path, Path::new(""), links, 0, &mut |entry| {
        let name = entry.inside.to_str().ok_or_else(|| refuse(&entry.path, "has a name that is not UTF-8"))?;
        let listed = match entry.what {
            What::Link(target) => Listed::Link(target.to_string_lossy().into_owned()),
            What::Known(Kind::Directory, _) => Listed::Folder,
            What::Known(kind, _) => {
                let (digest, bytes) = digest_file(&entry.path)?;
                total += bytes;
                Listed::File { executable: kind == Kind::Executable, digest, bytes }
            }
        };
        listing.update(line(name, &listed).as_bytes());
        Ok(())
    })?;
    Ok(Measured { digest: listing.finish(), bytes: total, kind })
}

/// An entry of a directory that is not on this machine, as somebody there has listed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    Folder,
    File {
        executable: bool,
        /// `sha256:…`
        digest: String,
        bytes: u64,
    },
    /// With its target.
    Link(String),
}

/// What [`measure`] would say of a directory with these entries, by their names relative to it.
pub fn measure_listed(entries: &BTreeMap<PathBuf, Listed>) -> io::Result<Measured> {
    let mut listing = hash::Hasher::default();
    let mut total = 0;
    // Paths compare by their parts, so this is the order of a walk.
    for (inside, listed) in entries {
        let name = inside.to_str().ok_or_else(|| refuse(inside, "has a name that is not UTF-8"))?;
        match listed {
            Listed::Link(target) if !stays_inside(inside, Path::new(target)) => {
                return Err(refuse(inside, &leads_out(Path::new(target))));
            }
            Listed::File { bytes, .. } => total += bytes,
            Listed::Link(_) | Listed::Folder => {}
        }
        listing.update(line(name, listed).as_bytes());
    }
    Ok(Measured { digest: listing.finish(), bytes: total, kind: Kind::Directory })
}

/// The line of an entry in the listing of a directory.
fn line(name: &str, listed: &Listed) -> String {
    let line = match listed {
        Listed::Link(target) => serde_json::json!([name, "symlink", target]),
        Listed::Folder => serde_json::json!([name, "directory"]),
        Listed::File { executable: false, digest, .. } => serde_json::json!([name, Kind::File, digest]),
        Listed::File { executable: true, digest, .. } => serde_json::json!([name, Kind::Executable, digest]),
    };
    format!("{line}\n")
}

fn leads_out(target: &Path) -> String {
    format!("is a symbolic link to {}, outside of the artifact: copy the file instead", target.display())
}

/// Copies a value to `to`, which must not exist.
pub fn copy(from: &Path, to: &Path, links: Links, sharing: Sharing) -> io::Result<()> {
    let metadata = std::fs::metadata(from).map_err(|error| file::named(from, "read", error))?;
    let top = kind(from, &metadata)?;
    if top != Kind::Directory {
        return copy_file(from, to, &metadata, sharing);
    }
    std::fs::create_dir(to).map_err(|error| file::named(to, "create", error))?;
    walk(from, Path::new(""), links, 0, &mut |entry| {
        let target = to.join(&entry.inside);
        match &entry.what {
            What::Link(link) => {
                std::os::unix::fs::symlink(link, &target).map_err(|error| file::named(&target, "create", error))
            }
            What::Known(Kind::Directory, _) => {
                std::fs::create_dir(&target).map_err(|error| file::named(&target, "create", error))
            }
            What::Known(_, metadata) => copy_file(&entry.path, &target, metadata, sharing),
        }
    })
}

/// An entry of a directory, as [`visit`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    File,
    Folder,
    /// With its target.
    Link(&'a Path),
}

/// Visits all entries of a directory, sorted by name, each folder before what is in it: with the
/// name relative to the directory, and where it lies.
pub fn visit(
    root: &Path,
    links: Links,
    visit: &mut dyn FnMut(&Path, &Path, Found) -> io::Result<()>,
) -> io::Result<()> {
    walk(root, Path::new(""), links, 0, &mut |entry| match &entry.what {
        What::Link(target) => visit(&entry.inside, &entry.path, Found::Link(target)),
        What::Known(Kind::Directory, _) => visit(&entry.inside, &entry.path, Found::Folder),
        What::Known(..) => visit(&entry.inside, &entry.path, Found::File),
    })
}

/// Syncs all files of a value, so that what is recorded of it outlives a power cut.
pub fn sync(path: &Path) -> io::Result<()> {
    let one = |path: &Path| {
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| file::named(path, "sync", error))
    };
    if path.is_dir() {
        walk(path, Path::new(""), Links::Keep, 0, &mut |entry| match entry.what {
            What::Link(_) => Ok(()),
            What::Known(..) => one(&entry.path),
        })?;
    }
    one(path)
}

/// Removes a value with all that is in it; that it is gone already is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.is_dir() {
        return gone(std::fs::remove_file(path)).map_err(|error| file::named(path, "remove", error));
    }
    let first = gone(std::fs::remove_dir_all(path));
    let result = match first {
        // A command may have made directories read-only.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            gone(std::fs::remove_dir_all(path))
        }
        other => other,
    };
    result.map_err(|error| file::named(path, "remove", error))
}

fn open_up(path: &Path) {
    let _ = std::fs::set_permissions(path, Permissions::from_mode(0o755));
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

struct Entry {
    path: std::path::PathBuf,
    /// Relative to the value's own directory.
    inside: std::path::PathBuf,
    what: What,
}

enum What {
    Known(Kind, Metadata),
    Link(std::path::PathBuf),
}

/// Visits all entries below `root`, sorted by name, a directory before what is in it.
fn walk(
    root: &Path,
    inside: &Path,
    links: Links,
    depth: usize,
    visit: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> io::Result<()> {
    let folder = root.join(inside);
    if depth > DEPTH {
        return Err(refuse(&folder, "lies deeper than 100 folders: does a symbolic link lead in a circle?"));
    }
    let fail = |error| file::named(&folder, "list", error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name());
    }
    names.sort();
    for name in names {
        let inside = inside.join(name);
        let path = root.join(&inside);
        let fail = |error| file::named(&path, "read", error);
        let mut metadata = std::fs::symlink_metadata(&path).map_err(fail)?;
        if metadata.is_symlink() {
            if links == Links::Keep {
                let target = std::fs::read_link(&path).map_err(fail)?;
                if !stays_inside(&inside, &target) {
                    return Err(refuse(&path, &leads_out(&target)));
                }
                visit(Entry { path, inside, what: What::Link(target) })?;
                continue;
            }
            metadata = std::fs::metadata(&path).map_err(fail)?;
        }
        let kind = kind(&path, &metadata)?;
        let below = inside.clone();
        visit(Entry { path, inside, what: What::Known(kind, metadata) })?;
        if kind == Kind::Directory {
            walk(root, &below, links, depth + 1, visit)?;
        }
    }
    Ok(())
}

fn stays_inside(link: &Path, target: &Path) -> bool {
    let mut depth = link.components().count() as i64 - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::Prefix(_) => return false,
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

fn kind(path: &Path, metadata: &Metadata) -> io::Result<Kind> {
    match (metadata.is_dir(), metadata.is_file()) {
        (true, _) => Ok(Kind::Directory),
        (_, true) if metadata.mode() & 0o111 != 0 => Ok(Kind::Executable),
        (_, true) => Ok(Kind::File),
        _ => Err(refuse(path, "is a pipe, a socket or a device: only files, directories and links are data")),
    }
}

fn refuse(path: &Path, message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} {message}", path.display()))
}

fn digest_file(path: &Path) -> io::Result<(String, u64)> {
    let fail = |error| file::named(path, "read", error);
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = hash::Hasher::default();
    let mut buffer = vec![0; 128 * 1024];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), bytes)),
            Ok(length) => {
                hasher.update(&buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
        }
    }
}

fn copy_file(from: &Path, to: &Path, metadata: &Metadata, sharing: Sharing) -> io::Result<()> {
    let executable = metadata.mode() & 0o111;
    std::fs::copy(from, to).map_err(|error| file::named(from, "copy", error))?;
    let mode = match (sharing, executable != 0) {
        (Sharing::Own, false) => 0o644,
        (Sharing::Own, true) => 0o755,
        (Sharing::ReadOnly, false) => 0o444,
        (Sharing::ReadOnly, true) => 0o555,
    };
    std::fs::set_permissions(to, Permissions::from_mode(mode))
        .map_err(|error| file::named(to, "set the mode of", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_copy_has_the_digest_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        std::fs::create_dir_all(from.join("a/empty")).unwrap();
        std::fs::write(from.join("a/x"), "x").unwrap();
        std::fs::write(from.join("tool"), "#!").unwrap();
        std::fs::set_permissions(from.join("tool"), Permissions::from_mode(0o700)).unwrap();
        symlink("a/x", from.join("link")).unwrap();
        let measured = measure(&from, Links::Keep).unwrap();
        assert_eq!((measured.bytes, measured.kind), (3, Kind::Directory));
        for (name, sharing) in [("own", Sharing::Own), ("read-only", Sharing::ReadOnly)] {
            let to = folder.path().join(name);
            copy(&from, &to, Links::Keep, sharing).unwrap();
            assert_eq!(measure(&to, Links::Keep).unwrap(), measured, "{name}");
            remove(&to).unwrap();
        }
        assert_ne!(measure(&from, Links::Follow).unwrap().digest, measured.digest);
        std::fs::write(from.join("a/x"), "y").unwrap();
        assert_ne!(measure(&from, Links::Keep).unwrap().digest, measured.digest);
    }

    #[test]
    fn links_out_and_circles_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        symlink("../elsewhere", folder.path().join("out")).unwrap();
        let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
        assert!(error.contains("symbolic link to ../elsewhere, outside of the artifact"), "{error}");
        std::fs::remove_file(folder.path().join("out")).unwrap();
        symlink(".", folder.path().join("circle")).unwrap();
        assert!(measure(folder.path(), Links::Keep).is_ok());
        assert!(measure(folder.path(), Links::Follow).is_err());
        make_socket(&folder.path().join("socket"));
        let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
        assert!(error.contains("a pipe, a socket or a device"), "{error}");
    }

    fn make_socket(path: &Path) {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    }
}
