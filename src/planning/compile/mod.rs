//! Job, policy and catalog to a placement problem: candidates, pruning, egress, timing.
//!
//! Invariant: no IO. Stages, artifacts, places and choices are taken in the order of their names,
//! so the order in which files list them is gone before any number is made.

mod candidates;
mod caps;
mod compiler;
mod links;
mod names;
mod needs;
mod offer_filter;
mod offer_id;
mod offers;
mod places;
mod quota_limits;
mod results;
mod spares;
pub mod spot;
mod stage_candidates;
#[cfg(test)]
mod tests;

pub use candidates::{Candidate, StageCandidates, assumptions};
pub use caps::base_name;
pub use compiler::{Compiled, Refusal, check_names, compile, compile_with};
pub use names::{InputFile, UnknownName, nearest_cloud, nearest_place, unknown_names};
pub use offer_id::OfferId;
pub use offers::Funnel;
pub use places::{Places, billed, speed};
pub use results::{ForbiddenHome, Output, PartlyPriced, Results, Stays};
pub use spares::with_spares;
pub use stage_candidates::Counts;
