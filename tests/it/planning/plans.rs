//! The BERT job on the pinned catalog of five offers, in every form that a plan is shown in.
//!
//! By hand, from fixtures/bert (money in micro-USD, times in milliseconds):
//!
//! | line | time | cost |
//! | --- | --- | --- |
//! | process, 2 x Standard_DC8_v2 at $0.768/h | 0.552 h = 1,987,200 | 2 x 0.768 x 0.552 = 847,872 |
//! | tokens, 1 GB from Azure at $0.0875/GB | 8 Gbit / 0.0815 Gbit/s = 98,160 | 87,500 |
//! | train, tpu-v3-8 and its host at $9.52/h | 4.049 h = 14,576,400 | 9.52 x 4.049 = 38,546,480 |
//! | model, 0.1 GB from GCP at $0.12/GB | 0.8 Gbit / 0.0815 Gbit/s = 9,816 | 12,000 |
//! | serve, inf1.xlarge at $0.228/h | 1.1 h = 3,960,000 | 0.228 x 1.1 = 250,800 |
//! | **sum** | 20,631,576 = 5 h 43 m 51.576 s | 39,744,652 |
//!
//! On Azure alone: 847,872 + 12.24 x 8.4 + 0.752 x 1.8 = 105,017,472 in 10.752 h = 38,707,200.
//! So 62.15 % of the cost and 46.70 % of the time are saved.

use crate::support::sandbox::{Sandbox, stderr};
use insta_cmd::assert_cmd_snapshot;
use serde_json::{Value, json};
use std::process::Stdio;

const PLAN: [&str; 3] = ["plan", "--catalog", "catalog"];

/// What a build says of clouds that it has no provider for, and the empty line before it.
const NO_PROVIDER: [(&str, &str); 1] = [(r"\nNote: this sky has no provider for [^\n]*\n", "")];

fn plan<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [PLAN.as_slice(), more].concat()
}

/// The plan as `show --json` gives it.
fn shown(sandbox: &Sandbox) -> Value {
    sandbox.stdout(&plan(&["--out", "plan.json"]), 0);
    serde_json::from_str(&sandbox.stdout(&["show", "plan.json", "--json"], 0)).unwrap()
}

#[test]
fn the_figures_are_those_made_by_hand() {
    let plan = shown(&Sandbox::bert());
    assert_eq!(
        plan["totals"],
        json!({
            "cost_micro_usd": 39_744_652, "compute_micro_usd": 847_872 + 38_546_480 + 250_800,
            "egress_micro_usd": 87_500 + 12_000, "storage_micro_usd": 0, "makespan_ms": 20_631_576
        })
    );
    let single = &plan["single_cloud"];
    assert_eq!(
        (
            &single["cloud"],
            &single["cost_micro_usd"],
            &single["makespan_ms"]
        ),
        (&json!("azure"), &json!(105_017_472), &json!(38_707_200))
    );
    let stages: Vec<Value> = plan["stages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stage| {
            json!([
                stage["name"],
                stage["place"],
                stage["start_ms"],
                stage["end_ms"],
                stage["cost_micro_usd"]
            ])
        })
        .collect();
    assert_eq!(
        stages,
        [
            json!(["process", "azure:eastus", 0, 1_987_200, 847_872]),
            json!([
                "train",
                "gcp:us-central1",
                2_085_360,
                16_661_760,
                38_546_480
            ]),
            json!(["serve", "aws:us-east-1", 16_671_576, 20_631_576, 250_800]),
        ]
    );
    let transfers: Vec<Value> = plan["transfers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|copy| {
            json!([
                copy["artifact"],
                copy["bytes"],
                copy["duration_ms"],
                copy["cost_micro_usd"]
            ])
        })
        .collect();
    assert_eq!(
        transfers,
        [
            json!(["process.tokens", 1_000_000_000, 98_160, 87_500]),
            json!(["train.model", 100_000_000, 9_816, 12_000]),
        ]
    );
    assert_eq!(
        (&plan["solver"]["status"], &plan["solver"]["gap"]),
        (&json!("optimal"), &json!(0))
    );
    assert_eq!(plan["solver"]["bound_micro_usd"], 39_744_652);
}

