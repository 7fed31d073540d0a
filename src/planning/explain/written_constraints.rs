//! The constraints that job and policy have: what a conflict is made of, and what an explanation
//! prices.

use super::constraint::{Constraint, ConstraintKind, Counted};
use super::need::Need;
use crate::model::{Allocation, Destination, Job, Pattern, Policy, Quota, Stage};
use std::collections::BTreeSet;

/// Returns the constraints that were written, in the order of the policy's and the job's keys.
pub fn written_constraints(job: &Job, policy: &Policy) -> Vec<Constraint> {
    let mut constraints = policy_constraints(policy);
    for (name, stage) in &job.stages {
        constraints.extend(stage_constraints(name, stage));
    }
    let homeward = job
        .outputs
        .iter()
        .filter(|(_, destination)| **destination == Destination::Home);
    constraints.extend(homeward.map(|(output, _)| {
        Constraint::job(
            format!("outputs.{output}"),
            ConstraintKind::BroughtHome(output.clone()),
        )
    }));
    constraints
        .extend((0..job.spread.len()).map(|index| {
            Constraint::job(format!("spread.{index}"), ConstraintKind::Spread(index))
        }));
    constraints
}

/// Returns the constraints of one stage of the job.
fn stage_constraints(name: &str, stage: &Stage) -> Vec<Constraint> {
    let constraint =
        |key: &str, kind: ConstraintKind| Constraint::job(format!("stages.{name}.{key}"), kind);
    let given_needs = Need::ALL
        .into_iter()
        .filter(|need| need.is_given(&stage.needs));
    let mut constraints: Vec<Constraint> = given_needs
        .map(|need| {
            let need_key = format!("needs.{}", need.key());
            constraint(&need_key, ConstraintKind::Need(name.to_owned(), need))
        })
        .collect();
    if stage.deadline.is_some() {
        let kind = ConstraintKind::StageDeadline(name.to_owned());
        constraints.push(constraint("deadline", kind));
    }
    if stage.allocation.is_some_and(restricts_buying) {
        let kind = ConstraintKind::StageAllocation(name.to_owned());
        constraints.push(constraint("allocation", kind));
    }
    constraints
}

/// Returns whether a way to buy machines rules another one out.
fn restricts_buying(allocation: Allocation) -> bool {
    allocation != Allocation::Cheapest
}

/// Returns the constraints of the policy, in the order of its keys.
fn policy_constraints(policy: &Policy) -> Vec<Constraint> {
    [
        limit_constraints(policy),
        labelled_constraints(
            "residency",
            policy.residency.keys(),
            ConstraintKind::Residency,
        ),
        operator_constraints(policy),
        labelled_constraints(
            "certifications",
            policy.certifications.keys(),
            ConstraintKind::Certifications,
        ),
        labelled_constraints("trust", policy.trust.keys(), ConstraintKind::Trust),
        place_constraints(policy),
        purchase_constraints(policy),
        quota_constraints(policy),
    ]
    .concat()
}

/// Returns those constraints that are there.
fn given_constraints(
    constraints: impl IntoIterator<Item = (bool, &'static str, ConstraintKind)>,
) -> Vec<Constraint> {
    constraints
        .into_iter()
        .filter(|(is_given, ..)| *is_given)
        .map(|(_, key, kind)| Constraint::policy(key, kind))
        .collect()
}

fn limit_constraints(policy: &Policy) -> Vec<Constraint> {
    given_constraints([
        (
            policy.deadline.is_some(),
            "limits.deadline",
            ConstraintKind::Deadline,
        ),
        (
            policy.budget.is_some(),
            "limits.budget",
            ConstraintKind::Budget,
        ),
        (
            policy.max_price.is_some(),
            "limits.max_price",
            ConstraintKind::MaxPrice,
        ),
    ])
}

/// Returns a constraint for each label that a table of the policy has a line for.
fn labelled_constraints<'a>(
    table: &str,
    labels: impl Iterator<Item = &'a String>,
    kind: fn(String) -> ConstraintKind,
) -> Vec<Constraint> {
    labels
        .map(|label| Constraint::policy(format!("{table}.{label}"), kind(label.clone())))
        .collect()
}

