//! What a program or a person meets at the door: failures with `--json`, commands that are
//! suggested, comments that code hosts accept.

use crate::execution::apply::place::Place;
use crate::execution::apply::place::plan;
use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;
use sky::model::{Bytes, DataRate, Gigabyte, Millis, Money, PlaceName};
use sky::plan::PlannedTransfer;
use sky::render::markdown;
use std::io::Write;
use std::process::{Command, Output, Stdio};

#[test]
fn every_verb_with_json_says_on_stdout_which_file_is_missing_or_broken() {
    let sandbox = Sandbox::new();
    sandbox
        .write("broken.json", "{")
        .write("broken.toml", "name = ")
        .write("plan.json", "{\"format_version\": \"9.0\"}");
    sandbox.write("folder/catalog.toml", "= broken");
    let verbs: [&[&str]; 30] = [
        &["plan", "gone.toml"],
        &["plan", "broken.toml"],
        &["plan", "broken.toml", "--check", "gone.json"],
        &["apply", "gone.json"],
        &["apply", "broken.json"],
        &["apply", "plan.json"],
        &["apply", "gone.toml", "--auto-approve"],
        &["show", "gone.json"],
        &["show", "broken.json"],
        &["validate", "gone.toml"],
        &["validate", "broken.toml"],
        &["verify", "gone.json"],
        &["verify", "broken.json"],
        &["explain", "gone.json"],
        &["explain", "broken.toml"],
        &["frontier", "gone.toml"],
        &["frontier", "broken.toml"],
        &["check", "gone.json"],
        &["check", "broken.json"],
        &["state", "list"],
        &["state", "show", "stage.x"],
        &["catalog", "list", "--catalog", "gone"],
        &["catalog", "search", "a100", "--catalog", "folder"],
        &["catalog", "show", "--catalog", "folder"],
        &["catalog", "check", "--catalog", "gone"],
        &["catalog", "diff", "gone", "folder"],
        &["catalog", "import", "skypilot", "gone", "--out", "x"],
        &["catalog", "register", "gone.toml"],
        &["refresh", "--state-recipients", "gone-keys"],
        &["destroy", "--auto-approve", "--state-identity", "gone-key"],
    ];
    for words in verbs {
        let output = sandbox.run(&[words, &["--json"]].concat());
        let (said, told) = (
            String::from_utf8(output.stdout.clone()).unwrap(),
            stderr(&output),
        );
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}{told}");
        // People are told as well; `validate` has one answer for both.
        assert!(!told.is_empty() || words[0] == "validate", "{words:?}");
        // One object, or a stream of them with the summary last.
        let objects: Vec<Value> = serde_json::Deserializer::from_str(&said)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_default();
        let severity = |object: &Value| {
            [&object["diagnostic"], &object["diagnostics"][0]]
                .into_iter()
                .any(|said| said["severity"] == "error")
        };
        assert_eq!(
            objects.iter().filter(|object| severity(object)).count(),
            1,
            "{words:?}: {said}"
        );
        if matches!(words[0], "plan" | "apply" | "refresh" | "destroy") {
            assert_eq!(objects[0]["type"], "version", "{words:?}: {said}");
            assert_eq!(
                objects.last().unwrap()["type"],
                "change_summary",
                "{words:?}: {said}"
            );
        } else {
            assert_eq!(objects.len(), 1, "{words:?}: {said}");
        }
    }
    assert!(
        sandbox
            .stdout(&["show", "gone.json", "--json"], 1)
            .contains("gone.json")
    );
}

#[test]
fn the_hint_to_keep_a_plan_repeats_the_whole_command_quoted() {
    let sandbox = Sandbox::bert();
    std::fs::rename(sandbox.path("job.toml"), sandbox.path("my job.toml")).unwrap();
    let args = [
        "plan",
        "my job.toml",
        "--policy",
        "policy.toml",
        "--catalog",
        "catalog",
        "--max-nodes=500",
    ];
    let said = stderr(&sandbox.run(&args));
    let kept = "sky plan 'my job.toml' --policy policy.toml --catalog catalog --max-nodes=500 --out plan.json";
    assert!(said.contains(kept), "{said}");
    let more = ["--out", "a plan.json", "--state-dir", "st 1"];
    let said = stderr(&sandbox.run(&[&args[..], &more].concat()));
    assert!(
        said.contains("To execute exactly this plan: sky apply 'a plan.json' --state-dir 'st 1'"),
        "{said}"
    );
}

