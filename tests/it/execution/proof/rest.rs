//! The rest of a job: planned from the state as it is, when the plan's own list of alternatives is
//! used up.

use super::conformance::files_with;
use super::ground::Ground;
use super::ground::On;
use crate::execution::apply::place::ended;
use sky::model::{Bytes, Money};
use sky::plan::{Plan, file};
use std::path::Path;

const JOB: &str = r#"
name = "rest"

[stages.prepare]
duration = "10 m"
writes = { data = "20 GB" }
run = "echo prepare >> \"RAN\"; echo 1 > $SKY_OUTPUTS/data"

[stages.train]
reads = ["prepare.data"]
duration = "1 h"
needs = { cpus = 4, memory = "16 GiB" }
writes = { model = "1 GB" }
run = "echo train >> \"RAN\"; cat $SKY_INPUTS/data > $SKY_OUTPUTS/model; echo 2 >> $SKY_OUTPUTS/model"

[stages.report]
reads = ["train.model"]
duration = "5 m"
run = "echo report >> \"RAN\"; cat $SKY_INPUTS/model"
"#;

/// A folder with the job in it, and a policy with limits.
fn ground() -> Ground {
    let ground = Ground::new(On::Sim);
    let ran = ground.path("ran").display().to_string();
    std::fs::write(ground.path("job.toml"), JOB.replace("RAN", &ran)).unwrap();
    std::fs::write(
        ground.path("policy.toml"),
        "limits = { deadline = \"6 h\", budget = \"$5\" }\n",
    )
    .unwrap();
    ended(
        &ground
            .sky(&["plan", "--out", "plan.json"])
            .output()
            .unwrap(),
        0,
    );
    ground
}

fn plan(ground: &Ground, name: &str) -> Plan {
    file::read(&ground.path(name)).unwrap()
}

/// The offers of a stage: place, type, how it is bought.
fn offers(plan: &Plan, stage: &str) -> Vec<(String, String, String)> {
    let stage = plan
        .stages
        .iter()
        .find(|planned| planned.name == stage)
        .unwrap();
    let own = (
        stage.place.to_string(),
        stage.instance_type.clone(),
        stage.purchase.to_string(),
    );
    let others = stage.alternatives.iter().map(|other| {
        (
            other.place.to_string(),
            other.instance_type.clone(),
            other.purchase.to_string(),
        )
    });
    std::iter::once(own).chain(others).collect()
}

#[test]
fn plans_have_alternatives_that_lead_elsewhere() {
    let ground = ground();
    let plan = plan(&ground, "plan.json");
    let train = plan
        .stages
        .iter()
        .find(|stage| stage.name == "train")
        .unwrap();
    assert!(
        (3..=5).contains(&train.alternatives.len()),
        "{:?}",
        train.alternatives
    );
    assert!(
        train
            .alternatives
            .iter()
            .any(|other| other.place != train.place)
    );
    assert!(
        train
            .alternatives
            .iter()
            .any(|other| other.place.cloud != train.place.cloud)
    );
    for other in &train.alternatives {
        assert!(
            other.duration_ms.0 >= 3_600_000
                && other.cost_micro_usd > Money(0)
                && other.country.is_some()
        );
        let prepared = plan
            .stages
            .iter()
            .find(|stage| stage.name == "prepare")
            .unwrap();
        let way = plan
            .links
            .iter()
            .find(|way| way.from == prepared.place && way.to == other.place);
        assert!(
            other.place == prepared.place || way.is_some_and(|way| way.bits_per_second > 0),
            "{other:?}"
        );
    }
    let costs: Vec<Money> = train
        .alternatives
        .iter()
        .map(|other| other.total_cost_micro_usd)
        .collect();
    assert!(costs.is_sorted() && costs[0] >= plan.totals.cost_micro_usd);
    ended(&ground.sky(&["verify", "plan.json"]).output().unwrap(), 0);
}

