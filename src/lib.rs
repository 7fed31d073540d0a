//! sky: plans a job over many clouds as a mixed-integer program, and applies the plan.
//!
//! The map of the source follows. It is also the topic `sky guide architecture`, in
//! `src/guide/architecture.md`. Three more topics are for whoever changes the source:
//! [`guide::contributing`] has the recipes for adding a rule, a provider and the like,
//! [`guide::style`] says how to write code here, and [`guide::glossary`] what each word means.
//!
#![doc = include_str!("guide/architecture.md")]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests prepare files and variables by themselves"
    )
)]

pub mod catalog;
pub mod cli;
pub mod execution;
pub mod feeds;
pub mod guide;
pub mod model;
pub mod plan;
pub mod planning;
pub mod render;
pub mod spec;
pub mod util;
