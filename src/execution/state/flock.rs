//! The lock of a state folder: the kernel's, on a file that says who has it.
//!
//! The kernel's lock (flock) ends with its process, however that ends. It cannot be taken from a
//! process that hangs; so whoever takes such a lock over puts another file in the place of the
//! locked one, and a holder whose file is no longer in its place has lost the lock. What the file
//! says means nothing once its process has ended.

use super::holder::Holder;
use super::lock::{Fence, Former, Lock, LockError, LockLost, taken_over};
use crate::util::file;
use async_trait::async_trait;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a holder may take to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// Most bytes of what a holder says of itself.
const MOST_BYTES: u64 = 64 << 10;

/// Takes the lock at `path`, trying for as long as `timeout`; it lasts for `lease` when it is not
/// renewed.
pub(super) async fn take(
    path: &Path,
    holder: &Holder,
    timeout: Duration,
    lease: Duration,
) -> Result<Lock, LockError> {
    let begun_at = Instant::now();
    loop {
        let mut file = open_lock_file(path)?;
        match file.try_lock() {
            // Else it was replaced before it was locked.
            Ok(()) if in_place(path, &file) => return held_lock(path, file, holder, lease, None),
            Ok(()) => continue,
            Err(TryLockError::Error(error)) => return Err(file::named(path, "lock", error).into()),
            Err(TryLockError::WouldBlock) => {}
        }
        // The record of a process that has ended is older than the lock.
        let holder_said = read_holder(&mut file).filter(|said| !said.is_dead());
        if holder_said.as_ref().is_some_and(Holder::is_over)
            && let Some(lock) = take_over(path, holder, lease)?
        {
            return Ok(lock);
        }
        let waited = begun_at.elapsed();
        if waited >= timeout && (holder_said.is_some() || waited >= timeout + INTRODUCTION) {
            return Err(LockError::Held(holder_said.map(Box::new)));
        }
        let pause = if holder_said.is_some() {
            Duration::from_millis(100)
        } else {
            Duration::from_millis(10)
        };
        tokio::time::sleep(pause.min(timeout.saturating_sub(waited).max(Duration::from_millis(1))))
            .await;
    }
}

/// Who holds the lock; none if nobody does.
pub(super) fn holder(path: &Path) -> io::Result<Option<Holder>> {
    match file::read_within(path, MOST_BYTES) {
        Ok(bytes) => Ok(Holder::read(&bytes).filter(|said| !said.is_dead())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a lock that nobody holds in the place of the one that is there.
pub(super) fn force(path: &Path) -> io::Result<()> {
    file::write_atomic(path, b"")
}

/// Takes a lock whose time is over from a process that still holds it; none if somebody else was
/// faster.
fn take_over(path: &Path, holder: &Holder, lease: Duration) -> Result<Option<Lock>, LockError> {
    // One at a time, or the second would take it from the first.
    let turn = path.with_extension("turn");
    let turn = open_lock_file(&turn)?;
    turn.lock()
        .map_err(|error| file::named(path, "lock", error))?;
    let former_holder = read_holder(&mut open_lock_file(path)?);
    let Some(former) = former_holder.filter(Holder::is_over) else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    let fresh_file = tempfile::Builder::new().prefix(".sky-").tempfile_in(folder);
    let fresh_file = fresh_file.map_err(|error| file::named(path, "replace", error))?;
    fresh_file
        .as_file()
        .try_lock()
        .map_err(|error| file::named(path, "lock", io::Error::other(error)))?;
    let file = fresh_file
        .persist(path)
        .map_err(|error| file::named(path, "replace", error.error))?;
    held_lock(path, file, holder, lease, Some(taken_over(&former))).map(Some)
}

fn held_lock(
    path: &Path,
    file: File,
    holder: &Holder,
    lease: Duration,
    former: Option<Former>,
) -> Result<Lock, LockError> {
    let holder = holder.renewed(lease);
    let fence = Flock {
        path: path.to_owned(),
        file,
        holder: Mutex::new(holder),
        lease,
    };
    fence.write(&fence.holder.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Lock::held(Arc::new(fence), lease, former)?)
}

#[derive(Debug)]
struct Flock {
    path: PathBuf,
    file: File,
    holder: Mutex<Holder>,
    lease: Duration,
}

impl Flock {
    /// A full disk may keep the record from being written, and a destroy may be the cure of that.
    /// The lock holds without it.
    fn write(&self, holder: &Holder) {
        let written = holder.bytes().and_then(|bytes| {
            self.file.write_all_at(&bytes, 0)?;
            self.file.set_len(bytes.len() as u64)
        });
        if written.is_err() {
            let _ = self.file.set_len(0);
        }
    }
}

#[async_trait]
impl Fence for Flock {
    async fn check(&self) -> io::Result<()> {
        self.check_now()
    }

    fn check_now(&self) -> io::Result<()> {
        if in_place(&self.path, &self.file) {
            return Ok(());
        }
        let holder = holder(&self.path).ok().flatten().map(Box::new);
        Err(LockLost { holder }.into_io())
    }

    async fn renew(&self) {
        if in_place(&self.path, &self.file) {
            let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
            *holder = holder.renewed(self.lease);
            self.write(&holder);
        }
    }

    async fn release(&self) {
        // The record must not outlive the lock; the lock itself ends with the file.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let opened_file = options
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        // Of a pipe in the lock's place nobody waits for the other end.
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path);
    let opened_file = opened_file.and_then(|file| match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a pipe, a socket or a device, and no lock",
        )),
    });
    opened_file.map_err(|error| file::named(path, "open", error))
}

