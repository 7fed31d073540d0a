//! Opening a state in a folder for change.

use super::cipher::Cipher;
use super::folder::{Folder, empty, read_journal};
use super::journal::{self, Journal};
use super::lock::Lock;
use super::opened::{Home, Log, Opened};
use super::snapshot::{self, StateError};
use crate::util::file;
use std::io;

impl Folder {
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
        let former_lock = lock.and_then(|lock| lock.former.clone());
        if former_lock.as_ref().is_some_and(|former| former.may_live) {
            // The former holder may still have the file open, and must not write over what is
            // written now.
            self.renew_journal()?;
        }
        warnings.extend(former_lock.map(|former| former.words));
        let (mut state, sealed) = self.read_snapshot(cipher)?;
        let decoded = self.read_journal(cipher)?;
        let path = self.journal();
        let length = match std::fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(file::named(&path, "read", error).into()),
        };
        let torn = length.saturating_sub(decoded.whole as u64);
        if torn > 0 {
            let name = path.display();
            warnings.push(format!(
                "the last record of {name} was torn by a crash; its {torn} bytes were cut off"
            ));
        }
        if decoded
            .records
            .first()
            .is_some_and(|first| first.sequence > state.journal_sequence + 1)
        {
            let path = path.display().to_string();
            return Err(StateError::Journal {
                path,
                line: 1,
                reason: "records before it are missing".to_owned(),
            });
        }
        let name = self.snapshot.display().to_string();
        let in_form = snapshot::in_form(sealed, &name, cipher)?
            && (!decoded.plain || snapshot::in_form(false, &name, cipher)?)
            && (!decoded.sealed || snapshot::in_form(true, &name, cipher)?);
        let for_others = snapshot::for_others(sealed, &state, cipher);
        decoded.records.iter().for_each(|record| state.take(record));
        self.check_buckets(&state)?;
        let fence = lock.map(Lock::fence);
        let mut journal = Journal::open(&path, decoded.whole, state.journal_sequence)?
            .under(cipher.clone(), fence);
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
        Ok(Opened {
            state,
            journal: Log::File(journal),
            warnings,
            rewritten,
            home,
        })
    }

    /// Seals the records of the last operations, which are kept for people, for those that all is
    /// sealed for now.
    fn seal_kept_records(&self, cipher: &Cipher) -> io::Result<()> {
        let path = journal::backup(&self.journal());
        let Ok(kept) = read_journal(&path, cipher) else {
            return Ok(());
        };
        if kept.records.is_empty() {
            return Ok(());
        }
        let record_lines = kept
            .records
            .iter()
            .map(|record| journal::encode(record, cipher));
        let all_lines = record_lines.collect::<io::Result<String>>()?;
        file::write_atomic(&path, all_lines.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::state::journal::Durability;
    use crate::execution::state::{Event, Status};
    use std::path::Path;

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
                let record = opened.journal.append(event, Durability::Now).unwrap();
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
        crate::execution::state::wait(opened.compact()).unwrap();
        assert_eq!(std::fs::metadata(folder.journal()).unwrap().len(), 0);
        let compacted = folder.read().unwrap().unwrap();
        assert_eq!(
            (compacted.serial, &compacted.lineage),
            (read.serial + 1, &read.lineage)
        );
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
            let done = done
                .filter(|line| {
                    line.ends_with(b"\n") && line.windows(7).any(|part| part == b"\"done\",")
                })
                .count();
            let held = opened
                .state
                .stages
                .values()
                .filter(|stage| stage.status == Status::Done)
                .count();
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
        let words = [
            "is empty",
            "not a state",
            "no `version`",
            "version 99",
            "missing field",
            "is missing, but",
        ];
        for (said, word) in said.iter().zip(words) {
            assert!(
                said.contains(word) && said.contains("sky.state.json"),
                "{said}"
            );
        }
    }
}
