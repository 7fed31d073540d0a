//! The write-ahead journal: append-only lines, each `CHECKSUM JSON`, where the checksum is the
//! first eight hex digits of the SHA-256 of the JSON.
//!
//! A crash can only tear the last line, which then has no newline and is cut off: what it announced
//! was never done, since a record is synced before its call. Any other damage is an error.

use super::event::{Event, Record};
use super::folder::StateError;
use crate::util::{clock, crash, file, hash};
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// What a journal's bytes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    pub records: Vec<Record>,
    /// The length of the whole records; what follows is a torn tail.
    pub whole: usize,
}

/// An open journal. Appending costs the same however long it is.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    sequence: u64,
    length: u64,
}

/// Whether a record must be on disk before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before and after a provider call.
    Now,
    /// A mark on the way, which the next synced record carries along.
    Later,
}

/// The line of one record.
pub fn encode(record: &Record) -> io::Result<String> {
    let payload = serde_json::to_string(record)?;
    Ok(format!("{} {payload}\n", checksum(payload.as_bytes())))
}

/// Reads all records; `name` is the file's, for errors.
pub fn decode(bytes: &[u8], name: &Path) -> Result<Decoded, StateError> {
    let mut decoded = Decoded::default();
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") {
            break;
        }
        let Some(record) = decode_line(line) else {
            let (path, line) = (name.display().to_string(), index + 1);
            return Err(StateError::Journal { path, line, reason: "its checksum does not fit".to_owned() });
        };
        let expected = decoded.records.last().map(|former| former.sequence + 1);
        if expected.is_some_and(|expected| expected != record.sequence) {
            let (path, line) = (name.display().to_string(), index + 1);
            return Err(StateError::Journal { path, line, reason: "records before it are missing".to_owned() });
        }
        decoded.whole += line.len();
        decoded.records.push(record);
    }
    Ok(decoded)
}

fn decode_line(line: &[u8]) -> Option<Record> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, payload) = line.split_at_checked(9)?;
    let (sum, space) = sum.split_at(8);
    if space != b" " || sum != checksum(payload).as_bytes() {
        return None;
    }
    serde_json::from_slice(payload).ok()
}

fn checksum(payload: &[u8]) -> String {
    hash::digest(payload).chars().skip("sha256:".len()).take(8).collect()
}

impl Journal {
    /// Opens the journal for appending after its first `whole` bytes; a torn tail is cut off.
    /// `sequence` is that of the last record known.
    pub fn open(path: &Path, whole: usize, sequence: u64) -> io::Result<Self> {
        let fail = |verb: &str, error| file::named(path, verb, error);
        let mut journal = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|error| fail("open", error))?;
        let length = whole as u64;
        journal.set_len(length).map_err(|error| fail("cut", error))?;
        journal.seek(SeekFrom::Start(length)).map_err(|error| fail("read", error))?;
        journal.sync_all().map_err(|error| fail("sync", error))?;
        Ok(Self { file: journal, path: path.to_owned(), sequence, length })
    }

    /// Appends one event. When this fails, nothing of it is left in the file.
    pub fn append(&mut self, event: Event, sync: Sync) -> io::Result<Record> {
        let record = Record { sequence: self.sequence + 1, at: clock::timestamp(), event };
        let line = encode(&record)?;
        crash::point("journal before");
        let written = self.file.write_all(line.as_bytes()).and_then(|()| {
            crash::point("journal written");
            match sync {
                Sync::Now => self.file.sync_data(),
                Sync::Later => Ok(()),
            }
        });
        crash::point("journal after");
        if let Err(error) = written {
            // A full disk may have taken half a line: the next record must not follow it.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(file::named(&self.path, "append to", error));
        }
        self.length += line.len() as u64;
        self.sequence = record.sequence;
        Ok(record)
    }

    /// Bytes of all records; 0: the snapshot says it all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Empties the journal, whole or not at all, once a snapshot holds its records.
    pub fn clear(&mut self) -> io::Result<()> {
        file::write_atomic(&self.path, b"")?;
        let sequence = self.sequence;
        *self = Self::open(&self.path.clone(), 0, sequence)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut text = String::new();
        for sequence in 1..=6 {
            let event = Event::Exited { stage: format!("s{sequence}"), code: 0 };
            text += &encode(&Record { sequence, at: "2026-01-01T00:00:00Z".into(), event }).unwrap();
        }
        text.into_bytes()
    }

    #[test]
    fn every_truncation_keeps_the_whole_records() {
        let bytes = sample();
        let name = Path::new("journal");
        for length in 0..=bytes.len() {
            let decoded = decode(&bytes[..length], name).unwrap();
            let lines = bytes[..length].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(decoded.records.len(), lines, "at {length}");
        }
    }

    #[test]
    fn a_flipped_byte_is_never_believed() {
        let bytes = sample();
        let whole = decode(&bytes, Path::new("journal")).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x21;
            match decode(&damaged, Path::new("journal")) {
                // Without its newline, the last line counts as torn.
                Ok(decoded) => assert!(at + 1 == bytes.len() && decoded.records == whole.records[..5], "at {at}"),
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
        let decoded = decode(&bytes, &path).unwrap();
        let mut journal = Journal::open(&path, decoded.whole, 5).unwrap();
        journal.append(Event::Emptied, Sync::Now).unwrap();
        let decoded = decode(&std::fs::read(&path).unwrap(), &path).unwrap();
        assert_eq!(decoded.records.len(), 6);
        assert_eq!(decoded.records[5].event, Event::Emptied);
        journal.clear().unwrap();
        journal.append(Event::Emptied, Sync::Later).unwrap();
        assert_eq!(decode(&std::fs::read(&path).unwrap(), &path).unwrap().records[0].sequence, 7);
    }
}
