//! sky: plans a job over many clouds as a mixed-integer program, and applies the plan.

pub mod apply;
pub mod catalog;
pub mod cli;
pub mod compile;
pub mod model;
pub mod plan;
pub mod planner;
pub mod problem;
pub mod provider;
pub mod render;
pub mod rule;
pub mod solve;
pub mod spec;
pub mod state;
pub mod transfer;
pub mod util;
