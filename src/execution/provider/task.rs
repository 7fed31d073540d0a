//! What a worker is given to run and to read, and what it sends and fetches.

use crate::util::hash::Digest;
use crate::util::secret::Secret;
use crate::util::tree::{Kind, Measured};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a worker is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The command for `/bin/sh`, as the user wrote it. It travels as a file, never inside another
    /// command.
    pub command: String,
    /// Variables that are added to the environment. The worker itself adds `SKY_INPUTS`,
    /// `SKY_OUTPUTS`, `SKY_CHECKPOINT` and `SKY_TOKEN`.
    pub environment: BTreeMap<String, String>,
    /// Secret variables that are added to the environment, and told to nobody else.
    pub secrets: BTreeMap<String, Secret>,
    /// The most bytes that the machine keeps of the beginning of what the command prints; 0: all of
    /// it.
    pub log_limit: u64,
    /// The progress of an earlier attempt, a directory that is laid out as `$SKY_CHECKPOINT`; none:
    /// that directory is empty.
    pub checkpoint: Option<Content>,
    /// What is laid out in the command's folder, by relative name.
    pub files: Vec<Item>,
    /// What is laid out in `$SKY_INPUTS`, by name.
    pub inputs: Vec<Item>,
}

/// A file or a directory to lay out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The name under which the content is laid out.
    pub name: String,
    /// Where the content is.
    pub content: Content,
}

/// The place where content is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A file or a directory on this machine. Whoever is given it must not change it.
    Local(PathBuf),
    /// A file or a directory on this machine, of which the symbolic links inside are a part: laid
    /// out, they stay links.
    Stored(PathBuf),
    /// An empty file, in place of data that is not on this machine.
    Empty,
    /// What the worker itself has fetched for the input of this number
    /// ([`Staging::fetch`](super::Staging::fetch)).
    Fetched(Kind),
}

/// What a command wrote, as it would be staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// The digest, the size and the kind of the output.
    pub measured: Measured,
    /// The most that the output's pack is, in bytes: the size of a file, or of an archive of the
    /// folder.
    pub packed: u64,
}

/// A file or a folder in `$SKY_OUTPUTS`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// The name of the file or the folder.
    pub name: String,
    /// The sum of the sizes of all files in it, in bytes and with their holes.
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

/// The chunks of a bucket that a worker sends data to. Addresses stay with the worker's process and
/// are written nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The size of all chunks but the last, in bytes: a multiple of a MiB.
    pub chunk_bytes: u64,
    /// A header that goes with each chunk; empty: none.
    pub header: &'static str,
    /// Signed addresses for all chunks that may be needed; with the size of what is there already,
    /// which is not sent again if it is that of the chunk.
    pub chunks: Vec<(Secret, Option<u64>)>,
}

/// Which machines of a gang do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// All machines of the gang.
    All,
    /// The first machine alone.
    First,
    /// All machines but the first.
    Others,
}

/// What a worker fetches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which machines of a gang fetch; a machine that is alone is the first.
    pub nodes: Nodes,
    /// The input's number.
    pub input: usize,
    /// A name of the content: what was fetched under another mark is of no use.
    pub mark: String,
    /// The size of all chunks but the last, in bytes.
    pub chunk_bytes: u64,
    /// The signed addresses of all chunks.
    pub chunks: Vec<Secret>,
}

/// What was sent or fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The digests of all chunks.
    pub digests: Vec<Digest>,
    /// The sum of the sizes of all chunks, in bytes.
    pub bytes: u64,
    /// How many of these bytes were moved by this call.
    pub moved: u64,
}