fn operator_constraints(policy: &Policy) -> Vec<Constraint> {
    given_constraints([
        (
            policy.exclude_cloud_act,
            "operators.us_cloud_act",
            ConstraintKind::CloudAct,
        ),
        (
            policy.parents.is_some(),
            "operators.parents",
            ConstraintKind::Parents,
        ),
        (
            policy.operators.allow.is_some(),
            "operators.allow",
            ConstraintKind::OperatorsAllow,
        ),
        (
            !policy.operators.deny.is_empty(),
            "operators.deny",
            ConstraintKind::OperatorsDeny,
        ),
    ])
}

/// Returns the constraints on clouds and places: what is allowed, then what is denied.
fn place_constraints(policy: &Policy) -> Vec<Constraint> {
    let denied_constraints =
        |table: &str, patterns: &BTreeSet<Pattern>, kind: fn(Pattern) -> ConstraintKind| {
            patterns
                .iter()
                .map(|pattern| {
                    Constraint::policy(format!("{table}.deny.{pattern}"), kind(pattern.clone()))
                })
                .collect::<Vec<Constraint>>()
        };
    [
        given_constraints([(
            policy.clouds.allow.is_some(),
            "clouds.allow",
            ConstraintKind::CloudsAllow,
        )]),
        denied_constraints("clouds", &policy.clouds.deny, ConstraintKind::CloudsDeny),
        given_constraints([(
            policy.places.allow.is_some(),
            "places.allow",
            ConstraintKind::PlacesAllow,
        )]),
        denied_constraints("places", &policy.places.deny, ConstraintKind::PlacesDeny),
    ]
    .concat()
}

fn purchase_constraints(policy: &Policy) -> Vec<Constraint> {
    given_constraints([
        (
            policy.allow_spot == Some(false),
            "spot.allow",
            ConstraintKind::Spot,
        ),
        (
            policy.allocation.is_some_and(restricts_buying),
            "spot.allocation",
            ConstraintKind::Allocation,
        ),
    ])
}

fn quota_constraints(policy: &Policy) -> Vec<Constraint> {
    let mut constraints = Vec::new();
    for (pattern, quota) in &policy.quotas {
        for counted in counted_units(quota) {
            let quota_key = match &counted {
                Counted::Accelerator(name) => format!("quotas.{pattern}.accelerators.{name}"),
                other => format!("quotas.{pattern}.{}", other.key()),
            };
            let kind = ConstraintKind::Quota(pattern.clone(), counted);
            constraints.push(Constraint::policy(quota_key, kind));
        }
    }
    constraints
}

/// Returns the units in which a quota counts.
fn counted_units(quota: &Quota) -> Vec<Counted> {
    let mut counted_quotas = Vec::new();
    if quota.vcpu_thousandths.is_some() {
        counted_quotas.push(Counted::Cpus);
    }
    if quota.instances.is_some() {
        counted_quotas.push(Counted::Instances);
    }
    if quota.accelerators.is_some() {
        counted_quotas.push(Counted::Accelerators);
    }
    counted_quotas.extend(
        quota
            .by_accelerator
            .keys()
            .cloned()
            .map(Counted::Accelerator),
    );
    counted_quotas
}

/// Returns the constraints that hold although no line says so: what is forbidden unless a line
/// allows it.
pub(super) fn default_constraints(policy: &Policy) -> Vec<Constraint> {
    let mut constraints = vec![Constraint::policy(
        "partitions.allow",
        ConstraintKind::Partitions,
    )];
    if policy.allow_spot.is_none() {
        constraints.push(Constraint::policy("spot.allow", ConstraintKind::Spot));
    }
    constraints
}
