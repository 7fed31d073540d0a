//! sky: plans a job over many clouds as a mixed-integer program, and applies the plan.

pub mod apply;
pub mod catalog;
pub mod cli;
pub mod model;
pub mod plan;
pub mod provider;
pub mod spec;
pub mod state;
pub mod transfer;
pub mod util;
