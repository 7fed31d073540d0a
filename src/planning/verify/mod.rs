//! Checks a plan without a solver and without the code that builds plans.

mod difference;
mod proof;
mod quota_check;
mod recompute;
mod reprice;
mod required_tee;

pub use difference::Difference;
pub use reprice::{Repriced, RepricedStage, RepricedTransfer, reprice};

pub(super) use proof::check_proof;
pub(super) use recompute::differences;
