//! sky: plans a job over many clouds as a mixed-integer program, and applies the plan.

pub mod catalog;
pub mod model;
pub mod plan;
pub mod render;
pub mod spec;
pub mod util;
