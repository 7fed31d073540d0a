//! What must hold between plans of related inputs, over random small worlds.

use crate::support::case::{Case, random};
use sky::catalog::Catalog;
use sky::model::{Allowance, ArtifactRef, Job, Millis, Money, Objective, Policy, Rate};
use sky::plan::Plan;
use sky::planning::solve::Effort;
use sky::planning::{self, NoPlan, Settings};
use std::collections::BTreeMap;

fn plan(job: &Job, policy: &Policy, catalog: &Catalog) -> Option<Plan> {
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    match planning::plan(job, policy, catalog, &settings) {
        Ok(plan) => Some(plan),
        Err(NoPlan::Infeasible(_) | NoPlan::Refused(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// What is minimised first, then what breaks ties; no plan is worse than every plan.
fn value(plan: &Option<Plan>) -> (i64, i64) {
    let Some(plan) = plan else {
        return (i64::MAX, i64::MAX);
    };
    let (cost, time) = (
        plan.totals.cost_micro_usd.0,
        i64::try_from(plan.totals.makespan_ms.0).unwrap(),
    );
    match plan.objective.first() {
        Objective::Cost => (cost, time),
        Objective::Time => (time, cost),
    }
}

fn unlimited(case: &Case) -> Policy {
    Policy {
        deadline: None,
        budget: None,
        ..case.policy()
    }
}

#[test]
fn a_looser_limit_is_never_worse() {
    let (mut bound, mut impossible) = (0, 0);
    for number in 4000..4080 {
        let case = random(number);
        let (job, catalog) = (case.staying(), case.catalog());
        let free = |minimize| Policy {
            minimize,
            ..unlimited(&case)
        };
        let Some(cheapest) = plan(&job, &free(Objective::Cost), &catalog) else {
            continue;
        };
        let fastest = plan(&job, &free(Objective::Time), &catalog).unwrap();
        let (low, high) = (fastest.totals.makespan_ms.0, cheapest.totals.makespan_ms.0);
        assert!(low <= high);
        let deadlines = [
            low - 1,
            low,
            low + (high - low) / 3,
            high - (high - low) / 3,
            high,
            high * 2,
        ];
        let values: Vec<(i64, i64)> = deadlines
            .into_iter()
            .map(|limit| Policy {
                deadline: Some(Millis(limit)),
                ..free(Objective::Cost)
            })
            .map(|policy| value(&plan(&job, &policy, &catalog)))
            .collect();
        assert!(
            values.is_sorted_by(|tight, loose| tight >= loose),
            "case {number}: {values:?}"
        );
        assert_eq!(
            values[0].0,
            i64::MAX,
            "case {number}: nothing is faster than the fastest"
        );
        assert_ne!(
            values[1].0,
            i64::MAX,
            "case {number}: the fastest is in time"
        );
        assert_eq!(
            values[5],
            value(&Some(cheapest.clone())),
            "case {number}: this deadline binds nothing"
        );
        bound += usize::from(values[1] != values[5]);
        let (low, high) = (
            cheapest.totals.cost_micro_usd.0,
            fastest.totals.cost_micro_usd.0,
        );
        let budgets = [low - 1, low, low + (high - low) / 2, high, high * 2];
        let values: Vec<(i64, i64)> = budgets
            .into_iter()
            .map(|limit| Policy {
                budget: Some(Money(limit)),
                ..free(Objective::Time)
            })
            .map(|policy| value(&plan(&job, &policy, &catalog)))
            .collect();
        assert!(
            values.is_sorted_by(|tight, loose| tight >= loose),
            "case {number}: {values:?}"
        );
        assert_eq!(
            values[0].0,
            i64::MAX,
            "case {number}: nothing is cheaper than the cheapest"
        );
        assert_eq!(
            values[4],
            value(&Some(fastest)),
            "case {number}: this budget binds nothing"
        );
        impossible += 1;
    }
    assert!(bound >= 10 && impossible >= 40, "{bound} {impossible}");
}

#[test]
fn another_offer_is_never_worse() {
    let (mut better, mut compared) = (0, 0);
    for number in 5000..5060 {
        let case = random(number);
        let (job, policy) = (case.staying(), unlimited(&case));
        let full = value(&plan(&job, &policy, &case.catalog()));
        let prices = case
            .catalog
            .iter()
            .position(|(name, ..)| *name == "prices.csv")
            .unwrap();
        for row in 0..case.catalog[prices].2.len() {
            let mut fewer = case.clone();
            fewer.catalog[prices].2.remove(row);
            let less = value(&plan(&job, &policy, &fewer.catalog()));
            // All machines are still there, so a name that was known still is.
            assert!(
                full <= less,
                "case {number} without row {row}: {full:?} {less:?}"
            );
            better += usize::from(full < less);
            compared += 1;
        }
    }
    assert!(better >= 30 && compared >= 200, "{better} {compared}");
}

#[test]
fn one_rule_less_is_never_worse() {
    let mut compared = BTreeMap::new();
    for number in 6000..6150 {
        let case = random(number);
        let (job, catalog, policy) = (case.staying(), case.catalog(), unlimited(&case));
        let with = value(&plan(&job, &policy, &catalog));
        let without = [
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
                "spot",
                Policy {
                    allow_spot: Some(true),
                    ..policy.clone()
                },
            ),
        ];
        for (rule, looser) in without.into_iter().filter(|(_, looser)| *looser != policy) {
            let free = value(&plan(&job, &looser, &catalog));
            assert!(
                free <= with,
                "case {number} without {rule}: {with:?} {free:?}"
            );
            *compared.entry(rule).or_insert(0) += usize::from(free < with);
        }
    }
    // Each rule costs something somewhere.
    assert!(
        compared.len() == 5 && compared.values().all(|count| *count > 0),
        "{compared:?}"
    );
}

#[test]
fn twice_the_price_is_twice_the_cost() {
    let mut compared = 0;
    for number in 7000..7060 {
        let mut case = random(number);
        let egress = case
            .catalog
            .iter_mut()
            .find(|(name, ..)| *name == "egress.csv")
            .unwrap();
        egress.2 = ["a", "b", "c"]
            .map(|cloud| format!("{cloud}:*,internet,0,0,s"))
            .to_vec();
        let job = case.job();
        let policy = Policy {
            minimize: Objective::Cost,
            ..unlimited(&case)
        };
        let mut catalog = case.catalog();
        // Multiples of $3.60 an hour cost whole micro-dollars in every millisecond.
        for offer in &mut catalog.offers {
            offer.rate = Rate(3_600_000_000 * (1 + offer.rate.0 % 7));
        }
        let once = plan(&job, &policy, &catalog);
        for offer in &mut catalog.offers {
            offer.rate = Rate(offer.rate.0 * 2);
        }
        let twice = plan(&job, &policy, &catalog);
        assert_eq!(once.is_some(), twice.is_some(), "case {number}");
        let (Some(once), Some(twice)) = (once, twice) else {
            continue;
        };
        assert_eq!(
            twice.totals.cost_micro_usd.0,
            2 * once.totals.cost_micro_usd.0,
            "case {number}"
        );
        assert_eq!(
            twice.totals.makespan_ms, once.totals.makespan_ms,
            "case {number}"
        );
        let places = |plan: &Plan| -> Vec<String> {
            plan.stages
                .iter()
                .map(|stage| stage.place.to_string())
                .collect()
        };
        assert_eq!(places(&twice), places(&once), "case {number}");
        compared += 1;
    }
    assert!(compared >= 30, "{compared}");
}

#[test]
fn the_figures_of_a_plan_agree_with_each_other() {
    let (mut planned, mut moved, mut limited) = (0, 0, 0);
    for number in 8000..8150 {
        let case = random(number);
        let (job, catalog) = (case.job(), case.catalog());
        let Some(free) = plan(&job, &unlimited(&case), &catalog) else {
            continue;
        };
        consistent(&free, &job, number);
        planned += 1;
        moved += usize::from(!free.transfers.is_empty());
        // Once more with limits that just hold.
        let policy = Policy {
            deadline: Some(free.totals.makespan_ms),
            budget: Some(free.totals.cost_micro_usd),
            ..unlimited(&case)
        };
        let tight = plan(&job, &policy, &catalog).unwrap();
        consistent(&tight, &job, number);
        assert_eq!(tight.totals, free.totals, "case {number}");
        limited += 1;
    }
    assert!(
        planned >= 80 && moved >= 20 && limited == planned,
        "{planned} {moved} {limited}"
    );
}

/// Everything that a reader of the plan file can recompute without the catalog.
fn consistent(plan: &Plan, job: &Job, number: u64) {
    let stage = |name: &str| plan.stages.iter().find(|stage| stage.name == name).unwrap();
    let totals = &plan.totals;
    let compute: Money = plan.stages.iter().map(|stage| stage.cost_micro_usd).sum();
    let egress: Money = plan.transfers.iter().map(|copy| copy.cost_micro_usd).sum();
    assert_eq!(
        (totals.compute_micro_usd, totals.egress_micro_usd),
        (compute, egress),
        "case {number}"
    );
    assert_eq!(totals.cost_micro_usd, compute + egress, "case {number}");
    // What is brought home is part of the work; nobody reads it there.
    let here = sky::model::PlaceName::here();
    let home = plan
        .transfers
        .iter()
        .filter(|copy| copy.to == here)
        .map(|copy| copy.start_ms + copy.duration_ms);
    let end = plan
        .stages
        .iter()
        .map(|stage| stage.end_ms)
        .chain(home)
        .max()
        .unwrap();
    assert_eq!(totals.makespan_ms, end, "case {number}");
    assert_eq!(plan.stages.len(), job.stages.len(), "case {number}");
    assert!(
        plan.stages
            .is_sorted_by_key(|stage| (stage.start_ms, stage.name.clone())),
        "case {number}"
    );
    for copy in &plan.transfers {
        assert_ne!(copy.from, copy.to, "case {number}");
        assert_eq!(copy.readers.is_empty(), copy.to == here, "case {number}");
        let (lies, ready) = origin(plan, &copy.artifact);
        assert_eq!(
            (&copy.from, copy.start_ms),
            (&lies, ready),
            "case {number}: {}",
            copy.artifact
        );
        assert!(
            copy.readers
                .iter()
                .all(|reader| stage(reader).place == copy.to),
            "case {number}"
        );
    }
    let copies: std::collections::BTreeSet<_> = plan
        .transfers
        .iter()
        .map(|copy| (&copy.artifact, &copy.to))
        .collect();
    assert_eq!(
        copies.len(),
        plan.transfers.len(),
        "case {number}: an artifact is copied to a place once"
    );
    for planned in &plan.stages {
        assert_eq!(
            planned.reads, job.stages[&planned.name].reads,
            "case {number}"
        );
        let rate = planned.rate_nano_usd_per_hour;
        let runs = planned.end_ms - planned.start_ms;
        assert_eq!(
            rate.cost(planned.nodes, runs),
            planned.cost_micro_usd,
            "case {number}: {}",
            planned.name
        );
        // It starts when the last of what it waits for is there, and not later.
        let arrivals = planned.reads.iter().map(|artifact| {
            let (lies, ready) = origin(plan, artifact);
            let copy = plan
                .transfers
                .iter()
                .find(|copy| copy.artifact == *artifact && copy.to == planned.place);
            match copy {
                Some(copy) => {
                    assert!(copy.readers.contains(&planned.name), "case {number}");
                    copy.start_ms + copy.duration_ms
                }
                None => {
                    assert_eq!(
                        lies, planned.place,
                        "case {number}: {artifact} is not at {}",
                        planned.name
                    );
                    ready
                }
            }
        });
        let waits = job.stages[&planned.name]
            .after
            .iter()
            .map(|before| stage(before).end_ms);
        let earliest = arrivals.chain(waits).max().unwrap_or_default();
        assert_eq!(
            planned.start_ms, earliest,
            "case {number}: {}",
            planned.name
        );
        for other in &planned.alternatives {
            assert!(
                plan.limits
                    .deadline_ms
                    .is_none_or(|limit| other.makespan_ms <= limit),
                "case {number}"
            );
            assert!(
                plan.limits
                    .budget_micro_usd
                    .is_none_or(|limit| other.total_cost_micro_usd <= limit),
                "case {number}"
            );
            let itself = (&other.place, &other.instance_type, other.purchase);
            assert_ne!(
                itself,
                (&planned.place, &planned.instance_type, planned.purchase),
                "case {number}"
            );
            if plan.objective.first() == Objective::Cost {
                assert!(
                    other.total_cost_micro_usd >= totals.cost_micro_usd,
                    "case {number}: better than the optimum"
                );
            } else {
                assert!(
                    other.makespan_ms >= totals.makespan_ms,
                    "case {number}: better than the optimum"
                );
            }
        }
        assert!(
            planned
                .alternatives
                .is_sorted_by_key(|other| other.total_cost_micro_usd),
            "case {number}"
        );
    }
}

/// Where an artifact comes into being, and when.
fn origin(plan: &Plan, artifact: &ArtifactRef) -> (sky::model::PlaceName, Millis) {
    match artifact {
        ArtifactRef::Dataset(name) => (plan.datasets[name].at.clone(), Millis(0)),
        ArtifactRef::Output { stage, .. } => {
            let writer = plan
                .stages
                .iter()
                .find(|other| other.name == *stage)
                .unwrap();
            (writer.place.clone(), writer.end_ms)
        }
    }
}
