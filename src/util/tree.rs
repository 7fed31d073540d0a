//! A file or a directory as one value: its digest, a copy of it, its removal.
//!
//! A directory's digest is that of the sorted listing of all that is in it: names, contents,
//! executable bits, symbolic links; not owners, times or other mode bits. A copy has the times of
//! the original, by which programs such as `make` decide what is to be done again.

use super::digests::{Digests, Large};
use super::hash::Digest;
use super::interruptible::Bounds;
use super::{file, file_changes, hash};
use rustix::fs::{AtFlags, CWD, SeekFrom, Timespec, Timestamps, utimensat};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

/// Deeper than this, a followed link is taken to lead in a circle.
const DEPTH: usize = 100;
/// What is read at once.
const PIECE: usize = 256 * 1024;
/// The number of files above which the file system is synced as a whole: once, and not once for
/// each.
const SYNCED_ONE_BY_ONE: usize = 8;

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
    let top = kind(path, &metadata)?;
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
        let to = target.map(|target| (target, target.to.join(&entry.inside)));
        let listed = match entry.what {
            What::Link(leads) => {
                if let Some((_, to)) = &to {
                    let made = std::os::unix::fs::symlink(&leads, to);
                    made.map_err(|error| file::named(to, "create", error))?;
                    set_time_of_name(to, &entry.metadata);
                }
                Listed::Link(leads)
            }
            What::Known(Kind::Directory) => {
                if let Some((_, to)) = &to {
                    file_changes::create_dir(to)
                        .map_err(|error| file::named(to, "create", error))?;
                    folders.push((entry.inside.clone(), entry.metadata));
                }
                Listed::Folder
            }
            What::Known(kind) => {
                let before = reader.taken;
                let target = to.as_ref().map(|(target, to)| Target { to, ..*target });
                let digest = reader.file(&entry.path, &entry.metadata, target)?;
                Listed::File {
                    executable: kind == Kind::Executable,
                    digest,
                    bytes: reader.taken - before,
                }
            }
        };
        listing.update(line(&entry.inside, &listed).as_bytes());
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
        let mut open = File::options()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(from)
            .map_err(fail)?;
        let Some(target) = target else {
            let digest = self.digest(&mut open, from)?;
            large.inspect(|large| large.remember(&digest));
            return Ok(digest);
        };
        let mut written = create(target.to)?;
        let shared = rustix::fs::ioctl_ficlone(&written, &open).is_ok();
        let digest = match (shared, target.digested) {
            (true, false) => {
                self.taken += metadata.len();
                hash::digest(b"")
            }
            (true, true) => self.digest(&mut written, target.to)?,
            (false, _) => self.copy(&mut open, metadata, &mut written, (from, &target))?,
        };
        finish(&written, metadata, &target)?;
        Ok(digest)
    }

    fn digest(&mut self, open: &mut File, path: &Path) -> io::Result<Digest> {
        let mut hasher = hash::Hasher::default();
        loop {
            let length =
                read(open, &mut self.buffer).map_err(|error| file::named(path, "read", error))?;
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
        let mut at = 0;
        loop {
            let data = if sparse {
                next_data(open, at, metadata.len()).map_err(fail)?
            } else {
                at
            };
            if data > at {
                written.set_len(data).map_err(fail)?;
                written.seek(io::SeekFrom::Start(data)).map_err(fail)?;
                open.seek(io::SeekFrom::Start(data)).map_err(fail)?;
                self.zeros(data - at, target.digested.then_some(&mut hasher))?;
                at = data;
            }
            let length = read(open, &mut self.buffer).map_err(fail)?;
            if length == 0 {
                // Of what is not to be digested, this is the digest of nothing.
                return Ok(hasher.finish());
            }
            written.write_all(&self.buffer[..length]).map_err(fail)?;
            if target.digested {
                hasher.update(&self.buffer[..length]);
            }
            at += length as u64;
            self.taken += length as u64;
            self.bounds.check(self.taken)?;
        }
    }

    /// Takes in a hole of so many bytes.
    fn zeros(&mut self, mut left: u64, hasher: Option<&mut hash::Hasher>) -> io::Result<()> {
        self.taken += left;
        let Some(hasher) = hasher else {
            return self.bounds.check(self.taken);
        };
        self.buffer.fill(0);
        while left > 0 {
            self.bounds.check(self.taken)?;
            let length = left.min(PIECE as u64);
            hasher.update(&self.buffer[..usize::try_from(length).unwrap_or(PIECE)]);
            left -= length;
        }
        Ok(())
    }
}

