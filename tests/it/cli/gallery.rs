//! The examples of `sky init`: each is valid, is planned on the built-in catalog with a proof, shows
//! what it is there to show, and runs on this machine with programs that stand in for the real ones.

use crate::support::sandbox::{Sandbox, stderr};
use insta_cmd::assert_cmd_snapshot;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What a build says of clouds that it has no provider for, and the empty line before it.
const NO_PROVIDER: [(&str, &str); 1] = [(r"\nNote: this sky has no provider for [^\n]*\n", "")];

const PLAN: [&str; 3] = ["plan", "--out", "plan.json"];

/// The programs that the examples run and that are not on every machine.
const PROGRAMS: [&str; 9] = [
    "catboost",
    "duckdb",
    "ffmpeg",
    "lm_eval",
    "python3",
    "spark-submit",
    "torchrun",
    "vllm",
    "whisper",
];

/// Stands in for a program. What its arguments name in the folder of inputs, or as a file beside
/// the command, must be there; what they name in the folder of outputs is written.
const STAND_IN: &str = r#"#!/bin/sh
set -euf
program=$(basename "$0")
fail() { echo "$program in $SKY_STAGE: $*" >&2; exit 1; }
echo "$program" >> "$(dirname "$0")/calls"
[ "$program" != vllm ] || [ -n "${HF_TOKEN:-}" ] || fail "no HF_TOKEN"

paths_below() {
    folder=$1/
    shift
    # Also within a longer argument, such as `pretrained=PATH,peft=PATH` or a query.
    printf '%s\n' "$@" | awk -v folder="$folder" '{
        while (at = index($0, folder)) {
            $0 = substr($0, at + length(folder))
            match($0, /^[A-Za-z0-9._-]*/)
            print folder substr($0, 1, RLENGTH)
        }
    }'
}
for input in $(paths_below "$SKY_INPUTS" "$@"); do
    [ -e "$input" ] || fail "$input is not there"
done
# The shell may create a file that it names first, as `> mine.jsonl` does.
for argument in "$@"; do
    case $argument in
    */* | *"'"*) ;;
    *.py | *.csv | *.cd | *.jsonl) [ -e "$argument" ] || fail "$argument is not there" ;;
    esac
done
for output in $(paths_below "$SKY_OUTPUTS" "$@"); do
    echo "0.5 ${SKY_INDEX:-0}" > "$output"
done
# A query that writes to a file in the working folder.
for output in $(printf '%s\n' "$@" | sed -n "s/.*TO '\([^'/]*\)'.*/\1/p"); do
    echo "written by a query" > "$output"
done
# What is trained with checkpoints leaves its last one.
case " $* " in
*" $SKY_CHECKPOINT "*) mkdir -p "$SKY_CHECKPOINT/final" && echo model > "$SKY_CHECKPOINT/final/model" ;;
esac
"#;

/// A folder with an example in it.
fn example(name: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.stdout(&["init", "--example", name], 0);
    sandbox
}

/// The plan of the job and policy in the folder, which is proven to be optimal.
fn plan(sandbox: &Sandbox) -> Value {
    sandbox.stdout(&PLAN, 0);
    kept_plan(sandbox)
}

/// The plan that was written to `plan.json`, which is proven to be optimal.
fn kept_plan(sandbox: &Sandbox) -> Value {
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    assert_eq!(plan["solver"]["status"], "optimal");
    plan
}

fn stages(plan: &Value) -> &Vec<Value> {
    plan["stages"].as_array().unwrap()
}

fn stage<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let is_it = |stage: &&Value| stage["name"] == name;
    stages(plan).iter().find(is_it).unwrap()
}

fn cloud(stage: &Value) -> &str {
    stage["place"].as_str().unwrap().split(':').next().unwrap()
}

/// The example is valid without a warning, and its plan on a terminal of 80 columns is the one of
/// the snapshot.
fn is_valid_and_planned(name: &str) {
    let sandbox = example(name);
    let checked = sandbox.run(&["validate"]);
    assert_eq!(
        String::from_utf8(checked.stdout.clone()).unwrap() + &stderr(&checked),
        "Success! The job and the policy are valid.\n"
    );
    insta::with_settings!({filters => NO_PROVIDER}, {
        assert_cmd_snapshot!(
            format!("example_{name}"),
            sandbox.sky(&PLAN).env("COLUMNS", "80")
        );
    });
    kept_plan(&sandbox);
}

