//! SHA-256 digests, written `sha256:…`.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// How every digest begins.
const PREFIX: &str = "sha256:";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// A SHA-256 digest: `sha256:` and 64 lowercase hexadecimal digits, and nothing else.
///
/// Digests that workers, states, journals, plans and buckets name become names of files; a text
/// that is read as this type holds no path, whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// The text that is not a digest, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a digest: a digest is `sha256:` and 64 hexadecimal digits in lower case", shortened_text(.0))]
pub struct NotADigest(String);

/// Hostile texts can be long and can hold control characters.
fn shortened_text(text: &str) -> String {
    const SHOWN: usize = 80;
    let more_mark = if text.chars().nth(SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    format!(
        "{}{more_mark}",
        text.chars().take(SHOWN).collect::<String>().escape_debug()
    )
}

impl Digest {
    /// The 64 hexadecimal digits alone.
    pub fn hex(&self) -> &str {
        &self.0[PREFIX.len()..]
    }

    /// The digest with these 64 hexadecimal digits, as `sha256sum` prints them.
    pub fn from_hex(hex: &str) -> Result<Self, NotADigest> {
        format!("{PREFIX}{hex}").parse()
    }
}

impl FromStr for Digest {
    type Err = NotADigest;
    fn from_str(text: &str) -> Result<Self, NotADigest> {
        match text.strip_prefix(PREFIX) {
            Some(hex) if is_hex(hex, DIGITS) => Ok(Self(text.to_owned())),
            _ => Err(NotADigest(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;
    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl Deref for Digest {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl PartialEq<str> for Digest {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

/// Whether a text is so many hexadecimal digits in lower case.
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> Digest {
    digest_of_hash(Sha256::digest(bytes).as_slice())
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
    pub fn finish(self) -> Digest {
        digest_of_hash(self.0.finalize().as_slice())
    }
}

fn digest_of_hash(hash: &[u8]) -> Digest {
    use std::fmt::Write;
    let mut text = String::with_capacity(PREFIX.len() + DIGITS);
    text.push_str(PREFIX);
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Digest(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_hexadecimal_digits_make_a_digest() {
        let good = digest(b"x");
        assert_eq!(good.parse::<Digest>(), Ok(good.clone()));
        assert_eq!(Digest::from_hex(good.hex()), Ok(good.clone()));
        assert_eq!(serde_json::to_string(&good).unwrap(), format!("\"{good}\""));
        let hex = good.hex();
        for bad in [
            "",
            "sha256:",
            hex,
            "sha256:xx/abs/path",
            "sha256:../../../../etc/passwd",
            &format!("sha256:{}", hex.to_uppercase()),
            &format!("sha256:{hex}0"),
            &format!("sha256:{}", &hex[1..]),
            &format!("sha512:{hex}"),
            &format!(" sha256:{hex}"),
            &format!("sha256:{}/{}", &hex[..2], &hex[3..]),
            &format!("sha256:{}é", &hex[2..]),
        ] {
            let said = bad.parse::<Digest>().unwrap_err().to_string();
            assert!(said.contains("64 hexadecimal digits"), "{said}");
            assert!(
                serde_json::from_value::<Digest>(serde_json::json!(bad)).is_err(),
                "{bad}"
            );
        }
        let said = "\u{1b}]0;x"
            .repeat(1000)
            .parse::<Digest>()
            .unwrap_err()
            .to_string();
        assert!(said.len() < 1000 && !said.contains('\u{1b}'), "{said}");
    }
}
