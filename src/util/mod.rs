//! Small things that every room may use: atomic files, hashes, the clock.

pub mod clock;
pub mod file;
pub mod hash;
pub mod tree;
