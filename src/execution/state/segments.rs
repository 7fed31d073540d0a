//! The write-ahead journal of a state in a bucket: objects that are created and never changed, each
//! with the lines ([`journal`](super::journal)) of the records that came together.
//!
//! A record is in the bucket before the provider call that it announces, so a machine that takes
//! over knows of every call that may have been made. Its name is the sequence of its first record,
//! and it is created only if there is none of that name: of two writers, one learns that he is not
//! alone. Those who append while a segment is on its way wait and go into the next one together, so
//! ten stages at a time wait for as many answers as one. Writing costs the same however long the
//! journal is.
//!
//! After each segment the lock is looked at ([`Fence`]); a writer that has lost it stops. If the
//! name was taken by one that had lost the lock to us (and so has stopped, without doing what it
//! announced), ours takes its place.

use super::bucket::{Bucket, Put, When, detached};
use super::cipher::Cipher;
use super::event::{Event, Record};
use super::journal::encode;
use super::lock::{Fence, LockLost};
use crate::util::{clock, crash};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The folder of the segments.
pub(super) const JOURNAL: &str = "journal";

/// The name of the segment that begins with a record.
pub(super) fn name(first_sequence: u64) -> String {
    format!("{JOURNAL}/{first_sequence:020}")
}

/// The journal, open for appending.
#[derive(Debug)]
pub struct Segments {
    shared: Arc<Shared>,
    cipher: Cipher,
}

/// A wait for what was appended; one that is over, by default.
#[derive(Debug, Default)]
#[must_use = "a record is not written before its ticket is waited for"]
pub struct Ticket(Option<(Arc<Shared>, u64)>);

#[derive(Debug)]
struct Shared {
    bucket: Bucket,
    fence: Option<Arc<dyn Fence>>,
    queue: Mutex<Queue>,
    /// Told whenever a segment has come to its end.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    /// Lines that are in no segment yet, and the sequence of the first.
    lines: String,
    first: u64,
    /// The last record that was appended, and the last one that is in the bucket.
    last: u64,
    written: u64,
    /// A segment is on its way.
    busy: bool,
    /// Why nothing can be written any more.
    broken: Option<Broken>,
    /// All segments that are there.
    segments: Vec<String>,
    length: u64,
}

#[derive(Clone, Debug)]
enum Broken {
    Lost(LockLost),
    Failed(io::ErrorKind, String),
}

impl Broken {
    fn error(&self) -> io::Error {
        match self {
            Broken::Lost(lost) => lost.clone().into_io(),
            Broken::Failed(kind, message) => io::Error::new(*kind, message.clone()),
        }
    }
}

impl Segments {
    /// Goes on after `sequence`. `segments`: the names of those that are there; `length`: the bytes
    /// of records in them that no snapshot has.
    pub fn open(
        bucket: Bucket,
        cipher: Cipher,
        fence: Option<Arc<dyn Fence>>,
        (sequence, segments, length): (u64, Vec<String>, u64),
    ) -> Self {
        let queue = Queue {
            last: sequence,
            written: sequence,
            segments,
            length,
            ..Queue::default()
        };
        let shared_log = Shared {
            bucket,
            fence,
            queue: Mutex::new(queue),
            moved: Notify::new(),
        };
        Self {
            shared: Arc::new(shared_log),
            cipher,
        }
    }

    /// Appends one event, to be written with the next segment.
    pub fn append(&mut self, event: Event) -> io::Result<Record> {
        let mut queue = self.shared.lock();
        if let Some(broken) = &queue.broken {
            return Err(broken.error());
        }
        let record = Record {
            sequence: queue.last + 1,
            at: clock::timestamp(),
            event,
        };
        let record_line = encode(&record, &self.cipher)?;
        if queue.lines.is_empty() {
            queue.first = record.sequence;
        }
        queue.lines.push_str(&record_line);
        queue.length += record_line.len() as u64;
        queue.last = record.sequence;
        Ok(record)
    }

    /// For all that was appended so far.
    pub fn ticket(&self) -> Ticket {
        let last_ticket = self.shared.lock().last;
        Ticket(Some((self.shared.clone(), last_ticket)))
    }

    /// Bytes of records that no snapshot has.
    pub fn length(&self) -> u64 {
        self.shared.lock().length
    }

    /// An error if the lock is no longer ours.
    pub async fn check(&self) -> io::Result<()> {
        self.shared.check().await
    }

    pub(super) fn fence(&self) -> Option<Arc<dyn Fence>> {
        self.shared.fence.clone()
    }

    /// Deletes all segments, once a snapshot holds their records and those that are in none yet.
    pub async fn clear(&mut self) -> io::Result<()> {
        let segments = {
            let mut queue = self.shared.lock();
            queue.lines.clear();
            queue.written = queue.last;
            queue.length = 0;
            std::mem::take(&mut queue.segments)
        };
        self.shared.bucket.delete_all(&segments).await
    }
}

impl Ticket {
    /// Waits until it is in the bucket.
    pub async fn wait(self) -> io::Result<()> {
        match self.0 {
            Some((shared, sequence)) => shared.written_up_to(sequence).await,
            None => Ok(()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn check(&self) -> io::Result<()> {
        match &self.fence {
            Some(fence) => fence.check().await,
            None => Ok(()),
        }
    }

    /// Whoever finds nobody at it has a segment written for all. That goes on when nobody waits for
    /// it any more.
    async fn written_up_to(self: &Arc<Self>, sequence: u64) -> io::Result<()> {
        loop {
            // Before the look, so that no end between the two is missed.
            let next_move = self.moved.notified();
            {
                let mut queue = self.lock();
                if queue.written >= sequence {
                    return Ok(());
                }
                if let Some(broken) = &queue.broken {
                    return Err(broken.error());
                }
                if !queue.busy {
                    queue.busy = true;
                    let segment = (
                        std::mem::take(&mut queue.lines),
                        name(queue.first),
                        queue.last,
                    );
                    detached(self.clone().write_segment(segment))?;
                }
            }
            next_move.await;
        }
    }

    async fn write_segment(self: Arc<Self>, (lines, name, last): (String, String, u64)) {
        let written = self.write(&name, lines.into_bytes()).await;
        {
            let mut queue = self.lock();
            queue.busy = false;
            match written {
                Ok(()) => {
                    queue.written = last;
                    queue.segments.push(name);
                }
                Err(error) => {
                    queue.broken = Some(match LockLost::of(&error) {
                        Some(lost) => Broken::Lost(lost.clone()),
                        None => Broken::Failed(error.kind(), error.to_string()),
                    });
                }
            }
        }
        self.moved.notify_waiters();
    }

    async fn write(&self, name: &str, lines: Vec<u8>) -> io::Result<()> {
        crash::point("journal before");
        if let Put::Refused = self.bucket.put(name, lines.clone(), When::New).await?
            && self
                .bucket
                .get(name)
                .await?
                .is_none_or(|found| found.bytes != lines)
        {
            // Another's. Without a lock, nobody knows whose.
            if self.fence.is_none() {
                return Err(LockLost { holder: None }.into_io());
            }
            self.check().await?;
            self.bucket.put(name, lines, When::Always).await?;
        }
        crash::point("journal written");
        // Only afterwards is it sure that whoever may have taken the lock over has seen the
        // records.
        self.check().await?;
        crash::point("journal after");
        Ok(())
    }
}
