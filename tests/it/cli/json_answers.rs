//! `--json` of every verb that there is: the list is that of the program's own help, so that no
//! new verb is forgotten.

use crate::execution::apply::place::{Place, Row, ended};
use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

/// The verbs that can be run, each with the verbs that it is below: `catalog list`.
fn verbs() -> BTreeSet<String> {
    let sandbox = Sandbox::new();
    let mut found = BTreeSet::new();
    let mut left: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = left.pop() {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        let help = sandbox.stdout(&[&words[..], &["--help"]].concat(), 0);
        let usage = help.lines().find(|line| line.starts_with("Usage:"));
        if !usage.unwrap().contains("<COMMAND>") {
            found.insert(path.join(" "));
        }
        let commands = help
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .filter(|name| !name.is_empty());
        left.extend(commands.map(|name| [path.clone(), vec![name.to_owned()]].concat()));
    }
    found
}

/// The JSON values on standard output, of which nothing else may be there.
fn values(output: &Output, words: &[&str]) -> Vec<Value> {
    serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| {
            panic!(
                "{words:?}: {error}\n{}\n{}",
                String::from_utf8_lossy(&output.stdout),
                stderr(output)
            )
        })
}

/// Command lines of every verb that name a file which is missing or broken.
const FAILING: [(&str, &[&[&str]]); 37] = [
    (
        "init",
        &[
            &["--example", "no-such-example"],
            &["taken"],
            &["good.toml"],
        ],
    ),
    (
        "plan",
        &[
            &["gone.toml"],
            &["broken.toml"],
            &["good.toml", "--policy", "gone.toml"],
            &["good.toml", "--policy", "broken.toml"],
            &["good.toml", "--hosts", "broken.toml"],
            &["good.toml", "--catalog", "gone"],
            &["good.toml", "--check", "gone.json"],
            &["good.toml", "--state-dir", "damaged", "--from-state"],
        ],
    ),
    (
        "apply",
        &[
            &["gone.json"],
            &["broken.json"],
            &["old.json"],
            &["gone.toml", "--auto-approve"],
            &["broken.toml", "--auto-approve"],
        ],
    ),
    ("destroy", &[&["--auto-approve", "--state-dir", "damaged"]]),
    (
        "check",
        &[&["gone.json"], &["broken.json"], &["broken.toml"]],
    ),
    (
        "sweep",
        &[
            &["--dry-run", "--state-dir", "damaged"],
            &["--auto-approve", "--state-identity", "gone"],
        ],
    ),
    (
        "refresh",
        &[
            &["--state-dir", "damaged"],
            &["--state-recipients", "gone-keys"],
        ],
    ),
    ("explain", &[&["gone.json"], &["broken.toml"]]),
    ("frontier", &[&["gone.toml"], &["broken.toml"]]),
    ("show", &[&["gone.json"], &["broken.json"], &["old.json"]]),
    ("validate", &[&["gone.toml"], &["broken.toml"]]),
    ("verify", &[&["gone.json"], &["broken.json"]]),
    (
        "graph",
        &[&["gone.json"], &["broken.json"], &["broken.toml"]],
    ),
    (
        "import",
        &[&[
            "stage.a",
            "x",
            "--provider",
            "local",
            "--state-dir",
            "damaged",
        ]],
    ),
    ("import wfformat", &[&["gone.json"], &["broken.json"]]),
    (
        "state list",
        &[&[], &["--state-dir", "damaged"], &["--state-dir", "gone"]],
    ),
    ("state show", &[&["stage.a", "--state-dir", "damaged"]]),
    ("state journal", &[&[], &["--state-dir", "damaged"]]),
    (
        "state mv",
        &[
            &["stage.a", "stage.b"],
            &["a", "b", "--state-dir", "damaged"],
        ],
    ),
    (
        "state rm",
        &[&["stage.a"], &["a", "--state-dir", "damaged"]],
    ),
    ("state pull", &[&[], &["--state-dir", "damaged"]]),
    (
        "state push",
        &[&["gone.json"], &["broken.json"], &["old.json"]],
    ),
    ("lock show", &[&["--state-identity", "gone"]]),
    (
        "force-unlock",
        &[&["0123", "--auto-approve", "--state-identity", "gone"]],
    ),
    (
        "catalog list",
        &[&["--catalog", "gone"], &["--catalog", "folder"]],
    ),
    ("catalog search", &[&["a100", "--catalog", "folder"]]),
    ("catalog show", &[&["--catalog", "folder"]]),
    (
        "catalog register",
        &[&["gone.toml"], &["broken.toml", "--allow-unsigned"]],
    ),
    (
        "catalog import",
        &[
            &["skypilot", "gone", "--out", "x"],
            &["places", "broken.toml", "--out", "x"],
        ],
    ),
    (
        "catalog update",
        &[
            &["--from", "gone", "--catalog", "x"],
            &["--from", "folder", "--catalog", "x"],
        ],
    ),
    ("catalog lock", &[&["--catalog", "gone"]]),
    (
        "catalog diff",
        &[&["gone", "folder"], &["folder", "folder"]],
    ),
    ("catalog check", &[&["--catalog", "gone"]]),
    ("guide", &[&["no-such-topic"]]),
    ("schema", &[&["no-such-file"]]),
    ("man", &[&["good.toml"]]),
    // Reads no file.
    ("version", &[]),
];

