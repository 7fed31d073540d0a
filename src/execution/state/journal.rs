//! The write-ahead journal: append-only lines, each `CHECKSUM JSON`, where the checksum is the
//! first eight hex digits of the SHA-256 of the JSON. With keys, the JSON is sealed:
//! `CHECKSUM age:BASE64`, and the checksum is of that.
//!
//! A crash can only tear the last line, which then has no newline and is cut off: what it announced
//! was never done, since a record is synced before its call. Any other damage is an error.

use super::check;
use super::cipher::Cipher;
use super::event::{Event, Record};
use super::lock::Fence;
use super::snapshot::StateError;
use crate::util::{clock, crash, file, file_changes, hash, simulation};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How the payload of a sealed record begins.
const SEALED: &str = "age:";

/// The records that were decoded from a journal's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The records, in order.
    pub records: Vec<Record>,
    /// The length of the whole records; what follows is a torn tail.
    pub whole: usize,
    /// Whether any record is sealed, and whether any is plain.
    pub sealed: bool,
    /// Whether any record is in plain text.
    pub plain: bool,
}

/// An open journal. Appending costs the same however long it is.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    sequence: u64,
    length: u64,
    cipher: Cipher,
    fence: Option<Arc<dyn Fence>>,
}

/// When a record that is appended must be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The record is on disk before the next step, as before and after a provider call.
    Now,
    /// The record is a mark on the way, which the next synced record carries along.
    Later,
}

/// The line of one record.
pub fn encode(record: &Record, cipher: &Cipher) -> io::Result<String> {
    let mut payload = serde_json::to_string(record)?;
    if cipher.seals() {
        let sealed = cipher.seal(payload.as_bytes()).map_err(io::Error::other)?;
        payload = format!("{SEALED}{}", BASE64.encode(sealed));
    }
    Ok(format!("{} {payload}\n", checksum_of(payload.as_bytes())))
}

/// Reads all records; `name` is the file's, for errors.
pub fn decode(bytes: &[u8], name: &str, cipher: &Cipher) -> Result<Decoded, StateError> {
    let mut decoded = Decoded::default();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let damaged_line = |reason: &str| {
            let (path, line, reason) = (name.to_owned(), index + 1, reason.to_owned());
            StateError::Journal { path, line, reason }
        };
        let payload = payload_of(line).ok_or_else(|| damaged_line("its checksum does not fit"))?;
        let sealed = payload.strip_prefix(SEALED.as_bytes());
        let opened_payload = match sealed.map(|sealed| BASE64.decode(sealed)) {
            None => payload.to_vec(),
            Some(Ok(sealed)) => {
                let path = format!("{name}, line {}", index + 1);
                cipher
                    .open(&sealed)
                    .map_err(|reason| StateError::Sealed { path, reason })?
            }
            Some(Err(_)) => return Err(damaged_line("it is not base64")),
        };
        let record: Record = serde_json::from_slice(&opened_payload)
            .map_err(|error| damaged_line(&format!("this sky cannot read the record: {error}")))?;
        check::check_journal_record(&record).map_err(|error| damaged_line(&error.to_string()))?;
        let expected = decoded.records.last().map(|former| former.sequence + 1);
        if expected.is_some_and(|expected| expected != record.sequence) {
            return Err(damaged_line("records before it are missing"));
        }
        decoded.whole += line.len();
        decoded.sealed |= sealed.is_some();
        decoded.plain |= sealed.is_none();
        decoded.records.push(record);
    }
    Ok(decoded)
}

/// Returns the part of a line behind the checksum, if the checksum fits.
fn payload_of(line: &[u8]) -> Option<&[u8]> {
    let without_newline = line.strip_suffix(b"\n")?;
    let (sum, payload) = without_newline.split_at_checked(9)?;
    let (sum, space) = sum.split_at(8);
    (space == b" " && sum == checksum_of(payload).as_bytes()).then_some(payload)
}

fn checksum_of(payload: &[u8]) -> String {
    hash::digest(payload)
        .chars()
        .skip("sha256:".len())
        .take(8)
        .collect()
}

/// Where the records that the last snapshot has taken in are kept.
pub fn backup(path: &Path) -> PathBuf {
    path.with_extension("backup")
}

/// Keeps the file under another name, too, in place of what has that name.
fn keep_backup(path: &Path) -> io::Result<()> {
    let new = path.with_extension("backup.new");
    let _ = file_changes::remove_file(&new);
    // Some network file systems have no second names.
    file_changes::hard_link(path, &new).or_else(|_| file_changes::copy(path, &new).map(drop))?;
    file_changes::rename(&new, backup(path))
}