/// Reads on, however often a signal comes in between.
fn read(open: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match open.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Where the next bytes after `at` are that are no hole; the file's length if there are none.
fn next_data(open: &File, at: u64, length: u64) -> io::Result<u64> {
    if at >= length {
        return Ok(at);
    }
    match rustix::fs::seek(open, SeekFrom::Data(at)) {
        Ok(data) => {
            // The position has moved.
            rustix::fs::seek(open, SeekFrom::Start(at))?;
            Ok(data)
        }
        Err(rustix::io::Errno::NXIO) => Ok(length),
        // A file system that knows no holes.
        Err(_) => Ok(at),
    }
}

fn create(to: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true).mode(0o600);
    options
        .open(to)
        .map_err(|error| file::named(to, "create", error))
}

/// Gives a copy of a file its mode and its time.
fn finish(written: &File, metadata: &Metadata, target: &Target<'_>) -> io::Result<()> {
    let mode = match (target.sharing, metadata.mode() & 0o111 != 0) {
        (Sharing::Own, false) => 0o644,
        (Sharing::Own, true) => 0o755,
        (Sharing::ReadOnly, false) => 0o444,
        (Sharing::ReadOnly, true) => 0o555,
    };
    if let Ok(time) = metadata.modified() {
        // A file system that keeps no such time is not a reason to fail.
        let _ = written.set_modified(time);
    }
    let set = written.set_permissions(Permissions::from_mode(mode));
    set.map_err(|error| file::named(target.to, "set the mode of", error))
}

/// Gives a folder or a link the time of the original, where the file system can.
fn set_time_of_name(name: &Path, metadata: &Metadata) {
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
    let mut total = 0;
    // Paths compare by their parts, so this is the order of a walk.
    for (inside, listed) in entries {
        match listed {
            Listed::Link(target) if !stays_inside(inside, target) => {
                return Err(refuse(inside, &leads_out(target)));
            }
            Listed::File { bytes, .. } => total += bytes,
            Listed::Link(_) | Listed::Folder => {}
        }
        listing.update(line(inside, listed).as_bytes());
    }
    Ok(Measured {
        digest: listing.finish(),
        bytes: total,
        kind: Kind::Directory,
    })
}

/// The line of an entry in the listing of a directory.
fn line(inside: &Path, listed: &Listed) -> String {
    let name = name_in_listing(inside.as_os_str());
    let line = match listed {
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
    format!("{line}\n")
}

/// A name as a listing has it: a text; or, if it is none in UTF-8, the list of its bytes.
fn name_in_listing(name: &OsStr) -> serde_json::Value {
    match name.to_str() {
        Some(text) => serde_json::json!(text),
        None => serde_json::json!(name.as_bytes()),
    }
}

fn leads_out(target: &Path) -> String {
    format!(
        "is a symbolic link to {}, outside of the artifact: copy the file instead",
        target.display()
    )
}

/// An entry of a directory, as [`visit`] finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A file.
    File,
    /// A directory.
    Folder,
    /// With its target.
    Link(&'a Path),
}

/// Visits all entries of a directory, sorted by name, each folder before what is in it: with the
/// name relative to the directory, where it lies, and what is known of it.
pub fn visit(
    root: &Path,
    links: Links,
    visit: &mut dyn FnMut(&Path, &Path, Found, &Metadata) -> io::Result<()>,
) -> io::Result<()> {
    walk(root, links, &mut |entry| match &entry.what {
        What::Link(target) => visit(
            &entry.inside,
            &entry.path,
            Found::Link(target),
            &entry.metadata,
        ),
        What::Known(Kind::Directory) => {
            visit(&entry.inside, &entry.path, Found::Folder, &entry.metadata)
        }
        What::Known(_) => visit(&entry.inside, &entry.path, Found::File, &entry.metadata),
    })
}

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
        let open = File::open(path).map_err(|error| fail(path, error))?;
        if rustix::fs::syncfs(&open).is_ok() {
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

/// Removes a value with all that is in it; that it is gone already is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.is_dir() {
        return gone(file_changes::remove_file(path))
            .map_err(|error| file::named(path, "remove", error));
    }
    let first = gone(file_changes::remove_dir_all(path));
    // A command may have made folders read-only, or more of them in each other than a path can name
    // or a process can open.
    let result = first.or_else(|_| gone(remove_folder(path)));
    result.map_err(|error| file::named(path, "remove", error))
}

