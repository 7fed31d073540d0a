//! The streams of `--json`: every event is of a kind that the guide tells of, with the fields that
//! it tells of, and everything that the guide tells of is in some stream.

use super::reference::{cell, hold_to_the_code};
use crate::support::sandbox::Sandbox;
use serde_json::Value;
use sky::render::event_kinds::{
    COMMON_FIELDS, EVENT_KINDS, EventField, EventKind, HOOK_FIELDS, HOOK_KINDS,
};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

fn table_of_fields(fields: &[EventField]) -> String {
    let mut text = "| field | meaning |\n| --- | --- |\n".to_owned();
    for EventField { path, meaning } in fields {
        writeln!(text, "| `{path}` | {} |", cell(meaning)).unwrap();
    }
    text
}

#[test]
fn the_topic_json_events_lists_every_kind() {
    let mut text = "# JSON events\n\n\
        With `--json`, the verbs `plan`, `apply`, `destroy` and `refresh` print a stream: one JSON \
        object a\nline, in the form that tools know from `terraform -json`. The first line is \
        `version`, and the last is\n`change_summary`, also after a failure. All other verbs print \
        one JSON object.\n\nReaders should skip kinds and fields that they do not know: new ones \
        may come without a new version.\nA field that has no value is left out.\n\n\
        ## All events\n\n"
        .to_owned();
    text += &table_of_fields(COMMON_FIELDS);
    text += "\n## Events about one stage\n\nThe kinds ";
    let kinds: Vec<String> = HOOK_KINDS.iter().map(|kind| format!("`{kind}`")).collect();
    text += &format!("{} have these fields too.\n\n", kinds.join(", "));
    text = textwrap_paragraphs(&text);
    text += &table_of_fields(HOOK_FIELDS);
    for EventKind {
        name,
        verbs,
        meaning,
        fields,
    } in EVENT_KINDS
    {
        let verbs: Vec<String> = verbs.iter().map(|verb| format!("`{verb}`")).collect();
        let meaning = textwrap::fill(meaning, 100);
        let verbs = verbs.join(", ");
        write!(
            text,
            "\n## {name}\n\n{meaning}\n\nIn the streams of: {verbs}.\n"
        )
        .unwrap();
        if !fields.is_empty() {
            write!(text, "\n{}", table_of_fields(fields)).unwrap();
        }
    }
    hold_to_the_code("json-events", &text);
}

/// Wraps the paragraphs that are longer than a line.
fn textwrap_paragraphs(text: &str) -> String {
    let wrap = |line: &str| match line.starts_with('|') {
        true => line.to_owned(),
        false => textwrap::fill(line, 100),
    };
    let lines: Vec<String> = text.split('\n').map(wrap).collect();
    lines.join("\n")
}

/// The events of `sky` with these words, which must end with this exit code.
fn stream(sandbox: &Sandbox, words: &[&str], code: i32) -> Vec<Value> {
    let output = sandbox.stdout(&[words, &["--json"]].concat(), code);
    let events = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    events.collect()
}

/// The paths to all values in an object, with `[]` for the elements of arrays.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let at = if at.is_empty() {
                    name.clone()
                } else {
                    format!("{at}.{name}")
                };
                paths(inner, &at, found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// Whether a field's path stands for a path.
fn stands_for(field: &str, path: &str) -> bool {
    match field.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == field || path.starts_with(&format!("{field}.")),
    }
}

/// The fields that an event of this kind may have.
fn fields_of(kind: &EventKind) -> Vec<EventField> {
    let of_a_stage = match HOOK_KINDS.contains(&kind.name) {
        true => HOOK_FIELDS,
        false => &[],
    };
    [COMMON_FIELDS, of_a_stage, kind.fields].concat()
}

/// The job: two stages, of which the second fails unless a file is there.
const JOB: &str = "
name = \"two\"

