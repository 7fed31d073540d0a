//! Why a plan is as it is: every figure is that of the problem with one thing changed.

use crate::planning::oracle::{every_placement, with_limits};
use crate::support::case::{self, Random};
use crate::support::sandbox::Sandbox;
use insta_cmd::assert_cmd_snapshot;
use sky::catalog::Catalog;
use sky::model::{ArtifactRef, Destination, Job, Objective, Pattern, Policy, Rate};
use sky::plan::{Plan, PlannedStage};
use sky::planning::compile::{Compiled, compile};
use sky::planning::problem::Instance;
use sky::planning::solve::{Effort, exhaustive};
use sky::planning::{self, BreakEven, Elsewhere, PlannedInputs, Settings, Why};
use sky::util::id_vec::Id;
use std::collections::BTreeSet;

const EXPLAIN: [&str; 3] = ["explain", "--catalog", "catalog"];

fn plan(job: &Job, policy: &Policy, catalog: &Catalog) -> Option<Plan> {
    planning::plan(
        job,
        policy,
        catalog,
        &Settings {
            effort: Effort::default(),
            compare: false,
        },
    )
    .ok()
}

/// The offer of a planned stage, as an index into the catalog's offers.
fn offer(catalog: &Catalog, stage: &PlannedStage) -> usize {
    let is = |offer: &sky::model::Offer| {
        catalog.place(offer).name == stage.place
            && catalog.machine(offer).instance_type == stage.instance_type
            && offer.purchase == stage.purchase
    };
    catalog.offers.iter().position(is).unwrap()
}

fn rank(objective: Objective, cost: i64, time: i64) -> (i64, i64) {
    if objective == Objective::Cost {
        (cost, time)
    } else {
        (time, cost)
    }
}

#[test]
fn other_places_and_prices_are_those_of_the_problem_without_them() {
    let (mut elsewhere, mut nowhere, mut flips, mut never) = (0, 0, 0, 0);
    for number in 50_000..50_120 {
        let case = case::random(number);
        let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
        let Ok(compiled) = compile(&job, &policy, &catalog) else {
            continue;
        };
        let size: usize = compiled
            .instance
            .stages
            .iter()
            .map(|stage| stage.choices.len())
            .product();
        let Some(plan) = plan(&job, &policy, &catalog).filter(|_| size <= 5_000) else {
            continue;
        };
        let explained = planning::explain(
            &plan,
            &BTreeSet::new(),
            &PlannedInputs {
                job: &job,
                policy: &policy,
                catalog: &catalog,
            },
            &Effort::default(),
        )
        .unwrap();
        let job = sent_as_planned(&job, &plan);
        let compiled = compile(&job, &policy, &catalog).unwrap();
        assert_eq!(
            (explained.stages.len(), explained.left_out),
            (plan.stages.len(), 0)
        );
        for (why, stage) in explained.stages.iter().zip(&plan.stages) {
            let said = format!(
                "case {number} {}\n{case:#?}\n{why:#?}\n{plan:#?}",
                stage.name
            );
            assert!(
                why.elsewhere
                    .as_ref()
                    .is_none_or(|elsewhere| !elsewhere.beyond),
                "there are no limits: {said}"
            );
            match other_place(&compiled, &catalog, stage) {
                None => {
                    assert_eq!(why.elsewhere, None, "{said}");
                    nowhere += 1;
                }
                Some(expected) => {
                    let Elsewhere { figures, offer, .. } = why.elsewhere.as_ref().unwrap();
                    let time = i64::try_from(figures.makespan.0).unwrap();
                    assert_eq!(
                        rank(policy.minimize, figures.cost.0, time),
                        expected,
                        "{said}"
                    );
                    assert_ne!(catalog.place(offer).name, stage.place, "{said}");
                    elsewhere += 1;
                }
            }
            match &why.break_even {
                BreakEven::At { rate, .. } if policy.minimize == Objective::Cost => {
                    flips += 1;
                    price(&plan, stage, *rate, (&job, &policy, &catalog), &said);
                }
                BreakEven::Never => {
                    let mut without = catalog.clone();
                    without.offers.remove(offer(&catalog, stage));
                    assert_eq!(self::plan(&job, &policy, &without), None, "{said}");
                    never += 1;
                }
                _ => {}
            }
            funnel(why, &compiled, &said);
        }
    }
    assert!(
        elsewhere >= 100 && nowhere >= 10 && flips >= 80 && never >= 3,
        "{elsewhere} {nowhere} {flips} {never}"
    );
}

