//! Archives of folders as `tar` writes them, on their way between machines: with names of any bytes
//! and times to the nanosecond, and nothing in them but files, folders and links.

use super::interruptible::Bounds;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs::Metadata;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};
use tar::EntryType;

/// The name of a time in an extended header.
const TIME: &str = "mtime";

/// When something was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// The whole seconds since 1970.
    pub seconds: i64,
    /// The part of a second.
    pub nanoseconds: i64,
}

impl Time {
    /// The time of a file, a folder or a link.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
        }
    }

    /// Reads seconds with a fraction, as `tar`, `find` and `stat` write them.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits: String = fraction
            .chars()
            .chain("000000000".chars())
            .take(9)
            .collect();
        let (seconds, fraction): (i64, i64) = (whole.parse().ok()?, digits.parse().ok()?);
        // The fraction of a time before 1970 counts from the same second backwards.
        Some(match whole.starts_with('-') && fraction > 0 {
            true => Self {
                seconds: seconds - 1,
                nanoseconds: 1_000_000_000 - fraction,
            },
            false => Self {
                seconds,
                nanoseconds: fraction,
            },
        })
    }

    /// Gives this time to a file, a folder or a link, where the file system can.
    pub fn set(self, name: &Path) {
        let time = Timespec {
            tv_sec: self.seconds,
            tv_nsec: self.nanoseconds,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        let _ = utimensat(CWD, name, &times, AtFlags::SYMLINK_NOFOLLOW);
    }

    /// Writes what of it does not fit into the header of the entry that follows.
    pub fn announce<W: io::Write>(self, builder: &mut tar::Builder<W>) -> io::Result<()> {
        if self.seconds >= 0 && self.nanoseconds == 0 {
            return Ok(());
        }
        let text = match self.seconds < 0 && self.nanoseconds > 0 {
            true => format!(
                "{}.{:09}",
                self.seconds + 1,
                1_000_000_000 - self.nanoseconds
            ),
            false => format!("{}.{:09}", self.seconds, self.nanoseconds),
        };
        builder.append_pax_extensions([(TIME, text.as_bytes())])
    }
}

/// Lays an archive of a folder out in `target`, a folder that is there. An entry that would be
/// outside of it, or is not a file, folder or link, is an error of kind
/// [`io::ErrorKind::InvalidInput`].
pub fn unpack(from: impl Read, target: &Path, bounds: &Bounds) -> io::Result<()> {
    let mut archive = tar::Archive::new(from);
    archive.set_preserve_mtime(false);
    let mut folders = Vec::new();
    let mut bytes_taken = 0_u64;
    for entry in archive.entries()? {
        let mut archive_entry = entry?;
        let entry_path = archive_entry.path()?.into_owned();
        let refuse = |why: &str| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} {why}", entry_path.display()),
            )
        };
        if !entry_path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(refuse("would lie outside of the folder that it came with"));
        }
        match archive_entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                bytes_taken = bytes_taken.saturating_add(archive_entry.size());
            }
            EntryType::Directory | EntryType::Symlink | EntryType::Link => {}
            // Headers that hold for all that follows.
            EntryType::XGlobalHeader => continue,
            _ => {
                return Err(refuse(
                    "is a pipe, a socket or a device: only files, directories and links are data",
                ));
            }
        }
        bounds.check(bytes_taken).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", entry_path.display()))
        })?;
        let time = entry_time(&mut archive_entry)?;
        // Their modes and times are for when all is in them. What is in them makes them, if there
        // is anything.
        if archive_entry.header().entry_type() == EntryType::Directory {
            folders.push((entry_path, archive_entry, time));
            continue;
        }
        archive_entry.unpack_in(target)?;
        time.set(&target.join(&entry_path));
    }
    folders.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    for (inside, mut entry, time) in folders {
        entry.unpack_in(target)?;
        time.set(&target.join(&inside));
    }
    Ok(())
}

/// When an entry was last changed: by its extended header if it has one, else by its header.
fn entry_time(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Time> {
    let seconds = i64::try_from(entry.header().mtime()?);
    let header_time = Time {
        seconds: seconds.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        nanoseconds: 0,
    };
    let Ok(Some(extensions)) = entry.pax_extensions() else {
        return Ok(header_time);
    };
    let times = extensions
        .flatten()
        .filter(|extension| extension.key() == Ok(TIME));
    let newest = times
        .filter_map(|extension| Time::parse(extension.value().ok()?))
        .last();
    Ok(newest.unwrap_or(header_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_tar_writes_them() {
        let time = |seconds, nanoseconds| {
            Some(Time {
                seconds,
                nanoseconds,
            })
        };
        assert_eq!(
            Time::parse("1700000000.123456789"),
            time(1_700_000_000, 123_456_789)
        );
        assert_eq!(
            Time::parse("1700000000.5"),
            time(1_700_000_000, 500_000_000)
        );
        assert_eq!(
            Time::parse("1700000000.1234567890"),
            time(1_700_000_000, 123_456_789)
        );
        assert_eq!(Time::parse("7"), time(7, 0));
        assert_eq!(Time::parse("-1.25"), time(-2, 750_000_000));
        assert_eq!(Time::parse("x"), None);
    }

    #[test]
    fn only_files_folders_and_links_come_out_of_an_archive() {
        let archive = |kind: EntryType, name: &str| {
            let mut builder = tar::Builder::new(Vec::new());
            Time {
                seconds: 7,
                nanoseconds: 5,
            }
            .announce(&mut builder)
            .unwrap();
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(0);
            header.set_mtime(7);
            // As somebody writes it who wants to do harm.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, io::empty()).unwrap();
            builder.into_inner().unwrap()
        };
        let lay = |kind, name| {
            let folder = tempfile::tempdir().unwrap();
            let target = folder.path().join("target");
            std::fs::create_dir(&target).unwrap();
            let laid = unpack(archive(kind, name).as_slice(), &target, &Bounds::default());
            let found = std::fs::symlink_metadata(target.join(name))
                .ok()
                .map(|metadata| Time::of(&metadata));
            assert!(!folder.path().join("out").exists());
            (laid.map_err(|error| error.to_string()), found)
        };
        let time = Some(Time {
            seconds: 7,
            nanoseconds: 5,
        });
        assert_eq!(lay(EntryType::Regular, "f"), (Ok(()), time));
        assert_eq!(lay(EntryType::Directory, "d"), (Ok(()), time));
        for kind in [EntryType::Fifo, EntryType::Char, EntryType::Block] {
            let (laid, found) = lay(kind, "p");
            assert!(
                laid.unwrap_err()
                    .starts_with("p is a pipe, a socket or a device")
            );
            assert_eq!(found, None);
        }
        assert!(
            lay(EntryType::Regular, "../out").0.is_err()
                && lay(EntryType::Regular, "/tmp/out").0.is_err()
        );
    }
}
