//! The seam to mixed-integer solvers: one file per solver, one implementation of [`Solver`].

use crate::problem::Program;

/// A solver of mixed-integer linear programs.
pub trait Solver {
    /// Its name and version, for the plan.
    fn name(&self) -> &'static str;
    fn version(&self) -> String;
    /// Minimises the program. `start` is a point to begin at, one value per column, or empty.
    fn minimize(&self, program: &Program, start: &[f64], effort: &Effort) -> Result<Answer, SolverError>;
}

/// When a search ends before its proof. Counts are deterministic, seconds are not.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// Branch-and-bound nodes.
    pub nodes: u32,
    /// Wall-clock limit; the answer may then differ from run to run.
    pub seconds: Option<f64>,
}

impl Default for Effort {
    fn default() -> Self {
        Self { nodes: 200_000, seconds: None }
    }
}

/// The seed that solvers get.
pub const SEED: u32 = 1;

/// What a solver found.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// No point satisfies the rows.
    Infeasible,
    /// A point, one value per column, and a lower bound on the objective.
    Found { values: Vec<f64>, bound: f64, proven: bool },
    /// The effort was used up before any point was found.
    Unknown,
}

/// A solver that broke down.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the solver failed: {0}")]
pub struct SolverError(pub String);
