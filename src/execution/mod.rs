//! Execution has effects: a plan is applied, its state is kept, machines are rented and given back,
//! data is moved.
//!
//! Nothing under this module plans; a plan comes in as a value of [`crate::plan`].
//!
//! | module | what it does |
//! | --- | --- |
//! | [`apply`] | walks a plan: starts stages, watches them, hands data on, stops, destroys |
//! | [`state`] | snapshot, journal and lock of what was applied, in a folder or in a bucket |
//! | [`provider`] | creates, runs and deletes machines; one folder per cloud |
//! | [`storage`] | artifacts by their content's hash, and the buckets between machines |

pub mod apply;
pub mod provider;
pub mod state;
pub mod storage;
