//! Artifacts at rest and on their way.
//!
//! On this machine, outputs are kept by content hash in the state folder; a copy by name is there
//! for people, so that nothing they do to it reaches the store. Between machines they go through
//! buckets, of which each place of a plan has its own, as packs of chunks.

pub mod bucket;
pub mod objects;
pub mod pack;

pub use bucket::{Bucket, Staging};
pub use objects::Objects;
