//! Patterns over names: a plain name, or one with `*` for any run of characters.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A pattern such as `aws:eu-*` or `m5.large`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// True when the whole of `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        match self.0.split_once('*') {
            None => self.0 == name,
            // Most patterns end so, and are asked about every machine of a catalog.
            Some((start, "")) => name.starts_with(start),
            Some(_) => wildmatch::WildMatchPattern::<'*', '\0'>::new(&self.0).matches(name),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
