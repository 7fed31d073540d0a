//! Planning is pure: job, policy and catalog go in as values, a plan or the reason why there is
//! none comes out.
//!
//! Nothing under this module reads a file, a clock, the environment or the network, and nothing
//! starts a thread; a test in `tests/it/architecture.rs` holds that. Equal inputs give equal plans
//! on every machine.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`rule`] | one file per rule of a policy: what the rule forbids |
//! | [`compile`] | turns job, policy and catalog into numbers: candidates, prices, times |
//! | [`problem`] | the placement problem and its mixed-integer program, in integers |
//! | [`solve`] | finds the best placement and proves that no other is better |
//! | [`build`] | writes a plan from a placement |
//! | [`verify`] | works a plan out again from its inputs, with no code of `build` and no solver |
//! | [`explain`] | says why a plan is as it is, or which lines of job and policy leave no plan |

pub mod build;
pub mod compile;
pub mod explain;
mod no_plan;
pub mod problem;
mod remaining_job;
pub mod rule;
mod settings;
pub mod solve;
pub mod verify;

pub use build::Figures;
pub use build::{
    Frontier, Placed, Point, frontier, inputs, left_for_a_plan, plan, plan_remaining, program,
    verify,
};
pub use compile::base_name as base;
pub use explain::{
    BreakEven, Clashing, Conflict, Constraint, ConstraintFile, ConstraintKind, Counted, Elsewhere,
    ExplainError, Explanation, Need, PlannedInputs, Relaxation, Relaxed, Ruled, Why, conflict,
    explain, without_constraints, written_constraints,
};
pub use no_plan::NoPlan;
pub use remaining_job::{UsedUp, nothing_left};
pub use settings::{COMPARED_STAGES, Settings};
pub use verify::{Difference, Repriced, RepricedStage, RepricedTransfer, reprice};