#[test]
fn markdown_of_a_huge_plan_is_a_comment_that_code_hosts_accept() {
    let names: Vec<String> = (0..1_200)
        .map(|number| format!("stage-with-a-long-name-{number}"))
        .collect();
    let rows: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), &[][..], &["o"][..], "true"))
        .collect();
    let mut plan = plan("huge", &rows);
    for (number, stage) in plan.stages.iter_mut().enumerate() {
        stage.cost_micro_usd = Money(if number == 1_100 {
            9_000_000
        } else {
            1_000_000
        });
    }
    let place = |name: &str| PlaceName::parse(name).unwrap();
    plan.transfers = (0..1_200_u64)
        .map(|number| PlannedTransfer {
            artifact: format!("{}.o", names[number as usize]).into(),
            from: place("aws:us-east-1"),
            to: place("gcp:us-central1"),
            bytes: Bytes(1),
            billed_gb_bytes: Gigabyte::DECIMAL,
            bits_per_second: 0,
            assumed_speed: false,
            shared_link_bytes: Bytes(0),
            readers: Default::default(),
            start_ms: Millis(0),
            duration_ms: Millis(1),
            cost_micro_usd: Money(if number == 7 { 2_000_000 } else { 1 }),
            storage_micro_usd: Money(0),
            rate_nano_usd_per_gb: DataRate(1),
        })
        .collect();
    plan.warnings = (0..500)
        .map(|number| format!("warning {number}: {}", "é".repeat(200)))
        .collect();
    let text = markdown::text(&plan);
    assert!(
        text.len() < 65_536 && text.starts_with("<!-- sky-plan:huge -->"),
        "{}",
        text.len()
    );
    assert_eq!(text, markdown::text(&plan));
    // The dearest are there, in the order of the plan; what is not is counted.
    assert!(
        text.contains("stage-with-a-long-name-1100 |")
            && text.contains("stage-with-a-long-name-7.o |")
    );
    assert!(
        text.contains("of 1,200 stages ($") && text.contains("1,199 of 1,200 transfers"),
        "{text}"
    );
    assert!(text.contains("more warnings") && text.ends_with("</sub>\n"));
    let shown = text
        .lines()
        .filter(|line| line.starts_with("| stage-with-a-long-name-") && !line.contains(".o |"));
    let left_out = text
        .lines()
        .find(|line| line.starts_with("**Left out**"))
        .unwrap();
    let missing = sky::model::units::grouped(1_200 - shown.count() as i128);
    assert!(
        left_out.contains(&format!("{missing} of 1,200 stages")),
        "{left_out}"
    );
    // A plan that fits is whole.
    plan.stages.truncate(10);
    plan.transfers.truncate(10);
    plan.warnings.truncate(3);
    let text = markdown::text(&plan);
    assert!(
        !text.contains("Left out") && text.matches("| stage-with").count() == 20,
        "{text}"
    );
    // No name is so long that it breaks the limit.
    plan.job = "j".repeat(100_000);
    plan.stages[0].name = "s".repeat(100_000);
    assert!(markdown::text(&plan).len() < 65_536);
}

/// Runs a command with this text on its standard input.
fn piped(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_plan_to_compare_with_comes_from_standard_input() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    let saved = sandbox.read("plan.json");
    let check = |text: &str| {
        piped(
            sandbox.sky(&["plan", "--catalog", "catalog", "--check", "-"]),
            text.as_bytes(),
        )
    };
    let same = check(&saved);
    assert_eq!(same.status.code(), Some(0), "{}", stderr(&same));
    sandbox.replace("policy.toml", "\"6 h\"", "\"11 h\"");
    let other = check(&saved);
    assert_eq!(other.status.code(), Some(2), "{}", stderr(&other));
    let broken = check("{");
    assert_eq!(broken.status.code(), Some(2), "{}", stderr(&broken));
    assert!(
        stderr(&broken).contains("standard input is not a plan"),
        "{}",
        stderr(&broken)
    );
}

#[test]
fn a_plan_to_apply_comes_from_standard_input() {
    let place = Place::new(&[("a", &[], &[], "true")]);
    let text = place.text("plan.json");
    std::fs::remove_file(place.path("plan.json")).unwrap();
    let done = piped(
        place.sky(&["apply", "-", "--provider", "local"]),
        text.as_bytes(),
    );
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let state = piped(place.sky(&["state", "list"]), b"");
    assert!(
        String::from_utf8_lossy(&state.stdout).contains("stage.a"),
        "{}",
        stderr(&state)
    );
    let broken = piped(place.sky(&["apply", "-", "--provider", "local"]), b"{");
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
    assert!(
        stderr(&broken).contains("standard input"),
        "{}",
        stderr(&broken)
    );
}

#[test]
fn a_state_to_push_comes_from_standard_input() {
    let place = Place::new(&[("a", &[], &[], "true"), ("b", &[], &[], "true")]);
    let named = |words: &[&str]| place.sky(&[words, &["--state-dir", "kept"]].concat());
    let done = piped(named(&["apply", "plan.json", "--provider", "local"]), b"");
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let mut state: Value =
        serde_json::from_slice(&piped(named(&["state", "pull"]), b"").stdout).unwrap();
    state["serial"] = (state["serial"].as_u64().unwrap() + 5).into();
    state["stages"].as_object_mut().unwrap().remove("b");
    let pushed = piped(named(&["state", "push", "-"]), state.to_string().as_bytes());
    assert_eq!(pushed.status.code(), Some(0), "{}", stderr(&pushed));
    let listed = String::from_utf8(piped(named(&["state", "list"]), b"").stdout).unwrap();
    assert!(
        listed.contains("stage.a") && !listed.contains("stage.b"),
        "{listed}"
    );
    let broken = piped(named(&["state", "push", "-"]), b"{");
    assert_eq!(broken.status.code(), Some(1), "{}", stderr(&broken));
    assert!(
        stderr(&broken).contains("standard input"),
        "{}",
        stderr(&broken)
    );
}