#[test]
fn the_rest_is_planned_without_what_is_not_to_be_had_and_applied() {
    let ground = ground();
    ground.faults("[[faults]]\ncall = \"create\"\nstage = \"train\"\nfault = \"stockout\"");
    let said = ended(&ground.apply(&[]), 7);
    assert!(said.contains("hint: plan the rest from here"), "{said}");
    // What there is to know is said, and nothing is planned that was tried.
    ground.faults("");
    let said = ended(
        &ground
            .sky(&["plan", "--from-state", "--out", "rest.json"])
            .output()
            .unwrap(),
        0,
    );
    assert!(
        said.contains("1 stage is done") && said.contains("offers are unavailable"),
        "{said}"
    );
    let (whole, rest) = (plan(&ground, "plan.json"), plan(&ground, "rest.json"));
    let names: Vec<&str> = rest
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(names, ["train", "report"]);
    let from = rest.from_state.as_ref().unwrap();
    assert_eq!(
        from.done["prepare"].outputs["data"],
        Bytes(2),
        "as large as it is"
    );
    assert_eq!(from.exhausted.len(), offers(&whole, "train").len());
    let (before, after) = (offers(&whole, "train"), offers(&rest, "train"));
    assert!(
        after.iter().all(|offer| !before.contains(offer)),
        "{before:?} {after:?}"
    );
    let spent = ground.state().spent_micro_usd;
    assert_eq!(
        rest.limits.budget_micro_usd,
        Some(Money(5_000_000 - spent.0))
    );
    assert!(rest.limits.deadline_ms < whole.limits.deadline_ms);
    assert_eq!(
        (rest.inputs.job, rest.inputs.policy),
        (whole.inputs.job, whole.inputs.policy)
    );
    ended(&ground.sky(&["verify", "rest.json"]).output().unwrap(), 0);
    // The same bytes again.
    ended(
        &ground
            .sky(&["plan", "--from-state", "--check", "rest.json"])
            .output()
            .unwrap(),
        0,
    );
    // It goes on where the first one was: nothing is run twice, and the account is one.
    let said = ended(
        &ground
            .sky(&["apply", "rest.json", "--provider", "sim"])
            .output()
            .unwrap(),
        0,
    );
    assert!(said.contains("of a budget of $5"), "{said}");
    assert_eq!(ground.text("ran"), "prepare\ntrain\nreport\n");
    assert!(ground.state().spent_micro_usd >= spent);
    let said = ended(
        &ground
            .sky(&["apply", "rest.json", "--provider", "sim"])
            .output()
            .unwrap(),
        0,
    );
    assert!(said.contains("No changes"), "{said}");
    ground.check_nothing_left("rest");
    // Nothing is left: the plan is one of nothing; and another plan leaves this one stale.
    let nothing = [
        "plan",
        "--from-state",
        "--detailed-exitcode",
        "--out",
        "nothing.json",
    ];
    let said = ended(&ground.sky(&nothing).output().unwrap(), 0);
    assert!(said.contains("No changes"), "{said}");
    assert!(plan(&ground, "nothing.json").stages.is_empty());
    ended(
        &ground.sky(&["verify", "nothing.json"]).output().unwrap(),
        0,
    );
    let said = ended(
        &ground
            .sky(&["apply", "nothing.json", "--provider", "sim"])
            .output()
            .unwrap(),
        0,
    );
    assert!(said.contains("No changes"), "{said}");
    assert_eq!(ground.text("ran"), "prepare\ntrain\nreport\n");
    ended(&ground.apply(&[]), 0);
    let said = ended(
        &ground
            .sky(&["apply", "rest.json", "--provider", "sim"])
            .output()
            .unwrap(),
        5,
    );
    assert!(
        said.contains("the plan goes on from serial") && said.contains("--from-state"),
        "{said}"
    );
}

