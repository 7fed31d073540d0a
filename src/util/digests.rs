//! Digests of large files that are remembered from one command to the next.
//!
//! A file is read again when its size, its inode or any of its times differ from what they were. A
//! digest is remembered only if the file had rested for a while before it was read: a clock too
//! coarse to tell two writes apart cannot hide the second one then.

use super::hash::Digest;
use super::{cache, clock, file, hash};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Smaller files are read as fast as what is remembered of them.
const SMALLEST: u64 = 4 << 20;
/// How long a file must have rested.
const REST: Duration = Duration::from_secs(3);

/// What is remembered, in a folder that may be lost at any time.
#[derive(Clone, Debug, Default)]
pub struct Digests {
    folder: Option<PathBuf>,
}

impl Digests {
    /// Returns what is remembered for this user; nothing is, if there is no cache folder.
    pub fn of_user() -> Self {
        Self {
            folder: cache::folder().map(|folder| folder.join("digests")),
        }
    }

    /// Returns a file of which a digest may be remembered; none if it is too small for that, or
    /// cannot be named.
    pub fn large(&self, path: &Path, metadata: &Metadata) -> Option<Large> {
        let folder = self
            .folder
            .as_ref()
            .filter(|_| metadata.len() >= SMALLEST)?;
        let canonical_path = std::fs::canonicalize(path).ok()?;
        let name = hash::digest(canonical_path.as_os_str().as_bytes());
        let entry_path = folder.join(name.hex());
        let rested = newest_time(metadata).is_some_and(|newest| {
            clock::file_system_time()
                .duration_since(newest)
                .is_ok_and(|age| age > REST)
        });
        Some(Large {
            path: canonical_path,
            entry: entry_path,
            stamp: stamp_of(metadata),
            rested,
        })
    }
}

/// A large file as it was before it was read.
#[derive(Clone, Debug)]
pub struct Large {
    path: PathBuf,
    entry: PathBuf,
    stamp: String,
    rested: bool,
}

impl Large {
    /// Returns its digest, if that is remembered and the file is as it was then.
    pub fn known(&self) -> Option<Digest> {
        let text = std::fs::read_to_string(&self.entry).ok()?;
        let (digest, stamp) = text.trim_end().split_once(' ')?;
        digest.parse().ok().filter(|_| stamp == self.stamp)
    }

    /// Remembers a digest, unless the file may have changed while it was read. That it cannot be
    /// written down is not a failure.
    pub fn remember(&self, digest: &Digest) {
        let is_unchanged =
            std::fs::metadata(&self.path).is_ok_and(|after| stamp_of(&after) == self.stamp);
        if self.rested && is_unchanged {
            let _ = self.write(digest);
        }
    }

    fn write(&self, digest: &str) -> io::Result<()> {
        self.entry
            .parent()
            .map_or(Ok(()), file::create_private_folders)?;
        file::write_atomic(&self.entry, format!("{digest} {}\n", self.stamp).as_bytes())
    }
}

/// All that changes when a file does.
fn stamp_of(metadata: &Metadata) -> String {
    let (written, changed) = (
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    );
    format!(
        "{} {} {} {written:?} {changed:?}",
        metadata.dev(),
        metadata.ino(),
        metadata.len()
    )
}

/// When it was last written or changed; none: before 1970.
fn newest_time(metadata: &Metadata) -> Option<SystemTime> {
    let seconds = u64::try_from(metadata.mtime().max(metadata.ctime())).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::interruptible::Bounds;
    use crate::util::tree::{self, Links};

    #[test]
    fn a_remembered_digest_is_used_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, digests) = (
            folder.path().join("d"),
            Digests {
                folder: Some(folder.path().join("cache")),
            },
        );
        let size = usize::try_from(SMALLEST).unwrap();
        let digest = || {
            tree::measure_remembered(&path, Links::Follow, &Bounds::default(), &digests)
                .unwrap()
                .digest
        };
        let large = || {
            digests
                .large(&path, &std::fs::metadata(&path).unwrap())
                .unwrap()
        };
        std::fs::write(&path, vec![1; size]).unwrap();
        let first = digest();
        // It was written just now, so nothing is remembered of it.
        assert_eq!(large().known(), None);
        let other = format!("sha256:{}", "0".repeat(64));
        large().write(&other).unwrap();
        assert_eq!(digest().to_string(), other);
        std::fs::write(&path, vec![2; size]).unwrap();
        let changed = digest();
        assert!(changed.to_string() != other && changed != first);
        // What is damaged is not used.
        large().write("sha256:../x").unwrap();
        assert_eq!(digest(), changed);
    }
}