/// The words of a text, however its lines are wrapped.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn text_is_the_same_on_a_wide_terminal_and_in_a_pipe() {
    let sandbox = Sandbox::bert();
    // The same with the clouds' features and without.
    insta::with_settings!({filters => NO_PROVIDER}, { assert_cmd_snapshot!("text", sandbox.sky(&PLAN)) });
    let piped = sandbox.stdout(&PLAN, 0);
    assert!(piped.contains("62 % cheaper, 47 % faster\n"), "{piped}");
    for columns in ["80", "200"] {
        let wide = sandbox.sky(&PLAN).env("COLUMNS", columns).output().unwrap();
        assert_eq!(String::from_utf8(wide.stdout).unwrap(), piped, "{columns}");
    }
}

#[test]
fn text_at_72_columns() {
    let sandbox = Sandbox::bert();
    insta::with_settings!({filters => NO_PROVIDER}, {
        assert_cmd_snapshot!("text_at_72_columns", sandbox.sky(&PLAN).env("COLUMNS", "72"));
    });
    let at = |columns: &str| {
        sandbox
            .sky(&PLAN)
            .env("COLUMNS", columns)
            .output()
            .unwrap()
            .stdout
    };
    assert_eq!(at("20"), at("72"), "below 72 columns words would break");
}

#[test]
fn markdown() {
    let sandbox = Sandbox::bert();
    assert_cmd_snapshot!("markdown", sandbox.sky(&plan(&["--markdown"])));
    let shown = sandbox.stdout(&plan(&["--markdown", "--out", "plan.json"]), 0);
    assert_eq!(
        sandbox.stdout(&["show", "plan.json", "--markdown"], 0),
        shown
    );
}

#[test]
fn json_events() {
    let sandbox = Sandbox::bert();
    let timestamp = (r#""@timestamp":"[^"]*""#, r#""@timestamp":"[timestamp]""#);
    let marks = [
        (r#""provider_missing":"[a-z]+","#, ""),
        (r"\{[^\n]*has no provider for[^\n]*\n", ""),
    ];
    insta::with_settings!({filters => [&[timestamp][..], &marks].concat()}, {
        assert_cmd_snapshot!("json_events", sandbox.sky(&plan(&["--json"])));
    });
    let events = sandbox.stdout(&plan(&["--json", "--out", "plan.json"]), 0);
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&events[0]["type"], &events[0]["ui"]),
        (&json!("version"), &json!("1.0"))
    );
    // The last event holds the whole plan.
    let last = events.last().unwrap();
    assert_eq!(last["type"], "change_summary");
    let saved: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    for (key, value) in saved.as_object().unwrap() {
        assert_eq!(&last[key], value, "{key}");
    }
}

#[test]
fn a_failed_json_stream_ends_with_a_summary_too() {
    let sandbox = Sandbox::bert();
    sandbox.replace("policy.toml", "$60", "$30");
    let events = sandbox.stdout(&plan(&["--json"]), 3);
    let events: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let types: Vec<&Value> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["version", "diagnostic", "change_summary"]);
    assert_eq!(events[1]["diagnostic"]["severity"], "error");
}

#[test]
fn a_written_plan_is_shown_as_json_text_and_graph() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&plan(&["--out", "plan.json"]), 0);
    assert_cmd_snapshot!("show_json", sandbox.sky(&["show", "plan.json", "--json"]));
    assert_eq!(
        sandbox.stdout(&["show", "plan.json", "--json"], 0),
        sandbox.read("plan.json")
    );
    let planned = sandbox.stdout(&PLAN, 0);
    let shown = sandbox.stdout(&["show", "plan.json"], 0);
    assert!(planned.starts_with(&shown), "{shown}");
    assert_cmd_snapshot!("graph_dot", sandbox.sky(&["graph", "plan.json"]));
    assert_cmd_snapshot!(
        "graph_mermaid",
        sandbox.sky(&["graph", "plan.json", "--format", "mermaid"])
    );
    assert_cmd_snapshot!("graph_of_a_job", sandbox.sky(&["graph"]));
}

