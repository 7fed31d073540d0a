//! What `sky apply` guarantees, whatever goes wrong: every stage's effect exactly once, outputs
//! right, nothing left behind, spend never over budget.

mod budget;
pub(crate) mod conformance;
pub(crate) use conformance::files_with;
#[cfg(any(feature = "azure", feature = "gcp", feature = "kubernetes"))]
pub(crate) use conformance::{Subject, conforms};
mod failover;
mod faults;
mod grace;
pub(crate) mod ground;
mod kill;
mod outside;
mod rest;
mod retries;
mod signals;
mod unreachable;
