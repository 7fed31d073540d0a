//! The content-addressed store of the state folder.
//!
//! An object is complete or absent: it is built beside its place, synced, and renamed. Its files
//! are read-only. Disks fail and people make mistakes, so an object is looked at again before it is
//! handed on ([`Objects::check`]).

use crate::util::file;
use crate::util::file_changes;
use crate::util::hash::Digest;
use crate::util::interruptible::Bounds;
use crate::util::tree::{self, Kind, Links, Measured, Sharing};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A store in a folder.
#[derive(Clone, Debug)]
pub struct Objects {
    root: PathBuf,
    /// What the file system said of objects when they were last found whole.
    whole: Arc<Mutex<BTreeMap<PathBuf, String>>>,
}

/// What is in the place of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing.
    Missing,
    /// What was put there.
    Whole,
    /// Something else, and how one can tell.
    Damaged(String),
}

impl Objects {
    /// The store in `root`, which need not exist yet.
    pub fn at(root: PathBuf) -> Self {
        Self {
            root,
            whole: Arc::default(),
        }
    }

    /// Where the object lies, if it is there.
    pub fn path(&self, digest: &Digest, kind: Kind) -> PathBuf {
        let (head, tail) = digest.hex().split_at(2);
        // The kind is part of the name: equal bytes may be a file here and a program there.
        let kind = match kind {
            Kind::File => "",
            Kind::Executable => ".x",
            Kind::Directory => ".d",
        };
        self.root.join(head).join(format!("{tail}{kind}"))
    }

    /// Whether the object is there.
    pub fn has(&self, digest: &Digest, kind: Kind) -> bool {
        self.path(digest, kind).symlink_metadata().is_ok()
    }

    /// Reads an object that is to be handed on, and says whether it is what was put there. An
    /// object that nobody has written to since it was found whole is not read again.
    pub fn check(&self, digest: &Digest, kind: Kind, bounds: &Bounds) -> io::Result<Held> {
        let place = self.path(digest, kind);
        if place.symlink_metadata().is_err() {
            return Ok(Held::Missing);
        }
        let signature = tree::signature(&place).ok();
        let is_known = || {
            self.whole
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&place)
                .cloned()
        };
        if signature.is_some() && is_known() == signature {
            return Ok(Held::Whole);
        }
        match tree::measure_within(&place, Links::Keep, bounds) {
            Ok(measured) if measured.digest == *digest && measured.kind == kind => {
                if let Some(signature) = signature {
                    self.whole
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(place, signature);
                }
                Ok(Held::Whole)
            }
            Ok(measured) => Ok(Held::Damaged(format!(
                "it has the digest {} now",
                measured.digest
            ))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Ok(Held::Damaged(error.to_string())),
        }
    }