/// Every command names what it reads and writes, and with the stand-ins all stages are done and all
/// outputs are there.
fn runs_with_stand_ins(name: &str, programs: &[&str]) {
    let sandbox = example(name);
    let plan = plan(&sandbox);
    for stage in stages(&plan) {
        names_its_data(stage);
    }
    for program in PROGRAMS {
        sandbox.write(&format!("bin/{program}"), STAND_IN);
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(sandbox.path("bin").join(program), mode).unwrap();
    }
    let path = format!(
        "{}:{}",
        sandbox.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let output = sandbox
        .sky(&["apply", "plan.json", "--provider", "local", "--stand-ins"])
        .env("PATH", path)
        .env("HF_TOKEN", "a-secret")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let all_done = format!(
        "Apply: {} done, 0 unchanged, 0 failed, 0 skipped.",
        stages(&plan).len()
    );
    assert!(said.contains(&all_done), "{said}");
    let artifacts = sandbox.path(".sky/rehearsal/local/artifacts");
    for stage in stages(&plan) {
        for output in stage["writes"].as_object().unwrap().keys() {
            let path = artifacts.join(stage["name"].as_str().unwrap()).join(output);
            assert!(is_written(&path), "{}\n{said}", path.display());
        }
    }
    let calls = std::fs::read_to_string(sandbox.path("bin/calls")).unwrap_or_default();
    let called: BTreeSet<&str> = calls.lines().collect();
    assert_eq!(called, programs.iter().copied().collect());
}

fn names_its_data(stage: &Value) {
    let command = stage["run"].as_str().unwrap();
    for output in stage["writes"].as_object().unwrap().keys() {
        let path = format!("$SKY_OUTPUTS/{output}");
        assert!(command.contains(&path), "{path} in {command}");
    }
    for read in stage["reads"].as_array().unwrap() {
        let artifact = read.as_str().unwrap().rsplit('.').next().unwrap();
        assert!(command.contains(artifact), "{read} in {command}");
    }
    assert!(command.contains("$SKY_INPUTS"), "{command}");
}

/// A file that is not empty, or a folder.
fn is_written(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_dir() || found.len() > 0)
}

/// Two tests for each example, and one that no example is forgotten.
macro_rules! examples {
    ($($module:ident $name:literal [$($program:literal),*];)+) => {
        $(mod $module {
            #[test]
            fn is_valid_and_planned() {
                super::is_valid_and_planned($name);
            }

            #[test]
            fn runs_with_stand_ins() {
                super::runs_with_stand_ins($name, &[$($program),*]);
            }
        })+

        #[test]
        fn every_example_is_tested() {
            let list = Sandbox::new().stdout(&["init", "--list", "--json"], 0);
            let list: Value = serde_json::from_str(&list).unwrap();
            let listed = list["examples"].as_array().unwrap().iter();
            let listed: Vec<&str> = listed.map(|one| one["name"].as_str().unwrap()).collect();
            assert_eq!(listed, [$($name),+]);
        }
    };
}

examples! {
    starter "starter" [];
    fine_tune "fine-tune" ["torchrun", "lm_eval"];
    pretraining "pretraining" ["python3", "torchrun"];
    batch_inference "batch-inference" ["vllm"];
    spark_etl "spark-etl" ["spark-submit"];
    sweep "sweep" ["python3"];
    residency "residency" ["duckdb", "catboost"];
    spot_checkpoints "spot-checkpoints" ["python3"];
    hosts_and_cloud "hosts-and-cloud" ["ffmpeg", "python3", "whisper"];
}

#[test]
fn fine_tuning_and_pretraining_take_gangs() {
    for name in ["fine-tune", "pretraining"] {
        assert_eq!(stage(&plan(&example(name)), "train")["nodes"], 2, "{name}");
    }
}

#[test]
fn a_sweep_and_batch_inference_have_replicas() {
    let replicas = |name: &str, stage: &str| {
        let plan = plan(&example(name));
        let is_replica = |one: &&Value| one["name"].as_str().unwrap().starts_with(stage);
        stages(&plan).iter().filter(is_replica).count()
    };
    assert_eq!(replicas("sweep", "train["), 12);
    assert_eq!(replicas("batch-inference", "answer["), 8);
}

#[test]
fn the_best_of_a_sweep_has_as_many_settings_as_replicas() {
    let sandbox = example("sweep");
    let rows = sandbox.read("settings.csv").lines().count() - 1;
    assert!(
        sandbox
            .read("job.toml")
            .contains(&format!("count = {rows} "))
    );
}

#[test]
fn residency_binds() {
    let sandbox = example("residency");
    let with_rule = plan(&sandbox);
    for name in ["mask", "score"] {
        assert_eq!(stage(&with_rule, name)["place"], "aws:eu-central-1");
    }
    assert!(!with_rule["transfers"].to_string().contains("customers"));
    sandbox.replace("policy.toml", "personal = [\"DE\"]", "");
    let without_rule = plan(&sandbox);
    assert_ne!(stage(&without_rule, "score")["place"], "aws:eu-central-1");
    let cost = |plan: &Value| plan["totals"]["cost_micro_usd"].as_i64().unwrap();
    assert!(cost(&with_rule) > cost(&without_rule));
}

#[test]
fn checkpoints_make_spot_worth_while() {
    let plan = plan(&example("spot-checkpoints"));
    assert_eq!(stage(&plan, "train")["purchase"], "spot");
}

#[test]
fn own_hosts_and_a_cloud_are_both_used() {
    let plan = plan(&example("hosts-and-cloud"));
    assert_eq!(cloud(stage(&plan, "trim")), "ssh");
    assert_ne!(cloud(stage(&plan, "transcribe")), "ssh");
    assert_eq!(cloud(stage(&plan, "index")), "ssh");
}

#[test]
fn the_data_that_spark_joins_lies_in_two_clouds() {
    let plan = plan(&example("spark-etl"));
    let datasets = plan["datasets"].as_object().unwrap();
    let place = |data: &Value| data["at"].as_str().unwrap().to_owned();
    let clouds: BTreeSet<String> = datasets
        .values()
        .map(|data| place(data).split(':').next().unwrap().to_owned())
        .collect();
    assert_eq!(clouds.len(), 2);
}
