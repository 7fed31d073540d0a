//! What the file system knows of a value, and bringing it to the disk.

use super::value::Links;
use super::walk::{What, walk};
use crate::util::interruptible::Bounds;
use crate::util::{file, hash};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The number of files above which the file system is synced as a whole: once, and not once for
/// each.
const SYNCED_ONE_BY_ONE: usize = 8;

/// Brings a value to the disk, so that what is recorded of it outlives a power cut: all files of it
/// in one step, if they are more than a few. Returns the number of steps, each of which waits for
/// the disk.
pub fn sync(path: &Path) -> io::Result<usize> {
    let fail = |path: &Path, error: io::Error| file::named(path, "sync", error);
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        walk(path, Links::Keep, &mut |entry| {
            if !matches!(entry.what, What::Link(_)) {
                paths.push(entry.path);
            }
            Ok(())
        })?;
    }
    if paths.len() > SYNCED_ONE_BY_ONE {
        let open_file = File::open(path).map_err(|error| fail(path, error))?;
        if rustix::fs::syncfs(&open_file).is_ok() {
            return Ok(1);
        }
    }
    for path in &paths {
        File::open(path)
            .and_then(|file| file.sync_all())
            .map_err(|error| fail(path, error))?;
    }
    Ok(paths.len())
}

/// The size of all files of a value, with their holes, without reading them. Links count as
/// nothing.
pub fn size(path: &Path, bounds: &Bounds) -> io::Result<u64> {
    bounds.check(0)?;
    let (mut total, mut left) = (0_u64, vec![path.to_owned()]);
    // Not a call for each folder in a folder: a command may have made any number of them.
    while let Some(path) = left.pop() {
        bounds.check(0)?;
        let fail = |error| file::named(&path, "read", error);
        let metadata = std::fs::symlink_metadata(&path).map_err(fail)?;
        if metadata.is_dir() {
            for entry in std::fs::read_dir(&path).map_err(fail)? {
                left.push(entry.map_err(fail)?.path());
            }
        } else if metadata.is_file() {
            total = total.saturating_add(metadata.len());
        }
    }
    Ok(total)
}

/// What the file system says of all that is in a value: while it is the same, nobody has written to
/// it.
pub fn signature(path: &Path) -> io::Result<String> {
    let mut hasher = hash::Hasher::default();
    let mut add = |name: &Path, metadata: &Metadata| {
        hasher.update(name.as_os_str().as_bytes());
        let numbers = [
            metadata.dev(),
            metadata.ino(),
            metadata.len(),
            u64::from(metadata.mode()),
        ];
        let times = [
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        ];
        numbers
            .iter()
            .for_each(|number| hasher.update(&number.to_le_bytes()));
        times
            .iter()
            .for_each(|number| hasher.update(&number.to_le_bytes()));
    };
    let metadata =
        std::fs::symlink_metadata(path).map_err(|error| file::named(path, "read", error))?;
    add(Path::new(""), &metadata);
    if metadata.is_dir() {
        walk(path, Links::Keep, &mut |entry| {
            add(&entry.inside, &entry.metadata);
            Ok(())
        })?;
    }
    Ok(hasher.finish().into())
}