/// Removes a folder with all that is in it, and never looks deeper than two folders: what lies
/// deeper is moved up first.
fn remove_folder(root: &Path) -> io::Result<()> {
    let open_up = |path: &Path| file_changes::set_permissions(path, Permissions::from_mode(0o700));
    let is_folder = |entry: &std::fs::DirEntry| Ok::<_, io::Error>(entry.file_type()?.is_dir());
    let _ = open_up(root);
    let mut moved = 0_u64;
    loop {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(root)? {
            let entry = entry?;
            if is_folder(&entry)? {
                folders.push(entry.path());
            } else {
                file_changes::remove_file(entry.path())?;
            }
        }
        if folders.is_empty() {
            return file_changes::remove_dir(root);
        }
        for folder in folders {
            let _ = open_up(&folder);
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                if !is_folder(&entry)? {
                    file_changes::remove_file(entry.path())?;
                    continue;
                }
                let _ = open_up(&entry.path());
                let mut up = root.join(format!(".sky-{moved}"));
                while up.exists() {
                    moved += 1;
                    up = root.join(format!(".sky-{moved}"));
                }
                file_changes::rename(entry.path(), up)?;
            }
            file_changes::remove_dir(folder)?;
        }
    }
}

struct Entry {
    path: PathBuf,
    /// Relative to the value's own directory.
    inside: PathBuf,
    what: What,
    /// The metadata of what a link stands for, unless the link is kept.
    metadata: Metadata,
}

enum What {
    Known(Kind),
    Link(PathBuf),
}

/// Visits all entries below `root`, sorted by name, a directory before what is in it.
fn walk(
    root: &Path,
    links: Links,
    visit: &mut dyn FnMut(Entry) -> io::Result<()>,
) -> io::Result<()> {
    let real = std::fs::canonicalize(root).map_err(|error| file::named(root, "read", error))?;
    Walk {
        root,
        links,
        open: vec![real],
        followed: 0,
        visit,
    }
    .folder(Path::new(""))
}

struct Walk<'a> {
    root: &'a Path,
    links: Links,
    /// Where the folders really are that the walk is in, from the root on.
    open: Vec<PathBuf>,
    /// How many of them it came to by links.
    followed: usize,
    visit: &'a mut dyn FnMut(Entry) -> io::Result<()>,
}

