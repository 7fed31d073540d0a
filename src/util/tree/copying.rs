//! Reading a value: measuring it, copying it, or both at once.

use super::listing::{Listed, line};
use super::value::{Kind, Links, Measured, Sharing, kind_of, refuse_as};
use super::walk::{What, walk};
use crate::util::digests::{Digests, Large};
use crate::util::hash::Digest;
use crate::util::interruptible::Bounds;
use crate::util::{file, file_changes, hash};
use rustix::fs::{AtFlags, CWD, SeekFrom, Timespec, Timestamps, utimensat};
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What is read at once.
const PIECE: usize = 256 * 1024;
/// Reads a whole value and digests it.
pub fn measure(path: &Path, links: Links) -> io::Result<Measured> {
    measure_within(path, links, &Bounds::default())
}

/// Measures as [`measure`] does, held to bounds.
pub fn measure_within(path: &Path, links: Links, bounds: &Bounds) -> io::Result<Measured> {
    read_value(path, None, links, (bounds, None))
}

/// Digests a whole value, held to bounds; large files that are as they were when they were last
/// read are not read again.
pub fn measure_remembered(
    path: &Path,
    links: Links,
    bounds: &Bounds,
    digests: &Digests,
) -> io::Result<Measured> {
    read_value(path, None, links, (bounds, Some(digests)))
}

/// Copies a value to `to`, which must not exist.
pub fn copy(from: &Path, to: &Path, links: Links, sharing: Sharing) -> io::Result<()> {
    copy_within(from, to, links, sharing, &Bounds::default()).map(drop)
}

/// Copies as [`copy`] does, held to bounds, and returns the number of bytes.
pub fn copy_within(
    from: &Path,
    to: &Path,
    links: Links,
    sharing: Sharing,
    bounds: &Bounds,
) -> io::Result<u64> {
    let copied = read_value(
        from,
        Some(Target {
            to,
            sharing,
            digested: false,
        }),
        links,
        (bounds, None),
    );
    copied.map(|measured| measured.bytes)
}

/// Copies a value to `to`, which must not exist, and measures what was written there.
pub fn copy_measured(
    from: &Path,
    to: &Path,
    links: Links,
    sharing: Sharing,
    bounds: &Bounds,
) -> io::Result<Measured> {
    read_value(
        from,
        Some(Target {
            to,
            sharing,
            digested: true,
        }),
        links,
        (bounds, None),
    )
}

/// Where a copy is made.
#[derive(Clone, Copy)]
struct Target<'a> {
    to: &'a Path,
    sharing: Sharing,
    /// Whether what is written is digested; else the result's digest means nothing.
    digested: bool,
}

/// Reads a value, and copies it if there is a target.
fn read_value(
    path: &Path,
    target: Option<Target<'_>>,
    links: Links,
    (bounds, digests): (&Bounds, Option<&Digests>),
) -> io::Result<Measured> {
    let metadata = std::fs::metadata(path).map_err(|error| file::named(path, "read", error))?;
    let top = kind_of(path, &metadata)?;
    let mut reader = Reader {
        bounds,
        digests,
        taken: 0,
        buffer: vec![0; PIECE],
    };
    if top != Kind::Directory {
        let digest = reader.file(path, &metadata, target)?;
        return Ok(Measured {
            digest,
            bytes: reader.taken,
            kind: top,
        });
    }
    if let Some(target) = target {
        file_changes::create_dir(target.to)
            .map_err(|error| file::named(target.to, "create", error))?;
    }
    let mut listing = hash::Hasher::default();
    // Set when all is there: what is put into a folder changes its time.
    let mut folders = vec![(PathBuf::new(), metadata)];
    walk(path, links, &mut |entry| {
        reader.bounds.check(reader.taken)?;
        let copy_target = target.map(|target| (target, target.to.join(&entry.inside)));
        let listed_entry = match entry.what {
            What::Link(leads) => {
                if let Some((_, to)) = &copy_target {
                    let link_made = std::os::unix::fs::symlink(&leads, to);
                    link_made.map_err(|error| file::named(to, "create", error))?;
                    set_time_of_name(to, &entry.metadata);
                }
                Listed::Link(leads)
            }
            What::Known(Kind::Directory) => {
                if let Some((_, to)) = &copy_target {
                    file_changes::create_dir(to)
                        .map_err(|error| file::named(to, "create", error))?;
                    folders.push((entry.inside.clone(), entry.metadata));
                }
                Listed::Folder
            }
            What::Known(kind) => {
                let bytes_before = reader.taken;
                let target = copy_target
                    .as_ref()
                    .map(|(target, to)| Target { to, ..*target });
                let digest = reader.file(&entry.path, &entry.metadata, target)?;
                Listed::File {
                    executable: kind == Kind::Executable,
                    digest,
                    bytes: reader.taken - bytes_before,
                }
            }
        };
        listing.update(line(&entry.inside, &listed_entry).as_bytes());
        Ok(())
    })?;
    if let Some(target) = target {
        folders
            .iter()
            .rev()
            .for_each(|(inside, metadata)| set_time_of_name(&target.to.join(inside), metadata));
    }
    Ok(Measured {
        digest: listing.finish(),
        bytes: reader.taken,
        kind: Kind::Directory,
    })
}

