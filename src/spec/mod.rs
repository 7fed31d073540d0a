//! What people write: job and policy TOML to model, with a span for every message.
//!
//! [`job::parse`] and [`policy::parse`] find all mistakes of a file, not the first one only;
//! [`check`] looks at the two together. [`hosts::parse`] reads `hosts.toml`. [`import`] reads jobs
//! from other formats, and [`write`] writes a job as a job file. [`schema`] describes the files for
//! editors.
//!
//! Invariant: nothing here does IO; a file comes in as its name and its text.

pub mod diagnostic;
pub mod hosts;
pub mod import;
pub mod job;
pub mod policy;
pub mod schema;
pub mod shipped;
pub mod write;

mod accounts;
mod buying;
mod country;
mod cross;
mod foreign;
mod home;
mod limits;
mod missing_artifact;
mod needs;
mod objective;
mod outputs;
mod retries;
mod spread;
mod table;
mod value;
mod wiring;
mod work;

#[cfg(test)]
mod tests;

pub use cross::{check, check_labels};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, SourceFile};

/// The value that a file was read into, with the place of every entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The value.
    pub value: T,
    /// The file, with the span of every entry by its dotted key.
    pub source: SourceFile,
    /// Warnings about what is allowed but hardly meant, in order of the file.
    pub warnings: Vec<Diagnostic>,
}
