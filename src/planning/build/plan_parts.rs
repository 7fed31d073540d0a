//! What a plan is put together from.

use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use crate::plan::{FromState, Inputs, SingleCloud};
use crate::planning::compile::Compiled;
use crate::planning::problem::CapId;
use crate::planning::problem::timetable::{self, CapacityWait};
use crate::planning::solve::Solved;
use crate::util::id_vec::IdVec;

/// Everything that a plan is put together from.
#[derive(Clone, Debug)]
pub(super) struct Parts<'a> {
    /// The job as it is written, with all its stages.
    pub job: &'a Job,
    /// The policy as it is written, except that its limits are what is left of them.
    pub policy: &'a Policy,
    /// The catalog that offers are taken from.
    pub catalog: &'a Catalog,
    /// The placement problem of the stages that are left to do.
    pub compiled: &'a Compiled,
    /// The placement that was found, with its proof.
    pub solved: &'a Solved,
    /// The dotted keys of the limits that `solved.waits` speak of.
    pub wait_limits: IdVec<CapId, String>,
    /// The best plan inside every single cloud, if these were asked for.
    pub single: Option<SingleCloud>,
    /// The digests of job, policy and catalog as they are written.
    pub inputs: Inputs,
    /// What a state has done of the job already; `None`: the job begins with this plan.
    pub from_state: Option<&'a FromState>,
}

/// The solver that found the placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SolverName {
    /// The name of the solver as plans write it.
    pub name: &'static str,
    /// The version of the solver as plans write it.
    pub version: String,
}

/// Returns a problem in which stages wait for others as a solution of it says.
pub(super) fn with_waits(mut compiled: Compiled, waits: &[CapacityWait]) -> Compiled {
    compiled.instance.precedence = timetable::with_waits(&compiled.instance.precedence, waits);
    compiled
}

/// Returns the dotted keys of the limits that a problem has caps for.
pub(super) fn limit_keys(compiled: &Compiled) -> IdVec<CapId, String> {
    compiled.instance.caps.map(|cap| cap.label.clone())
}
