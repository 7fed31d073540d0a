//! Solving the placement problem, to a proof.
//!
//! Invariant: nothing here knows a cloud, reads a clock or uses more than one thread; searches
//! stop on counts. Solvers' floating-point figures only choose; costs and times are recomputed
//! exactly from what was chosen ([`crate::planning::problem::evaluate`]).
//!
//! | module | what it does |
//! | --- | --- |
//! | `lexicographic` | from an instance to its one best placement: passes over its figures, then ties |
//! | [`backend`] | solvers of mixed-integer programs behind one trait, and an exhaustive search |
//! | `bound` | lower bounds on cost and makespan without a solver |
//! | `presolve` | drops choices and sites that no best placement can have |
//! | `heuristic` | good placements without a proof |
//! | `time_expanded` | the cheapest placement by a deadline, by a network that is expanded in time |

pub mod backend;
mod bound;
mod effort;
mod heuristic;
mod lexicographic;
mod limits;
mod monitor;
mod presolve;
mod time_expanded;

pub use backend::highs::Highs;
pub use backend::microlp::Microlp;
pub use backend::solver::{Solver, SolverError};
pub use backend::{exhaustive, solver};
pub use effort::Effort;
pub use lexicographic::{
    Outcome, PlacementFigures, Proof, Solved, UnmetLimits, feasible, figures, solve, with_rows,
};
pub use monitor::{Monitor, SolveMonitor};

#[cfg(test)]
mod tests;
