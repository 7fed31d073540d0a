//! The cheapest way to relax one line so that there is a plan, all other lines in force.

mod gang;
mod names;
mod number;
mod relax_case;
mod relaxation;

pub use relaxation::{Relaxation, Relaxed};

use super::constraint::{Constraint, ConstraintKind};
use super::dropped_constraints::without_constraints;
use super::need::Need;
use crate::catalog::Catalog;
use crate::model::{Job, Objective, Policy};
use crate::planning::build::optimum;
use crate::planning::solve::{Effort, SolverError};
use relax_case::RelaxCase;

/// Relaxes `constraint` of a job and a policy that have a plan without it, but not with it. `None`:
/// they have none even without.
pub(super) fn relax(
    constraint: &Constraint,
    job: &Job,
    policy: &Policy,
    catalog: &Catalog,
    effort: &Effort,
) -> Result<Option<Relaxation>, SolverError> {
    let (free_job, mut free_policy) = without_constraints(job, policy, [constraint]);
    match constraint.kind {
        ConstraintKind::Deadline => free_policy.minimize = Objective::Time,
        ConstraintKind::Budget => free_policy.minimize = Objective::Cost,
        _ => {}
    }
    let Some(free) = optimum(&free_job, &free_policy, catalog, effort)? else {
        return Ok(None);
    };
    let case = RelaxCase {
        constraint,
        job,
        policy,
        catalog,
        effort,
        free: &free,
    };
    let figures = Some(free.figures);
    let limit = |to: Relaxed| Relaxation {
        to,
        figures,
        least: free.figures.proven,
    };
    let relaxation = match &constraint.kind {
        ConstraintKind::Deadline => limit(Relaxed::Time(free.figures.makespan)),
        ConstraintKind::Budget => limit(Relaxed::Money(free.figures.cost)),
        ConstraintKind::StageDeadline(_)
        | ConstraintKind::Quota(..)
        | ConstraintKind::Spread(_)
        | ConstraintKind::MaxPrice => case.relax_number()?,
        ConstraintKind::Need(_, Need::Cpus | Need::Memory | Need::Latency | Need::MaxPrice) => {
            case.relax_number()?
        }
        ConstraintKind::Residency(_)
        | ConstraintKind::Trust(_)
        | ConstraintKind::CloudsAllow
        | ConstraintKind::PlacesAllow
        | ConstraintKind::Partitions => case.relax_names()?,
        ConstraintKind::Need(stage, Need::Accelerators) => match case.relax_to_gang(stage)? {
            Some(gang) => gang,
            None => case.relax_names()?,
        },
        ConstraintKind::Need(_, Need::Tee | Need::Places | Need::InstanceTypes) => {
            case.relax_names()?
        }
        ConstraintKind::CloudAct
        | ConstraintKind::CloudsDeny(_)
        | ConstraintKind::PlacesDeny(_)
        | ConstraintKind::Spot
        | ConstraintKind::Allocation
        | ConstraintKind::Parents
        | ConstraintKind::OperatorsAllow
        | ConstraintKind::OperatorsDeny
        | ConstraintKind::Certifications(_)
        | ConstraintKind::BroughtHome(_)
        | ConstraintKind::StageAllocation(_)
        | ConstraintKind::Need(_, Need::Arch | Need::Service | Need::AnyOf) => case.dropped(),
    };
    Ok(Some(relaxation))
}
