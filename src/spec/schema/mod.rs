//! JSON Schemas of the files that people write, for editors: what the readers of this room take, as
//! far as a schema can say it.
//!
//! A schema says nothing about names that refer to other names, about sums, and about how large a
//! quantity is that is written as text; `tests/it/cli/schema` lists all of that, and holds every
//! schema to its reader.

mod accounts;
mod job;
mod needs;
mod policy;
pub(super) mod values;

use serde_json::Value;

/// Returns the JSON Schema of job files.
pub fn job() -> Value {
    job::schema()
}

/// Returns the JSON Schema of policy files.
pub fn policy() -> Value {
    policy::schema()
}

/// Returns the JSON Schema of `hosts.toml`.
pub fn hosts() -> Value {
    super::hosts::schema()
}
