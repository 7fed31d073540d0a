//! The content-addressed store of the state folder.
//!
//! An object is complete or absent: it is built beside its place, synced, and renamed. Its files
//! are read-only.

use crate::util::file;
use crate::util::tree::{self, Kind, Links, Measured, Sharing};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A store in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objects {
    root: PathBuf,
}

impl Objects {
    /// The store in `root`, which need not exist yet.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where the object lies, if it is there.
    pub fn path(&self, digest: &str, kind: Kind) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap_or(digest);
        let (head, tail) = hex.split_at_checked(2).unwrap_or(("", hex));
        // The kind is part of the name: equal bytes may be a file here and a program there.
        let kind = match kind {
            Kind::File => "",
            Kind::Executable => ".x",
            Kind::Directory => ".d",
        };
        self.root.join(head).join(format!("{tail}{kind}"))
    }

    /// Whether the object is there.
    pub fn has(&self, digest: &str, kind: Kind) -> bool {
        self.path(digest, kind).symlink_metadata().is_ok()
    }

    /// Takes in a copy of a file or a directory, which is left as it is. Whoever still writes to
    /// the original does not change the object: its digest is that of the copy.
    pub fn put(&self, from: &Path) -> io::Result<Measured> {
        self.create()?;
        let building = self.building();
        let put = || -> io::Result<Measured> {
            tree::copy(from, &building, Links::Keep, Sharing::ReadOnly)?;
            let measured = tree::measure(&building, Links::Keep)?;
            let place = self.path(&measured.digest, measured.kind);
            if place.symlink_metadata().is_ok() {
                return Ok(measured);
            }
            tree::sync(&building)?;
            let folder = place.parent().unwrap_or(&self.root);
            std::fs::create_dir_all(folder).map_err(|error| file::named(folder, "create", error))?;
            std::fs::rename(&building, &place).map_err(|error| file::named(&place, "create", error))?;
            sync_folder(folder)?;
            sync_folder(&self.root)?;
            Ok(measured)
        };
        let result = put();
        // Left over when the store had it already, or on an error.
        let removed = tree::remove(&building);
        result.and_then(|measured| removed.map(|()| measured))
    }

    /// A folder of its own in the store's file system, which is removed when it is dropped, or by the next sweep.
    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        self.create()?;
        let made = tempfile::Builder::new().prefix("building-").tempdir_in(&self.root);
        made.map_err(|error| file::named(&self.root, "write to", error))
    }

    /// Replaces `to` by a copy of the object that its reader may change at will.
    pub fn publish(&self, digest: &str, kind: Kind, to: &Path) -> io::Result<()> {
        self.create()?;
        let building = self.building();
        tree::copy(&self.path(digest, kind), &building, Links::Keep, Sharing::Own)?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(|error| file::named(folder, "create", error))?;
        }
        tree::remove(to)?;
        std::fs::rename(&building, to).map_err(|error| file::named(to, "create", error))
    }

    /// Removes what crashed operations left half built, and every object that `keep` does not
    /// name. Not while anything else uses the store.
    pub fn sweep(&self, keep: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        for folder in list(&self.root)? {
            if folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("building-")) {
                tree::remove(&folder)?;
                continue;
            }
            for object in list(&folder)?.into_iter().filter(|object| !keep(object)) {
                tree::remove(&object)?;
            }
        }
        Ok(())
    }

    fn create(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.root).map_err(|error| file::named(&self.root, "create", error))
    }

    fn building(&self) -> PathBuf {
        self.root.join(format!("building-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let fail = |error| file::named(folder, "list", error);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path()).map_err(fail)).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fail(error)),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder).and_then(|file| file.sync_all()).map_err(|error| file::named(folder, "sync", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_copy_can_be_spoilt_and_the_object_not() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::at(folder.path().join("objects"));
        let output = folder.path().join("out");
        std::fs::write(&output, "good").unwrap();
        let measured = objects.put(&output).unwrap();
        assert_eq!(objects.put(&output).unwrap(), measured);
        let copy = folder.path().join("artifacts/out");
        objects.publish(&measured.digest, measured.kind, &copy).unwrap();
        std::fs::write(&copy, "spoilt").unwrap();
        let place = objects.path(&measured.digest, measured.kind);
        assert_eq!(std::fs::read(&place).unwrap(), b"good");
        std::fs::create_dir(folder.path().join("objects/building-1-1")).unwrap();
        objects.sweep(&|object| object == place).unwrap();
        assert!(objects.has(&measured.digest, measured.kind));
        objects.sweep(&|_| false).unwrap();
        assert!(!objects.has(&measured.digest, measured.kind));
    }
}
