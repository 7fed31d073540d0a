//! A stage's log on its way to whoever watches, cut into lines, without the values of secrets.

use crate::util::secret::Redactor;
use std::collections::VecDeque;

/// Lines that are told with a failure.
const TAIL: usize = 10;
/// A line longer than this many bytes is told in pieces.
const LINE: usize = 8 * 1024;
/// How much of what an earlier sky has told is read again, for the tail.
const AGAIN: u64 = 64 * 1024;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Log {
    offset: u64,
    /// Up to here the lines are only kept, not told.
    quiet_until: u64,
    open: Vec<u8>,
    tail: VecDeque<String>,
    redactor: Redactor,
    /// What is open began before the first byte that was read: it may begin in the middle of a
    /// secret.
    torn: bool,
}

impl Log {
    /// A log that was not read yet, of a command that knows these secrets.
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            ..Self::default()
        }
    }

    /// A log of which an earlier sky has told the first `length` bytes.
    pub(super) fn resumed(length: u64, redactor: Redactor) -> Self {
        let offset = length.saturating_sub(AGAIN);
        Self {
            offset,
            quiet_until: length,
            torn: offset > 0,
            ..Self::new(redactor)
        }
    }

    /// From which byte on to read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes what was read; `tell` gets every line that is whole.
    pub(super) fn take(&mut self, piece: &[u8], tell: &mut dyn FnMut(&str)) {
        // What was told before and what is new are taken apart, so that `offset` tells one from the
        // other.
        let quiet = self.quiet_until.saturating_sub(self.offset);
        let (quiet, new) = piece
            .split_at(usize::try_from(quiet).map_or(piece.len(), |quiet| quiet.min(piece.len())));
        self.take_lines(quiet, tell);
        self.take_lines(new, tell);
    }

    fn take_lines(&mut self, piece: &[u8], tell: &mut dyn FnMut(&str)) {
        let longest_secret = self.redactor.longest();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.offset += part.len() as u64;
            let plain_line = part.strip_suffix(b"\n");
            self.open.extend_from_slice(plain_line.unwrap_or(part));
            self.cut(longest_secret, tell);
            if plain_line.is_some() {
                self.line(self.open.len(), tell);
            }
        }
    }

    /// Tells a last line without an end.
    pub(super) fn flush(&mut self, tell: &mut dyn FnMut(&str)) {
        self.cut(0, tell);
        if !self.open.is_empty() {
            self.line(self.open.len(), tell);
        }
    }

    /// Tells the beginning of a line that is too long once so many bytes `after` it are there, so
    /// that a value that lies across the cut is seen.
    fn cut(&mut self, cut_after: usize, tell: &mut dyn FnMut(&str)) {
        while self.open.len() > LINE + cut_after {
            let mut cut_at = self.redactor.cut(&self.open, LINE).min(self.open.len());
            // No letter is cut in two.
            while cut_at < self.open.len() && cut_at < LINE + 4 && self.open[cut_at] & 0xc0 == 0x80
            {
                cut_at += 1;
            }
            self.line(cut_at, tell);
        }
    }

    /// The last lines.
    pub(super) fn into_tail(self) -> Vec<String> {
        self.tail.into()
    }

    /// Tells the first bytes of what is open.
    fn line(&mut self, length: usize, tell: &mut dyn FnMut(&str)) {
        let bytes_after = self.open.split_off(length);
        let bytes = self
            .redactor
            .redact_bytes(&std::mem::replace(&mut self.open, bytes_after));
        let line_text = String::from_utf8_lossy(&bytes)
            .trim_end_matches('\r')
            .to_owned();
        if std::mem::take(&mut self.torn) {
            return;
        }
        if self.offset > self.quiet_until {
            tell(&line_text);
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line_text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::secret::{HIDDEN, Secret};

    #[test]
    fn lines_whatever_the_pieces() {
        let text = b"one\r\n\ntwo\nthree";
        for size in 1..text.len() {
            let (mut log, mut told) = (Log::default(), Vec::new());
            let mut tell = |line: &str| told.push(line.to_owned());
            text.chunks(size)
                .for_each(|piece| log.take(piece, &mut tell));
            log.flush(&mut tell);
            assert_eq!(told, ["one", "", "two", "three"], "{size}");
        }
    }

    #[test]
    fn a_secret_that_lies_across_the_cut_of_a_long_line_is_hidden() {
        let secret = Secret::new("hunter2hunter2");
        for before in LINE - 16..LINE + 3 {
            let (mut log, mut told) = (Log::new(Redactor::new([&secret])), Vec::new());
            let mut tell = |line: &str| told.push(line.to_owned());
            let line = format!(
                "{}{}{}",
                "\u{e4}".repeat(before / 2),
                "x".repeat(before % 2),
                secret.reveal()
            );
            for end in ["", "tail", &"y".repeat(2 * LINE)] {
                log.take(format!("{line}{end}\n").as_bytes(), &mut tell);
            }
            log.take(line.as_bytes(), &mut tell);
            log.flush(&mut tell);
            let said = told.concat();
            assert_eq!(said.matches(HIDDEN).count(), 4, "{before}");
            assert!(
                !said.contains("hunter") && !said.contains('\u{fffd}'),
                "{before}"
            );
            assert!(told.iter().all(|line| line.len() < LINE + 64));
        }
    }

    #[test]
    fn what_was_told_is_kept_for_the_tail_only() {
        let (mut log, mut told) = (Log::resumed(4, Redactor::default()), Vec::new());
        log.take(b"old\nnew\n", &mut |line| told.push(line.to_owned()));
        assert_eq!(
            (told, log.into_tail()),
            (
                vec!["new".to_owned()],
                vec!["old".to_owned(), "new".to_owned()]
            )
        );
    }

    #[test]
    fn a_line_of_megabytes_is_told_in_pieces_and_once() {
        let line = "y".repeat(40 * LINE);
        for known in [0, LINE, 3 * LINE + 5] {
            let (mut log, mut told) = (Log::default(), 0);
            log.quiet_until = known as u64;
            log.take(line.as_bytes(), &mut |piece| told += piece.len());
            log.flush(&mut |piece| told += piece.len());
            // What began before the end of what is known is told with the piece that it is in.
            assert!(
                told >= line.len() - known && told <= line.len() - known + LINE,
                "{known}: {told}"
            );
        }
    }
}
