//! Lines of job and policy that may be left out, one at a time: what a conflict is made of, and
//! what an explanation prices.
//!
//! Leaving a line out never forbids anything that was allowed before. What says what the work is
//! (stages, data, sizes, labels, durations) is no such line.

use crate::model::dag;
use crate::model::offer::{ANY_ARCH, CLASSES};
use crate::model::{
    Allocation, ArtifactRef, Destination, Job, Needs, Pattern, Policy, Quota, ServiceNeed, Stage,
    Work,
};
use crate::planning::compile::base_name;
use crate::planning::rule::forbids_home;
use std::collections::BTreeSet;

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

/// One need of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The machine has at least so many virtual CPUs.
    Cpus,
    /// The machine has at least so much memory.
    Memory,
    /// The machine has one of the accelerators that are listed.
    Accelerators,
    /// The machine has one of the trusted execution environments that are listed.
    Tee,
    /// The machine has this processor architecture.
    Arch,
    /// The machine is at one of the places that are listed.
    Places,
    /// The machine is of one of the machine types that are listed.
    InstanceTypes,
    /// The machine is within so much time of a country.
    Latency,
    /// The most that an hour of a machine may cost.
    MaxPrice,
    /// In this version.
    Service,
    /// The machine meets one of several alternative sets of needs.
    AnyOf,
}

impl Need {
    /// All of them.
    pub const ALL: [Need; 11] = [
        Need::Cpus,
        Need::Memory,
        Need::Accelerators,
        Need::Tee,
        Need::Arch,
        Need::Places,
        Need::InstanceTypes,
        Need::Latency,
        Need::MaxPrice,
        Need::Service,
        Need::AnyOf,
    ];

    /// Its key in `needs`.
    pub fn key(self) -> &'static str {
        match self {
            Need::Cpus => "cpus",
            Need::Memory => "memory",
            Need::Accelerators => "accelerators",
            Need::Tee => "tee",
            Need::Arch => "arch",
            Need::Places => "places",
            Need::InstanceTypes => "instance_types",
            Need::Latency => "latency",
            Need::MaxPrice => "max_price",
            Need::Service => "service",
            Need::AnyOf => "any_of",
        }
    }

    fn is_given(self, needs: &Needs) -> bool {
        match self {
            Need::Cpus => needs.vcpu_thousandths > 0,
            Need::Memory => needs.memory.0 > 0,
            Need::Accelerators => !needs.accelerators.is_empty(),
            Need::Tee => !needs.tee.is_empty(),
            Need::Arch => needs.arch.as_ref().is_some_and(|arch| arch != ANY_ARCH),
            Need::Places => !needs.places.is_empty(),
            Need::InstanceTypes => !needs.instance_types.is_empty(),
            Need::Latency => needs.latency.is_some(),
            Need::MaxPrice => needs.max_price.is_some(),
            // Which service it is says what the work is; only its version may be left open.
            Need::Service => needs
                .service
                .as_ref()
                .is_some_and(|service| !service.is_any()),
            Need::AnyOf => !needs.any_of.is_empty(),
        }
    }

    fn clear(self, needs: &mut Needs) {
        match self {
            Need::Cpus => needs.vcpu_thousandths = 0,
            Need::Memory => needs.memory.0 = 0,
            Need::Accelerators => needs.accelerators.clear(),
            Need::Tee => needs.tee.clear(),
            // Leaving the line out allows x86_64 only, so it relaxes nothing.
            Need::Arch => needs.arch = Some(ANY_ARCH.to_owned()),
            Need::Places => needs.places.clear(),
            Need::InstanceTypes => needs.instance_types.clear(),
            Need::Latency => needs.latency = None,
            Need::MaxPrice => needs.max_price = None,
            Need::Service => needs.service = needs.service.as_ref().map(ServiceNeed::any),
            Need::AnyOf => needs.any_of.clear(),
        }
    }

    /// Whether two sets of needs say the same here.
    pub(super) fn same(self, a: &Needs, b: &Needs) -> bool {
        match self {
            Need::Cpus => a.vcpu_thousandths == b.vcpu_thousandths,
            Need::Memory => a.memory == b.memory,
            Need::Accelerators => a.accelerators == b.accelerators,
            Need::Tee => a.tee == b.tee,
            Need::Arch => a.arch == b.arch,
            Need::Places => a.places == b.places,
            Need::InstanceTypes => a.instance_types == b.instance_types,
            Need::Latency => a.latency == b.latency,
            Need::MaxPrice => a.max_price == b.max_price,
            Need::Service => a.service == b.service,
            Need::AnyOf => true,
        }
    }
}