/// Reads files one after the other.
struct Reader<'a> {
    bounds: &'a Bounds,
    /// What is remembered of large files; none: all are read.
    digests: Option<&'a Digests>,
    /// Bytes of all files so far.
    taken: u64,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Reads a file, and copies it if there is a target; its digest, unless that is not wanted.
    fn file(
        &mut self,
        from: &Path,
        metadata: &Metadata,
        target: Option<Target<'_>>,
    ) -> io::Result<Digest> {
        let fail = |error| file::named(from, "read", error);
        let too_large = |error: io::Error| match error.kind() {
            io::ErrorKind::FileTooLarge => {
                refuse_as(error.kind(), from, &format!("is too large: {error}"))
            }
            _ => error,
        };
        // Seen before anything is read: a file may be mostly holes.
        self.bounds
            .check(self.taken.saturating_add(metadata.len()))
            .map_err(too_large)?;
        let large = self
            .digests
            .filter(|_| target.is_none())
            .and_then(|digests| digests.large(from, metadata));
        if let Some(known) = large.as_ref().and_then(Large::known) {
            self.taken += metadata.len();
            return Ok(known);
        }
        // What was a file a moment ago may be a pipe now, which nobody may ever write to.
        let flags = rustix::fs::OFlags::NONBLOCK.bits();
        let mut open_file = File::options()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(from)
            .map_err(fail)?;
        let Some(target) = target else {
            let digest = self.digest(&mut open_file, from)?;
            large.inspect(|large| large.remember(&digest));
            return Ok(digest);
        };
        let mut written = create_copy(target.to)?;
        let shares_blocks = rustix::fs::ioctl_ficlone(&written, &open_file).is_ok();
        let digest = match (shares_blocks, target.digested) {
            (true, false) => {
                self.taken += metadata.len();
                hash::digest(b"")
            }
            (true, true) => self.digest(&mut written, target.to)?,
            (false, _) => self.copy(&mut open_file, metadata, &mut written, (from, &target))?,
        };
        finish_copy(&written, metadata, &target)?;
        Ok(digest)
    }

    fn digest(&mut self, open: &mut File, path: &Path) -> io::Result<Digest> {
        let mut hasher = hash::Hasher::default();
        loop {
            let length = read_on(open, &mut self.buffer)
                .map_err(|error| file::named(path, "read", error))?;
            if length == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&self.buffer[..length]);
            self.taken += length as u64;
            self.bounds.check(self.taken)?;
        }
    }

    /// Copies what a file holds. Its holes stay holes.
    fn copy(
        &mut self,
        open: &mut File,
        metadata: &Metadata,
        written: &mut File,
        (from, target): (&Path, &Target<'_>),
    ) -> io::Result<Digest> {
        let fail = |error| file::named(from, "copy", error);
        let mut hasher = hash::Hasher::default();
        let sparse = metadata.blocks().saturating_mul(512) < metadata.len();
        let mut copied_bytes = 0;
        loop {
            let next_piece = if sparse {
                next_data(open, copied_bytes, metadata.len()).map_err(fail)?
            } else {
                copied_bytes
            };
            if next_piece > copied_bytes {
                written.set_len(next_piece).map_err(fail)?;
                written
                    .seek(io::SeekFrom::Start(next_piece))
                    .map_err(fail)?;
                open.seek(io::SeekFrom::Start(next_piece)).map_err(fail)?;
                self.zeros(
                    next_piece - copied_bytes,
                    target.digested.then_some(&mut hasher),
                )?;
                copied_bytes = next_piece;
            }
            let length = read_on(open, &mut self.buffer).map_err(fail)?;
            if length == 0 {
                // Of what is not to be digested, this is the digest of nothing.
                return Ok(hasher.finish());
            }
            written.write_all(&self.buffer[..length]).map_err(fail)?;
            if target.digested {
                hasher.update(&self.buffer[..length]);
            }
            copied_bytes += length as u64;
            self.taken += length as u64;
            self.bounds.check(self.taken)?;
        }
    }

    /// Takes in a hole of so many bytes.
    fn zeros(&mut self, mut bytes_left: u64, hasher: Option<&mut hash::Hasher>) -> io::Result<()> {
        self.taken += bytes_left;
        let Some(hasher) = hasher else {
            return self.bounds.check(self.taken);
        };
        self.buffer.fill(0);
        while bytes_left > 0 {
            self.bounds.check(self.taken)?;
            let length = bytes_left.min(PIECE as u64);
            hasher.update(&self.buffer[..usize::try_from(length).unwrap_or(PIECE)]);
            bytes_left -= length;
        }
        Ok(())
    }
}

