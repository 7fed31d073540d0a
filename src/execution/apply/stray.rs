//! What nobody should have, and what a sweep does about it.

use crate::execution::provider::{Machine, ProviderError};
use crate::execution::storage::bucket::{self, Contents};
use std::time::Duration;

/// A machine that nobody should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The name of the provider.
    pub provider: &'static str,
    /// The machine, as the provider tells of it.
    pub machine: Machine,
    /// Why nobody should have it.
    pub why: Why,
}

/// Why a machine or a bucket is a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The machine or bucket has this state's tags, and the state does not have it.
    NotInState,
    /// Its lease is over, and it is still there: nobody renews it, and it has not ended itself.
    LeaseOver,
    /// The machine or bucket is of another state. Only looked for when asked.
    OfAnother,
}

/// A lease counts as over so long after its end, where only its tag says when that is: it was
/// written by the clock of another machine, and is read by the clock of this one. A machine whose
/// provider knows the end by a clock of its own is judged by that, without a margin.
pub const MARGIN: Duration = Duration::from_secs(15 * 60);

/// Whose machines are looked for, besides this state's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Others' whose lease is over.
    Own,
    /// All that carry tags of any `sky`.
    All,
}

/// A bucket that nobody should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayBucket {
    /// The bucket.
    pub bucket: bucket::Found,
    /// Why nobody should have it.
    pub why: Why,
    /// What is in it, or why that cannot be known.
    pub contents: Result<Contents, ProviderError>,
}

/// The clouds whose object stores may have buckets of ours.
pub const STORES: [&str; 3] = ["aws", "gcp", "azure"];

/// What a sweep has found.
#[derive(Debug, Default)]
pub struct Found {
    /// The machines that nobody should have.
    pub strays: Vec<Stray>,
    /// The buckets that nobody should have.
    pub buckets: Vec<StrayBucket>,
    /// What could not be looked at, by provider: there may be more behind it.
    pub failed: Vec<(String, ProviderError)>,
}

/// What became of a stray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swept {
    /// The machine or bucket was deleted.
    Deleted,
    /// Somebody else has deleted it meanwhile.
    Gone,
    /// Whoever it belongs to has renewed it, has written to it, or has it in the state again: it is
    /// left alone.
    InUse,
    /// The provider did not delete it.
    Failed(ProviderError),
}
