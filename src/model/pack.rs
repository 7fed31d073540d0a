//! An artifact as it lies in a bucket.

use crate::util::hash;
use serde::{Deserialize, Serialize};

/// A file as it is, or a folder as an archive (tar), cut into chunks that are objects `KEY/00000`, `KEY/00001` and
/// so on: all of one size, but for the last, which may be smaller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    pub key: String,
    /// Sum over all chunks.
    pub bytes: u64,
    pub chunk_bytes: u64,
    /// `sha256:…` of the digests of all chunks, a line each: two packs with the same are the same bytes.
    pub digest: String,
}

impl Pack {
    /// How many objects it is. What is empty is one, too.
    pub fn chunks(&self) -> u64 {
        self.bytes.div_ceil(self.chunk_bytes.max(1)).max(1)
    }

    /// The names of its objects.
    pub fn objects(&self) -> Vec<String> {
        (0..self.chunks()).map(|number| object(&self.key, number)).collect()
    }
}

/// The name of a chunk.
pub fn object(key: &str, number: u64) -> String {
    format!("{key}/{}", chunk(number))
}

/// The last part of the name of a chunk.
pub fn chunk(number: u64) -> String {
    format!("{number:05}")
}

/// The digest of a pack whose chunks have these, each `sha256:…`.
pub fn digest<'a>(chunks: impl IntoIterator<Item = &'a str>) -> String {
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
        let pack = |bytes| Pack { key: "k".into(), bytes, chunk_bytes: 10, digest: String::new() };
        assert_eq!([0, 1, 10, 11, 20].map(|bytes| pack(bytes).chunks()), [1, 1, 1, 2, 2]);
        assert_eq!(pack(11).objects(), ["k/00000", "k/00001"]);
        assert_ne!(digest(["sha256:a", "sha256:b"]), digest(["sha256:b", "sha256:a"]));
    }
}
