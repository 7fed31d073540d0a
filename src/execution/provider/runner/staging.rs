//! What a machine that is reached by SSH does with buckets: requests of `staging.sh` and their
//! answers.

use super::super::{Delivery, ErrorKind, Fetch, Moved, Parcel, ProviderError, Source};
use super::link::Link;
use super::request_format::PIECE;
use super::session::{Answer, Streams};
use crate::util::hash::{self, Digest, NotADigest};
use crate::util::tree::{self, Kind, Listed, Measured};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// What the agent says to be heard.
const BEAT: &str = "beat";
/// A block of an archive, in bytes; names that are longer than this less 412 take more of them.
const BLOCK: u64 = 512;
/// What an archive has before an entry for the exact time of it.
const TIME: u64 = 2 * BLOCK;
/// Archives end with up to so many bytes.
const END: u64 = 20 * BLOCK;

/// What one output is; none if it is not there.
pub(super) async fn measure(
    link: &Link,
    token: &str,
    output: &str,
) -> Result<Option<Parcel>, ProviderError> {
    let mut measure_answer = link
        .ask("measure", &[token, output], Streams::default())
        .await?;
    measure_answer.lines.retain(|line| line != BEAT);
    let wrong_answer = |why: &str| {
        ProviderError::new(
            ErrorKind::Output,
            format!("output `{output}` on host {}: {why}", link.reach.name),
        )
    };
    let measured_words = measure_answer
        .lines
        .first()
        .map(String::as_str)
        .unwrap_or_default();
    match measured_words
        .split_once(' ')
        .unwrap_or((measured_words, ""))
    {
        ("missing", _) => Ok(None),
        ("folder", _) => match parse_listing(&measure_answer.content) {
            Ok((entries, packed)) => {
                let measured_tree = tree::measure_listed(&entries)
                    .map_err(|error| wrong_answer(&error.to_string()))?;
                Ok(Some(Parcel {
                    measured: measured_tree,
                    packed,
                }))
            }
            Err(error) => Err(wrong_answer(&error.to_string())),
        },
        (what @ ("file" | "program"), rest) => {
            let (bytes, digest) = rest
                .split_once(' ')
                .ok_or_else(|| wrong_answer("its answer makes no sense"))?;
            let bytes = bytes
                .parse()
                .map_err(|_| wrong_answer("its answer makes no sense"))?;
            let kind = if what == "program" {
                Kind::Executable
            } else {
                Kind::File
            };
            let digest =
                Digest::from_hex(digest).map_err(|error| wrong_answer(&error.to_string()))?;
            let measured_output = Measured {
                digest,
                bytes,
                kind,
            };
            Ok(Some(Parcel {
                measured: measured_output,
                packed: bytes,
            }))
        }
        _ => Err(wrong_answer("its answer makes no sense")),
    }
}

/// Why the listing of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
enum ListingError {
    #[error("its answer makes no sense")]
    Nonsense,
    #[error(
        "{} is a pipe, a socket or a device: only files, directories and links are data",
        .0.display()
    )]
    NoData(PathBuf),
    #[error("{} came up while it was read", .0.display())]
    CameUp(PathBuf),
    #[error("{} went away while it was read", .0.display())]
    WentAway(PathBuf),
    #[error("{0}")]
    Digest(NotADigest),
}

