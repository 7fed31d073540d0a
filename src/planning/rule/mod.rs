//! The policy's rules, one file each: what a rule forbids, by the line that says so.
//!
//! The same functions serve both sides: compiling (which offers a stage may take) and judging a
//! finished placement. A new rule is one file and one line in [`RULES`].
//!
//! Invariant: what is unknown never satisfies a rule.

mod certifications;
mod clouds;
mod contract;
mod home;
mod operators;
mod partitions;
mod price;
mod registry;
mod residency;
mod spot;
#[cfg(test)]
mod tests;
mod trust;

pub use contract::{Labels, Rule, Terms};
pub use home::forbids_home;
pub use registry::{RULES, forbids_machine, forbids_place};
pub use trust::trusted;
