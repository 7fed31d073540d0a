//! Small things that every room may use: atomic files, hashes, the clock, the cache folder, words
//! for a shell, lists with typed indices; and the seam of the simulation.

pub mod archive;
pub mod cache;
pub mod clock;
pub mod crash;
pub mod digests;
pub mod environment;
pub mod file;
pub mod file_changes;
pub mod file_set;
pub mod hash;
pub mod id_vec;
pub mod interruptible;
pub mod json_schema;
pub mod nearest_name;
pub mod secret;
pub mod shell;
pub mod simulation;
pub mod task;
pub mod text;
pub mod tree;
pub mod variables;
pub mod watch;
