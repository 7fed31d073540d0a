//! Names of places, always qualified by their cloud: `aws:eu-west-2` is London,
//! `outscale:eu-west-2` is Paris.

use serde::{Deserialize, Serialize};
use std::fmt;

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
        let plain = |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_control() || c == ':' || c == '*');
        (plain(cloud) && plain(region) && !cloud.contains(' '))
            .then(|| Self { cloud: cloud.to_owned(), region: region.to_owned() })
    }

    /// The machine that `sky` runs on: where a dataset with a `path` lies.
    pub fn here() -> Self {
        Self { cloud: "local".to_owned(), region: "here".to_owned() }
    }
}

impl fmt::Display for PlaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.cloud, self.region))
    }
}

impl TryFrom<String> for PlaceName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is not a place; write `cloud:region`"))
    }
}

impl From<PlaceName> for String {
    fn from(place: PlaceName) -> String {
        place.to_string()
    }
}
