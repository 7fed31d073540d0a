//! SHA-256 digests, written `sha256:…`.

use sha2::{Digest, Sha256};

/// The digest of some bytes, as `sha256:` and 64 hex digits.
pub fn digest(bytes: &[u8]) -> String {
    named(Sha256::digest(bytes).as_slice())
}

/// A digest that is fed piece by piece.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> String {
        named(self.0.finalize().as_slice())
    }
}

fn named(hash: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(7 + 64);
    text.push_str("sha256:");
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
