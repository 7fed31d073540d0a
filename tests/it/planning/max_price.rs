//! `max_price` caps what an hour of a machine may cost, and `retries` says how often a command is
//! run again: in a stage and in the policy.

use sky::model::{Rate, Retries};
use sky::plan::{Plan, file};
use std::process::{Command, Output};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(stage: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Every vCPU more makes it faster, so that without a cap the dearest machines are best.
        let job = format!(
            "name = \"job\"\n[stages.train]\nwork = {{ vcpu = \"16 h\" }}\nrun = \"true\"\n{stage}"
        );
        let policy = format!("objective = {{ minimize = \"time\" }}\n{policy}");
        std::fs::write(folder.path().join("job.toml"), job).unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        Self(folder)
    }

    fn sky(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("SKY_CATALOG")
            .env_remove("SKY_HOSTS");
        command.output().unwrap()
    }

    fn planned(&self) -> Output {
        self.sky(&[
            "plan",
            "job.toml",
            "--policy",
            "policy.toml",
            "--out",
            "plan.json",
        ])
    }

    fn plan(&self) -> Plan {
        let output = self.planned();
        assert!(output.status.success(), "{}", said(&output));
        file::read(&self.0.path().join("plan.json")).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Of the machine that is taken and of its alternatives the dearest.
fn dearest(plan: &Plan) -> Rate {
    let stage = &plan.stages[0];
    let others = stage
        .alternatives
        .iter()
        .map(|other| other.rate_nano_usd_per_hour);
    others.chain([stage.rate_nano_usd_per_hour]).max().unwrap()
}

#[test]
fn no_machine_costs_more_than_its_stage_or_the_policy_allows() {
    let fast = "needs = { cpus = 4 }\n";
    let free = Folder::new(fast, "").plan();
    assert!(dearest(&free) > Rate(200_000_000), "{:?}", free.stages[0]);
    for (stage, policy) in [
        ("needs = { cpus = 4, max_price = \"$0.20\" }\n", ""),
        ("needs = { cpus = 4 }\nmax_price = \"$0.20/h\"\n", ""),
        (fast, "[limits]\nmax_price = \"$0.20\"\n"),
        (fast, "max_price = \"$0.20\"\n"),
        (
            "needs = { any_of = [{ cpus = 4 }, { cpus = 8 }] }\nmax_price = \"$0.20\"\n",
            "",
        ),
    ] {
        let folder = Folder::new(stage, policy);
        let plan = folder.plan();
        assert!(
            dearest(&plan) <= Rate(200_000_000),
            "{stage}{policy}: {:?}",
            plan.stages[0]
        );
        let verified = folder.sky(&["verify", "plan.json", "--policy", "policy.toml"]);
        assert!(verified.status.success(), "{}", said(&verified));
    }
}

#[test]
fn a_cap_that_no_machine_keeps_is_named_with_the_least_that_would_do() {
    for (stage, policy, key) in [
        (
            "needs = { cpus = 4, max_price = \"$0.0001\" }\n",
            "",
            "stages.train.needs.max_price",
        ),
        (
            "needs = { cpus = 4 }\nmax_price = \"$0.0001\"\n",
            "",
            "stages.train.needs.max_price",
        ),
        (
            "needs = { cpus = 4 }\n",
            "[limits]\nmax_price = \"$0.0001\"\n",
            "limits.max_price",
        ),
    ] {
        let output = Folder::new(stage, policy).planned();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains(key) && said.contains("an hour") && said.contains("help: set max_price"),
            "{said}"
        );
    }
}

#[test]
fn a_plan_carries_the_retries_of_its_stage_or_else_of_the_policy() {
    let retries =
        |stage: &str, policy: &str| Folder::new(stage, policy).plan().stages[0].retries.clone();
    let some = |times, on: &[i32]| {
        Some(Retries {
            times,
            on: on.iter().copied().collect(),
        })
    };
    assert_eq!(
        retries("retries = { times = 3, on = [137, 75] }\n", ""),
        some(3, &[75, 137])
    );
    assert_eq!(
        retries("retries = 2\n", "[retries]\ntimes = 5\n"),
        some(2, &[])
    );
    assert_eq!(
        retries("", "[retries]\ntimes = 5\non = [75]\n"),
        some(5, &[75])
    );
    assert_eq!(retries("retries = 0\n", "retries = 5\n"), None);
    assert_eq!(retries("", ""), None);
}

#[test]
fn mistakes_are_said_with_the_way_out() {
    for (stage, words) in [
        (
            "retries = \"3\"\n",
            "`retries` is text, not a number or a table",
        ),
        ("retries = { on = [75] }\n", "`retries` has no `times`"),
        (
            "retries = { times = 3, on = [0] }\n",
            "`0` is not an exit code of a failure",
        ),
        (
            "retries = { times = 3, on = [256] }\n",
            "`256` is not an exit code of a failure",
        ),
        (
            "retries = { times = 3, on = [] }\n",
            "`on` is an empty list",
        ),
        ("retries = { times = 1000 }\n", "is not between 0 and 100"),
        (
            "max_price = 2.5\n",
            "`max_price` is a number without a unit",
        ),
        (
            "max_price = \"$1\"\nneeds = { max_price = \"$2\" }\n",
            "has `max_price` twice",
        ),
    ] {
        let output = Folder::new(stage, "").planned();
        assert!(
            output.status.code() == Some(1) && said(&output).contains(words),
            "{stage}: {}",
            said(&output)
        );
    }
}

#[test]
fn an_explanation_says_how_many_offers_are_above_a_cap_and_what_it_costs() {
    for (stage, policy, key) in [
        (
            "needs = { cpus = 4, max_price = \"$0.20\" }\n",
            "",
            "stages.train.needs.max_price",
        ),
        (
            "needs = { cpus = 4 }\n",
            "[limits]\nmax_price = \"$0.20\"\n",
            "limits.max_price",
        ),
    ] {
        let folder = Folder::new(stage, policy);
        folder.plan();
        let output = folder.sky(&["explain", "plan.json", "train", "--policy", "policy.toml"]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        // Without the cap a dearer machine would be faster.
        let rule = said
            .lines()
            .skip_while(|line| !line.starts_with("What each rule costs"))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(rule.contains(key) && rule.contains("without it"), "{said}");
        // Of the offers that meet the other needs, the cap leaves fewer.
        let left = said
            .lines()
            .find(|line| line.trim_start().starts_with("left by") || line.contains("max_price"));
        assert!(
            left.is_some_and(|line| line.contains("max_price")),
            "{said}"
        );
    }
}
