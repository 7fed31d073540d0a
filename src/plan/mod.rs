//! The plan: what goes where, when, for how much, as one canonical JSON file.
//!
//! Invariant: a plan holds integers and names only: no float, no clock, no host, no user, no
//! absolute path, no secret. Equal inputs give equal bytes.

pub mod data;
pub mod file;
mod names;
pub mod planned_stage;
pub mod planned_transfer;
pub mod schema;

pub use data::*;
pub use planned_stage::*;
pub use planned_transfer::*;
