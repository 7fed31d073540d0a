//! How much is planned, and how hard.

use super::solve::Effort;

/// How to plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How long a placement is searched for, and who may end the search early.
    pub effort: Effort,
    /// Also plan inside every single cloud, for comparison.
    pub compare: bool,
}

/// Jobs up to this many stages are compared with every single cloud unless asked otherwise.
pub const COMPARED_STAGES: usize = 30;
