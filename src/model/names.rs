//! Names of places, always qualified by their cloud: `aws:eu-west-2` is London,
//! `outscale:eu-west-2` is Paris.

use crate::util::hash;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name of a stage, a dataset, an artifact, a label or a job, in bytes.
pub const LONGEST_NAME: usize = 128;

/// Whether a text can be the name of a stage, a dataset, an artifact or a job: letters, digits, `_`
/// and `-`, and no `-` first. Names become names of files and of folders.
pub fn is_name(text: &str) -> bool {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && !text.starts_with('-')
        && text.bytes().all(plain_byte)
}

/// Whether a text can be the name of a stage in a plan or a state: a name, of a replica followed by
/// its number as in `train[3]`.
pub fn is_stage_name(text: &str) -> bool {
    let is_index = |text: &str| {
        !text.is_empty() && text.len() <= 10 && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    match text
        .strip_suffix(']')
        .and_then(|text| text.rsplit_once('['))
    {
        Some((base, replica)) => is_name(base) && is_index(replica),
        None => is_name(text),
    }
}

/// Whether a text that was read can be one part of a path and nothing more: it does not lead out of
/// the folder in which it names something, nor is it hidden there.
pub fn is_path_part(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && !text.starts_with('.')
        && !text.contains(|c: char| c == '/' || c.is_control())
}

/// Whether a text that was read can name what a stage wrote, `stage.artifact`, each a part of a
/// path.
pub fn is_output_name(text: &str) -> bool {
    text.split_once('.')
        .is_some_and(|(stage, name)| is_path_part(stage) && is_path_part(name))
}

/// Whether a text is an idempotency token: 32 hexadecimal digits in lower case.
pub fn is_token(text: &str) -> bool {
    hash::is_hex(text, 32)
}

/// Whether a text can be the lineage of a state: letters, digits and `-`, as UUIDs are written.
pub fn is_lineage(text: &str) -> bool {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(plain_byte)
}

/// A text that is not the name of a place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place; write `cloud:region`")]
pub struct NotAPlace(pub String);

/// `cloud:region`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlaceName {
    /// The provider's short name: `aws`, `gcp`, `azure`, `lambda`, …
    pub cloud: String,
    /// The provider's own name of the region.
    pub region: String,
}

impl PlaceName {
    /// Reads `cloud:region`; both parts must be there.
    pub fn parse(text: &str) -> Option<Self> {
        let (cloud, region) = text.split_once(':')?;
        let is_plain_part = |part: &str| {
            !part.is_empty() && !part.contains(|c: char| c.is_control() || c == ':' || c == '*')
        };
        (is_plain_part(cloud) && is_plain_part(region) && !cloud.contains(' ')).then(|| Self {
            cloud: cloud.to_owned(),
            region: region.to_owned(),
        })
    }

    /// The machine that `sky` runs on: where a dataset with a `path` lies.
    pub fn here() -> Self {
        Self {
            cloud: "local".to_owned(),
            region: "here".to_owned(),
        }
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.cloud, self.region))
    }
}

impl TryFrom<String> for PlaceName {
    type Error = NotAPlace;
    fn try_from(text: String) -> Result<Self, NotAPlace> {
        Self::parse(&text).ok_or(NotAPlace(text))
    }
}

impl From<PlaceName> for String {
    fn from(place: PlaceName) -> String {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_become_paths_lead_nowhere() {
        for good in ["train", "a-b_C9", "train[0]", "train[12345]"] {
            assert!(is_stage_name(good), "{good}");
        }
        assert!(is_output_name("train.model") && is_output_name("split[3].part"));
        let long = "x".repeat(129);
        for bad in [
            "", ".", "..", "a/b", "../a", "/a", "-a", "a b", "a.b", "a\0", "é", "a[", "a[x]",
            "[1]", "a[1]/..", &long,
        ] {
            assert!(!is_stage_name(bad) && !is_name(bad), "{bad}");
        }
        for bad in ["", ".", "..", "a/b", "../a", "/a", "a\0", ".hidden", "a\nb"] {
            assert!(!is_path_part(bad), "{bad}");
            assert!(
                !is_output_name(&format!("train.{bad}")) && !is_output_name(&format!("{bad}.x")),
                "{bad}"
            );
        }
        assert!(is_lineage("0a1b2c3d-4e5f") && !is_lineage("../x") && !is_lineage(""));
    }
}
