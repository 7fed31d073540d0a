//! Where a state is kept: in its working folder, or in a bucket with a working folder beside it.
//!
//! The working folder always has what the stages of this machine work on (the `local` provider's
//! folders) and copies of all outputs. Only the state itself is in the bucket: from another
//! machine, an apply goes on with what runs at clouds and on hosts, and runs again what ran here,
//! and what wrote outputs that are needed and are only here.

use super::address::Address;
use super::bucket::{Bucket, wait};
use super::cipher::Cipher;
use super::data::{State, Status};
use super::event::Record;
use super::folder::{Folder, SNAPSHOT};
use super::holder::Holder;
use super::lock::{LEASE, Lock, LockError};
use super::opened::Opened;
use super::snapshot::StateError;
use super::{flock, lease, objects, open_bucket};
use crate::util::file;
use std::io;
use std::path::Path;
use std::time::Duration;

/// A state's place, with the keys to it.
#[derive(Clone, Debug)]
pub struct Store {
    /// The working folder.
    pub folder: Folder,
    /// How the state is encrypted.
    pub cipher: Cipher,
    lease: Duration,
    bucket: Option<Bucket>,
}

/// The ways to repair a state that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restorable {
    /// The serial of the backup.
    pub serial: u64,
    /// The number of stages in the backup.
    pub stages: usize,
    /// The number of stages that are done in the backup.
    pub done: usize,
    /// The backup to restore, and the place to restore it to.
    pub from: String,
    /// The place that the backup is restored to.
    pub to: String,
    /// A journal that means nothing with it, to be moved away.
    pub unfit: Option<String>,
}

impl Store {
    /// At an address; `folder` is the working folder of a state in a bucket.
    pub fn open(
        working_dir: &Path,
        address: Option<&Address>,
        folder: Option<&Path>,
        cipher: Cipher,
    ) -> io::Result<Self> {
        let lease = LEASE;
        Ok(match address {
            None => Self {
                folder: Folder::resolve(working_dir, folder),
                cipher,
                lease,
                bucket: None,
            },
            Some(Address::Folder(root)) => Self {
                folder: Folder::resolve(working_dir, Some(root)),
                cipher,
                lease,
                bucket: None,
            },
            Some(Address::Bucket {
                cloud,
                name,
                prefix,
            }) => {
                let bucket = Some(Bucket::open(*cloud, name, prefix)?);
                Self {
                    folder: Folder::resolve(working_dir, folder),
                    cipher,
                    lease,
                    bucket,
                }
            }
        })
    }

