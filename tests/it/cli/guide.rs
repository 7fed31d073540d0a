//! `sky guide`, and what the README shows.

use crate::support::sandbox::{Sandbox, stderr};
use std::path::Path;
use std::process::Command;

#[test]
fn without_a_topic_the_topics_are_listed() {
    let sandbox = Sandbox::new();
    let list = sandbox.stdout(&["guide"], 0);
    let json = sandbox.stdout(&["guide", "--json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let topics = json["topics"].as_array().unwrap();
    assert!(topics.len() > 20, "{json}");
    for topic in topics {
        let (name, title) = (
            topic["name"].as_str().unwrap(),
            topic["title"].as_str().unwrap(),
        );
        let is_listed = |line: &str| line.trim_start().starts_with(name) && line.ends_with(title);
        assert!(list.lines().any(is_listed), "{name} in {list}");
    }
    assert!(
        list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
}

#[test]
fn a_topic_is_shown_as_it_was_written_where_nobody_reads_it_at_once() {
    let sandbox = Sandbox::new();
    let text = sandbox.stdout(&["guide", "no-plan"], 0);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/no-plan.md");
    assert_eq!(text, std::fs::read_to_string(file).unwrap());
    let json = sandbox.stdout(&["guide", "no-plan", "--json"], 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["text"], text);
}

#[test]
fn a_topic_on_a_terminal_is_laid_out_for_it_and_goes_through_the_pager() {
    let sandbox = Sandbox::new();
    sandbox.write("pager", "#!/bin/sh\nsed 's/^/> /'\n");
    // `script` makes a terminal.
    let sky = format!("{} guide costs", env!("CARGO_BIN_EXE_sky"));
    let output = Command::new("script")
        .args(["-qec", &sky, "/dev/null"])
        .current_dir(sandbox.path(""))
        .env("PAGER", "sh ./pager")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "60")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    assert!(output.status.success(), "{said}");
    assert!(said.starts_with("> MONEY AND LEASES\n"), "{said}");
    let fits = |line: &str| line.chars().count() <= 62 || line.starts_with(">     ");
    assert!(said.lines().all(fits), "{said}");
}

#[test]
fn an_unknown_topic_is_answered_with_the_nearest() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["guide", "polices"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("did you mean `sky guide policies`?"),
        "{said}"
    );
    let said = stderr(&sandbox.run(&["guide", "xyzzy"]));
    assert!(said.contains("`sky guide` lists the topics"), "{said}");
}

/// The README is one page, its links lead somewhere, and there are the verbs that it names.
#[test]
fn the_readme_says_what_is_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.len() <= 8_000, "{}", readme.len());
    for link in readme.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        assert!(root.join(target).exists(), "{target}");
    }
    for command in readme.split("`sky ").skip(1) {
        let words = command.split('`').next().unwrap();
        let verb = words.split_whitespace().next().unwrap();
        let known = Sandbox::new().run(&[verb, "--help"]).status.success();
        assert!(known || verb == "VERB" || verb == "--help", "sky {words}");
    }
}
