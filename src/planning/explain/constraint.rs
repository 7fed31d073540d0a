//! A line of job or policy that may be left out.
//!
//! Leaving a line out never forbids anything that was allowed before. What says what the work is
//! (stages, data, sizes, labels, durations) is no such line.

use super::need::Need;
use crate::model::{ArtifactRef, Pattern, Quota};

/// The file that a constraint is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConstraintFile {
    /// The constraint is a line of the policy.
    Policy,
    /// The constraint is a line of the job.
    Job,
}

/// A constraint: a line of job or policy that may be left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Constraint {
    /// The file that the constraint is written in.
    pub file: ConstraintFile,
    /// Dotted key, as in [`crate::planning::rule`] and in the spans of a file.
    pub key: String,
    /// What the constraint restricts, with the names that it is about.
    pub kind: ConstraintKind,
}

/// What a constraint is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConstraintKind {
    /// The job ends by the policy's deadline.
    Deadline,
    /// The job costs no more than the policy's budget.
    Budget,
    /// The most that an hour of a machine may cost.
    MaxPrice,
    /// Residency of data with this label.
    Residency(String),
    /// No operator is subject to the CLOUD Act of the United States.
    CloudAct,
    /// Countries of ultimate parents.
    Parents,
    /// Only the operators that the policy lists may be used.
    OperatorsAllow,
    /// All entries of the list: an operator that is not known is denied by any.
    OperatorsDeny,
    /// Certifications for data with this label.
    Certifications(String),
    /// Environments for data with this label.
    Trust(String),
    /// Only the clouds that the policy lists may be used.
    CloudsAllow,
    /// One entry of the list.
    CloudsDeny(Pattern),
    /// Only the places that the policy lists may be used.
    PlacesAllow,
    /// One entry of the list.
    PlacesDeny(Pattern),
    /// Closed classes of places are out unless they are named.
    Partitions,
    /// No spot machines.
    Spot,
    /// How machines are bought for stages that do not say.
    Allocation,
    /// At the places that match the pattern no more than the quota may be used at once.
    Quota(Pattern, Counted),
    /// The machine of the named stage meets this need.
    Need(String, Need),
    /// The named stage ends by its own deadline.
    StageDeadline(String),
    /// Machines of the named stage are bought as the stage says.
    StageAllocation(String),
    /// Index into the job's list.
    Spread(usize),
    /// This output, `train.model`, is to be brought home.
    BroughtHome(ArtifactRef),
}

/// The unit in which a quota counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counted {
    /// The quota counts virtual CPUs, in thousandths.
    Cpus,
    /// The quota counts machines.
    Instances,
    /// The quota counts accelerators of all kinds together.
    Accelerators,
    /// Cards of this name.
    Accelerator(String),
}

impl Constraint {
    /// Makes a constraint of a line of the policy.
    pub(super) fn policy(key: impl Into<String>, kind: ConstraintKind) -> Self {
        Self {
            file: ConstraintFile::Policy,
            key: key.into(),
            kind,
        }
    }

    /// Makes a constraint of a line of the job.
    pub(super) fn job(key: String, kind: ConstraintKind) -> Self {
        Self {
            file: ConstraintFile::Job,
            key,
            kind,
        }
    }

    /// Returns the stage that the constraint is about, if it is about one.
    pub fn stage(&self) -> Option<&str> {
        match &self.kind {
            ConstraintKind::Need(stage, _)
            | ConstraintKind::StageDeadline(stage)
            | ConstraintKind::StageAllocation(stage) => Some(stage),
            _ => None,
        }
    }
}

impl Counted {
    /// Returns the key in the table of a quota; an accelerator is named by itself.
    pub(super) fn key(&self) -> &str {
        match self {
            Counted::Cpus => "cpus",
            Counted::Instances => "instances",
            Counted::Accelerators => "accelerators",
            Counted::Accelerator(name) => name,
        }
    }

    /// Returns the limit of a quota in this unit, if the quota has one.
    pub fn of<'a>(&self, quota: &'a mut Quota) -> Option<&'a mut u64> {
        match self {
            Counted::Cpus => quota.vcpu_thousandths.as_mut(),
            Counted::Instances => quota.instances.as_mut(),
            Counted::Accelerators => quota.accelerators.as_mut(),
            Counted::Accelerator(name) => quota.by_accelerator.get_mut(name),
        }
    }
}