    /// Removes an object that is not what it should be.
    pub fn discard(&self, digest: &Digest, kind: Kind) -> io::Result<()> {
        let place = self.path(digest, kind);
        self.whole
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&place);
        tree::remove(&place)
    }

    /// Takes in a copy of a file or a directory, which is left as it is. Whoever still writes to
    /// the original does not change the object: its digest is that of the copy.
    pub fn put(&self, from: &Path) -> io::Result<Measured> {
        self.put_within(from, Links::Keep, &Bounds::default())
    }

    /// Measures a value with such links, held to bounds.
    pub fn put_within(&self, from: &Path, links: Links, bounds: &Bounds) -> io::Result<Measured> {
        self.create()?;
        let building = self.building();
        let put_measured = || -> io::Result<Measured> {
            let measured_copy =
                tree::copy_measured(from, &building, links, Sharing::ReadOnly, bounds)?;
            let place = self.path(&measured_copy.digest, measured_copy.kind);
            match self.check(&measured_copy.digest, measured_copy.kind, bounds)? {
                Held::Whole => {
                    // It is of the time when it was last made.
                    tree::take_times(&building, &place)?;
                    self.whole
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .remove(&place);
                    return Ok(measured_copy);
                }
                Held::Damaged(_) => self.discard(&measured_copy.digest, measured_copy.kind)?,
                Held::Missing => {}
            }
            tree::sync(&building)?;
            let folder = place.parent().unwrap_or(&self.root);
            file::create_private_folders(folder)?;
            file_changes::rename(&building, &place)
                .map_err(|error| file::named(&place, "create", error))?;
            sync_folder(folder)?;
            sync_folder(&self.root)?;
            Ok(measured_copy)
        };
        let put_result = put_measured();
        // Left over when the store had it already, or on an error.
        let removed = tree::remove(&building);
        put_result.and_then(|measured| removed.map(|()| measured))
    }

    /// A folder of its own in the store's file system, which is removed when it is dropped, or by
    /// the next sweep.
    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        self.create()?;
        let scratch_made = tempfile::Builder::new()
            .prefix("building-")
            .tempdir_in(&self.root);
        scratch_made.map_err(|error| file::named(&self.root, "write to", error))
    }

    /// Replaces `to` by a copy of the object that its reader may change at will. An error of kind
    /// [`io::ErrorKind::InvalidData`] if the object is not what was put there.
    pub fn publish(&self, digest: &Digest, kind: Kind, to: &Path) -> io::Result<()> {
        self.publish_within(digest, kind, to, &Bounds::default())
    }

    /// Publishes a value, held to bounds.
    pub fn publish_within(
        &self,
        digest: &Digest,
        kind: Kind,
        to: &Path,
        bounds: &Bounds,
    ) -> io::Result<()> {
        self.create()?;
        let (place, building) = (self.path(digest, kind), self.building());
        let copied = tree::copy_measured(&place, &building, Links::Keep, Sharing::Own, bounds);
        let copied = copied.and_then(|measured| match measured.digest == *digest {
            true => Ok(()),
            false => {
                let message = format!(
                    "{} is damaged: it has the digest {} now",
                    place.display(),
                    measured.digest
                );
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }
        });
        if let Err(error) = copied {
            tree::remove(&building)?;
            return Err(error);
        }
        if let Some(folder) = to.parent() {
            file::create_private_folders(folder)?;
        }
        tree::remove(to)?;
        file_changes::rename(&building, to).map_err(|error| file::named(to, "create", error))
    }

    /// Removes what crashed operations left half built, and every object that `keep` does not
    /// name. Not while anything else uses the store.
    pub fn sweep(&self, keep: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        for folder in list_objects(&self.root)? {
            if folder
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("building-"))
            {
                tree::remove(&folder)?;
                continue;
            }
            for object in list_objects(&folder)?
                .into_iter()
                .filter(|object| !keep(object))
            {
                tree::remove(&object)?;
            }
        }
        Ok(())
    }

    fn create(&self) -> io::Result<()> {
        file::create_private_folders(&self.root)
    }

    fn building(&self) -> PathBuf {
        self.root.join(format!(
            "building-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        ))
    }
}

fn list_objects(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let fail = |error| file::named(folder, "list", error);
    match std::fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()).map_err(fail))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fail(error)),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|error| file::named(folder, "sync", error))
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
        objects
            .publish(&measured.digest, measured.kind, &copy)
            .unwrap();
        std::fs::write(&copy, "spoilt").unwrap();
        let place = objects.path(&measured.digest, measured.kind);
        assert_eq!(std::fs::read(&place).unwrap(), b"good");
        std::fs::create_dir(folder.path().join("objects/building-1-1")).unwrap();
        objects.sweep(&|object| object == place).unwrap();
        assert!(objects.has(&measured.digest, measured.kind));
        objects.sweep(&|_| false).unwrap();
        assert!(!objects.has(&measured.digest, measured.kind));
    }

    #[test]
    fn a_damaged_object_is_told_from_a_whole_one_and_replaced_by_what_is_put_anew() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::at(folder.path().join("objects"));
        let output = folder.path().join("out");
        std::fs::create_dir(&output).unwrap();
        std::fs::write(output.join("f"), "good").unwrap();
        let measured = objects.put(&output).unwrap();
        let check = |objects: &Objects| {
            objects
                .check(&measured.digest, measured.kind, &Bounds::default())
                .unwrap()
        };
        assert_eq!(
            (check(&objects), check(&objects)),
            (Held::Whole, Held::Whole)
        );
        let file = objects.path(&measured.digest, measured.kind).join("f");
        let damages: [&dyn Fn(); 3] = [
            &|| {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
                std::fs::set_permissions(&file, mode).unwrap();
                let time = std::fs::metadata(&file).unwrap().modified().unwrap();
                std::fs::write(&file, "evil").unwrap();
                std::fs::File::options()
                    .write(true)
                    .open(&file)
                    .unwrap()
                    .set_modified(time)
                    .unwrap();
            },
            &|| std::fs::remove_file(&file).unwrap(),
            &|| std::os::unix::fs::symlink("/etc/passwd", file.with_file_name("g")).unwrap(),
        ];
        for damage in damages {
            damage();
            assert!(matches!(check(&objects), Held::Damaged(_)));
            let error = objects
                .publish(&measured.digest, measured.kind, &folder.path().join("copy"))
                .unwrap_err();
            assert!(!folder.path().join("copy").exists(), "{error}");
            assert_eq!(objects.put(&output).unwrap(), measured);
            assert_eq!(check(&objects), Held::Whole);
        }
        objects.discard(&measured.digest, measured.kind).unwrap();
        assert_eq!(check(&objects), Held::Missing);
        // Nothing half done is left.
        let left = list_objects(&folder.path().join("objects")).unwrap();
        assert!(
            left.iter()
                .all(|path| !path.display().to_string().contains("building-")),
            "{left:?}"
        );
    }

    #[test]
    fn an_object_that_is_made_again_has_the_times_of_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::at(folder.path().join("objects"));
        let output = folder.path().join("out");
        std::fs::write(&output, "x").unwrap();
        let set = |second| {
            let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            std::fs::File::options()
                .write(true)
                .open(&output)
                .unwrap()
                .set_modified(time)
                .unwrap();
            time
        };
        for second in [1_000, 3_000, 2_000] {
            let time = set(second);
            let measured = objects.put(&output).unwrap();
            let place = objects.path(&measured.digest, measured.kind);
            assert_eq!(std::fs::metadata(&place).unwrap().modified().unwrap(), time);
        }
    }
}