[stages.first]
writes = { out = \"1 kB\" }
duration = \"1 m\"
run = 'echo hello; echo 1 > \"$SKY_OUTPUTS/out\"'

[stages.second]
reads = [\"first.out\"]
writes = { end = \"1 kB\" }
duration = \"1 m\"
run = 'test ! -e BLOCKED && cat \"$SKY_INPUTS/out\" > \"$SKY_OUTPUTS/end\"'

[stages.third]
reads = [\"second.end\"]
duration = \"1 m\"
run = 'true'
";

/// Runs each of the four verbs where it has much to tell, and returns the streams by verb.
fn streams() -> Vec<(&'static str, Vec<Value>)> {
    let sandbox = Sandbox::new();
    sandbox.write("job.toml", &JOB.replace("BLOCKED", "/"));
    let faults =
        "[[faults]]\ncall = \"create\"\nstage = \"first\"\ntimes = 1\nfault = \"stockout\"\n";
    sandbox.write("cloud/faults.toml", faults);
    // A cloud that sky can plan for, and has no provider for.
    sandbox.write("policy.toml", "[clouds]\nallow = [\"oci\"]\n");
    let mut streams = vec![("plan", stream(&sandbox, &["plan"], 0))];
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    let state = ["--state-dir", "state"];
    let simulated = ["--provider", "sim", "--sim", "cloud"];
    let apply = [&["apply", "plan.json"][..], &simulated, &state].concat();
    streams.push(("apply", stream(&sandbox, &apply, 7)));
    streams.push((
        "refresh",
        stream(
            &sandbox,
            &[&["refresh", "--sim", "cloud"][..], &state].concat(),
            0,
        ),
    ));
    sandbox.write("job.toml", &JOB.replace("BLOCKED", "/nowhere"));
    streams.push((
        "plan",
        stream(&sandbox, &[&["plan"][..], &state].concat(), 0),
    ));
    streams.push((
        "plan",
        stream(&sandbox, &["plan", "--policy", "gone.toml"], 1),
    ));
    sandbox.write("policy.toml", "[limits]\ndeadline = \"1 s\"\n");
    streams.push(("plan", stream(&sandbox, &["plan"], 3)));
    streams.extend(streams_of_a_slow_job());
    let destroy = [&["destroy", "--auto-approve", "--sim", "cloud"][..], &state].concat();
    streams.push(("destroy", stream(&sandbox, &destroy, 0)));
    streams.push(("destroy", stream(&sandbox, &["destroy"], 1)));
    streams
}

/// An apply that a signal ends, and a refresh after a machine was deleted behind sky's back.
fn streams_of_a_slow_job() -> Vec<(&'static str, Vec<Value>)> {
    let sandbox = Sandbox::new();
    let job = "name = \"slow\"\n[stages.wait]\nduration = \"1 m\"\nrun = 'sleep 60'\n";
    sandbox.write("job.toml", job);
    sandbox.stdout(&["plan", "--out", "plan.json"], 0);
    let apply = [
        "apply",
        "plan.json",
        "--provider",
        "sim",
        "--sim",
        "cloud",
        "--state-dir",
        "state",
        "--json",
    ];
    let interrupted = until_it_runs(&sandbox, &apply, "-INT");
    until_it_runs(&sandbox, &apply, "-KILL");
    std::fs::remove_dir_all(sandbox.path("cloud/machines")).unwrap();
    let refresh = ["refresh", "--sim", "cloud", "--state-dir", "state"];
    let drifted = stream(&sandbox, &refresh, 0);
    vec![("apply", interrupted), ("refresh", drifted)]
}

/// Runs `sky` until a stage runs, sends it a signal, and returns the events that it wrote.
fn until_it_runs(sandbox: &Sandbox, words: &[&str], signal: &str) -> Vec<Value> {
    let mut command = sandbox.sky(words);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut events = Vec::new();
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["type"] == "apply_progress" && event["hook"]["status"] == "running" {
            let id = process.id().to_string();
            let sent = std::process::Command::new("kill")
                .args([signal, &id])
                .status();
            assert!(sent.unwrap().success());
        }
        events.push(event);
    }
    process.wait().unwrap();
    events
}

#[test]
fn every_event_is_as_the_guide_says() {
    let mut seen = BTreeSet::new();
    for (verb, events) in streams() {
        assert_eq!(events.first().unwrap()["type"], "version", "{verb}");
        assert_eq!(events.last().unwrap()["type"], "change_summary", "{verb}");
        for event in &events {
            let name = event["type"].as_str().unwrap();
            let kind = EVENT_KINDS.iter().find(|kind| kind.name == name);
            let kind = kind.unwrap_or_else(|| panic!("{verb}: {event}"));
            assert!(kind.verbs.contains(&verb), "{verb}: {event}");
            let mut found = BTreeSet::new();
            paths(event, "", &mut found);
            let is_plan = name == "change_summary" && verb == "plan";
            for path in found {
                let fields = fields_of(kind);
                let field = fields.iter().find(|field| stands_for(field.path, &path));
                assert!(field.is_some() || is_plan, "{verb}: {path} in {event}");
                seen.extend(field.map(|field| format!("{name} {}", field.path)));
            }
        }
    }
    let told = EVENT_KINDS.iter().flat_map(|kind| {
        let fields = fields_of(kind).into_iter();
        fields.map(|field| format!("{} {}", kind.name, field.path))
    });
    let unseen: Vec<String> = told.filter(|told| !seen.contains(told)).collect();
    assert_eq!(unseen, [""; 0]);
}
