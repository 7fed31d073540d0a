//! What happens while sources are asked, and who is told.

use std::time::Duration;

/// What happens while sources are asked.
#[derive(Debug)]
pub enum ProgressNews<'a> {
    /// The number of bytes of a body that have come.
    Bytes {
        /// Bytes that are there.
        done: u64,
        /// Length of the whole body, if the server says it.
        total: Option<u64>,
    },
    /// Another page of a list has come.
    Page {
        /// Pages that are there.
        pages: u32,
    },
    /// A download goes on where it broke off.
    Resumed {
        /// Bytes that were there already.
        at: u64,
    },
    /// A list goes on after these pages.
    ResumedPages {
        /// Pages that were there already.
        pages: u32,
    },
    /// An attempt failed; the next one follows.
    Again {
        /// Why the attempt failed.
        why: &'a str,
        /// Pause before the next one.
        wait: Duration,
    },
    /// A source has been asked.
    Done,
}

/// Who is told what happens while sources are asked.
pub trait ProgressWatcher {
    /// Takes the news of a source, or of a part of one, which `unit` names.
    fn tell(&self, unit: &str, news: &ProgressNews<'_>);
}
