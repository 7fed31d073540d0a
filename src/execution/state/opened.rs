//! A state that is open for change, wherever it is.

use super::cipher::Cipher;
use super::data::State;
use super::event::{Event, Record};
use super::folder::Folder;
use super::journal::{Durability, Journal};
use super::lock::Fence;
use super::objects::Objects;
use super::segments::{Segments, Ticket};
use std::io;
use std::sync::Arc;

/// A state, opened for change.
#[derive(Debug)]
pub struct Opened {
    /// The state, with all records of the journal.
    pub state: State,
    /// The place where records are written.
    pub journal: Log,
    /// Warnings about what was odd and was mended.
    pub warnings: Vec<String>,
    /// The serial of the snapshot that was there, if it was written anew on opening with nothing
    /// changed in it.
    pub rewritten: Option<u64>,
    pub(super) home: Home,
}

/// The place where the snapshot of a state is written.
#[derive(Debug)]
pub(super) enum Home {
    Folder(Folder, Cipher),
    Bucket(Objects),
}

/// The place where the records of a state are written.
#[derive(Debug)]
pub enum Log {
    /// A file of the state folder.
    File(Journal),
    /// Objects of a bucket.
    Segments(Segments),
}

impl Log {
    /// Appends one event. Of a file it is there when this returns, if it is to be; of a bucket once
    /// its [`ticket`](Self::ticket) is waited for, which can be done without keeping others from
    /// appending.
    pub fn append(&mut self, event: Event, durability: Durability) -> io::Result<Record> {
        match self {
            Log::File(journal) => journal.append(event, durability),
            Log::Segments(segments) => segments.append(event),
        }
    }

    /// Fails if the lock is no longer held by this process.
    pub(super) async fn check(&self) -> io::Result<()> {
        match self {
            Log::File(_) => Ok(()),
            Log::Segments(segments) => segments.check().await,
        }
    }

    /// The lock under which the records are written; none if it was not wanted.
    pub fn fence(&self) -> Option<Arc<dyn Fence>> {
        match self {
            Log::File(journal) => journal.fence(),
            Log::Segments(segments) => segments.fence(),
        }
    }

    /// Returns a ticket that is done when all records that were appended so far are durable.
    pub fn ticket(&self, durability: Durability) -> Ticket {
        match self {
            Log::Segments(segments) if durability == Durability::Now => segments.ticket(),
            _ => Ticket::default(),
        }
    }

    /// Returns the bytes of all records; 0: the snapshot has everything.
    pub fn length(&self) -> u64 {
        match self {
            Log::File(journal) => journal.length(),
            Log::Segments(segments) => segments.length(),
        }
    }
}

impl Opened {
    /// Folds the journal into a new snapshot and empties it. A crash in between is harmless: the
    /// snapshot knows which records it holds.
    pub async fn compact(&mut self) -> io::Result<()> {
        match (&mut self.home, &mut self.journal) {
            (Home::Folder(folder, cipher), Log::File(journal)) => {
                folder.fold(&mut self.state, journal, cipher)
            }
            (Home::Bucket(objects), Log::Segments(segments)) => {
                segments.check().await?;
                objects.write(&mut self.state).await?;
                segments.clear().await
            }
            _ => Err(io::Error::other(
                "a state's journal is not where its snapshot is",
            )),
        }
    }

    /// Folds the journal into a new snapshot if there is anything in it: at the end of an
    /// operation, also of one that has failed, so that the next one finds nothing unfinished.
    pub async fn settle(&mut self) -> io::Result<()> {
        if self.journal.length() > 0 {
            self.compact().await
        } else {
            Ok(())
        }
    }

    /// Keeps the snapshot as it is under the name of its serial; returns the place of that copy.
    pub async fn keep(&self) -> io::Result<String> {
        match &self.home {
            Home::Folder(folder, cipher) => folder.keep(self.state.serial, cipher),
            Home::Bucket(objects) => objects.keep(self.state.serial).await,
        }
    }
}