/// The job with outputs sent where the plan sends them: the same work, whatever else changes.
fn sent_as_planned(job: &Job, plan: &Plan) -> Job {
    let mut job = job.clone();
    for stage in &plan.stages {
        for (name, destination) in &stage.outputs {
            let output = ArtifactRef::Output {
                stage: stage.name.clone(),
                name: name.clone(),
            };
            job.outputs.insert(output, *destination);
        }
    }
    job
}

/// The best of all placements with a stage in another place than the plan has it in.
fn other_place(compiled: &Compiled, catalog: &Catalog, stage: &PlannedStage) -> Option<(i64, i64)> {
    let index = compiled.stages.binary_search(&stage.name).unwrap();
    let mut instance: Instance = compiled.instance.clone();
    let candidates = &compiled.candidates[index];
    instance.stages[index].choices.retain(|choice| {
        catalog
            .place(&catalog.offers[candidates[choice.tag].offer.index()])
            .name
            != stage.place
    });
    if instance.stages[index].choices.is_empty() {
        return None;
    }
    let (_, evaluation) = exhaustive::best(&instance)?;
    Some(rank(
        instance.minimize,
        evaluation.cost().0,
        evaluation.makespan.signed(),
    ))
}

/// At the rate that was said the plan is still as cheap as any without the offer; at the least
/// bit more it is not.
fn price(
    plan: &Plan,
    stage: &PlannedStage,
    rate: Rate,
    (job, policy, catalog): (&Job, &Policy, &Catalog),
    said: &str,
) {
    let index = offer(catalog, stage);
    let mut without = catalog.clone();
    without.offers.remove(index);
    let free = self::plan(job, policy, &without)
        .unwrap()
        .totals
        .cost_micro_usd;
    let at = |rate: Rate| {
        let users = plan
            .stages
            .iter()
            .filter(|other| offer(catalog, other) == index);
        let more = users.map(|user| {
            let time = user.billed_ms;
            rate.cost(user.nodes, time).0 - user.rate_nano_usd_per_hour.cost(user.nodes, time).0
        });
        plan.totals.cost_micro_usd.0 + more.sum::<i64>()
    };
    assert!(at(rate) <= free.0, "{said}");
    assert!(at(Rate(rate.0 + 1)) > free.0, "{said}");
    let mut dearer = catalog.clone();
    dearer.offers[index].rate = Rate(rate.0 + 1);
    let then = self::plan(job, policy, &dearer).unwrap();
    assert!(then.totals.cost_micro_usd <= free, "{said}");
    let used = |plan: &Plan| {
        plan.stages
            .iter()
            .filter(|other| offer(catalog, other) == index)
            .count()
    };
    if used(plan) == 1 {
        assert_eq!(
            (then.totals.cost_micro_usd, used(&then)),
            (free, 0),
            "{said}"
        );
    }
}

/// The numbers of offers fall, down to those that the stage could take.
fn funnel(why: &Why, compiled: &Compiled, said: &str) {
    assert!(why.fitting <= why.offers, "{said}");
    let mut before = why.fitting;
    for (_, left) in &why.left {
        assert!(*left < before, "{said}");
        before = *left;
    }
    let index = compiled.stages.binary_search(&why.stage).unwrap();
    assert!(before >= compiled.candidates[index].len() as u64, "{said}");
}