#[test]
fn a_deadline_one_minute_under_the_optimum_is_refused_with_the_reason() {
    let sandbox = Sandbox::bert();
    sandbox.replace("policy.toml", "6 h", "5 h 42 m 51 s");
    assert_cmd_snapshot!("deadline_one_minute_short", sandbox.sky(&PLAN));
    // What the message proposes is enough.
    sandbox.replace("policy.toml", "5 h 42 m 51 s", "5 h 43 m 52 s");
    sandbox.stdout(&PLAN, 0);
}

#[test]
fn a_deadline_one_minute_under_the_optimum_changes_the_answer_where_there_is_another() {
    // A T4 that serves in 1 h: 6 minutes faster than Inferentia, and $0.5012 dearer.
    let sandbox = Sandbox::bert();
    sandbox.replace("job.toml", "\"T4\" = \"1.8 h\"", "\"T4\" = \"1 h\"");
    assert_eq!(shown(&sandbox)["totals"]["cost_micro_usd"], 39_744_652);
    sandbox.replace("policy.toml", "6 h", "5 h 42 m 51 s");
    let plan = shown(&sandbox);
    assert_eq!(plan["stages"][2]["place"], "azure:eastus");
    assert_eq!(
        plan["totals"]["cost_micro_usd"],
        39_744_652 - 250_800 + 752_000
    );
    assert_eq!(plan["totals"]["makespan_ms"], 20_631_576 - 360_000);
    // 0.552 h + 8.4 h + 1 h
    assert_eq!(plan["single_cloud"]["makespan_ms"], 35_827_200);
    assert_eq!(plan["single_cloud"]["within_limits"], false);
}

#[test]
fn on_the_whole_shipped_catalog() {
    let sandbox = Sandbox::bert();
    insta::with_settings!({filters => NO_PROVIDER}, {
        assert_cmd_snapshot!("on_the_whole_shipped_catalog", sandbox.sky(&["plan", "--out", "plan.json"]));
    });
    // More offers than the pinned five, so no dearer; and the plan says what it was made from.
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    assert!(plan["totals"]["cost_micro_usd"].as_i64().unwrap() < 39_744_652);
    assert!(plan["totals"]["makespan_ms"].as_i64().unwrap() <= 6 * 3_600_000);
    assert_eq!(plan["solver"]["status"], "optimal");
    sandbox.stdout(&["plan", "--check", "plan.json"], 0);
}