    /// Returns the store with locks that last so long when they are not renewed.
    pub fn lasting(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// Returns the store with other keys.
    #[cfg(test)]
    pub(super) fn under(self, cipher: Cipher) -> Self {
        Self { cipher, ..self }
    }

    /// Over a bucket that is open.
    pub fn over(folder: Folder, bucket: Bucket) -> Self {
        Self {
            folder,
            cipher: Cipher::default(),
            lease: LEASE,
            bucket: Some(bucket),
        }
    }

    /// Where the state is.
    pub fn name(&self) -> String {
        match &self.bucket {
            Some(bucket) => bucket.url(""),
            None => {
                let root = std::path::absolute(&self.folder.root)
                    .unwrap_or_else(|_| self.folder.root.clone());
                root.display().to_string()
            }
        }
    }

    /// Whether anything was ever applied there.
    pub fn exists(&self) -> Result<bool, StateError> {
        self.check_folder()?;
        Ok(match &self.bucket {
            Some(bucket) => wait(objects::exists(bucket))?,
            None => self.folder.exists(),
        })
    }

    /// Reads the state, without a lock and without changing anything; none if nothing was ever
    /// applied there.
    pub fn read(&self) -> Result<Option<State>, StateError> {
        wait(self.read_async())
    }

    /// Reads the state as [`Store::read`] does, without blocking the thread.
    pub async fn read_async(&self) -> Result<Option<State>, StateError> {
        self.check_folder()?;
        match &self.bucket {
            Some(bucket) => objects::read(bucket, &self.cipher).await,
            None => self.folder.read_with(&self.cipher),
        }
    }

    /// Reads the records of the last operations, in order; `None`: a state in a bucket keeps none
    /// of them.
    pub fn records(&self) -> Result<Option<Vec<Record>>, StateError> {
        self.check_folder()?;
        match &self.bucket {
            Some(_) => Ok(None),
            None => self.folder.records(&self.cipher).map(Some),
        }
    }

    /// Takes the lock, trying for as long as `timeout`.
    pub fn lock(&self, operation: &str, timeout: Duration) -> Result<Lock, LockError> {
        wait(self.lock_async(operation, timeout))
    }

    /// Takes the lock as [`Store::lock`] does, without blocking the thread.
    pub async fn lock_async(&self, operation: &str, timeout: Duration) -> Result<Lock, LockError> {
        self.folder.create()?;
        let holder = Holder::here(operation, &self.name(), self.lease);
        match &self.bucket {
            Some(bucket) => lease::take(bucket, &holder, timeout, self.lease).await,
            None => flock::take(&self.folder.lock(), &holder, timeout, self.lease).await,
        }
    }

    /// Who holds the lock, without trying to take it.
    pub fn holder(&self) -> io::Result<Option<Holder>> {
        match &self.bucket {
            Some(bucket) => wait(lease::holder(bucket)),
            None => flock::holder(&self.folder.lock()),
        }
    }

    /// Ends the lock with this id for its holder, who stops before its next call; `false` if there
    /// is none with this id.
    pub fn force_unlock(&self, id: &str) -> io::Result<bool> {
        if self.holder()?.is_none_or(|holder| holder.id != id) {
            return Ok(false);
        }
        match &self.bucket {
            Some(bucket) => wait(lease::force(bucket, id)),
            None => {
                flock::force(&self.folder.lock())?;
                self.folder.renew_journal()?;
                Ok(true)
            }
        }
    }

    /// Opens the state for change. The first time, an empty one is written.
    pub fn change(&self, lock: Option<&Lock>) -> Result<Opened, StateError> {
        wait(self.change_async(lock))
    }

    /// Opens the state as [`Store::change`] does, without blocking the thread.
    pub async fn change_async(&self, lock: Option<&Lock>) -> Result<Opened, StateError> {
        self.check_folder()?;
        match &self.bucket {
            Some(bucket) => {
                self.folder.create()?;
                let opened_bucket = open_bucket::open(bucket, &self.cipher, lock).await?;
                file::write_atomic(
                    &self.folder.root.join(MARK),
                    format!("{}\n", bucket.url("")).as_bytes(),
                )?;
                Ok(opened_bucket)
            }
            None => self.folder.open_with(&self.cipher, lock),
        }
    }

    /// Returns the state that restoring the backup would give; `None` if the backup is not a state.
    pub fn restorable(&self) -> Option<Restorable> {
        let (state, from, to, unfit) = match &self.bucket {
            Some(bucket) => {
                let backup_state = wait(objects::read_backup(bucket, &self.cipher))?;
                (
                    backup_state,
                    bucket.url(&objects::backup()),
                    bucket.url(SNAPSHOT),
                    None,
                )
            }
            None => {
                let (state, fits) = self.folder.read_backup(&self.cipher)?;
                let name = |path: &Path| path.display().to_string();
                let unfit = (!fits).then(|| name(&self.folder.journal()));
                (
                    state,
                    name(&self.folder.backup()),
                    name(&self.folder.snapshot),
                    unfit,
                )
            }
        };
        let done_count = state
            .stages
            .values()
            .filter(|stage| stage.status == Status::Done)
            .count();
        Some(Restorable {
            serial: state.serial,
            stages: state.stages.len(),
            done: done_count,
            from,
            to,
            unfit,
        })
    }

    /// Two states in one working folder would take each other's stages for their own.
    fn check_folder(&self) -> Result<(), StateError> {
        let root = self.folder.root.display();
        let mark_text = std::fs::read_to_string(self.folder.root.join(MARK)).ok();
        let marked_store = mark_text
            .as_deref()
            .map(str::trim)
            .filter(|mark| !mark.is_empty());
        let own_store = self.bucket.as_ref().map(|bucket| bucket.url(""));
        let mismatch_words = match (marked_store, &own_store) {
            (Some(of), None) => format!(
                "{root} is the working folder of the state at {of}: name that with --state {of} or SKY_STATE, or take \
                 another folder with --state-dir"
            ),
            (Some(of), Some(here)) if of != here => {
                format!(
                    "{root} is the working folder of the state at {of}, not of {here}: take another one with --state-dir"
                )
            }
            (None, Some(here)) if self.folder.exists() => format!(
                "{root} has a state of its own, {}: take another working folder with --state-dir; or move the state, with \
                 `sky state pull > FILE` here and, in a new folder, `sky state push FILE --state {here}`",
                self.folder.snapshot.display()
            ),
            _ => return Ok(()),
        };
        Err(StateError::Elsewhere(mismatch_words))
    }
}

/// In a working folder: which bucket its state is in.
const MARK: &str = "store";