/// Whether the file is the one that has this name.
fn in_place(path: &Path, file: &File) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(ours)) => there.ino() == ours.ino() && there.dev() == ours.dev(),
        _ => false,
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Holder::read(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::state::bucket::wait;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_second_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = Holder::here("apply", "here", LONG);
        let lock = wait(take(&path, &first, Duration::ZERO, LONG)).unwrap();
        let second = Holder::here("destroy", "here", LONG);
        let Err(LockError::Held(Some(held))) =
            wait(take(&path, &second, Duration::from_millis(30), LONG))
        else {
            panic!("the lock was given twice")
        };
        assert_eq!((&held.id, held.pid), (&first.id, std::process::id()));
        assert_eq!(holder(&path).unwrap().unwrap().id, first.id);
        drop(lock);
        assert!(holder(&path).unwrap().is_none());
        wait(take(&path, &second, Duration::ZERO, LONG)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn what_is_renewed_is_kept_and_what_is_over_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let short = Duration::from_millis(300);
        let first = wait(take(
            &path,
            &Holder::here("apply", "here", short),
            Duration::ZERO,
            short,
        ))
        .unwrap();
        // Its heart beats.
        let second = Holder::here("destroy", "here", LONG);
        assert!(matches!(
            wait(take(&path, &second, short * 3, LONG)),
            Err(LockError::Held(Some(_)))
        ));
        first.fence().check_now().unwrap();
        // One that hangs writes nothing more.
        let over = Holder {
            expires: "2001-01-01T00:00:00.000Z".into(),
            ..holder(&path).unwrap().unwrap()
        };
        let fence = first.fence();
        let lock = loop {
            std::fs::write(&path, over.bytes().unwrap()).unwrap();
            if let Ok(lock) = wait(take(&path, &second, Duration::ZERO, LONG)) {
                break lock;
            }
        };
        assert!(
            lock.former
                .as_ref()
                .unwrap()
                .words
                .contains("was taken over"),
            "{:?}",
            lock.former
        );
        let lost = fence.check_now().unwrap_err();
        assert_eq!(
            LockLost::of(&lost).unwrap().holder.as_ref().unwrap().id,
            second.id
        );
        // Neither its heart nor its end touches the other's.
        wait(fence.renew());
        drop(first);
        lock.fence().check_now().unwrap();
        assert_eq!(holder(&path).unwrap().unwrap().id, second.id);
        force(&path).unwrap();
        assert!(
            LockLost::of(&lock.fence().check_now().unwrap_err())
                .unwrap()
                .holder
                .is_none()
        );
    }
}
