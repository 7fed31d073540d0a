//! What must hold between the optima of related inputs, over random small worlds with everything
//! that the model has. Orders of preference are taken out: they come before any figure, so with
//! them a plan may rightly cost more when a better liked one becomes possible.

use crate::support::rich;
use sky::catalog::Catalog;
use sky::model::policy::Link;
use sky::model::{Allowance, Bytes, DataRate, Job, Millis, Objective, Pattern, Policy};
use sky::planning::solve::Effort;
use sky::planning::{self, NoPlan, Settings};
use std::collections::{BTreeMap, BTreeSet};

/// What is minimised first, then what breaks ties; no plan is worse than every plan.
fn value(job: &Job, policy: &Policy, catalog: &Catalog) -> (i128, i128) {
    let plan = match planning::plan(
        job,
        policy,
        catalog,
        &Settings {
            effort: Effort::default(),
            compare: false,
        },
    ) {
        Ok(plan) => plan,
        Err(NoPlan::Infeasible(_) | NoPlan::Refused(_)) => return (i128::MAX, i128::MAX),
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(plan.solver.status, "optimal");
    let (cost, time) = (
        i128::from(plan.totals.cost_micro_usd.0),
        i128::from(plan.totals.makespan_ms.0),
    );
    match (policy.minimize, policy.hour) {
        (Objective::Time, _) => (time, cost),
        (Objective::Cost, None) => (cost, time),
        // In millionths of a micro-dollar.
        (Objective::Cost, Some(hour)) => (cost * 1_000_000 + i128::from(hour.0) * time / 3600, 0),
    }
}

/// Up to a micro-dollar where the worth of time is rounded apart.
fn no_more(policy: &Policy, one: (i128, i128), other: (i128, i128)) -> bool {
    if policy.hour.is_some() {
        one.0 <= other.0.saturating_add(1_000_000)
    } else {
        one <= other
    }
}

fn world(number: u64) -> (Job, Policy, Catalog) {
    let case = rich::rich(number);
    let (mut job, policy, catalog) = (case.job(), case.policy(), case.catalog());
    job.stages
        .values_mut()
        .for_each(|stage| stage.needs.ordered = false);
    (job, policy, catalog)
}

/// A world as it is, and without one of its rules each.
fn looser(job: &Job, policy: &Policy) -> Vec<(&'static str, Job, Policy)> {
    let policies = [
        (
            "residency",
            Policy {
                residency: BTreeMap::new(),
                ..policy.clone()
            },
        ),
        (
            "trust",
            Policy {
                trust: BTreeMap::new(),
                ..policy.clone()
            },
        ),
        (
            "operators",
            Policy {
                exclude_cloud_act: false,
                ..policy.clone()
            },
        ),
        (
            "clouds",
            Policy {
                clouds: Allowance::default(),
                ..policy.clone()
            },
        ),
        (
            "partitions",
            Policy {
                partitions: BTreeSet::from(["us-gov".to_owned()]),
                ..policy.clone()
            },
        ),
        (
            "quotas",
            Policy {
                quotas: BTreeMap::new(),
                ..policy.clone()
            },
        ),
        (
            "relay",
            Policy {
                relay: Some(true),
                ..policy.clone()
            },
        ),
        (
            "deadline",
            Policy {
                deadline: None,
                ..policy.clone()
            },
        ),
        (
            "budget",
            Policy {
                budget: None,
                ..policy.clone()
            },
        ),
    ];
    let mut all: Vec<(&'static str, Job, Policy)> = policies
        .into_iter()
        .map(|(rule, policy)| (rule, job.clone(), policy))
        .collect();
    let mut with = |rule: &'static str, change: &dyn Fn(&mut Job)| {
        let mut job = job.clone();
        change(&mut job);
        all.push((rule, job, policy.clone()));
    };
    with("spread", &|job| job.spread.clear());
    with("stage deadlines", &|job| {
        job.stages
            .values_mut()
            .for_each(|stage| stage.deadline = None)
    });
    with("needs", &|job| {
        for needs in job.stages.values_mut().map(|stage| &mut stage.needs) {
            (needs.latency, needs.arch, needs.vcpu_thousandths) = (None, Some("any".to_owned()), 0);
            for needs in &mut needs.any_of {
                (needs.latency, needs.arch, needs.vcpu_thousandths) =
                    (None, Some("any".to_owned()), 0);
            }
        }
    });
    all.retain(|(_, other, rules)| other != job || rules != policy);
    all
}

#[test]
fn one_rule_less_is_never_worse() {
    let mut gained: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 200_000..200_160 {
        let (mut job, mut policy, catalog) = world(number);
        // By default results that no rule keeps come home: the work must be the same without a
        // rule.
        job.outputs = rich::rich(number).staying().outputs;
        if let Ok(plan) = planning::plan(
            &job,
            &policy,
            &catalog,
            &Settings {
                effort: Effort::default(),
                compare: false,
            },
        ) {
            // Limits that just hold, and some that do not.
            policy.deadline = Some(Millis(plan.totals.makespan_ms.0 * (95 + number % 10) / 100));
            policy.budget = Some(plan.totals.cost_micro_usd).filter(|_| number % 3 == 0);
        }
        let tight = value(&job, &policy, &catalog);
        for (rule, job, looser) in looser(&job, &policy) {
            let loose = value(&job, &looser, &catalog);
            assert!(
                no_more(&policy, loose, tight),
                "case {number} without {rule}: {tight:?} {loose:?}"
            );
            *gained.entry(rule).or_default() += usize::from(loose < tight);
        }
    }
    assert!(
        gained.len() == 12 && gained.values().filter(|count| **count > 0).count() >= 11,
        "{gained:?}"
    );
}

#[test]
fn more_peering_is_never_worse() {
    let (mut gained, mut compared) = (0, 0);
    for number in 210_000..210_100 {
        let (job, policy, catalog) = world(number);
        let without = value(&job, &policy, &catalog);
        for (from, to) in [
            ("a:*", "*"),
            ("*", "b:*"),
            ("c:*", "a:*"),
            ("*:paris", "*:paris"),
        ] {
            let mut peered = policy.clone();
            let pattern = |text: &str| Pattern(text.to_owned());
            peered.links.push(Link {
                from: pattern(from),
                to: pattern(to),
                rate: DataRate(0),
            });
            let with = value(&job, &peered, &catalog);
            assert!(
                no_more(&policy, with, without),
                "case {number} {from} {to}: {without:?} {with:?}"
            );
            gained += usize::from(with < without);
            compared += 1;
        }
    }
    assert!(gained >= 30 && compared == 400, "{gained} {compared}");
}

#[test]
fn more_bytes_never_cost_less() {
    let (mut dearer, mut compared) = (0, 0);
    for number in 220_000..220_120 {
        let (job, mut policy, catalog) = world(number);
        (policy.minimize, policy.hour) = (Objective::Cost, None);
        let (before, _) = value(&job, &policy, &catalog);
        let names: Vec<(String, String)> = (job.stages.iter())
            .flat_map(|(stage, spec)| spec.writes.keys().map(|name| (stage.clone(), name.clone())))
            .collect();
        let more = |size: &mut Bytes| *size = Bytes(size.0 + (1 + number % 50) * 1_000_000_000);
        let mut jobs = Vec::new();
        for (stage, name) in names {
            let mut larger = job.clone();
            more(
                larger
                    .stages
                    .get_mut(&stage)
                    .unwrap()
                    .writes
                    .get_mut(&name)
                    .unwrap(),
            );
            jobs.push(larger);
        }
        for name in job.datasets.keys() {
            let mut larger = job.clone();
            more(&mut larger.datasets.get_mut(name).unwrap().size);
            jobs.push(larger);
        }
        for larger in jobs {
            let (after, _) = value(&larger, &policy, &catalog);
            assert!(before <= after, "case {number}: {before} {after}");
            dearer += usize::from(before < after);
            compared += 1;
        }
    }
    assert!(dearer >= 30 && compared >= 300, "{dearer} {compared}");
}

/// A rule that the best plan keeps anyway changes nothing: what a place costs does not depend on
/// which other places there are.
#[test]
fn a_stage_pinned_to_its_planned_place_costs_the_same() {
    let (mut compared, mut on_spot, mut unproven) = (0, 0, 0);
    for number in 230_000..230_250 {
        let (mut job, mut policy, catalog) = world(number);
        // Which results come home by default depends on where a job may run.
        job.outputs = rich::rich(number).staying().outputs;
        policy.hour = None;
        // Under quotas a search may end before its proof.
        policy.quotas.clear();
        let settings = Settings {
            effort: Effort::default(),
            compare: false,
        };
        let Ok(plan) = planning::plan(&job, &policy, &catalog, &settings) else {
            continue;
        };
        // Where volumes run through tiers together, a few worlds are too large for a proof.
        if plan.solver.status != "optimal" {
            unproven += 1;
            continue;
        }
        let (free, _) = value(&job, &policy, &catalog);
        for stage in plan.stages.iter().filter(|stage| stage.replica.is_none()) {
            let mut pinned = job.clone();
            let place = Pattern(stage.place.to_string());
            let needs = &mut pinned.stages.get_mut(&stage.name).unwrap().needs;
            needs.places = BTreeSet::from([place]);
            let (tight, _) = value(&pinned, &policy, &catalog);
            assert_eq!(free, tight, "case {number}: {} pinned", stage.name);
            compared += 1;
            on_spot += usize::from(stage.spot.is_some() && stage.checkpoint.is_some());
        }
    }
    assert!(
        compared >= 150 && on_spot >= 10 && unproven <= 5,
        "{compared} {on_spot} {unproven}"
    );
}

#[test]
fn a_larger_quota_is_never_worse() {
    let (mut gained, mut compared) = (0, 0);
    for number in 240_000..240_400 {
        let (job, mut policy, catalog) = world(number);
        if policy.quotas.is_empty() {
            continue;
        }
        let settings = Settings {
            effort: Effort::default(),
            compare: false,
        };
        // With a deadline near the end of the plan, quotas cost something.
        if let Ok(plan) = planning::plan(&job, &policy, &catalog, &settings) {
            policy.deadline = Some(Millis(plan.totals.makespan_ms.0 * (80 + number % 30) / 100));
        }
        let mut larger = policy.clone();
        let double = |figure: &mut Option<u64>| *figure = figure.map(|most| most * 2);
        for quota in larger.quotas.values_mut() {
            double(&mut quota.vcpu_thousandths);
            double(&mut quota.instances);
            double(&mut quota.accelerators);
            quota
                .by_accelerator
                .values_mut()
                .for_each(|most| *most *= 2);
        }
        let (tight, _) = value(&job, &policy, &catalog);
        let (loose, _) = value(&job, &larger, &catalog);
        assert!(
            no_more(&policy, (loose, 0), (tight, 0)),
            "case {number}: {tight} {loose}"
        );
        gained += usize::from(loose < tight);
        compared += 1;
    }
    assert!(compared >= 50 && gained >= 5, "{gained} of {compared}");
}
