//! The seam to mixed-integer solvers: one file per solver, one implementation of [`Solver`].

use crate::planning::problem::Program;
use crate::planning::solve::effort::Effort;

/// A solver of mixed-integer linear programs.
pub trait Solver {
    /// Returns the name of the solver, for the plan.
    fn name(&self) -> &'static str;
    /// Returns the version of the solver, for the plan.
    fn version(&self) -> String;
    /// Minimises the program. `start` is a point to begin at, one value per column, or empty.
    fn minimize(
        &self,
        program: &Program,
        start: &[f64],
        effort: &Effort,
    ) -> Result<Answer, SolverError>;
}

/// What a solver found.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// No point satisfies the rows.
    Infeasible,
    /// A point, one value per column, and a lower bound on the objective.
    Found {
        /// The value of each column of the program.
        values: Vec<f64>,
        /// A value that no point's objective is below.
        bound: f64,
        /// Whether the solver has proven that no point has a lower objective.
        proven: bool,
    },
    /// The effort was used up before any point was found.
    Unknown,
}

/// A solver that broke down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the solver failed: {0}")]
pub struct SolverError(pub String);
