//! A stage's log on its way to whoever watches, cut into lines.

use std::collections::VecDeque;

/// Lines that are told with a failure.
const TAIL: usize = 10;
/// A line longer than this many bytes is told in pieces.
const LINE: usize = 8 * 1024;
/// How much of what an earlier sky has told is read again, for the tail.
const AGAIN: u64 = 64 * 1024;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Log {
    offset: u64,
    /// Up to here the lines are only kept, not told.
    quiet_until: u64,
    open: Vec<u8>,
    tail: VecDeque<String>,
}

impl Log {
    /// A log of which an earlier sky has told the first `length` bytes.
    pub fn resumed(length: u64) -> Self {
        Self { offset: length.saturating_sub(AGAIN), quiet_until: length, ..Self::default() }
    }

    /// From which byte on to read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes what was read; `tell` gets every line that is whole.
    pub fn take(&mut self, piece: &[u8], tell: &mut dyn FnMut(&str)) {
        for byte in piece {
            self.offset += 1;
            match byte {
                b'\n' => self.line(tell),
                byte => self.open.push(*byte),
            }
            if self.open.len() >= LINE {
                self.line(tell);
            }
        }
    }

    /// Tells a last line without an end.
    pub fn flush(&mut self, tell: &mut dyn FnMut(&str)) {
        if !self.open.is_empty() {
            self.line(tell);
        }
    }

    /// The last lines.
    pub fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }

    fn line(&mut self, tell: &mut dyn FnMut(&str)) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim_end_matches('\r').to_owned();
        if self.offset > self.quiet_until {
            tell(&line);
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_whatever_the_pieces() {
        let text = b"one\r\n\ntwo\nthree";
        for size in 1..text.len() {
            let (mut log, mut told) = (Log::default(), Vec::new());
            let mut tell = |line: &str| told.push(line.to_owned());
            text.chunks(size).for_each(|piece| log.take(piece, &mut tell));
            log.flush(&mut tell);
            assert_eq!(told, ["one", "", "two", "three"], "{size}");
        }
    }

    #[test]
    fn what_was_told_is_kept_for_the_tail_only() {
        let (mut log, mut told) = (Log::resumed(4), Vec::new());
        log.take(b"old\nnew\n", &mut |line| told.push(line.to_owned()));
        assert_eq!((told, log.into_tail()), (vec!["new".to_owned()], vec!["old".to_owned(), "new".to_owned()]));
    }
}
