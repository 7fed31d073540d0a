//! From an instance to its one best placement and the proof that it is.
//!
//! The order of placements is lexicographic: the objective, then the other figure (time after cost,
//! cost after time), then the first choices in canonical order. Each level is a pass with the
//! levels above as limits, on the choices that these limits leave
//! ([`crate::planning::solve::presolve`]); so ties, which are the rule where regions share a price
//! list, do not depend on a solver's mood. Preferences come before all of it. Caps on stages that
//! run at once bind the schedule: stages may start later so that they hold (`capacity_search`).

mod capacity_search;
mod counted_replicas;
mod feasibility;
mod figure;
mod integer_programs;
mod interchangeable;
mod outcome;
mod passes;
mod placement_search;
mod replica_counting;
mod single_figure;
mod tie_breaking;
mod unmet_limits;

pub use feasibility::feasible;
pub use outcome::{Outcome, PlacementFigures, Proof, Solved, UnmetLimits};
pub use passes::{figures, solve, with_rows};
