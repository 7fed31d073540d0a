//! A plan of which anything was changed is refused.

use crate::support::case::{self, Case, Random};
use crate::support::sandbox::Sandbox;
use insta_cmd::assert_cmd_snapshot;
use serde_json::Value;
use sky::model::canonical;
use sky::plan::{Plan, file};
use sky::planning::solve::Effort;
use sky::planning::{self, Settings};

const VERIFY: [&str; 4] = ["verify", "plan.json", "--catalog", "catalog"];

fn planned(case: &Case) -> Option<Plan> {
    let settings = Settings {
        effort: Effort::default(),
        compare: true,
    };
    planning::plan(&case.job(), &case.policy(), &case.catalog(), &settings).ok()
}

/// The text of every leaf of a plan, by its path.
fn leaves(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members) => members
            .iter()
            .for_each(|(key, value)| inside(key.clone(), value, at, found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| inside(index.to_string(), value, at, found)),
        _ => found.push(at.clone()),
    }
}

fn inside(key: String, value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    at.push(key);
    leaves(value, at, found);
    at.pop();
}

fn leaf<'a>(value: &'a mut Value, path: &[String]) -> &'a mut Value {
    path.iter().fold(value, |value, key| match value {
        Value::Array(items) => &mut items[key.parse::<usize>().unwrap()],
        members => &mut members[key.as_str()],
    })
}

/// Another value of the same kind.
fn changed(value: &Value, other: &Value, random: &mut Random) -> Value {
    match (value, random.below(4)) {
        (Value::Number(number), kind) => {
            let number = number.as_i64().unwrap();
            match kind {
                0 => (number + 1).into(),
                1 if number > 0 => (number - 1).into(),
                2 if number != 0 => (number * 2).into(),
                _ if other.is_number() && other != value => other.clone(),
                _ => (number + 7).into(),
            }
        }
        (Value::String(_), 0) if other.is_string() && other != value => other.clone(),
        (Value::String(text), _) => format!("{text}x").into(),
        (Value::Bool(value), _) => (!value).into(),
        _ => 1.into(),
    }
}

/// What only a solver could work out again: with a digest that fits, it passes as long as it makes
/// sense in itself.
fn takes_a_solver(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(
        path[..],
        ["single_cloud", ..] | ["sky_version"] | ["format_version"] | ["digest"]
    ) || matches!(
        path[..],
        ["solver", "name" | "version" | "bound_micro_usd" | "status"]
    )
}

#[test]
fn a_plan_with_one_change_is_refused() {
    let (mut unsigned, mut signed, mut unreadable, mut plans) = (0, 0, 0, 0);
    let mut paths = std::collections::BTreeSet::new();
    for number in 60_000..60_170 {
        let case = case::random(number);
        let Some(plan) = planned(&case) else { continue };
        let (job, policy, catalog) = (case.job(), case.policy(), case.catalog());
        let text = file::encode(&plan).unwrap();
        assert_eq!(
            planning::verify(&plan, &text, &job, &policy, &catalog),
            [],
            "case {number}\n{case:#?}\n{text}"
        );
        plans += 1;
        let value: Value = serde_json::from_str(&text).unwrap();
        let mut all = Vec::new();
        leaves(&value, &mut Vec::new(), &mut all);
        let random = &mut Random(number);
        for _ in 0..12 {
            let path: Vec<String> = random.pick(&all).clone();
            let from: &Vec<String> = random.pick(&all);
            let other = leaf(&mut value.clone(), from).clone();
            let mut mutant = value.clone();
            let place = leaf(&mut mutant, &path);
            *place = changed(place, &other, random);
            if mutant == value {
                continue;
            }
            let Ok(mut plan) = serde_json::from_value::<Plan>(mutant.clone()) else {
                unreadable += 1;
                continue;
            };
            let said = format!("case {number}: {path:?}\n{case:#?}\n{mutant:#}");
            let text = canonical::to_text(&mutant).unwrap();
            // Inputs that differ are refused before.
            let stale = path[0] == "inputs";
            let refused = |plan: &Plan, text: &str| {
                stale || !planning::verify(plan, text, &job, &policy, &catalog).is_empty()
            };
            assert!(refused(&plan, &text), "{said}");
            unsigned += 1;
            if !takes_a_solver(&path) {
                plan.digest = Some(file::self_digest(&plan).unwrap());
                assert!(
                    refused(&plan, &file::encode(&plan).unwrap()),
                    "with a digest that fits: {said}"
                );
                signed += 1;
                paths.insert(
                    path.into_iter()
                        .filter(|key| key.parse::<usize>().is_err())
                        .collect::<Vec<_>>()
                        .join("."),
                );
            }
        }
    }
    assert!(
        unsigned >= 1_000 && signed >= 1_000,
        "{unsigned} {signed} {unreadable} {plans}"
    );
    assert!(paths.len() >= 50, "{paths:#?}");
}

