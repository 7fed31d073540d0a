//! From a placement to a plan: the pipeline over `compile` and `solve`, and every field of the
//! plan.

mod alternatives;
mod assemble;
mod frontier;
mod inputs;
mod leave_results;
mod offer_fields;
mod old_prices;
mod optimum;
mod pipeline;
mod plan_parts;
mod plan_warnings;
mod planned_links;
mod planned_stage;
mod rewritten;

pub use frontier::{Frontier, Placed, Point, frontier};
pub use inputs::inputs;
pub use leave_results::left_for_a_plan;
pub use optimum::Figures;
pub use pipeline::{plan, plan_remaining, program};
pub use rewritten::verify;

pub(super) use leave_results::feasible;
pub(super) use optimum::{Optimum, labels, optimum};