/// All kinds of prices that the catalog dates: what is moved, kept, and rented beside machines.
#[test]
fn old_prices_of_every_kind_count_in_the_share_of_the_bill() {
    let sandbox = Sandbox::bert();
    sandbox.write(
        "job.toml",
        "name = \"kinds\"\n[datasets.corpus]\nat = \"gcp:us-central1\"\nsize = \"100 GB\"\n\
         [stages.train]\nreads = [\"corpus\"]\nduration = \"1 h\"\n\
         needs = { cpus = 2, places = [\"gcp:europe-west4\"] }\n",
    );
    sandbox.write("policy.toml", "");
    let text = sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    let old = &plan["old_prices"];
    let totals = |name: &str| plan["totals"][name].as_i64().unwrap();
    // The machine has a price of 2026-08; its disk one of 2025-03, and the way one of 2022-11.
    assert_eq!(old["kinds"]["machines"], Value::Null, "{old}");
    assert_eq!(
        old["kinds"]["egress"].as_i64().unwrap(),
        totals("egress_micro_usd")
    );
    let beside = totals("disk_micro_usd") + totals("address_micro_usd");
    assert_eq!(
        old["kinds"]["boot disks and addresses"].as_i64().unwrap(),
        beside
    );
    assert!(totals("egress_micro_usd") > 1_000_000 && beside > 0);
    let cost = totals("egress_micro_usd") + beside;
    assert_eq!(old["cost_micro_usd"].as_i64().unwrap(), cost);
    let total = totals("cost_micro_usd");
    assert_eq!(
        old["share_ppm"].as_i64().unwrap(),
        (cost * 1_000_000 + total / 2) / total
    );
    assert_eq!(old["oldest"], "2022-11-01");
    assert!(
        unwrapped(&text)
            .contains("prices of boot disks and addresses and egress, over 90 days older"),
        "{text}"
    );
    // What the account has an arrangement for is of no list.
    sandbox.write(
        "policy.toml",
        "[[links]]\nfrom = \"gcp:us-central1\"\nto = \"gcp:*\"\nper_gb = \"$0.01\"\n",
    );
    sandbox.stdout(&["plan", "--out", "linked.json"], 0);
    let linked: Value = serde_json::from_str(&sandbox.read("linked.json")).unwrap();
    assert!(linked["totals"]["egress_micro_usd"].as_i64().unwrap() > 0);
    assert_eq!(
        linked["old_prices"]["kinds"]["egress"],
        Value::Null,
        "{}",
        linked["old_prices"]
    );
    // A changed figure is found.
    sandbox.write("policy.toml", "");
    let text = sandbox
        .read("plan.json")
        .replace("\"oldest\": \"2022-11-01\"", "\"oldest\": \"2024-11-01\"");
    sandbox.write("changed.json", &text);
    let said = String::from_utf8(sandbox.run(&["verify", "changed.json"]).stderr).unwrap();
    assert!(said.contains("old_prices.oldest"), "{said}");
}

/// The disk of a machine has the price of its region, or the line says that it is of another one.
#[test]
fn boot_disks_without_a_price_of_their_place_are_marked_as_estimated() {
    let sandbox = Sandbox::bert();
    sandbox.write("policy.toml", "");
    for (place, marked) in [
        ("aws:us-east-1", false),
        ("aws:eu-central-1", true),
        ("gcp:europe-west4", false),
    ] {
        let job = format!(
            "name = \"disk\"\n[stages.train]\nduration = \"10 h\"\nneeds = {{ cpus = 2, places = [\"{place}\"] }}\n"
        );
        sandbox.write("job.toml", &job);
        let text = sandbox.stdout(&["plan", "--out", "plan.json"], 0);
        let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
        assert_eq!(plan["estimated_disks"][0] == "train", marked, "{place}");
        assert_eq!(
            text.contains("estimated for train: the price of other places"),
            marked,
            "{place} {text}"
        );
        sandbox.stdout(&["verify", "plan.json"], 0);
    }
}

#[test]
fn a_plan_says_what_rests_on_old_and_estimated_prices() {
    let sandbox = Sandbox::bert();
    sandbox.write(
        "old.toml",
        "name = \"old\"\n[stages.train]\nduration = \"1 h\"\n\
         needs = { accelerators = [\"H100:8\"], instance_types = [\"p5.48xlarge\"], places = [\"aws:us-west-2\"] }\n",
    );
    sandbox.write("none.toml", "");
    let text = sandbox.stdout(
        &[
            "plan",
            "old.toml",
            "--policy",
            "none.toml",
            "--out",
            "plan.json",
        ],
        0,
    );
    assert!(
        unwrapped(&text).contains("100 % of the total: prices of machines, over 90 days older"),
        "{text}"
    );
    assert!(text.contains("H100-SXM:8"), "{text}");
    let plan: Value = serde_json::from_str(&sandbox.read("plan.json")).unwrap();
    assert_eq!(plan["stages"][0]["price_source"]["estimated"], true);
    // All but the boot disk and the address, whose prices are newer.
    let figure = |name: &str| plan["totals"][name].as_i64().unwrap();
    let (compute, cost) = (figure("compute_micro_usd"), figure("cost_micro_usd"));
    assert!(compute < cost);
    assert_eq!(
        plan["old_prices"]["share_ppm"],
        (compute * 1_000_000 + cost / 2) / cost
    );
    assert_eq!(plan["old_prices"]["estimated"][0], "train");
    assert!(
        plan["warnings"].to_string().contains("is estimated"),
        "{}",
        plan["warnings"]
    );
    let rate = plan["stages"][0]["rate_nano_usd_per_hour"]
        .as_i64()
        .unwrap();
    assert!((54_000_000_000..56_000_000_000).contains(&rate), "{rate}");
    // The board that the machine does not have is not found in it.
    sandbox.write(
        "old.toml",
        &sandbox.read("old.toml").replace("H100:8", "H100-PCIe:8"),
    );
    sandbox.stdout(&["plan", "old.toml", "--policy", "none.toml"], 3);
}

