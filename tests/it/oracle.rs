//! The planner against an oracle that looks at every placement.
//!
//! The oracle is written to be read, not to be fast. It has its own rules, its own following of
//! labels, its own sums and its own schedule. It shares with the planner the plain data of job,
//! policy and catalog, the units' rounding, and the catalog's answers on one way: the price of
//! one copy and the throughput, which have tests of their own.

use crate::case::{Case, Random, random};
use sky::catalog::Catalog;
use sky::compile::spot;
use sky::model::units::div_half_even;
use sky::model::{ArtifactRef, Job, Millis, Objective, Offer, Policy, Purchase, Reach, Stage, Work};
use sky::planner::{self, NoPlan, Settings};
use sky::solve::Effort;
use std::collections::{BTreeMap, BTreeSet};

/// An offer for every stage, by the stage's name.
type Placement<'a> = BTreeMap<&'a str, &'a Offer>;

/// Cost in micro-USD and makespan in milliseconds of every placement that the rules allow.
/// `None`: there are too many to look at.
pub fn every_placement(job: &Job, policy: &Policy, catalog: &Catalog) -> Option<Vec<(i128, i128)>> {
    let allowed: Vec<(&str, Vec<&Offer>)> = job
        .stages
        .iter()
        .map(|(name, stage)| {
            let labels = labels_read(job, name);
            let fits = |offer: &&Offer| meets_needs(stage, offer, catalog) && obeys(policy, &labels, offer, catalog);
            (name.as_str(), catalog.offers.iter().filter(fits).collect())
        })
        .collect();
    let count: usize = allowed.iter().map(|(_, offers)| offers.len()).product();
    if count > 20_000 {
        return None;
    }
    let mut found = Vec::new();
    for mut number in 0..count {
        let mut placement = Placement::new();
        for (name, offers) in &allowed {
            placement.insert(name, offers[number % offers.len()]);
            number /= offers.len();
        }
        found.extend(figures(job, &placement, catalog));
    }
    Some(found)
}

/// The labels of all that a stage reads, followed back to the datasets.
fn labels_read(job: &Job, stage: &str) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for artifact in &job.stages[stage].reads {
        match artifact {
            ArtifactRef::Dataset(name) => labels.extend(job.datasets[name].labels.clone()),
            ArtifactRef::Output { stage, .. } => {
                let removed = &job.stages[stage].removes;
                labels.extend(labels_read(job, stage).into_iter().filter(|label| !removed.contains(label)));
            }
        }
    }
    labels
}

fn meets_needs(stage: &Stage, offer: &Offer, catalog: &Catalog) -> bool {
    let machine = catalog.machine(offer);
    let needs = &stage.needs;
    let has_accelerator = needs.accelerators.is_empty()
        || needs.accelerators.iter().any(|need| {
            machine.accelerator.as_ref().is_some_and(|(name, count)| *name == need.name && *count >= need.thousandths)
        });
    machine.vcpu_thousandths >= needs.vcpu_thousandths && machine.memory >= needs.memory && has_accelerator
}

/// The policy, sentence by sentence.
fn obeys(policy: &Policy, labels: &BTreeSet<String>, offer: &Offer, catalog: &Catalog) -> bool {
    let place = catalog.place(offer);
    let applies = |label: &String| label == "default" || labels.contains(label);
    let resident =
        policy.residency.iter().filter(|(label, _)| applies(label)).all(|(_, countries)| match &place.country {
            Some(country) => countries.contains(country),
            None => false,
        });
    let trusted = policy
        .trust
        .iter()
        .filter(|(label, _)| applies(label))
        .all(|(_, tees)| tees.iter().any(|tee| offer.tee.has(*tee)));
    let operated = !policy.exclude_cloud_act || place.cloud_act == Reach::No;
    let open =
        ["commercial", "eu-sovereign"].contains(&place.class.as_str()) || policy.partitions.contains(&place.class);
    let denied = policy.clouds.deny.iter().any(|pattern| pattern.0 == place.name.cloud);
    let bought = policy.allow_spot == Some(true) || offer.purchase == Purchase::OnDemand;
    resident && trusted && operated && open && !denied && bought
}

/// On spot machines, what is expected: that formula has tests of its own. The cases' catalogs
/// bill to the millisecond, and do not say how often machines are interrupted.
fn duration(stage: &Stage, offer: &Offer, catalog: &Catalog) -> i128 {
    let run = undisturbed(stage, offer, catalog);
    match offer.purchase {
        Purchase::OnDemand => run,
        Purchase::Spot => {
            let run = Millis(u64::try_from(run).unwrap());
            let found = spot::expected(run, stage.nodes, spot::ASSUMED_INTERRUPTIONS, Millis(0), None);
            i128::from(found.unwrap().time.0)
        }
    }
}

fn undisturbed(stage: &Stage, offer: &Offer, catalog: &Catalog) -> i128 {
    let machine = catalog.machine(offer);
    match &stage.work {
        Work::Duration(time) => i128::from(time.0),
        Work::DurationBy(times) => {
            let (name, count) = machine.accelerator.as_ref().unwrap();
            let fits = times.iter().filter(|(need, _)| need.name == *name && need.thousandths <= *count);
            i128::from(fits.max_by_key(|(need, _)| need.thousandths).unwrap().1.0)
        }
        Work::VcpuTime(time) => {
            let vcpus = i128::from(machine.vcpu_thousandths) * i128::from(stage.nodes);
            div_half_even(i128::from(time.0) * 1000, vcpus).max(1)
        }
        Work::Flops { .. } => unreachable!("no case uses it"),
    }
}

