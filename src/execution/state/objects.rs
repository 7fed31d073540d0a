//! A state in a bucket: reading its objects, and writing a new snapshot.
//!
//! ```text
//! PREFIX/sky.state.json           snapshot, changed only if it is still the one that was read
//! PREFIX/sky.state.json.backup    the snapshot before it
//! PREFIX/sky.state.json.N.backup  of serial N, before `sky state mv`, `rm` or `push`
//! PREFIX/journal/SEQUENCE         what happened since the snapshot, created and never changed
//! PREFIX/lock                     who is at work
//! ```
//!
//! Why not a journal in the working folder and snapshots in the bucket: the machine that runs the
//! apply may be lost with its disk, and then a machine that was created, and not yet in a snapshot,
//! would be known to nobody. Why not a snapshot for each event: it grows with the job, and one
//! event would cost as much as the whole.

use super::bucket::{Bucket, Found, Put, When};
use super::check;
use super::cipher::Cipher;
use super::data::State;
use super::folder::SNAPSHOT;
use super::journal::{Decoded, decode};
use super::lock::LockLost;
use super::segments::JOURNAL;
use super::snapshot::{self, StateError};
use object_store::UpdateVersion;
use std::io;

/// Where the snapshot is written.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) bucket: Bucket,
    pub(super) cipher: Cipher,
    pub(super) version: UpdateVersion,
    /// The snapshot's bytes.
    pub(super) bytes: Vec<u8>,
}

/// The records of all segments that the snapshot does not have.
pub(super) struct Tail {
    pub decoded: Decoded,
    /// The names of all segments, also of those that the snapshot has.
    pub names: Vec<String>,
    pub length: u64,
}

/// Whether anything was ever applied there.
pub(super) async fn exists(bucket: &Bucket) -> io::Result<bool> {
    Ok(bucket.get(SNAPSHOT).await?.is_some() || !bucket.list(JOURNAL).await?.is_empty())
}

/// Reads the state, without a lock and without changing anything; none if nothing was ever applied
/// there.
pub(super) async fn read(bucket: &Bucket, cipher: &Cipher) -> Result<Option<State>, StateError> {
    Ok(load(bucket, cipher).await?.map(|loaded| loaded.state))
}

/// A state in a bucket as it was at one time: the snapshot's object, the state with all records,
/// and these records.
pub(super) struct Loaded {
    pub found: Found,
    pub state: State,
    pub tail: Tail,
}

pub(super) async fn load(bucket: &Bucket, cipher: &Cipher) -> Result<Option<Loaded>, StateError> {
    // An apply in progress may compact in between; then it is read again.
    for _ in 0..8 {
        let Some(found) = bucket.get(SNAPSHOT).await? else {
            return if bucket.list(JOURNAL).await?.is_empty() {
                Ok(None)
            } else {
                Err(missing(bucket))
            };
        };
        let mut loaded_state = snapshot::decode(&found.bytes, &bucket.url(SNAPSHOT), cipher)?;
        let tail = read_tail(bucket, loaded_state.journal_sequence, cipher).await?;
        let is_same = bucket
            .get(SNAPSHOT)
            .await?
            .is_some_and(|now| now.bytes == found.bytes);
        if let (Some(tail), true) = (tail, is_same) {
            tail.decoded
                .records
                .iter()
                .for_each(|record| loaded_state.take(record));
            let path = bucket.url(JOURNAL);
            check::check_buckets(&loaded_state)
                .map_err(|reason| StateError::Unbelievable { path, reason })?;
            return Ok(Some(Loaded {
                found,
                state: loaded_state,
                tail,
            }));
        }
    }
    let (path, reason) = (
        bucket.url(JOURNAL),
        "records before it are missing".to_owned(),
    );
    Err(StateError::Journal {
        path,
        line: 1,
        reason,
    })
}

/// The state that restoring `.backup` would give; none if the backup is not a state.
pub(super) async fn read_backup(bucket: &Bucket, cipher: &Cipher) -> Option<State> {
    let name = backup();
    snapshot::decode(
        &bucket.get(&name).await.ok()??.bytes,
        &bucket.url(&name),
        cipher,
    )
    .ok()
}

/// The former snapshot's name.
pub(super) fn backup() -> String {
    format!("{SNAPSHOT}.backup")
}

/// Reads what comes after record `after`; none if something between is missing or goes away
/// meanwhile.
async fn read_tail(
    bucket: &Bucket,
    after_record: u64,
    cipher: &Cipher,
) -> Result<Option<Tail>, StateError> {
    let listed_segments = bucket.list(JOURNAL).await?;
    // What begins in the snapshot is of a writer that had lost the lock before it was written.
    let newer_names = listed_segments
        .iter()
        .filter(|name| name.parse::<u64>().is_ok_and(|first| first > after_record));
    let newer_paths: Vec<String> = newer_names
        .map(|name| format!("{JOURNAL}/{name}"))
        .collect();
    let mut segment_lines = Vec::new();
    for segment in bucket.get_all(&newer_paths).await? {
        let Some(segment) = segment else {
            return Ok(None);
        };
        segment_lines.extend(segment);
    }
    let url = bucket.url(JOURNAL);
    let decoded = decode(&segment_lines, &url, cipher)?;
    if decoded.whole != segment_lines.len() {
        let (line, reason) = (
            decoded.records.len() + 1,
            "it is torn, which no object can be".to_owned(),
        );
        return Err(StateError::Journal {
            path: url,
            line,
            reason,
        });
    }
    if decoded
        .records
        .first()
        .is_some_and(|first| first.sequence != after_record + 1)
    {
        return Ok(None);
    }
    let names = listed_segments
        .into_iter()
        .map(|name| format!("{JOURNAL}/{name}"))
        .collect();
    Ok(Some(Tail {
        decoded,
        names,
        length: segment_lines.len() as u64,
    }))
}

pub(super) fn missing(bucket: &Bucket) -> StateError {
    let (path, journal) = (bucket.url(SNAPSHOT), bucket.url(JOURNAL));
    StateError::Missing {
        path,
        journal,
        folder: bucket.url(""),
    }
}

impl Objects {
    /// Writes the state as the new snapshot, one serial on, unless another has done so since.
    pub(super) async fn write(&mut self, state: &mut State) -> io::Result<()> {
        let bytes = snapshot::encode(state, &self.cipher)?;
        let former_snapshot = snapshot::keep(self.bytes.clone(), &self.cipher)?;
        self.bucket
            .put(&backup(), former_snapshot, When::Always)
            .await?;
        let put_result = self
            .bucket
            .put(SNAPSHOT, bytes.clone(), When::Still(self.version.clone()))
            .await?;
        self.version = match put_result {
            Put::Done(version) => version,
            // It may be ours, and its answer was lost.
            Put::Refused => match self.bucket.get(SNAPSHOT).await? {
                Some(found) if found.bytes == bytes => found.version,
                _ => return Err(LockLost { holder: None }.into_io()),
            },
        };
        self.bytes = bytes;
        Ok(())
    }

    /// Keeps the snapshot as it is under the name of its serial; returns where.
    pub(super) async fn keep(&self, serial: u64) -> io::Result<String> {
        let name = format!("{SNAPSHOT}.{serial}.backup");
        self.bucket
            .put(
                &name,
                snapshot::keep(self.bytes.clone(), &self.cipher)?,
                When::Always,
            )
            .await?;
        Ok(self.bucket.url(&name))
    }
}