#[test]
fn a_rest_is_of_one_state() {
    let ground = ground();
    let said = ended(&ground.sky(&["plan", "--from-state"]).output().unwrap(), 1);
    assert!(
        said.contains("there is no state here to go on from"),
        "{said}"
    );
    ground.faults("[[faults]]\ncall = \"create\"\nstage = \"report\"\nfault = \"stockout\"");
    ended(&ground.apply(&[]), 7);
    ended(
        &ground
            .sky(&["plan", "--from-state", "--out", "rest.json"])
            .output()
            .unwrap(),
        0,
    );
    let elsewhere = self::ground();
    std::fs::copy(ground.path("rest.json"), elsewhere.path("rest.json")).unwrap();
    let apply = |ground: &Ground| {
        ground
            .sky(&["apply", "rest.json", "--provider", "sim"])
            .output()
            .unwrap()
    };
    assert!(ended(&apply(&elsewhere), 5).contains("there is no state here"));
    ended(&elsewhere.apply(&[]), 0);
    assert!(ended(&apply(&elsewhere), 5).contains("; here is state"));
    // A stage whose work has changed is not done.
    let job = ground.text("job.toml").replace("echo 2 >>", "echo 3 >>");
    std::fs::write(ground.path("job.toml"), job).unwrap();
    ended(
        &ground
            .sky(&["plan", "--from-state", "--out", "rest.json"])
            .output()
            .unwrap(),
        0,
    );
    let rest = plan(&ground, "rest.json");
    assert_eq!(
        rest.from_state.unwrap().done.keys().collect::<Vec<_>>(),
        ["prepare"]
    );
}

#[test]
fn an_apply_of_a_job_plans_the_rest_by_itself_if_it_may() {
    let ground = ground();
    let stage_offers = offers(&plan(&ground, "plan.json"), "train").len();
    let some = format!(
        "[[faults]]\ncall = \"create\"\nstage = \"train\"\ntimes = {stage_offers}\nfault = \"stockout\""
    );
    ground.faults(&some);
    let apply = [
        "apply",
        "job.toml",
        "--auto-approve",
        "--replan",
        "--provider",
        "sim",
    ];
    let said = ended(&ground.sky(&apply).output().unwrap(), 0);
    assert!(said.contains("The rest, from serial"), "{said}");
    assert_eq!(ground.text("ran"), "prepare\ntrain\nreport\n");
    ground.check_nothing_left("replan");
    // A plan file is applied as it is.
    let said = ended(
        &ground
            .sky(&["apply", "plan.json", "--replan", "--provider", "sim"])
            .output()
            .unwrap(),
        1,
    );
    assert!(said.contains("--replan needs the job file"), "{said}");
}

#[test]
fn secrets_are_references_in_job_and_plan() {
    let ground = Ground::new(On::Sim);
    let job = "name = \"s\"\n[stages.a]\nduration = \"1 m\"\nsecrets = { TOKEN = \"env:SKY_TEST_TOKEN\", KEY = \"file:key\" }\n\
               run = \"printf %s \\\"$TOKEN$KEY\\\" | wc -c; test -n \\\"$TOKEN\\\" && echo $TOKEN && echo fine\"\n";
    std::fs::write(ground.path("job.toml"), job).unwrap();
    ended(
        &ground
            .sky(&["plan", "--out", "plan.json"])
            .output()
            .unwrap(),
        0,
    );
    let plan = plan(&ground, "plan.json");
    assert_eq!(plan.stages[0].secrets["TOKEN"], "env:SKY_TEST_TOKEN");
    ended(&ground.sky(&["verify", "plan.json"]).output().unwrap(), 0);
    let said = ended(&ground.apply(&[]), 1);
    assert!(
        said.contains("secret TOKEN: environment variable SKY_TEST_TOKEN is not set"),
        "{said}"
    );
    assert!(said.contains("secret KEY: "), "{said}");
    let (token, key) = ("t0ken-5ecret", "k3y-5ecret");
    std::fs::write(ground.path("key"), format!("{key}\n")).unwrap();
    let output = ground
        .apply_command(&[])
        .env("SKY_TEST_TOKEN", token)
        .output()
        .unwrap();
    let said = ended(&output, 0);
    assert!(
        said.contains("(sensitive value)") && !said.contains(token),
        "{said}"
    );
    std::fs::remove_file(ground.path("key")).unwrap();
    let written = |text: &str| -> Vec<String> {
        // What the stage itself prints of it is in the log on its machine, and nowhere else.
        let found = files_with(Path::new(ground.folder.path()), text);
        found
            .into_iter()
            .filter(|name| !name.ends_with("/log"))
            .collect()
    };
    assert_eq!(written(token), Vec::<String>::new());
    assert_eq!(written(key), Vec::<String>::new());
}
