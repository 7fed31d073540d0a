//! The seam to mixed-integer solvers: one file per solver, one implementation of [`Solver`].

use crate::problem::Program;
use std::fmt;
use std::sync::Arc;

/// A solver of mixed-integer linear programs.
pub trait Solver {
    /// Its name and version, for the plan.
    fn name(&self) -> &'static str;
    fn version(&self) -> String;
    /// Minimises the program. `start` is a point to begin at, one value per column, or empty.
    fn minimize(&self, program: &Program, start: &[f64], effort: &Effort) -> Result<Answer, SolverError>;
}

/// When a search ends before its proof. Counts are deterministic, a limit in time is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// Branch-and-bound nodes.
    pub nodes: u32,
    /// A limit in time for all of the planning; the answer may then differ from run to run.
    pub limit: Option<TimeLimit>,
}

impl Default for Effort {
    fn default() -> Self {
        Self { nodes: 200_000, limit: None }
    }
}

impl Effort {
    /// Whether the time for all of the planning is used up.
    pub fn is_over(&self) -> bool {
        self.remaining_seconds().is_some_and(|left| left <= 0.0)
    }

    /// The seconds that are left for all of the planning; none: there is no limit.
    pub fn remaining_seconds(&self) -> Option<f64> {
        self.limit.as_ref().map(TimeLimit::remaining_seconds)
    }
}

/// A limit in time. Its clock is that of whoever made it: planning reads none of its own.
#[derive(Clone)]
pub struct TimeLimit(Arc<dyn Fn() -> f64 + Send + Sync>);

impl TimeLimit {
    /// A limit of which `remaining` tells the seconds that are left; negative when it is past.
    pub fn new(remaining: impl Fn() -> f64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(remaining))
    }

    fn remaining_seconds(&self) -> f64 {
        (self.0)()
    }
}

impl fmt::Debug for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TimeLimit").finish_non_exhaustive()
    }
}

impl PartialEq for TimeLimit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
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
