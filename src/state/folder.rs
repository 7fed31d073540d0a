//! The state folder: where its files are, reading them, and writing a new snapshot.

use super::check;
use super::cipher::{Cipher, is_sealed};
use super::data::State;
use super::event::Record;
use super::holder::uuid_from;
use super::journal::{self, Journal};
use super::lock::Lock;
use super::opened::{Home, Log, Opened};
use super::snapshot::{self, StateError};
use crate::util::{clock, file, hash, simulation};
use std::io;
use std::path::{Path, PathBuf};

/// The default name of the folder.
pub const FOLDER: &str = ".sky";
/// The name of the snapshot.
pub const SNAPSHOT: &str = "sky.state.json";

/// Paths of a state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// `.sky`, or what was given.
    pub root: PathBuf,
    /// The snapshot.
    pub snapshot: PathBuf,
}

impl Folder {
    /// `.sky` and `sky.state.json` side by side in `here`; or, when a folder is given, all in it.
    pub fn resolve(here: &Path, given: Option<&Path>) -> Self {
        match given {
            Some(root) => {
                let root = here.join(root);
                Self { snapshot: root.join(SNAPSHOT), root }
            }
            None => Self { root: here.join(FOLDER), snapshot: here.join(SNAPSHOT) },
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

    /// Creates the folder itself. Everything in it can be made again or is in the snapshot, so
    /// it asks git to leave it alone. Others cannot look into it: it holds data, logs and keys. A folder that was named
    /// with `--state-dir` and was there before keeps the rights that it has.
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

    /// Reads a state that is plain, without a lock and without changing anything; none if nothing was ever
    /// applied here.
    pub fn read(&self) -> Result<Option<State>, StateError> {
        self.read_with(&Cipher::default())
    }

    /// The same with keys.
    pub fn read_with(&self, cipher: &Cipher) -> Result<Option<State>, StateError> {
        if !self.exists() {
            return Ok(None);
        }
        // An apply in progress may compact between the two reads: then the journal's records
        // start after the snapshot's, and reading again gives both of one time.
        for _ in 0..8 {
            let (mut state, _) = self.read_snapshot(cipher)?;
            let decoded = self.read_journal(cipher)?;
            let gap = decoded.records.first().is_some_and(|first| first.sequence > state.journal_sequence + 1);
            if !gap {
                decoded.records.iter().for_each(|record| state.take(record));
                self.check_buckets(&state)?;
                return Ok(Some(state));
            }
        }
        let path = self.journal().display().to_string();
        Err(StateError::Journal { path, line: 1, reason: "records before it are missing".to_owned() })
    }

    /// Opens a state that is plain for change.
    pub fn open(&self) -> Result<Opened, StateError> {
        self.open_with(&Cipher::default(), None)
    }

    /// Opens the state for change, under the lock. The first time, an empty one is written.
    pub fn open_with(&self, cipher: &Cipher, lock: Option<&Lock>) -> Result<Opened, StateError> {
        self.create()?;
        let mut warnings = Vec::new();
        if !self.exists() {
            self.write(&mut empty(&self.root.display().to_string()), cipher)?;
        }
        let former = lock.and_then(|lock| lock.former.clone());
        if former.as_ref().is_some_and(|former| former.may_live) {
            // The former holder may still have the file open, and must not write over what is written now.
            self.renew_journal()?;
        }
        warnings.extend(former.map(|former| former.words));
        let (mut state, sealed) = self.read_snapshot(cipher)?;
        let decoded = self.read_journal(cipher)?;
        let path = self.journal();
        let length = std::fs::metadata(&path).map(|metadata| metadata.len()).unwrap_or(0);
        let torn = length.saturating_sub(decoded.whole as u64);
        if torn > 0 {
            let name = path.display();
            warnings.push(format!("the last record of {name} was torn by a crash; its {torn} bytes were cut off"));
        }
        if decoded.records.first().is_some_and(|first| first.sequence > state.journal_sequence + 1) {
            let path = path.display().to_string();
            return Err(StateError::Journal { path, line: 1, reason: "records before it are missing".to_owned() });
        }
        let name = self.snapshot.display().to_string();
        let in_form = snapshot::in_form(sealed, &name, cipher)?
            && (!decoded.plain || snapshot::in_form(false, &name, cipher)?)
            && (!decoded.sealed || snapshot::in_form(true, &name, cipher)?);
        let for_others = snapshot::for_others(sealed, &state, cipher);
        decoded.records.iter().for_each(|record| state.take(record));
        self.check_buckets(&state)?;
        let fence = lock.map(Lock::fence);
        let mut journal = Journal::open(&path, decoded.whole, state.journal_sequence)?.under(cipher.clone(), fence);
        let mut rewritten = None;
        if !in_form || for_others {
            rewritten = Some(state.serial);
            self.fold(&mut state, &mut journal, cipher)?;
        }
        if for_others {
            self.seal_kept_records(cipher)?;
            warnings.push(snapshot::SEALED_ANEW.to_owned());
        }
        let home = Home::Folder(self.clone(), cipher.clone());
        Ok(Opened { state, journal: Log::File(journal), warnings, rewritten, home })
    }

    /// Folds the journal into a new snapshot and empties it.
    pub(super) fn fold(&self, state: &mut State, journal: &mut Journal, cipher: &Cipher) -> io::Result<()> {
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
        let bytes = std::fs::read(&self.snapshot).map_err(|error| file::named(&self.snapshot, "read", error))?;
        file::write_atomic(&path, &snapshot::keep(bytes, cipher)?)?;
        Ok(path.display().to_string())
    }

    /// Seals the records of the last operations, which are kept for people, for those that all is sealed for now.
    fn seal_kept_records(&self, cipher: &Cipher) -> io::Result<()> {
        let path = journal::backup(&self.journal());
        let Ok(kept) = read_journal(&path, cipher) else { return Ok(()) };
        if kept.records.is_empty() {
            return Ok(());
        }
        let lines = kept.records.iter().map(|record| journal::encode(record, cipher));
        let lines = lines.collect::<io::Result<String>>()?;
        file::write_atomic(&path, lines.as_bytes())
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
    /// none if the backup is no state.
    pub fn read_backup(&self, cipher: &Cipher) -> Option<(State, bool)> {
        let (mut state, _) = Self { snapshot: self.backup(), ..self.clone() }.read_snapshot(cipher).ok()?;
        let records = self.read_journal(cipher).ok()?.records;
        let fits = records.first().is_none_or(|first| first.sequence <= state.journal_sequence + 1);
        records.iter().filter(|_| fits).for_each(|record| state.take(record));
        Some((state, fits))
    }

    /// Of buckets, a record alone does not say whose they are.
    fn check_buckets(&self, state: &State) -> Result<(), StateError> {
        let path = self.journal().display().to_string();
        check::buckets(state).map_err(|reason| StateError::Unbelievable { path, reason })
    }

    /// The snapshot, and whether it is sealed.
    fn read_snapshot(&self, cipher: &Cipher) -> Result<(State, bool), StateError> {
        let path = self.snapshot.display().to_string();
        match file::read_within(&self.snapshot, file::MOST_BY_SKY) {
            Ok(bytes) => Ok((snapshot::decode(&bytes, &path, cipher)?, is_sealed(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let journal = self.journal().display().to_string();
                Err(StateError::Missing { path, journal, folder: self.root.display().to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The records of the last operations: those that the snapshot has taken in with the last of them, and those that are
    /// not yet in a snapshot.
    pub fn records(&self, cipher: &Cipher) -> Result<Vec<Record>, StateError> {
        let path = self.journal();
        let (newer, mut records) =
            (read_journal(&path, cipher)?.records, read_journal(&journal::backup(&path), cipher)?.records);
        // They may have been taken in between the two looks.
        let last = records.last().map_or(0, |last| last.sequence);
        records.extend(newer.into_iter().filter(|record| record.sequence > last));
        Ok(records)
    }

    fn read_journal(&self, cipher: &Cipher) -> Result<journal::Decoded, StateError> {
        read_journal(&self.journal(), cipher)
    }
}

fn read_journal(path: &Path, cipher: &Cipher) -> Result<journal::Decoded, StateError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::journal::Sync;
    use crate::state::{Event, Status};

    fn finished(folder: &Folder, stages: &[&str]) {
        let mut opened = folder.open().unwrap();
        for stage in stages {
            let events = [
                Event::Attempt {
                    stage: (*stage).into(),
                    attempt: 1,
                    token: "0".repeat(32),
                    provider: "local".into(),
                    place: crate::model::PlaceName::here(),
                    definition: "d".into(),
                    fingerprint: "f".into(),
                    rented: None,
                    failures: 0,
                },
                Event::Done {
                    stage: (*stage).into(),
                    outputs: Default::default(),
                    storage_micro_usd: Default::default(),
                },
            ];
            for event in events {
                let record = opened.journal.append(event, Sync::Now).unwrap();
                opened.state.take(&record);
            }
        }
    }

    #[test]
    fn state_is_snapshot_plus_journal() {
        let here = tempfile::tempdir().unwrap();
        let folder = Folder::resolve(here.path(), None);
        assert!(folder.read().unwrap().is_none());
        finished(&folder, &["a", "b"]);
        let read = folder.read().unwrap().unwrap();
        assert_eq!(read.stages["b"].status, Status::Done);
        let mut opened = folder.open().unwrap();
        assert_eq!(opened.state, read);
        crate::state::wait(opened.compact()).unwrap();
        assert_eq!(std::fs::metadata(folder.journal()).unwrap().len(), 0);
        let compacted = folder.read().unwrap().unwrap();
        assert_eq!((compacted.serial, &compacted.lineage), (read.serial + 1, &read.lineage));
        assert_eq!(compacted.stages, read.stages);
        assert!(folder.backup().exists());
    }

    #[test]
    fn a_crash_between_snapshot_and_clearing_changes_nothing() {
        let here = tempfile::tempdir().unwrap();
        let folder = Folder::resolve(here.path(), None);
        finished(&folder, &["a"]);
        let mut opened = folder.open().unwrap();
        folder.write(&mut opened.state, &Cipher::default()).unwrap();
        assert_eq!(folder.read().unwrap().unwrap(), opened.state);
    }

    #[test]
    fn no_truncation_of_the_journal_loses_a_finished_stage() {
        let here = tempfile::tempdir().unwrap();
        let folder = Folder::resolve(here.path(), None);
        finished(&folder, &["a", "b", "c"]);
        let bytes = std::fs::read(folder.journal()).unwrap();
        for length in (0..=bytes.len()).rev() {
            std::fs::write(folder.journal(), &bytes[..length]).unwrap();
            let opened = folder.open().unwrap();
            let done = bytes[..length].split_inclusive(|byte| *byte == b'\n');
            let done =
                done.filter(|line| line.ends_with(b"\n") && line.windows(7).any(|part| part == b"\"done\",")).count();
            let held = opened.state.stages.values().filter(|stage| stage.status == Status::Done).count();
            assert_eq!(held, done, "at {length}");
            let torn = length > 0 && bytes[length - 1] != b'\n';
            assert_eq!(opened.warnings.len(), usize::from(torn), "at {length}");
        }
    }

    #[test]
    fn a_bad_snapshot_is_never_a_fresh_start() {
        let here = tempfile::tempdir().unwrap();
        let folder = Folder::resolve(here.path(), Some(Path::new("data")));
        finished(&folder, &["a"]);
        let mut said = Vec::new();
        for text in ["", "{", "{}", "{\"version\": 99}", "{\"version\": 1}"] {
            std::fs::write(&folder.snapshot, text).unwrap();
            said.push(folder.open().unwrap_err().to_string());
        }
        std::fs::remove_file(&folder.snapshot).unwrap();
        said.push(folder.open().unwrap_err().to_string());
        let words = ["is empty", "not a state", "no `version`", "version 99", "missing field", "is missing, but"];
        for (said, word) in said.iter().zip(words) {
            assert!(said.contains(word) && said.contains("sky.state.json"), "{said}");
        }
    }
}
