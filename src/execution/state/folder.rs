//! The state folder: where its files are, reading them, and writing a new snapshot.

use super::check;
use super::cipher::{Cipher, is_sealed};
use super::data::State;
use super::event::Record;
use super::holder::uuid_from;
use super::journal::{self, Journal};
use super::snapshot::{self, StateError};
use crate::util::{clock, file, hash, simulation};
use std::io;
use std::path::{Path, PathBuf};

/// The default name of the folder.
pub const FOLDER: &str = ".sky";
/// The name of the snapshot.
pub const SNAPSHOT: &str = "sky.state.json";

/// The paths of a state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// `.sky`, or what was given.
    pub root: PathBuf,
    /// The snapshot.
    pub snapshot: PathBuf,
}

impl Folder {
    /// `.sky` and `sky.state.json` side by side in `here`; or, when a folder is given, all in it.
    pub fn resolve(working_dir: &Path, given_folder: Option<&Path>) -> Self {
        match given_folder {
            Some(root) => {
                let root = working_dir.join(root);
                Self {
                    snapshot: root.join(SNAPSHOT),
                    root,
                }
            }
            None => Self {
                root: working_dir.join(FOLDER),
                snapshot: working_dir.join(SNAPSHOT),
            },
        }
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The lock's file.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Attempts' folders, `NAME/N`.
    pub fn stages(&self) -> PathBuf {
        self.root.join("stages")
    }

    /// Outputs by content hash.
    pub fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    /// The working folders of commands on this machine.
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Outputs by name.
    pub fn artifacts(&self) -> PathBuf {
        self.root.join("artifacts")
    }

    /// The former snapshot.
    pub fn backup(&self) -> PathBuf {
        let mut name = self.snapshot.clone().into_os_string();
        name.push(".backup");
        name.into()
    }

    /// Whether anything was ever applied here.
    pub fn exists(&self) -> bool {
        self.snapshot.exists() || self.journal().exists()
    }

    /// Creates the folder itself. Everything in it can be made again or is in the snapshot, so it
    /// asks git to leave it alone. Others cannot look into it: it holds data, logs and keys. A
    /// folder that was named with `--state-dir` and was there before keeps the rights that it has.
    pub fn create(&self) -> io::Result<()> {
        file::create_private_folders(&self.root)?;
        if self.root.file_name().is_some_and(|name| name == ".sky") {
            file::make_private(&self.root);
        }
        let ignore = self.root.join(".gitignore");
        if !ignore.exists() {
            file::write_atomic(&ignore, b"*\n")?;
        }
        Ok(())
    }

    /// Reads a state that is plain, without a lock and without changing anything; none if nothing
    /// was ever applied here.
    pub fn read(&self) -> Result<Option<State>, StateError> {
        self.read_with(&Cipher::default())
    }

    /// Reads a state as [`Self::read`] does, with the keys of a sealed one.
    pub fn read_with(&self, cipher: &Cipher) -> Result<Option<State>, StateError> {
        if !self.exists() {
            return Ok(None);
        }
        // An apply in progress may compact between the two reads: then the journal's records
        // start after the snapshot's, and reading again gives both of one time.
        for _ in 0..8 {
            let (mut state, _) = self.read_snapshot(cipher)?;
            let decoded = self.read_journal(cipher)?;
            let gap = decoded
                .records
                .first()
                .is_some_and(|first| first.sequence > state.journal_sequence + 1);
            if !gap {
                decoded.records.iter().for_each(|record| state.take(record));
                self.check_buckets(&state)?;
                return Ok(Some(state));
            }
        }
        let path = self.journal().display().to_string();
        Err(StateError::Journal {
            path,
            line: 1,
            reason: "records before it are missing".to_owned(),
        })
    }

    /// Folds the journal into a new snapshot and empties it.
    pub(super) fn fold(
        &self,
        state: &mut State,
        journal: &mut Journal,
        cipher: &Cipher,
    ) -> io::Result<()> {
        journal.check()?;
        self.write(state, cipher)?;
        journal.clear()
    }

    /// Writes the state as the new snapshot, one serial on, and keeps the former as `.backup`.
    pub fn write(&self, state: &mut State, cipher: &Cipher) -> io::Result<()> {
        let bytes = snapshot::encode(state, cipher)?;
        match std::fs::read(&self.snapshot) {
            Ok(former) => file::write_atomic(&self.backup(), &snapshot::keep(former, cipher)?)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file::named(&self.snapshot, "read", error)),
        }
        file::write_atomic(&self.snapshot, &bytes)
    }