/// Cost and makespan of one placement; `None` if data would have to go where no price is known.
fn figures(job: &Job, placement: &Placement<'_>, catalog: &Catalog) -> Option<(i128, i128)> {
    let mut cost: i128 = 0;
    for (name, stage) in &job.stages {
        let offer = placement[name.as_str()];
        // nano-USD per hour, milliseconds -> micro-USD
        let exact = i128::from(offer.rate.0) * i128::from(stage.nodes) * duration(stage, offer, catalog);
        cost += div_half_even(exact, 3_600_000 * 1000);
    }
    // An artifact is paid for once per place that it is copied to.
    let mut paid: BTreeSet<(&ArtifactRef, u32)> = BTreeSet::new();
    for (name, stage) in &job.stages {
        let to = placement[name.as_str()].place;
        for artifact in &stage.reads {
            let from = lies_at(job, artifact, placement, catalog);
            if from != to && paid.insert((artifact, to)) {
                cost += i128::from(catalog.network.egress(from, to, job.size(artifact))?.cost.0);
            }
        }
    }
    let ends = job.stages.keys().map(|name| end(job, name, placement, catalog));
    Some((cost, ends.max().unwrap_or(0)))
}

fn lies_at(job: &Job, artifact: &ArtifactRef, placement: &Placement<'_>, catalog: &Catalog) -> u32 {
    match artifact {
        ArtifactRef::Dataset(name) => catalog.place_id(&job.datasets[name].at).unwrap(),
        ArtifactRef::Output { stage, .. } => placement[stage.as_str()].place,
    }
}

/// A stage starts when its last input has arrived and all stages that it comes after have ended.
fn end(job: &Job, name: &str, placement: &Placement<'_>, catalog: &Catalog) -> i128 {
    let stage = &job.stages[name];
    let here = placement[name].place;
    let arrivals = stage.reads.iter().map(|artifact| {
        let from = lies_at(job, artifact, placement, catalog);
        let ready = match artifact {
            ArtifactRef::Dataset(_) => 0,
            ArtifactRef::Output { stage, .. } => end(job, stage, placement, catalog),
        };
        let bits = i128::from(job.size(artifact).0) * 8;
        let speed = i128::from(catalog.network.bandwidth(from, here).0);
        ready + if from == here { 0 } else { div_half_even(bits * 1000, speed) }
    });
    let waits = stage.after.iter().map(|before| end(job, before, placement, catalog));
    arrivals.chain(waits).max().unwrap_or(0) + duration(stage, placement[name], catalog)
}

/// The best of them: the policy's objective, then the other figure.
pub fn best(policy: &Policy, all: &[(i128, i128)]) -> Option<(i128, i128)> {
    let deadline = policy.deadline.map_or(i128::MAX, |deadline| i128::from(deadline.0));
    let budget = policy.budget.map_or(i128::MAX, |budget| i128::from(budget.0));
    let within = all.iter().filter(|(cost, time)| *cost <= budget && *time <= deadline);
    match policy.minimize {
        Objective::Cost => within.min().copied(),
        Objective::Time => within.min_by_key(|(cost, time)| (*time, *cost)).copied(),
    }
}

/// Limits near what the job costs and takes, so that many of them bind.
pub fn with_limits(policy: &Policy, all: &[(i128, i128)], random: &mut Random) -> Policy {
    let mut policy = policy.clone();
    let mut near = |figure: i128| -> u64 { u64::try_from(figure).unwrap() * (60 + random.below(100)) / 100 };
    if let Some((cost, time)) = all.get(all.len() / 2) {
        let (cost, time) = (near(*cost), near(*time));
        if random.chance(50) {
            policy.deadline = Some(sky::model::Millis(time));
        }
        if random.chance(30) {
            policy.budget = Some(sky::model::Money(i64::try_from(cost).unwrap()));
        }
    }
    policy
}

fn settings() -> Settings {
    Settings { effort: Effort::default(), compare: false }
}

fn agree(case: &Case, number: u64) -> &'static str {
    let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
    let Some(all) = every_placement(&job, &policy, &catalog) else { return "too many" };
    let policy = with_limits(&policy, &all, &mut Random(number));
    let planned = planner::plan(&job, &policy, &catalog, &settings());
    match (best(&policy, &all), planned) {
        (Some(expected), Ok(plan)) => {
            let found = (i128::from(plan.totals.cost_micro_usd.0), i128::from(plan.totals.makespan_ms.0));
            assert_eq!(found, expected, "case {number}\n{case:#?}\n{policy:#?}\n{plan:#?}");
            assert_eq!(plan.solver.status, "optimal", "case {number}");
            assert_eq!(
                (plan.solver.gap, plan.solver.bound_micro_usd),
                (0, plan.totals.cost_micro_usd),
                "case {number}"
            );
            "planned"
        }
        (None, Err(NoPlan::Infeasible(_) | NoPlan::Refused(_))) => "infeasible",
        (expected, found) => panic!("case {number}: {expected:?} but {found:#?}\n{case:#?}\n{policy:#?}"),
    }
}

#[test]
fn the_planner_agrees_with_the_oracle() {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..700 {
        *ends.entry(agree(&random(number), number)).or_default() += 1;
    }
    // The cases must be worth something: most have a plan, and some have none.
    assert!(ends["planned"] + ends["infeasible"] >= 500, "{ends:?}");
    assert!(ends["planned"] >= 300 && ends["infeasible"] >= 30, "{ends:?}");
}
