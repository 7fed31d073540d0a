//! The state's lock: one operation that changes things at a time.
//!
//! The lock is the kernel's (flock on `.sky/lock`), so that it ends with its process, however
//! that ends; what the file says is for people and means nothing while nobody holds it.

use crate::util::{clock, file, hash};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Holder {
    #[serde(rename = "ID")]
    pub id: String,
    /// The verb: `apply`, `destroy`.
    pub operation: String,
    /// `user@host`.
    pub who: String,
    pub host: String,
    pub pid: u32,
    /// RFC 3339.
    pub created: String,
    /// Of sky.
    pub version: String,
    /// The state folder.
    pub path: String,
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state is locked by another operation")]
    Held(Option<Box<Holder>>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock at `path`, trying for as long as `timeout`.
    pub fn take(path: &Path, holder: &Holder, timeout: Duration) -> Result<Self, LockError> {
        let fail = |verb: &str, error| file::named(path, verb, error);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|error| fail("open", error))?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(fail("lock", error).into()),
                Err(TryLockError::WouldBlock) if begun.elapsed() < timeout => {
                    let left = timeout.saturating_sub(begun.elapsed());
                    std::thread::sleep(left.min(Duration::from_millis(100)));
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(read_holder(&mut file).map(Box::new))),
            }
        }
        let text =
            serde_json::to_string_pretty(holder).map_err(io::Error::from).map_err(|error| fail("write", error))?;
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")
        };
        if write(&mut file).is_err() {
            // A full disk, of which a destroy may be the cure. The lock holds without its record.
            let _ = file.set_len(0);
        }
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The record must not outlive the lock; the lock itself ends with the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl Holder {
    /// This process, about to do `operation` on `folder`.
    pub fn here(operation: &str, folder: &Path) -> Self {
        let host = host_name();
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
        let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
        let created = clock::timestamp();
        let pid = std::process::id();
        let path: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let digest = hash::digest(format!("{host} {pid} {created} {}", path.display()).as_bytes());
        Self {
            id: uuid_from(&digest),
            operation: operation.to_owned(),
            who: format!("{user}@{host}"),
            host,
            pid,
            created,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            path: path.display().to_string(),
        }
    }

    /// The record, a line each, as people read it.
    pub fn lines(&self) -> Vec<String> {
        let rows = [
            ("ID", &self.id),
            ("Operation", &self.operation),
            ("Who", &self.who),
            ("Host", &self.host),
            ("Pid", &self.pid.to_string()),
            ("Created", &self.created),
            ("Version", &self.version),
            ("Path", &self.path),
        ];
        rows.iter().map(|(name, value)| format!("  {:<10} {value}", format!("{name}:"))).collect()
    }
}

/// The first 32 hex digits of a `sha256:` digest, grouped as a UUID.
pub(super) fn uuid_from(digest: &str) -> String {
    let hex: String = digest.chars().skip("sha256:".len()).take(32).collect();
    let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32)].join("-")
}

fn host_name() -> String {
    // Linux tells it as a file; elsewhere the shell's variable has to do.
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok()).map(|name| name.trim().to_owned());
    told.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Holder::here("apply", folder.path());
        let lock = Lock::take(&path, &first, Duration::ZERO).unwrap();
        let second = Holder::here("destroy", folder.path());
        let Err(LockError::Held(Some(holder))) = Lock::take(&path, &second, Duration::from_millis(30)) else {
            panic!("the lock was given twice")
        };
        assert_eq!(*holder, first);
        drop(lock);
        Lock::take(&path, &second, Duration::ZERO).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
