//! The plan: what goes where, when, for how much, as one canonical JSON file.
//!
//! Invariant: a plan holds integers and names only: no float, no clock, no host, no user, no
//! absolute path, no secret. Equal inputs give equal bytes.

pub mod data;
pub mod file;
mod names;

pub use data::*;

use crate::model::{Millis, Money};

/// A figure of the placement problem as money.
pub fn money(micro_usd: i64) -> Money {
    Money(micro_usd)
}

/// A figure of the placement problem as time; it is never negative.
pub fn millis(milliseconds: i64) -> Millis {
    Millis(u64::try_from(milliseconds).unwrap_or(0))
}
