//! What a plan is put together from.

use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use crate::plan::{FromState, Inputs, SingleCloud};
use crate::planning::compile::Compiled;
use crate::planning::solve::Solved;

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
