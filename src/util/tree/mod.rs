//! A file or a directory as one value: its digest, a copy of it, its removal.
//!
//! A directory's digest is that of the sorted listing of all that is in it: names, contents,
//! executable bits, symbolic links; not owners, times or other mode bits. A copy has the times of
//! the original, by which programs such as `make` decide what is to be done again.

mod copying;
mod disk;
mod listing;
mod removal;
mod value;
mod walk;

#[cfg(test)]
mod tests;

pub use copying::{
    copy, copy_measured, copy_within, measure, measure_remembered, measure_within, take_times,
};
pub use disk::{signature, size, sync};
pub use listing::{Listed, measure_listed};
pub use removal::remove;
pub use value::{Kind, Links, Measured, Sharing};
pub use walk::{Found, visit};
