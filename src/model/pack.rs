//! An artifact as it lies in a bucket.

use crate::util::hash::{self, Digest};
use serde::{Deserialize, Serialize};

/// A file as it is, or a folder as an archive (tar), cut into chunks that are objects `KEY/00000`,
/// `KEY/00001` and so on: all of one size, but for the last, which may be smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// The beginning of the names of all chunks.
    pub key: String,
    /// Sum over all chunks.
    pub bytes: u64,
    /// The size of every chunk but the last, in bytes.
    pub chunk_bytes: u64,
    /// The digest of the digests of all chunks, a line each: equal digests mean equal bytes.
    pub digest: Digest,
}

impl Pack {
    /// How many objects it is. What is empty is one, too.
    pub fn chunks(&self) -> u64 {
        self.bytes.div_ceil(self.chunk_bytes.max(1)).max(1)
    }

    /// The names of its objects.
    pub fn objects(&self) -> Vec<String> {
        (0..self.chunks())
            .map(|number| object(&self.key, number))
            .collect()
    }
}

/// Whether a text is a key that packs have: the digits of a digest, and, of a folder, the token of
/// the attempt that packed it.
pub fn is_key(text: &str) -> bool {
    match text.split_once('-') {
        Some((digest, token)) => hash::is_hex(digest, 64) && hash::is_hex(token, 32),
        None => hash::is_hex(text, 64),
    }
}

/// Most chunks of a pack: their names have five digits.
pub const MOST_CHUNKS: u64 = 100_000;

/// The name of a chunk.
pub fn object(key: &str, number: u64) -> String {
    format!("{key}/{}", chunk(number))
}

/// The last part of the name of a chunk.
pub fn chunk(number: u64) -> String {
    format!("{number:05}")
}

/// The digest of a pack whose chunks have these.
pub fn digest<'a>(chunks: impl IntoIterator<Item = &'a Digest>) -> Digest {
    let mut hasher = hash::Hasher::default();
    for chunk in chunks {
        hasher.update(chunk.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks() {
        let (a, b) = (hash::digest(b"a"), hash::digest(b"b"));
        let pack = |bytes| Pack {
            key: "k".into(),
            bytes,
            chunk_bytes: 10,
            digest: a.clone(),
        };
        assert_eq!(
            [0, 1, 10, 11, 20].map(|bytes| pack(bytes).chunks()),
            [1, 1, 1, 2, 2]
        );
        assert_eq!(pack(11).objects(), ["k/00000", "k/00001"]);
        assert_ne!(digest([&a, &b]), digest([&b, &a]));
    }
}