impl Walk<'_> {
    fn folder(&mut self, inside: &Path) -> io::Result<()> {
        let folder = self.root.join(inside);
        if self.open.len() > DEPTH {
            return Err(refuse(
                &folder,
                "lies deeper than 100 folders: does a symbolic link lead in a circle?",
            ));
        }
        let fail = |error| file::named(&folder, "list", error);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            names.push(entry.map_err(fail)?.file_name());
        }
        names.sort();
        for name in names {
            let real = self
                .open
                .last()
                .map(|open| open.join(&name))
                .unwrap_or_default();
            self.entry(inside.join(name), real)?;
        }
        Ok(())
    }

    fn entry(&mut self, inside: PathBuf, real: PathBuf) -> io::Result<()> {
        let path = self.root.join(&inside);
        let fail = |error| file::named(&path, "read", error);
        let metadata = std::fs::symlink_metadata(&path).map_err(fail)?;
        if !metadata.is_symlink() {
            return self.known(path, inside, metadata, real);
        }
        let target = std::fs::read_link(&path).map_err(fail)?;
        let stays = stays_inside(&inside, &target);
        let kept = match self.links {
            Links::Keep if !stays => return Err(refuse(&path, &leads_out(&target))),
            Links::Keep => true,
            // Below what a link led to, names that stay inside are not what they were.
            Links::Resolve => stays && self.followed == 0,
            Links::Follow => false,
        };
        let resolved = if kept { None } else { self.resolve(&path)? };
        match resolved {
            Some((metadata, real)) => {
                self.followed += 1;
                let result = self.known(path, inside, metadata, real);
                self.followed -= 1;
                result
            }
            None if !kept && !stays && self.links == Links::Resolve => {
                let why = "outside of the artifact, where nothing is that could be copied";
                Err(refuse(
                    &path,
                    &format!("is a symbolic link to {}, {why}", target.display()),
                ))
            }
            None => (self.visit)(Entry {
                path,
                inside,
                what: What::Link(target),
                metadata,
            }),
        }
    }

    /// What a link leads to, and where that really is; none if it leads nowhere or in a circle.
    fn resolve(&self, path: &Path) -> io::Result<Option<(Metadata, PathBuf)>> {
        let nowhere = |error: &io::Error| {
            let circle = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
            circle
                || matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                )
        };
        let found = std::fs::metadata(path)
            .and_then(|metadata| Ok((metadata, std::fs::canonicalize(path)?)));
        match found {
            Ok((metadata, real)) => {
                let circle =
                    metadata.is_dir() && self.open.iter().any(|open| open.starts_with(&real));
                Ok((!circle).then_some((metadata, real)))
            }
            Err(error) if nowhere(&error) => Ok(None),
            Err(error) => Err(file::named(path, "read", error)),
        }
    }

    fn known(
        &mut self,
        path: PathBuf,
        inside: PathBuf,
        metadata: Metadata,
        real: PathBuf,
    ) -> io::Result<()> {
        let kind = kind(&path, &metadata)?;
        let below = inside.clone();
        (self.visit)(Entry {
            path,
            inside,
            what: What::Known(kind),
            metadata,
        })?;
        if kind == Kind::Directory {
            self.open.push(real);
            let result = self.folder(&below);
            self.open.pop();
            result?;
        }
        Ok(())
    }
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
        _ => Err(refuse(
            path,
            "is a pipe, a socket or a device: only files, directories and links are data",
        )),
    }
}

fn refuse(path: &Path, message: &str) -> io::Error {
    refuse_as(io::ErrorKind::InvalidInput, path, message)
}