#[test]
fn a_rule_costs_what_the_best_placement_saves_without_it() {
    let (mut priced, mut dear) = (std::collections::BTreeMap::new(), 0);
    for number in 51_000..51_250 {
        let case = case::random(number);
        let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
        let Some(all) = every_placement(&job, &policy, &catalog) else {
            continue;
        };
        let policy = with_limits(&policy, &all, &mut Random(number));
        let Some(plan) = plan(&job, &policy, &catalog) else {
            continue;
        };
        // What the rules keep from this machine stays where it is made without them too.
        let mut job = sent_as_planned(&job, &plan);
        job.outputs
            .retain(|_, destination| *destination == Destination::There);
        let explained = planning::explain(
            &Plan {
                stages: Vec::new(),
                ..plan.clone()
            },
            &BTreeSet::new(),
            &PlannedInputs {
                job: &job,
                policy: &policy,
                catalog: &catalog,
            },
            &Effort::default(),
        )
        .unwrap();
        for rule in &explained.rules {
            let mut free = policy.clone();
            match rule.constraint.key.split('.').collect::<Vec<_>>()[..] {
                ["limits", "deadline"] => free.deadline = None,
                ["limits", "budget"] => free.budget = None,
                ["residency", label] => {
                    free.residency.remove(label);
                }
                ["trust", label] => {
                    free.trust.remove(label);
                }
                ["operators", _] => free.exclude_cloud_act = false,
                ["clouds", "deny", cloud] => {
                    free.clouds.deny.remove(&Pattern(cloud.to_owned()));
                }
                ["spot", "allow"] => free.allow_spot = Some(true),
                ["partitions", "allow"] => {
                    free.partitions.insert("us-gov".to_owned());
                }
                _ => panic!("case {number}: {:?}", rule.constraint),
            }
            let compiled = compile(&job, &free, &catalog).unwrap();
            let size: usize = compiled
                .instance
                .stages
                .iter()
                .map(|stage| stage.choices.len())
                .product();
            if size > 20_000 {
                continue;
            }
            let found = (
                rule.free.cost.0,
                i64::try_from(rule.free.makespan.0).unwrap(),
            );
            let expected = exhaustive::best(&compiled.instance)
                .map(|(_, best)| (best.cost().0, best.makespan.signed()));
            assert_eq!(
                Some(found),
                expected,
                "case {number} {:?}\n{case:#?}",
                rule.constraint
            );
            *priced
                .entry(rule.constraint.key.split('.').next().unwrap().to_owned())
                .or_insert(0) += 1;
            dear += usize::from(rule.free.cost < plan.totals.cost_micro_usd);
        }
    }
    assert!(
        priced.len() == 7 && priced.values().all(|count| *count >= 3) && dear >= 80,
        "{priced:?} {dear}"
    );
}

#[test]
fn as_people_and_programs_read_it() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    let at_80 = |args: &[&str]| {
        let mut command = sandbox.sky(&[&EXPLAIN[..], args].concat());
        command.env("COLUMNS", "80");
        command
    };
    assert_cmd_snapshot!(
        "explain_a_plan_that_limits_bind",
        at_80(&["plan.json", "train"])
    );
    sandbox
        .replace("policy.toml", "\"6 h\"", "\"11 h\"")
        .replace("policy.toml", "\"$60\"", "\"$150\"");
    sandbox.replace(
        "policy.toml",
        "[trust]",
        "[clouds]\ndeny = [\"aws\"]\n[trust]",
    );
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    assert_cmd_snapshot!("explain_a_plan", at_80(&["plan.json"]));
    assert_cmd_snapshot!("explain_a_stage", at_80(&["plan.json", "train"]));
    assert_cmd_snapshot!("explain_as_json", at_80(&["plan.json", "serve", "--json"]));
    let text = sandbox.stdout(&[&EXPLAIN[..], &["plan.json"]].concat(), 0);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    // A job is planned first.
    assert_eq!(
        sandbox.stdout(&[&EXPLAIN[..], &["job.toml"]].concat(), 0),
        text
    );
    sandbox.replace("policy.toml", "\"cost\"", "\"time\"");
    assert_cmd_snapshot!("explain_the_fastest", at_80(&["job.toml", "train"]));
}

#[test]
fn what_cannot_be_explained() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    assert_cmd_snapshot!(
        "explain_an_unknown_stage",
        sandbox.sky(&[&EXPLAIN[..], &["plan.json", "trian"]].concat())
    );
    assert_cmd_snapshot!(
        "explain_with_another_catalog",
        sandbox.sky(&["explain", "plan.json"])
    );
    assert_cmd_snapshot!(
        "explain_what_is_no_plan",
        sandbox.sky(&["explain", "catalog/prices.csv"])
    );
    sandbox.replace("policy.toml", "6 h", "90 m");
    assert_cmd_snapshot!(
        "explain_with_another_policy",
        sandbox.sky(&[&EXPLAIN[..], &["plan.json"]].concat())
    );
    assert_cmd_snapshot!("explain_without_a_plan", sandbox.sky(&EXPLAIN));
}