/// Copies, spot with checkpoints, storage, alternatives, latency, spread, quotas, a free allowance.
const RICH_JOB: &str = r#"
name = "rich"
[datasets.raw]
at = "aws:us-east-1"
size = "40 GB"
labels = ["personal"]
[stages.split]
reads = ["raw"]
writes = { part = "10 GB" }
count = 3
needs = { cpus = 4, memory = "8 GiB" }
work = { vcpu = "9 h" }
[stages.train]
reads = ["split.part"]
writes = { model = "2 GB" }
removes = ["personal"]
needs = { accelerators = ["V100:1", "T4:1"] }
duration = { "V100:1" = "6 h", "T4:1" = "11 h" }
allocation = "cheapest"
checkpoint = { every = "1 h", save = "1 m", restart = "2 m", size = "5 GB" }
nodes = 2
[stages.serve]
reads = ["train.model"]
writes = { log = "1 GB" }
count = 2
needs = { any_of = [{ cpus = 8 }, { cpus = 4, memory = "64 GiB" }], latency = { to = "US", at_most = "60 ms" } }
duration = "3 h"
deadline = "60 h"
[[spread]]
stages = ["serve"]
over = "place"
at_most = 1
"#;
const RICH_POLICY: &str = r#"
[limits]
deadline = "40 h"
budget = "$500"
[residency]
default = ["US"]
[spot]
allow = true
[storage]
keep = "30 d"
[accounts.aws]
used_this_month = "99 GB"
[clouds]
allow = ["aws", "gcp"]
[quotas.aws]
cpus = 64
[quotas."gcp:*"]
accelerators = { T4 = 8 }
"#;

#[test]
fn a_plan_of_all_features_is_verified() {
    let catalog = sky::catalog::load::shipped().unwrap();
    let job = sky::spec::job::parse("job.toml", RICH_JOB).unwrap().value;
    let policy = sky::spec::policy::parse("policy.toml", RICH_POLICY)
        .unwrap()
        .value;
    let settings = Settings {
        effort: Effort::default(),
        compare: false,
    };
    let plan = planning::plan(&job, &policy, &catalog, &settings).unwrap();
    let text = file::encode(&plan).unwrap();
    assert_eq!(planning::verify(&plan, &text, &job, &policy, &catalog), []);
    assert!(
        plan.totals.storage_micro_usd.0 > 0 && plan.stages.iter().any(|stage| stage.spot.is_some()),
        "{text}"
    );
    assert!(
        plan.stages.iter().any(|stage| stage.replica.is_some()) && !plan.transfers.is_empty(),
        "{text}"
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    leaves(&value, &mut Vec::new(), &mut all);
    // The figures of stages and transfers, of which the other test has no case.
    const NEW: [&str; 9] = [
        "boot_ms",
        "billed_ms",
        "monthly_ppm",
        "interruptions_millionths",
        "checkpoint_every_ms",
        "moving_micro_usd",
        "storage_micro_usd",
        "index",
        "deadline_ms",
    ];
    all.retain(|path| NEW.contains(&path.last().unwrap().as_str()));
    let random = &mut Random(1);
    for step in 0..27 {
        let paths: Vec<&Vec<String>> = all
            .iter()
            .filter(|path| path.last().unwrap() == NEW[step % NEW.len()])
            .collect();
        let Some(path) = (!paths.is_empty()).then(|| *random.pick(&paths)) else {
            continue;
        };
        let mut mutant = value.clone();
        let place = leaf(&mut mutant, path);
        *place = changed(place, &Value::Null, random);
        let mut plan: Plan = serde_json::from_value(mutant).unwrap();
        plan.digest = Some(file::self_digest(&plan).unwrap());
        let text = file::encode(&plan).unwrap();
        assert_ne!(
            planning::verify(&plan, &text, &job, &policy, &catalog),
            [],
            "{path:?}"
        );
    }
}

#[test]
fn as_people_and_programs_read_it() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    assert_cmd_snapshot!("verified", sandbox.sky(&VERIFY));
    assert_cmd_snapshot!(
        "verified_as_json",
        sandbox.sky(&[&VERIFY[..], &["--json"]].concat())
    );
    let plan = sandbox.read("plan.json");
    sandbox.replace("plan.json", "847872", "847871");
    assert_cmd_snapshot!("a_changed_plan", sandbox.sky(&VERIFY));
    assert_cmd_snapshot!(
        "a_changed_plan_as_json",
        sandbox.sky(&[&VERIFY[..], &["--json"]].concat())
    );
    assert_cmd_snapshot!(
        "a_changed_plan_is_not_shown",
        sandbox.sky(&["show", "plan.json"])
    );
    assert_cmd_snapshot!(
        "a_changed_plan_is_not_applied",
        sandbox.sky(&["apply", "plan.json", "--provider", "local"])
    );
    // Nobody can tell whether it was changed: it is neither shown nor verified.
    let digest = plan
        .lines()
        .find(|line| line.starts_with("  \"digest\""))
        .unwrap();
    sandbox.write("plan.json", &plan.replace(&format!("{digest}\n"), ""));
    assert_cmd_snapshot!("a_plan_without_a_digest", sandbox.sky(&VERIFY));
    assert_eq!(sandbox.run(&["show", "plan.json"]).status.code(), Some(1));
    sandbox.write(
        "plan.json",
        &plan.replace("\n  \"datasets\"", "\n\n  \"datasets\""),
    );
    assert_cmd_snapshot!("a_plan_of_other_bytes", sandbox.sky(&VERIFY));
    sandbox.write("plan.json", &plan);
    sandbox.replace("policy.toml", "6 h", "7 h");
    assert_cmd_snapshot!("a_plan_of_another_policy", sandbox.sky(&VERIFY));
}
