//! Small things that every room may use: atomic files, hashes, the clock, the cache folder.

pub mod cache;
pub mod clock;
pub mod crash;
pub mod file;
pub mod hash;
pub mod secret;
pub mod tree;
