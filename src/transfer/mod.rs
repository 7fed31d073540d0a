//! Artifacts at rest and on their way.
//!
//! On this machine, outputs are kept by content hash in the state folder; a copy by name is
//! there for people, so that nothing they do to it reaches the store.

pub mod objects;

pub use objects::Objects;
