//! Solving the placement problem, to a proof.
//!
//! Invariant: nothing here knows a cloud, reads a clock or uses more than one thread; searches
//! stop on counts. Solvers' floating-point figures only choose; costs and times are recomputed
//! exactly from what was chosen ([`crate::problem::evaluate`]).

mod close;
mod counted;
mod crash;
mod deadline;
mod dual;
pub mod exhaustive;
mod expanded;
mod fastest;
mod feasible;
mod flow;
mod forest;
mod highs;
mod incumbent;
mod microlp;
mod moves;
mod net;
mod placement;
mod reduce;
mod search;
mod sites;
pub mod solver;
mod tally;
mod timed;

pub use feasible::feasible;
pub use highs::Highs;
pub use microlp::Microlp;
pub use placement::{Outcome, Proof, Shortfall, Solved, figures, solve, with_rows};
pub use solver::{Effort, Solver, SolverError, TimeLimit};

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod tests;