impl Constraint {
    fn policy(key: impl Into<String>, kind: ConstraintKind) -> Self {
        Self {
            file: ConstraintFile::Policy,
            key: key.into(),
            kind,
        }
    }

    fn job(key: String, kind: ConstraintKind) -> Self {
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

/// Returns the constraints that were written, in the order of the policy's and the job's keys.
pub fn written_constraints(job: &Job, policy: &Policy) -> Vec<Constraint> {
    let mut constraints = policy_constraints(policy);
    for (name, stage) in &job.stages {
        let at = |key: &str| format!("stages.{name}.{key}");
        for need in Need::ALL
            .into_iter()
            .filter(|need| need.is_given(&stage.needs))
        {
            constraints.push(Constraint::job(
                at(&format!("needs.{}", need.key())),
                ConstraintKind::Need(name.clone(), need),
            ));
        }
        if stage.deadline.is_some() {
            constraints.push(Constraint::job(
                at("deadline"),
                ConstraintKind::StageDeadline(name.clone()),
            ));
        }
        if stage
            .allocation
            .is_some_and(|allocation| allocation != Allocation::Cheapest)
        {
            constraints.push(Constraint::job(
                at("allocation"),
                ConstraintKind::StageAllocation(name.clone()),
            ));
        }
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

/// Returns the job with those outputs left where they are made that a rule of the policy keeps from
/// this machine. Without that rule they would be brought home, which costs time and money; what is
/// compared must be the same work.
pub(super) fn leave_forbidden_outputs(job: &Job, policy: &Policy) -> Job {
    let expanded = job.expanded();
    let labels = dag::labels(&expanded);
    let read: BTreeSet<&ArtifactRef> = expanded
        .stages
        .values()
        .flat_map(|stage| &stage.reads)
        .collect();
    let mut pinned = job.clone();
    for (stage, body) in &expanded.stages {
        for name in body.writes.keys() {
            let artifact = ArtifactRef::Output {
                stage: stage.clone(),
                name: name.clone(),
            };
            let carried = labels
                .of_artifact
                .get(&artifact)
                .cloned()
                .unwrap_or_default();
            if !read.contains(&artifact) && forbids_home(policy, &carried).is_some() {
                let output = ArtifactRef::Output {
                    stage: base_name(stage).to_owned(),
                    name: name.clone(),
                };
                pinned.outputs.entry(output).or_insert(Destination::There);
            }
        }
    }
    pinned
}

fn policy_constraints(policy: &Policy) -> Vec<Constraint> {
    let mut constraints = Vec::new();
    if policy.deadline.is_some() {
        constraints.push(Constraint::policy(
            "limits.deadline",
            ConstraintKind::Deadline,
        ));
    }
    if policy.budget.is_some() {
        constraints.push(Constraint::policy("limits.budget", ConstraintKind::Budget));
    }
    if policy.max_price.is_some() {
        constraints.push(Constraint::policy(
            "limits.max_price",
            ConstraintKind::MaxPrice,
        ));
    }
    let residency = policy.residency.keys().map(|label| {
        (
            format!("residency.{label}"),
            ConstraintKind::Residency(label.clone()),
        )
    });
    constraints.extend(residency.map(|(key, what)| Constraint::policy(key, what)));
    if policy.exclude_cloud_act {
        constraints.push(Constraint::policy(
            "operators.us_cloud_act",
            ConstraintKind::CloudAct,
        ));
    }
    for (there, key, what) in [
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
    ] {
        if there {
            constraints.push(Constraint::policy(key, what));
        }
    }
    let certified = policy.certifications.keys();
    let certified = certified.map(|label| {
        (
            format!("certifications.{label}"),
            ConstraintKind::Certifications(label.clone()),
        )
    });
    constraints.extend(certified.map(|(key, what)| Constraint::policy(key, what)));
    let trust = policy.trust.keys().map(|label| {
        (
            format!("trust.{label}"),
            ConstraintKind::Trust(label.clone()),
        )
    });
    constraints.extend(trust.map(|(key, what)| Constraint::policy(key, what)));
    if policy.clouds.allow.is_some() {
        constraints.push(Constraint::policy(
            "clouds.allow",
            ConstraintKind::CloudsAllow,
        ));
    }
    let denied = |pattern: &Pattern| {
        Constraint::policy(
            format!("clouds.deny.{pattern}"),
            ConstraintKind::CloudsDeny(pattern.clone()),
        )
    };
    constraints.extend(policy.clouds.deny.iter().map(denied));
    if policy.places.allow.is_some() {
        constraints.push(Constraint::policy(
            "places.allow",
            ConstraintKind::PlacesAllow,
        ));
    }
    let denied = |pattern: &Pattern| {
        Constraint::policy(
            format!("places.deny.{pattern}"),
            ConstraintKind::PlacesDeny(pattern.clone()),
        )
    };
    constraints.extend(policy.places.deny.iter().map(denied));
    if policy.allow_spot == Some(false) {
        constraints.push(Constraint::policy("spot.allow", ConstraintKind::Spot));
    }
    if policy
        .allocation
        .is_some_and(|allocation| allocation != Allocation::Cheapest)
    {
        constraints.push(Constraint::policy(
            "spot.allocation",
            ConstraintKind::Allocation,
        ));
    }
    for (pattern, quota) in &policy.quotas {
        let constraint = |counted: Counted| {
            let key = match &counted {
                Counted::Accelerator(name) => format!("quotas.{pattern}.accelerators.{name}"),
                other => format!("quotas.{pattern}.{}", other.key()),
            };
            Constraint::policy(key, ConstraintKind::Quota(pattern.clone(), counted))
        };
        constraints.extend(counted(quota).into_iter().map(constraint));
    }
    constraints
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

impl Counted {
    fn key(&self) -> &str {
        match self {
            Counted::Cpus => "cpus",
            Counted::Instances => "instances",
            Counted::Accelerators => "accelerators",
            Counted::Accelerator(name) => name,
        }
    }

    /// The limit.
    pub fn of<'a>(&self, quota: &'a mut Quota) -> Option<&'a mut u64> {
        match self {
            Counted::Cpus => quota.vcpu_thousandths.as_mut(),
            Counted::Instances => quota.instances.as_mut(),
            Counted::Accelerators => quota.accelerators.as_mut(),
            Counted::Accelerator(name) => quota.by_accelerator.get_mut(name),
        }
    }
}

fn counted(quota: &Quota) -> Vec<Counted> {
    let mut list = Vec::new();
    if quota.vcpu_thousandths.is_some() {
        list.push(Counted::Cpus);
    }
    if quota.instances.is_some() {
        list.push(Counted::Instances);
    }
    if quota.accelerators.is_some() {
        list.push(Counted::Accelerators);
    }
    list.extend(
        quota
            .by_accelerator
            .keys()
            .cloned()
            .map(Counted::Accelerator),
    );
    list
}

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
            let closed = CLASSES
                .iter()
                .filter(|(_, open)| !open)
                .map(|(name, _)| (*name).to_owned());
            policy.partitions.extend(closed);
        }
        ConstraintKind::Spot => policy.allow_spot = Some(true),
        // Not "none", which may be less than what was said.
        ConstraintKind::Allocation => policy.allocation = Some(Allocation::Cheapest),
        ConstraintKind::Quota(pattern, counted) => {
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

/// Drops a need, also from the alternatives, into each of which it was copied.
fn drop_need(need: Need, stage: &mut Stage) {
    let common = stage.needs.clone();
    for other in stage
        .needs
        .any_of
        .iter_mut()
        .filter(|other| need.same(other, &common))
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