fn refuse_as(kind: io::ErrorKind, path: &Path, message: &str) -> io::Error {
    io::Error::new(kind, format!("{} {message}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More folders in each other than a process may open, and a longer path than one can write.
    #[test]
    fn a_value_of_many_files_is_synced_in_one_step() {
        let folder = tempfile::tempdir().unwrap();
        let write = |count: usize| {
            for number in 0..count {
                std::fs::write(folder.path().join(format!("{number}")), "x").unwrap();
            }
        };
        write(2);
        assert_eq!(
            sync(folder.path()).unwrap(),
            3,
            "two files and their folder"
        );
        write(2_000);
        assert_eq!(sync(folder.path()).unwrap(), 1);
    }

    #[test]
    fn folders_in_folders_without_an_end_are_measured_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("deep");
        let nest = |times: usize, locked: &str| {
            let script = format!(
                "mkdir deep; cd deep; echo x > f; for i in $(seq {times}); do mkdir d; cd d; echo x > f; done; {locked}"
            );
            let made = std::process::Command::new("/bin/sh")
                .args(["-c", &script])
                .current_dir(folder.path())
                .status();
            assert!(made.unwrap().success());
        };
        nest(1200, "chmod 500 .");
        assert_eq!(size(&deep, &Bounds::default()).unwrap(), 2 * 1201);
        remove(&deep).unwrap();
        assert!(!deep.exists());
        nest(3000, "chmod 000 .");
        let said = size(&deep, &Bounds::default()).unwrap_err().to_string();
        assert!(said.contains("file name too long"), "{said}");
        remove(&deep).unwrap();
        assert!(!deep.exists());
    }
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
        assert_ne!(
            measure(&from, Links::Follow).unwrap().digest,
            measured.digest
        );
        std::fs::write(from.join("a/x"), "y").unwrap();
        assert_ne!(measure(&from, Links::Keep).unwrap().digest, measured.digest);
    }

    #[test]
    fn links_out_and_what_is_no_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        symlink("../elsewhere", folder.path().join("out")).unwrap();
        let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
        assert!(
            error.contains("symbolic link to ../elsewhere, outside of the artifact"),
            "{error}"
        );
        std::fs::remove_file(folder.path().join("out")).unwrap();
        symlink(".", folder.path().join("circle")).unwrap();
        assert!(measure(folder.path(), Links::Keep).is_ok());
        make_socket(&folder.path().join("socket"));
        let error = measure(folder.path(), Links::Keep).unwrap_err().to_string();
        assert!(error.contains("a pipe, a socket or a device"), "{error}");
    }

    #[test]
    fn links_that_lead_nowhere_or_in_a_circle_do_not_keep_a_dataset_from_being_used() {
        let folder = tempfile::tempdir().unwrap();
        let (data, outside) = (folder.path().join("data"), folder.path().join("outside"));
        std::fs::create_dir_all(data.join("a/b")).unwrap();
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("f"), "f").unwrap();
        symlink("loop", outside.join("loop")).unwrap();
        symlink(&data, outside.join("back")).unwrap();
        let links = [
            ("self", "."),
            ("a/b/up", "../.."),
            ("a/b/further", "../../.."),
            ("gone", "nothing"),
            ("away", "/nothing/there"),
            ("through", "a/b/none/x"),
            ("one", "two"),
            ("two", "one"),
            (".#lock", "user@host.12:34"),
            ("in", "../outside"),
        ];
        for (name, target) in links {
            symlink(target, data.join(name)).unwrap();
        }
        let measured = measure(&data, Links::Follow).unwrap();
        let to = folder.path().join("to");
        assert_eq!(
            copy_measured(&data, &to, Links::Follow, Sharing::Own, &Bounds::default()).unwrap(),
            measured
        );
        for (name, target) in &links[..9] {
            assert_eq!(
                std::fs::read_link(to.join(name)).unwrap(),
                Path::new(target),
                "{name}"
            );
        }
        assert_eq!(std::fs::read(to.join("in/f")).unwrap(), b"f");
        assert!(to.join("in/loop").is_symlink() && to.join("in/back").is_symlink());
    }

    #[test]
    fn links_out_of_an_output_stand_for_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let (output, inputs) = (folder.path().join("output"), folder.path().join("inputs"));
        std::fs::create_dir(&output).unwrap();
        std::fs::create_dir_all(inputs.join("deep")).unwrap();
        std::fs::write(inputs.join("deep/f"), "f").unwrap();
        symlink("f", inputs.join("deep/l")).unwrap();
        symlink(inputs.join("deep"), output.join("all")).unwrap();
        symlink("../inputs/deep/f", output.join("one")).unwrap();
        symlink("one", output.join("inner")).unwrap();
        let to = folder.path().join("to");
        let measured = copy_measured(
            &output,
            &to,
            Links::Resolve,
            Sharing::ReadOnly,
            &Bounds::default(),
        )
        .unwrap();
        assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
        for name in ["all/f", "all/l", "one", "inner"] {
            assert_eq!(std::fs::read(to.join(name)).unwrap(), b"f", "{name}");
        }
        assert!(!to.join("one").is_symlink() && to.join("inner").is_symlink());
        symlink("/nothing/there", output.join("away")).unwrap();
        let error = measure(&output, Links::Resolve).unwrap_err().to_string();
        assert!(
            error.contains("away is a symbolic link to /nothing/there, outside of the artifact"),
            "{error}"
        );
    }

    #[test]
    fn names_that_are_not_utf8_are_names_like_others() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir(&from).unwrap();
        let odd = OsStr::from_bytes(b"caf\xe9");
        std::fs::write(from.join(odd), "x").unwrap();
        symlink(odd, from.join(OsStr::from_bytes(b"\xff"))).unwrap();
        let measured =
            copy_measured(&from, &to, Links::Keep, Sharing::Own, &Bounds::default()).unwrap();
        assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
        let listed = |name: &[u8]| {
            let digest = hash::digest(b"x");
            let entries = [
                (
                    name.to_vec(),
                    Listed::File {
                        executable: false,
                        digest,
                        bytes: 1,
                    },
                ),
                (b"\xff".to_vec(), Listed::Link(odd.into())),
            ];
            let entries =
                entries.map(|(name, listed)| (PathBuf::from(OsStr::from_bytes(&name)), listed));
            measure_listed(&BTreeMap::from(entries)).unwrap()
        };
        assert_eq!(listed(b"caf\xe9"), measured);
        assert_ne!(listed(b"caf\xe8").digest, measured.digest);
        assert_ne!(listed("caf\u{fffd}".as_bytes()).digest, measured.digest);
    }

    #[test]
    fn a_copy_has_the_times_of_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::create_dir_all(from.join("d")).unwrap();
        std::fs::write(from.join("d/f"), "x").unwrap();
        symlink("d/f", from.join("l")).unwrap();
        let set = |name: &str, second: i64| {
            let time = Timespec {
                tv_sec: second,
                tv_nsec: 123_456_789,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            utimensat(CWD, from.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        };
        let names = [("d/f", 1_000), ("d", 2_000), ("l", 3_000), ("", 4_000)];
        names.iter().for_each(|(name, second)| set(name, *second));
        copy(&from, &to, Links::Keep, Sharing::ReadOnly).unwrap();
        let check = || {
            for (name, second) in names {
                let metadata = std::fs::symlink_metadata(to.join(name)).unwrap();
                assert_eq!(
                    (metadata.mtime(), metadata.mtime_nsec()),
                    (second, 123_456_789),
                    "{name}"
                );
            }
        };
        check();
        set_time_of_name(&to.join("d/f"), &std::fs::metadata(&from).unwrap());
        take_times(&from, &to).unwrap();
        check();
    }

    #[test]
    fn holes_stay_holes_and_bounds_hold() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let mut open = File::create(&from).unwrap();
        open.set_len(64 << 20).unwrap();
        open.seek(io::SeekFrom::Start(40 << 20)).unwrap();
        open.write_all(b"in the middle").unwrap();
        drop(open);
        let measured =
            copy_measured(&from, &to, Links::Keep, Sharing::Own, &Bounds::default()).unwrap();
        assert_eq!(measure(&from, Links::Keep).unwrap(), measured);
        assert_eq!(measure(&to, Links::Keep).unwrap(), measured);
        assert!(std::fs::metadata(&to).unwrap().blocks() * 512 < 4 << 20);
        // What is far too large is not even begun.
        File::create(folder.path().join("huge"))
            .unwrap()
            .set_len(1 << 43)
            .unwrap();
        let error = copy_measured(
            &folder.path().join("huge"),
            &folder.path().join("copy"),
            Links::Keep,
            Sharing::Own,
            &Bounds::default().within(Some(1 << 30)),
        );
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert!(!folder.path().join("copy").exists());
    }

    fn make_socket(path: &Path) {
        drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    }
}