/// The entries of a folder, and the most that an archive of it takes.
fn parse_listing(bytes: &[u8]) -> Result<(BTreeMap<PathBuf, Listed>, u64), ListingError> {
    let cut_off = || ListingError::Nonsense;
    let mut entries = BTreeMap::new();
    let mut unread = BTreeSet::new();
    let mut packed = BLOCK + TIME + END;
    let mut fields_left = bytes.split(|byte| *byte == 0);
    loop {
        let entry_name = fields_left.next().ok_or_else(cut_off)?;
        if entry_name.is_empty() {
            break;
        }
        let target = fields_left.next().ok_or_else(cut_off)?;
        let mut fields = entry_name.splitn(4, |byte| *byte == b' ');
        let mut field = || fields.next().ok_or_else(cut_off);
        let (kind, mode, size, name) = (field()?, text_of(field()?)?, text_of(field()?)?, field()?);
        let (mode, bytes) = (
            u32::from_str_radix(mode, 8).map_err(|_| cut_off())?,
            size.parse().map_err(|_| cut_off())?,
        );
        let long_name_size = |name: &[u8]| {
            if name.len() > 90 {
                BLOCK * 2 + name.len() as u64 + BLOCK
            } else {
                0
            }
        };
        packed += BLOCK + TIME + long_name_size(name) + long_name_size(target);
        let listed_kind = match text_of(kind)? {
            "d" => Listed::Folder,
            "l" => Listed::Link(path_of(target)),
            "f" => {
                packed += u64::div_ceil(bytes, BLOCK) * BLOCK;
                unread.insert(path_of(name));
                Listed::File {
                    executable: mode & 0o111 != 0,
                    digest: hash::digest(b""),
                    bytes,
                }
            }
            _ => return Err(ListingError::NoData(path_of(name))),
        };
        entries.insert(path_of(name), listed_kind);
    }
    for line in fields_left.filter(|line| !line.is_empty()) {
        let (sum, name) = line.split_at_checked(64).ok_or_else(cut_off)?;
        let name = name.strip_prefix(b"  ").ok_or_else(cut_off)?;
        let name = path_of(name.strip_prefix(b"./").unwrap_or(name));
        match entries.get_mut(&name) {
            Some(Listed::File { digest, .. }) => {
                *digest = Digest::from_hex(text_of(sum)?).map_err(ListingError::Digest)?;
            }
            _ => return Err(ListingError::CameUp(name)),
        }
        unread.remove(&name);
    }
    match unread.first() {
        Some(name) => Err(ListingError::WentAway(name.clone())),
        None => Ok((entries, packed)),
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, ListingError> {
    std::str::from_utf8(bytes).map_err(|_| ListingError::Nonsense)
}

/// A name of any bytes.
fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// Sends an output or what was fetched.
pub(super) async fn deliver(
    link: &Link,
    token: &str,
    source: Source<'_>,
    delivery: &Delivery,
) -> Result<Moved, ProviderError> {
    let file_number;
    let (what, name) = match source {
        Source::Output(name) => ("output", name),
        Source::Input(input) => {
            file_number = input.to_string();
            ("input", file_number.as_str())
        }
    };
    let mut chunk_list = String::new();
    for (address, there) in &delivery.chunks {
        let size_there = there.map_or("-".to_owned(), |there| there.to_string());
        chunk_list += &format!("{size_there} {}\n", address.reveal());
    }
    let chunk = delivery.chunk_bytes.to_string();
    let arguments = [token, what, name, &chunk, delivery.header];
    let deliver_answer = link
        .ask("deliver", &arguments, content_of(&chunk_list))
        .await?;
    let mut moved_bytes = Moved::default();
    for line in deliver_answer.lines.iter().filter(|line| *line != BEAT) {
        let mut fields = line.split(' ');
        let chunk_size = add_moved(&mut moved_bytes, fields.next(), fields.next())
            .ok_or_else(|| strange_answer(link, line))?;
        moved_bytes.moved += if fields.next() == Some("sent") {
            chunk_size
        } else {
            0
        };
    }
    Ok(moved_bytes)
}

/// Fetches an input.
pub(super) async fn fetch(link: &Link, token: &str, fetch: &Fetch) -> Result<Moved, ProviderError> {
    let chunk_list: String = fetch
        .chunks
        .iter()
        .map(|address| format!("{}\n", address.reveal()))
        .collect();
    let (number, chunk) = (fetch.input.to_string(), fetch.chunk_bytes.to_string());
    let arguments = [token, &number, &fetch.mark, &chunk];
    let Answer { lines, .. } = link
        .ask("fetch", &arguments, content_of(&chunk_list))
        .await?;
    let mut answer_lines = lines.iter().filter(|line| *line != BEAT);
    let had = answer_lines.next().map(String::as_str).unwrap_or_default();
    let had: usize = had.parse().map_err(|_| strange_answer(link, had))?;
    let mut moved_bytes = Moved::default();
    for (number, line) in answer_lines.enumerate() {
        let mut fields = line.split(' ');
        let chunk_size = add_moved(&mut moved_bytes, fields.next(), fields.next())
            .ok_or_else(|| strange_answer(link, line))?;
        moved_bytes.moved += if number >= had { chunk_size } else { 0 };
    }
    Ok(moved_bytes)
}

fn add_moved(moved: &mut Moved, size: Option<&str>, sum: Option<&str>) -> Option<u64> {
    let added_size: u64 = size?.parse().ok()?;
    moved.digests.push(Digest::from_hex(sum?).ok()?);
    moved.bytes += added_size;
    Some(added_size)
}

fn strange_answer(link: &Link, said_words: &str) -> ProviderError {
    let message = format!(
        "host {}: its answer makes no sense: {}",
        link.reach.name,
        said_words.escape_debug()
    );
    ProviderError::new(ErrorKind::Other, message)
}

/// A text as content that follows a request.
fn content_of(text: &str) -> Streams {
    let pieces: Vec<&[u8]> = text.as_bytes().chunks(PIECE).collect();
    let (to, content) = mpsc::channel(pieces.len().max(1));
    for piece in pieces {
        // There is room for all.
        let _ = to.try_send(Ok(piece.to_vec()));
    }
    Streams {
        content: Some(content),
        into: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listings() {
        let sum = "0".repeat(64);
        let text = format!(
            "d 755 4096 a\0\0f 644 3 a/x y\n\0\0l 777 3 link\0a/x y\n\0f 755 600 a-b\0\0\0{sum}  ./a/x y\n\0{sum}  ./a-b\0"
        );
        let (entries, packed) = parse_listing(text.as_bytes()).unwrap();
        assert_eq!(entries.len(), 4);
        assert!(matches!(
            &entries[&PathBuf::from("a-b")],
            Listed::File {
                executable: true,
                bytes: 600,
                ..
            }
        ));
        assert_eq!(packed, BLOCK + END + 4 * BLOCK + 3 * BLOCK + 5 * TIME);
        let odd = [b"f 644 0 caf\xe9\0\0\0", sum.as_bytes(), b"  ./caf\xe9\0"].concat();
        assert!(
            parse_listing(&odd)
                .unwrap()
                .0
                .contains_key(&path_of(b"caf\xe9"))
        );
        // In the order of a walk: a folder, what is in it, then what only sorts before its slash.
        let names: Vec<String> = entries
            .keys()
            .map(|name| name.display().to_string())
            .collect();
        assert_eq!(names, ["a", "a/x y\n", "a-b", "link"]);
        assert!(
            parse_listing(b"p 644 0 pipe\0\0\0")
                .unwrap_err()
                .to_string()
                .starts_with("pipe is a pipe")
        );
        assert!(
            parse_listing(b"f 644 3 x\0\0\0")
                .unwrap_err()
                .to_string()
                .contains("went away")
        );
        let forged = format!("f 644 3 x\0\0\0{:/<64}  x\0", "xx/etc/passwd");
        let refusal = parse_listing(forged.as_bytes()).unwrap_err().to_string();
        assert!(refusal.contains("digest"), "{refusal}");
        assert!(parse_listing(b"").unwrap().0.is_empty());
    }
}