#[test]
fn twenty_processes_write_the_same_bytes() {
    let sandbox = Sandbox::bert();
    let bytes = |run: usize| {
        let name = format!("plan-{run}.json");
        sandbox.stdout(&plan(&["--out", &name]), 0);
        sandbox.read(&name)
    };
    let first = bytes(0);
    assert!((1..20).all(|run| bytes(run) == first));
    assert!(
        !first.contains(sandbox.path("").to_str().unwrap()),
        "a plan holds no path of this machine"
    );
}

#[test]
fn an_equal_plan_is_not_written_again() {
    let sandbox = Sandbox::bert();
    let changed = |name: &str| {
        std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(sandbox.path(name)).unwrap())
    };
    sandbox.stdout(&plan(&["-out=plan.json"]), 0);
    let first = (
        changed("plan.json"),
        std::fs::metadata(sandbox.path("plan.json"))
            .unwrap()
            .modified()
            .unwrap(),
    );
    sandbox.stdout(&plan(&["-o", "plan.json"]), 0);
    let second = (
        changed("plan.json"),
        std::fs::metadata(sandbox.path("plan.json"))
            .unwrap()
            .modified()
            .unwrap(),
    );
    assert_eq!(first, second);
    sandbox.replace("policy.toml", "$60", "$61");
    sandbox.stdout(&plan(&["--out", "plan.json"]), 0);
    // A new file takes the place of the old one, whole.
    assert_ne!(changed("plan.json"), first.0);
    assert!(sandbox.read("plan.json").contains("61000000"));
}

#[test]
fn a_reader_that_goes_away_ends_the_verb_quietly() {
    let sandbox = Sandbox::bert();
    for args in [
        plan(&[]),
        plan(&["--json"]),
        plan(&["--markdown"]),
        vec!["graph"],
        vec!["--help"],
    ] {
        let mut child = sandbox
            .sky(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            stderr(&output)
        );
        assert_eq!(stderr(&output), "", "{args:?}");
        assert!(!sandbox.path("sky-crash.log").exists(), "{args:?}");
    }
}

#[test]
fn colours_follow_the_flag_the_environment_and_the_stream() {
    let sandbox = Sandbox::bert();
    sandbox.replace("job.toml", "nodes = 2", "nodes = 0");
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let output = sandbox
            .sky(&plan(args))
            .envs(env.iter().copied())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        stderr(&output).contains('\u{1b}')
    };
    assert!(coloured(&["--color=always"], &[]));
    assert!(
        coloured(&["--color=always"], &[("NO_COLOR", "1")]),
        "an explicit flag wins"
    );
    assert!(!coloured(&["--color=always", "--no-color"], &[]));
    assert!(!coloured(&["--color=never"], &[]));
    assert!(!coloured(&[], &[]), "stderr is a pipe");
}

#[test]
fn hints_at_the_next_step_are_left_out_in_automation() {
    let sandbox = Sandbox::bert();
    assert!(stderr(&sandbox.run(&PLAN)).contains("sky plan --catalog catalog --out plan.json"));
    assert!(stderr(&sandbox.run(&plan(&["--out", "p.json"]))).contains("sky apply p.json"));
    for name in ["CI", "SKY_IN_AUTOMATION"] {
        let output = sandbox.sky(&PLAN).env(name, "1").output().unwrap();
        assert_eq!(stderr(&output), "", "{name}");
    }
}
