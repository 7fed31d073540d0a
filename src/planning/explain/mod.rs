//! Why a plan is as it is, and why there is none.

mod conflict;
mod constraint;
mod dropped_constraints;
mod explanation;
mod forbidden_outputs;
mod hitting_set;
mod need;
mod relax;
mod written_constraints;

pub use conflict::{Clashing, Conflict, conflict};
pub use constraint::{Constraint, ConstraintFile, ConstraintKind, Counted};
pub use dropped_constraints::without_constraints;
pub use explanation::{
    BreakEven, Elsewhere, ExplainError, Explanation, PlannedInputs, Ruled, Why, explain,
};
pub use need::Need;
pub use relax::{Relaxation, Relaxed};
pub use written_constraints::written_constraints;