/// A folder of files that are missing in one way or the other.
fn broken() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox
        .write("broken.json", "{")
        .write("broken.toml", "name = ")
        .write("old.json", "{\"format_version\": \"9.0\"}")
        .write(
            "good.toml",
            "name = \"j\"\n[stages.s]\nduration = \"1 h\"\n",
        )
        .write("folder/catalog.toml", "= broken")
        .write("taken/policy.toml", "")
        .write("damaged/sky.state.json", "{")
        .write("damaged/.gitignore", "*\n");
    sandbox
}

#[test]
fn every_verb_with_json_answers_a_missing_or_broken_file_with_one_diagnostic_alone() {
    let failing: BTreeMap<&str, &[&[&str]]> = FAILING.into_iter().collect();
    let known: BTreeSet<String> = failing.keys().map(|verb| (*verb).to_owned()).collect();
    let mut all = verbs();
    // What it prints is a script for a shell, and for nothing else.
    assert!(all.remove("completions"));
    assert_eq!(all, known, "each verb has a line of its own");
    let sandbox = broken();
    for (verb, lines) in failing {
        for more in lines {
            let verb_words: Vec<&str> = verb.split(' ').collect();
            let words = [&verb_words[..], more, &["--json"]].concat();
            let output = sandbox
                .sky(&words)
                .env("XDG_CACHE_HOME", sandbox.path("cache"))
                .output()
                .unwrap();
            let told = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{words:?}: {told}");
            let values = values(&output, &words);
            let is_error = |value: &&Value| {
                [&value["diagnostic"], &value["diagnostics"][0]]
                    .into_iter()
                    .any(|said| said["severity"] == "error")
                    || value["sources"][0]["status"] == "failed"
            };
            assert_eq!(
                values.iter().filter(is_error).count(),
                1,
                "{words:?}: {values:?}"
            );
            // Verbs with a stream of events end it with a summary; all others say one object.
            if ["plan", "apply", "refresh", "destroy"].contains(&verb) {
                assert_eq!(values[0]["type"], "version", "{words:?}");
                assert_eq!(
                    values.last().unwrap()["type"],
                    "change_summary",
                    "{words:?}"
                );
            } else {
                assert_eq!(values.len(), 1, "{words:?}: {values:?}");
            }
            // People are told as well; `validate` has one answer for both.
            assert!(!told.is_empty() || verb == "validate", "{words:?}");
        }
    }
}

#[test]
fn a_mistake_in_the_words_themselves_is_a_diagnostic_too() {
    let sandbox = Sandbox::new();
    for words in [
        &["plan", "--no-such", "--json"][..],
        &["verify", "--json"],
        &["state", "lsit", "--json"],
        &["catalog", "list", "-json", "--no-such"],
        &["--json"],
    ] {
        let output = sandbox.run(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        let values = values(&output, words);
        let errors = values
            .iter()
            .filter(|value| value["diagnostic"]["severity"] == "error");
        assert_eq!(errors.count(), 1, "{words:?}: {values:?}");
        assert!(stderr(&output).contains("Usage:"), "{words:?}");
    }
}

/// Two stages, of which one reads what the other writes.
const ROWS: [Row; 2] = [
    ("a", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
    ("b", &["a.o"], &["o"], "cat $SKY_INPUTS/o > $SKY_OUTPUTS/o"),
];

#[test]
fn every_verb_with_json_answers_in_json_alone() {
    let place = Place::new(&ROWS);
    let home = Sandbox::bert();
    for name in ["job.toml", "policy.toml", "catalog"] {
        std::os::unix::fs::symlink(home.path(name), place.path(name)).unwrap();
    }
    let workflow = place.path("workflow.json");
    std::fs::write(&workflow, crate::cli::import::WORKFLOW).unwrap();
    let workflow = workflow.to_str().unwrap();
    let lines: [&[&str]; 37] = [
        &["init", "begun"],
        &["init", "--list"],
        &["plan", "--catalog", "catalog"],
        &["plan", "--catalog", "catalog", "--out", "bert.json"],
        &["apply", "plan.json"],
        &["apply", "plan.json"],
        &["show"],
        &["show", "plan.json"],
        &["graph"],
        &["graph", "plan.json"],
        &["explain", "--catalog", "catalog"],
        &["frontier", "--catalog", "catalog"],
        &["validate"],
        &["verify", "bert.json", "--catalog", "catalog"],
        &["check", "plan.json"],
        &["refresh"],
        &["sweep", "--dry-run"],
        &["state", "list"],
        &["state", "show", "stage.a"],
        &["state", "journal"],
        &["state", "mv", "stage.b", "stage.c"],
        &["state", "rm", "stage.c"],
        &["state", "pull"],
        &["state", "push", "pulled.json"],
        &["lock", "show"],
        &["import", "wfformat", workflow],
        &["import", "wfformat", workflow, "--out", "imported.toml"],
        &["catalog", "list", "--catalog", "catalog"],
        &["catalog", "lock", "--catalog", "catalog"],
        &["catalog", "lock", "--check"],
        &["destroy", "--auto-approve"],
        &["guide"],
        &["guide", "jobs"],
        &["schema"],
        &["schema", "plan"],
        &["man", "pages"],
        &["version"],
    ];
    for words in lines {
        if words.contains(&"push") {
            let state = place.sky(&["state", "pull"]).output().unwrap();
            std::fs::write(place.path("pulled.json"), state.stdout).unwrap();
        }
        let output = place.sky(&[words, &["--json"]].concat()).output().unwrap();
        let said = ended(&output, 0);
        let values = values(&output, words);
        assert!(!values.is_empty(), "{words:?}: {said}");
        assert!(values.iter().all(Value::is_object), "{words:?}: {said}");
    }
    assert!(place.path("imported.toml").exists());
    assert!(place.path("sky.lock").exists());
}