impl Journal {
    /// Opens the journal for appending after its first `whole` bytes; a torn tail is cut off.
    /// `sequence` is that of the last record known.
    pub fn open(path: &Path, whole_length: usize, sequence: u64) -> io::Result<Self> {
        let fail = |verb: &str, error| file::named(path, verb, error);
        let mut journal = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| fail("open", error))?;
        let length = whole_length as u64;
        journal
            .set_len(length)
            .map_err(|error| fail("cut", error))?;
        journal
            .seek(SeekFrom::Start(length))
            .map_err(|error| fail("read", error))?;
        journal.sync_all().map_err(|error| fail("sync", error))?;
        simulation::note_synced(path, length);
        let (cipher, fence) = (Cipher::default(), None);
        Ok(Self {
            file: journal,
            path: path.to_owned(),
            sequence,
            length,
            cipher,
            fence,
        })
    }

    /// Returns the journal with a cipher that seals its records, and under a lock.
    pub fn under(mut self, cipher: Cipher, fence: Option<Arc<dyn Fence>>) -> Self {
        self.cipher = cipher;
        self.fence = fence;
        self
    }

    pub(super) fn fence(&self) -> Option<Arc<dyn Fence>> {
        self.fence.clone()
    }

    /// An error if the lock is no longer ours.
    pub fn check(&self) -> io::Result<()> {
        self.fence
            .as_ref()
            .map_or(Ok(()), |fence| fence.check_now())
    }

    /// Appends one event. When this fails, nothing of it is left in the file.
    pub fn append(&mut self, event: Event, durability: Durability) -> io::Result<Record> {
        let record = Record {
            sequence: self.sequence + 1,
            at: clock::timestamp(),
            event,
        };
        let record_line = encode(&record, &self.cipher)?;
        crash::point("journal before");
        let written = self.file.write_all(record_line.as_bytes()).and_then(|()| {
            crash::point("journal written");
            match durability {
                // What a simulated disk would lose is decided by its test.
                Durability::Now if simulation::is_on() => {
                    simulation::note_synced(&self.path, self.length + record_line.len() as u64);
                    Ok(())
                }
                Durability::Now => self.file.sync_data(),
                Durability::Later => Ok(()),
            }
        });
        crash::point("journal after");
        if let Err(error) = written {
            // A full disk may have taken half a line: the next record must not follow it.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(file::named(&self.path, "append to", error));
        }
        // Only afterwards is it sure that whoever may have taken the lock over has seen the record.
        self.check()?;
        self.length += record_line.len() as u64;
        self.sequence = record.sequence;
        Ok(record)
    }

    /// Bytes of all records; 0: the snapshot says it all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Empties the journal, whole or not at all, once a snapshot holds its records. They are kept
    /// beside it, for people.
    pub fn clear(&mut self) -> io::Result<()> {
        if self.length > 0 {
            // What cannot be kept, on a full disk, is not a reason to stop: the snapshot has all
            // that matters.
            let _ = keep_backup(&self.path);
        }
        file::write_atomic(&self.path, b"")?;
        let (cipher, fence) = (self.cipher.clone(), self.fence.clone());
        *self = Self::open(&self.path.clone(), 0, self.sequence)?.under(cipher, fence);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Decoded, StateError> {
        decode(bytes, "journal", &Cipher::default())
    }

    fn sample() -> Vec<u8> {
        let mut text = String::new();
        for sequence in 1..=6 {
            let event = Event::Exited {
                stage: format!("s{sequence}"),
                code: 0,
            };
            text += &encode(
                &Record {
                    sequence,
                    at: "2026-01-01T00:00:00Z".into(),
                    event,
                },
                &Cipher::default(),
            )
            .unwrap();
        }
        text.into_bytes()
    }

    #[test]
    fn every_truncation_keeps_the_whole_records() {
        let bytes = sample();
        for length in 0..=bytes.len() {
            let decoded = read(&bytes[..length]).unwrap();
            let lines = bytes[..length]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            assert_eq!(decoded.records.len(), lines, "at {length}");
        }
    }

    #[test]
    fn a_flipped_byte_is_never_believed() {
        let bytes = sample();
        let whole = read(&bytes).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x21;
            match read(&damaged) {
                // Without its newline, the last line counts as torn.
                Ok(decoded) => assert!(
                    at + 1 == bytes.len() && decoded.records == whole.records[..5],
                    "at {at}"
                ),
                Err(error) => assert!(error.to_string().starts_with("journal, line "), "{error}"),
            }
        }
    }

    #[test]
    fn a_torn_tail_is_cut_off_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = sample();
        bytes.truncate(bytes.len() - 3);
        std::fs::write(&path, &bytes).unwrap();
        let decoded = read(&bytes).unwrap();
        let mut journal = Journal::open(&path, decoded.whole, 5).unwrap();
        journal.append(Event::Emptied, Durability::Now).unwrap();
        let decoded = read(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(decoded.records.len(), 6);
        assert_eq!(decoded.records[5].event, Event::Emptied);
        journal.clear().unwrap();
        journal.append(Event::Emptied, Durability::Later).unwrap();
        assert_eq!(
            read(&std::fs::read(&path).unwrap()).unwrap().records[0].sequence,
            7
        );
    }

    #[test]
    fn sealed_records_are_read_with_the_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (recipient, identity) =
            crate::execution::state::cipher::tests::pair(folder.path(), "key");
        let cipher = Cipher::load(Some(&recipient), Some(&identity), folder.path()).unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path, 0, 0)
            .unwrap()
            .under(cipher.clone(), None);
        for stage in ["train", "serve"] {
            journal
                .append(
                    Event::Exited {
                        stage: stage.into(),
                        code: 0,
                    },
                    Durability::Now,
                )
                .unwrap();
        }
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8(bytes.clone()).unwrap().contains("train"));
        let decoded = decode(&bytes, "journal", &cipher).unwrap();
        assert!(decoded.records.len() == 2 && decoded.sealed && !decoded.plain);
        let said = read(&bytes).unwrap_err().to_string();
        assert!(
            said.starts_with("cannot read journal, line 1: it is encrypted"),
            "{said}"
        );
    }
}
