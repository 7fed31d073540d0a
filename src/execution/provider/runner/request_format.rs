//! Requests to the agent and its answers, as bytes; `agent.sh` has the form.

use super::super::{ErrorKind, ProviderError};
use std::io;

/// The largest piece of content that is sent at once; the agent's are no larger.
pub(super) const PIECE: usize = 1 << 20;

/// What an answer consists of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// The number of bytes of content that follow.
    Piece(usize),
    Done,
    Failed(ProviderError),
}

/// A request as it is sent.
pub(super) fn request(name: &str, arguments: &[&str]) -> Vec<u8> {
    let mut bytes = format!("{name} {}\n", arguments.len()).into_bytes();
    for argument in arguments {
        bytes.extend(format!("{}\n{argument}\n", argument.matches('\n').count() + 1).into_bytes());
    }
    bytes
}

/// Reads a line of an answer, which ends without its line feed.
pub(super) fn line(text: &[u8]) -> io::Result<Line> {
    let text = String::from_utf8_lossy(text);
    let strange = || {
        io::Error::other(format!(
            "the host's answer makes no sense: {}",
            text.escape_debug()
        ))
    };
    let Some(first) = text.chars().next() else {
        return Err(strange());
    };
    let text_after = &text[first.len_utf8()..];
    match first {
        '+' => Ok(Line::Text(text_after.to_owned())),
        '@' => text_after
            .parse()
            .ok()
            .filter(|size| *size <= PIECE)
            .map(Line::Piece)
            .ok_or_else(strange),
        '.' if text_after.is_empty() => Ok(Line::Done),
        '!' => {
            let (kind, message) = text_after.split_once(' ').ok_or_else(strange)?;
            let kind = match kind {
                "Stockout" => ErrorKind::Stockout,
                "Quota" => ErrorKind::Quota,
                "Denied" => ErrorKind::Denied,
                "Throttled" => ErrorKind::Throttled,
                "NotFound" => ErrorKind::NotFound,
                "Unreachable" => ErrorKind::Unreachable,
                "Output" => ErrorKind::Output,
                _ => ErrorKind::Other,
            };
            Ok(Line::Failed(ProviderError::new(kind, message)))
        }
        _ => Err(strange()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_counted_in_lines() {
        assert_eq!(request("list", &[]), b"list 0\n");
        assert_eq!(
            request("start", &["a\n\nb", "", "$(x)\n"]),
            b"start 3\n3\na\n\nb\n1\n\n2\n$(x)\n\n"
        );
    }

    #[test]
    fn answers() {
        assert_eq!(line(b"+a b").unwrap(), Line::Text("a b".into()));
        assert_eq!(line(b"@12").unwrap(), Line::Piece(12));
        assert_eq!(line(b".").unwrap(), Line::Done);
        let gone = ProviderError::new(ErrorKind::NotFound, "it is gone");
        assert_eq!(line(b"!NotFound it is gone").unwrap(), Line::Failed(gone));
        for strange in ["", "hello", "@x", "@99999999", "..", "!"] {
            assert!(line(strange.as_bytes()).is_err(), "{strange}");
        }
    }
}
