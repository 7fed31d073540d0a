//! Why a plan is as it is, and why there is none.

mod conflict;
mod constraints;
mod explanation;
mod hitting_set;
mod relax;

pub use conflict::{Clashing, Conflict, conflict};
pub use constraints::{
    Constraint, ConstraintFile, ConstraintKind, Counted, Need, without_constraints,
    written_constraints,
};
pub use explanation::{
    BreakEven, Elsewhere, ExplainError, Explanation, PlannedInputs, Ruled, Why, explain,
};
pub use relax::{Relaxation, Relaxed};
