//! Job and policy with some of their constraints left out.

use super::constraint::{Constraint, ConstraintKind, Counted};
use super::need::Need;
use crate::model::offer::CLASSES;
use crate::model::{Allocation, Destination, Job, Pattern, Policy, Quota, Stage, Work};
use std::collections::BTreeSet;

/// Returns job and policy without some of their constraints.
pub fn without_constraints<'a>(
    job: &Job,
    policy: &Policy,
    dropped: impl IntoIterator<Item = &'a Constraint>,
) -> (Job, Policy) {
    let (mut job, mut policy) = (job.clone(), policy.clone());
    let mut spread = BTreeSet::new();
    for constraint in dropped {
        drop_one(constraint, &mut job, &mut policy, &mut spread);
    }
    // Indexes are those of the whole list.
    let mut index = 0;
    job.spread.retain(|_| {
        index += 1;
        !spread.contains(&(index - 1))
    });
    (job, policy)
}

/// Drops one constraint; positions of spreads that are dropped are added to `spread`.
fn drop_one(
    constraint: &Constraint,
    job: &mut Job,
    policy: &mut Policy,
    spread: &mut BTreeSet<usize>,
) {
    match &constraint.kind {
        ConstraintKind::Deadline => policy.deadline = None,
        ConstraintKind::Budget => policy.budget = None,
        ConstraintKind::MaxPrice => policy.max_price = None,
        ConstraintKind::Residency(label) => {
            policy.residency.remove(label);
        }
        ConstraintKind::CloudAct => policy.exclude_cloud_act = false,
        ConstraintKind::Parents => policy.parents = None,
        ConstraintKind::OperatorsAllow => policy.operators.allow = None,
        ConstraintKind::OperatorsDeny => policy.operators.deny.clear(),
        ConstraintKind::Certifications(label) => {
            policy.certifications.remove(label);
        }
        ConstraintKind::Trust(label) => {
            policy.trust.remove(label);
        }
        ConstraintKind::CloudsAllow => policy.clouds.allow = None,
        ConstraintKind::CloudsDeny(pattern) => {
            policy.clouds.deny.remove(pattern);
        }
        ConstraintKind::PlacesAllow => policy.places.allow = None,
        ConstraintKind::PlacesDeny(pattern) => {
            policy.places.deny.remove(pattern);
        }
        ConstraintKind::Partitions => {
            let closed_classes = CLASSES
                .iter()
                .filter(|(_, open)| !open)
                .map(|(name, _)| (*name).to_owned());
            policy.partitions.extend(closed_classes);
        }
        ConstraintKind::Spot => policy.allow_spot = Some(true),
        // Not "none", which may be less than what was said.
        ConstraintKind::Allocation => policy.allocation = Some(Allocation::Cheapest),
        ConstraintKind::Quota(pattern, counted) => drop_quota(pattern, counted, policy),
        ConstraintKind::Need(stage, need) => {
            if let Some(stage) = job.stages.get_mut(stage) {
                drop_need(*need, stage);
            }
        }
        ConstraintKind::StageDeadline(stage) => {
            if let Some(stage) = job.stages.get_mut(stage) {
                stage.deadline = None;
            }
        }
        ConstraintKind::StageAllocation(stage) => {
            if let Some(stage) = job.stages.get_mut(stage) {
                stage.allocation = Some(Allocation::Cheapest);
            }
        }
        ConstraintKind::Spread(index) => {
            spread.insert(*index);
        }
        // Not what is done with outputs that the job does not name, which may be to bring it home.
        ConstraintKind::BroughtHome(output) => {
            job.outputs.insert(output.clone(), Destination::There);
        }
    }
}

/// Drops one unit of a quota, and a quota that then counts nothing.
fn drop_quota(pattern: &Pattern, counted: &Counted, policy: &mut Policy) {
    let Some(quota) = policy.quotas.get_mut(pattern) else {
        return;
    };
    match counted {
        Counted::Cpus => quota.vcpu_thousandths = None,
        Counted::Instances => quota.instances = None,
        Counted::Accelerators => quota.accelerators = None,
        Counted::Accelerator(name) => {
            quota.by_accelerator.remove(name);
        }
    }
    if *quota == Quota::default() {
        policy.quotas.remove(pattern);
    }
}

/// Drops a need, also from the alternatives, into each of which it was copied.
fn drop_need(need: Need, stage: &mut Stage) {
    let common_needs = stage.needs.clone();
    for other in stage
        .needs
        .any_of
        .iter_mut()
        .filter(|other| need.same(other, &common_needs))
    {
        need.clear(other);
    }
    need.clear(&mut stage.needs);
    // A machine that the job gives no time for is taken to be as fast as the fastest that it
    // does: leaving the need out then forbids nothing.
    if need == Need::Accelerators
        && let Work::DurationBy(times) = &stage.work
        && let Some(least) = times.values().min()
    {
        stage.work = Work::Duration(*least);
    }
}
