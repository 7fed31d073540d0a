//! What a worker is given to run and to read, and what it sends and fetches.

use crate::util::hash::Digest;
use crate::util::secret::Secret;
use crate::util::tree::{Kind, Measured};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// For `/bin/sh`, as the user wrote it. It travels as a file, never inside another command.
    pub command: String,
    /// Added to the environment. The worker adds `SKY_INPUTS`, `SKY_OUTPUTS`, `SKY_CHECKPOINT` and
    /// `SKY_TOKEN`.
    pub environment: BTreeMap<String, String>,
    /// Added to the environment too, and told to nobody else.
    pub secrets: BTreeMap<String, Secret>,
    /// The most bytes that the machine keeps of the beginning of what the command prints; 0: all of it.
    pub log_limit: u64,
    /// The progress of an earlier attempt, a directory that is laid out as `$SKY_CHECKPOINT`; none:
    /// that directory is empty.
    pub checkpoint: Option<Content>,
    /// Laid out in the command's folder, by relative name.
    pub files: Vec<Item>,
    /// Laid out in `$SKY_INPUTS`, by name.
    pub inputs: Vec<Item>,
}

/// A file or a directory to lay out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub name: String,
    pub content: Content,
}

/// Where content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file or a directory on this machine. Whoever is given it must not change it.
    Local(PathBuf),
    /// The same, of which the symbolic links inside are a part: laid out, they stay links.
    Stored(PathBuf),
    /// An empty file, in place of data that is not on this machine.
    Empty,
    /// What the worker itself has fetched for the input of this number ([`Worker::fetch`](super::Worker::fetch)).
    Fetched(Kind),
}

/// What a command wrote, as it would be staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    pub measured: Measured,
    /// The most that its pack is, in bytes: the size of a file, or of an archive of the folder.
    pub packed: u64,
}

/// Something in `$SKY_OUTPUTS`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    pub name: String,
    /// Sum over its files, with their holes.
    pub bytes: u64,
}

/// What is sent to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// The output of that name.
    Output(&'a str),
    /// What was fetched for the input of that number.
    Input(usize),
}

/// Where a worker sends chunks to. All of it stays with the worker's process and is written nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The size of all chunks but the last. A multiple of a MiB.
    pub chunk_bytes: u64,
    /// A header that goes with each chunk; empty: none.
    pub header: &'static str,
    /// Signed addresses for all chunks that may be needed; with the size of what is there already, which is not sent
    /// again if it is that of the chunk.
    pub chunks: Vec<(Secret, Option<u64>)>,
}

/// Which machines of a gang do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    All,
    First,
    /// All but the first.
    Others,
}

/// What a worker fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Who does so. What is one machine is the first.
    pub nodes: Nodes,
    /// The input's number.
    pub input: usize,
    /// Names the content: what was fetched under another mark is of no use.
    pub mark: String,
    pub chunk_bytes: u64,
    /// Signed addresses of all chunks.
    pub chunks: Vec<Secret>,
}

/// What was sent or fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Of all chunks.
    pub digests: Vec<Digest>,
    /// Sum over all chunks.
    pub bytes: u64,
    /// The part of it that was moved by this call.
    pub moved: u64,
}