/// Reads on, however often a signal comes in between.
fn read_on(open: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match open.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Where the next bytes after `at` are that are no hole; the file's length if there are none.
fn next_data(open: &File, offset: u64, length: u64) -> io::Result<u64> {
    if offset >= length {
        return Ok(offset);
    }
    match rustix::fs::seek(open, SeekFrom::Data(offset)) {
        Ok(data) => {
            // The position has moved.
            rustix::fs::seek(open, SeekFrom::Start(offset))?;
            Ok(data)
        }
        Err(rustix::io::Errno::NXIO) => Ok(length),
        // A file system that knows no holes.
        Err(_) => Ok(offset),
    }
}

fn create_copy(to: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600);
    options
        .open(to)
        .map_err(|error| file::named(to, "create", error))
}

/// Gives a copy of a file its mode and its time.
fn finish_copy(written: &File, metadata: &Metadata, target: &Target<'_>) -> io::Result<()> {
    let file_mode = match (target.sharing, metadata.mode() & 0o111 != 0) {
        (Sharing::Own, false) => 0o644,
        (Sharing::Own, true) => 0o755,
        (Sharing::ReadOnly, false) => 0o444,
        (Sharing::ReadOnly, true) => 0o555,
    };
    if let Ok(time) = metadata.modified() {
        // A file system that keeps no such time is not a reason to fail.
        let _ = written.set_modified(time);
    }
    let mode_set = written.set_permissions(Permissions::from_mode(file_mode));
    mode_set.map_err(|error| file::named(target.to, "set the mode of", error))
}

/// Gives a folder or a link the time of the original, where the file system can.
pub(super) fn set_time_of_name(name: &Path, metadata: &Metadata) {
    let time = Timespec {
        tv_sec: metadata.mtime(),
        tv_nsec: metadata.mtime_nsec(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let _ = utimensat(CWD, name, &times, AtFlags::SYMLINK_NOFOLLOW);
}

/// Gives all that is in a value the times of an equal one.
pub fn take_times(from: &Path, to: &Path) -> io::Result<()> {
    let metadata =
        std::fs::symlink_metadata(from).map_err(|error| file::named(from, "read", error))?;
    if metadata.is_dir() {
        walk(from, Links::Keep, &mut |entry| {
            set_time_of_name(&to.join(&entry.inside), &entry.metadata);
            Ok(())
        })?;
    }
    set_time_of_name(to, &metadata);
    Ok(())
}