    /// Keeps the snapshot as it is beside it, under the name of its serial; returns where.
    pub fn keep(&self, serial: u64, cipher: &Cipher) -> io::Result<String> {
        let mut name = self.snapshot.clone().into_os_string();
        name.push(format!(".{serial}.backup"));
        let path = PathBuf::from(name);
        let bytes = std::fs::read(&self.snapshot)
            .map_err(|error| file::named(&self.snapshot, "read", error))?;
        file::write_atomic(&path, &snapshot::keep(bytes, cipher)?)?;
        Ok(path.display().to_string())
    }

    /// Puts a copy of the journal in its place: who has the former one open writes into the void.
    pub fn renew_journal(&self) -> io::Result<()> {
        let path = self.journal();
        match std::fs::read(&path) {
            Ok(bytes) => file::write_atomic(&path, &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(file::named(&path, "read", error)),
        }
    }

    /// The state that restoring `.backup` would give, and whether the journal goes on from it;
    /// none if the backup is not a state.
    pub fn read_backup(&self, cipher: &Cipher) -> Option<(State, bool)> {
        let (mut state, _) = Self {
            snapshot: self.backup(),
            ..self.clone()
        }
        .read_snapshot(cipher)
        .ok()?;
        let records = self.read_journal(cipher).ok()?.records;
        let fits_backup = records
            .first()
            .is_none_or(|first| first.sequence <= state.journal_sequence + 1);
        records
            .iter()
            .filter(|_| fits_backup)
            .for_each(|record| state.take(record));
        Some((state, fits_backup))
    }

    /// Checks that the buckets of a state are its own, which a record alone does not say.
    pub(super) fn check_buckets(&self, state: &State) -> Result<(), StateError> {
        let path = self.journal().display().to_string();
        check::check_buckets(state).map_err(|reason| StateError::Unbelievable { path, reason })
    }

    /// The snapshot, and whether it is sealed.
    pub(super) fn read_snapshot(&self, cipher: &Cipher) -> Result<(State, bool), StateError> {
        let path = self.snapshot.display().to_string();
        match file::read_within(&self.snapshot, file::MOST_BY_SKY) {
            Ok(bytes) => Ok((snapshot::decode(&bytes, &path, cipher)?, is_sealed(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let journal = self.journal().display().to_string();
                Err(StateError::Missing {
                    path,
                    journal,
                    folder: self.root.display().to_string(),
                })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The records of the last operations: those that the snapshot has taken in with the last of
    /// them, and those that are not yet in a snapshot.
    pub fn records(&self, cipher: &Cipher) -> Result<Vec<Record>, StateError> {
        let path = self.journal();
        let (newer, mut records) = (
            read_journal(&path, cipher)?.records,
            read_journal(&journal::backup(&path), cipher)?.records,
        );
        // They may have been taken in between the two looks.
        let last_sequence = records.last().map_or(0, |last| last.sequence);
        records.extend(
            newer
                .into_iter()
                .filter(|record| record.sequence > last_sequence),
        );
        Ok(records)
    }

    pub(super) fn read_journal(&self, cipher: &Cipher) -> Result<journal::Decoded, StateError> {
        read_journal(&self.journal(), cipher)
    }
}

pub(super) fn read_journal(path: &Path, cipher: &Cipher) -> Result<journal::Decoded, StateError> {
    match file::read_within(path, file::MOST_BY_SKY) {
        Ok(bytes) => journal::decode(&bytes, &path.display().to_string(), cipher),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(journal::Decoded::default()),
        Err(error) => Err(error.into()),
    }
}

/// A state in which nothing was ever applied, of a lineage of its own.
pub(super) fn empty(place: &str) -> State {
    let seed = match simulation::random() {
        Some(random) => format!("simulated {random}"),
        None => format!("{} {} {place}", clock::timestamp(), std::process::id()),
    };
    State::empty(uuid_from(&hash::digest(seed.as_bytes())))
}
