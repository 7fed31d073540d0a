//! `sky init`: what it writes, what it says, and what it leaves alone.

use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;

const STARTER: [&str; 3] = ["job.toml", "policy.toml", "reviews.txt"];

#[test]
fn the_two_commands_that_it_names_run_as_they_are() {
    let sandbox = Sandbox::new();
    let said = sandbox.stdout(&["init"], 0);
    assert!(
        said.starts_with("Wrote job.toml, policy.toml and reviews.txt.\n\nNext:\n"),
        "{said}"
    );
    let commands: Vec<Vec<&str>> = said
        .lines()
        .filter_map(|line| line.strip_prefix("  sky ")?.split('#').next())
        .map(|command| command.split_whitespace().collect())
        .collect();
    assert_eq!(commands.len(), 2, "{said}");
    for words in &commands {
        // The stages' commands are found by PATH.
        let output = sandbox
            .sky(words)
            .env("PATH", std::env::var_os("PATH").unwrap())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let summary = sandbox.read(".sky/rehearsal/local/artifacts/report/summary");
    assert_eq!(summary, "6 reviews, mean score 0.33\n");
}

#[test]
fn the_path_of_another_folder_is_in_what_to_type_next() {
    let sandbox = Sandbox::new();
    let said = sandbox.stdout(&["init", "my jobs/first"], 0);
    assert!(
        said.starts_with("Wrote job.toml, policy.toml and reviews.txt to my jobs/first.\n"),
        "{said}"
    );
    assert!(said.contains("\n  cd 'my jobs/first'\n"), "{said}");
    let said = sandbox.stdout(&["init", "--chdir", "my jobs", "second"], 0);
    assert!(said.contains("\n  cd 'my jobs/second'\n"), "{said}");
    assert_eq!(
        sandbox.read("my jobs/first/job.toml"),
        sandbox.read("my jobs/second/job.toml")
    );
    // Scripts know what comes next.
    let quiet = sandbox
        .sky(&["init", "third"])
        .env("CI", "1")
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8(quiet.stdout).unwrap(),
        "Wrote job.toml, policy.toml and reviews.txt to third.\n"
    );
}

#[test]
fn a_file_that_is_there_is_overwritten_only_by_force() {
    for taken in STARTER {
        let sandbox = Sandbox::new();
        sandbox.write(taken, "mine");
        let output = sandbox.run(&["init"]);
        assert_eq!(output.status.code(), Some(1), "{taken}");
        let said = stderr(&output);
        assert!(
            said.contains(&format!("{taken} already exists")),
            "{taken}: {said}"
        );
        assert!(said.contains("--force"), "{taken}: {said}");
        assert_eq!(sandbox.read(taken), "mine");
        for other in STARTER {
            assert_eq!(sandbox.path(other).exists(), other == taken, "{other}");
        }
        sandbox.stdout(&["init", "--force"], 0);
        assert_ne!(sandbox.read(taken), "mine");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_there_too() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("gone", sandbox.path("job.toml")).unwrap();
    let output = sandbox.run(&["init"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(!sandbox.path("policy.toml").exists());
}

#[test]
fn when_one_file_cannot_be_written_all_are_as_before() {
    let sandbox = Sandbox::new();
    sandbox.write("job.toml", "mine");
    std::fs::create_dir(sandbox.path("policy.toml")).unwrap();
    let output = sandbox.run(&["init", "--force"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("policy.toml"), "{said}");
    assert_eq!(sandbox.read("job.toml"), "mine");
    assert!(!sandbox.path("reviews.txt").exists());
}

#[test]
fn the_list_names_every_example_in_one_line() {
    let sandbox = Sandbox::new();
    let list = sandbox.stdout(&["init", "--list"], 0);
    let json: Value =
        serde_json::from_str(&sandbox.stdout(&["init", "--list", "--json"], 0)).unwrap();
    let examples = json["examples"].as_array().unwrap();
    assert!(examples.len() > 8, "{json}");
    for example in examples {
        let text = |key: &str| example[key].as_str().unwrap();
        let is_listed = |line: &str| {
            line.trim_start().starts_with(text("name")) && line.ends_with(text("title"))
        };
        assert!(list.lines().any(is_listed), "{example} in {list}");
    }
    assert!(
        list.lines().all(|line| line.chars().count() <= 80),
        "{list}"
    );
    assert_eq!(
        std::fs::read_dir(sandbox.path("")).unwrap().count(),
        0,
        "a list writes nothing"
    );
}

#[test]
fn json_names_what_was_written() {
    let sandbox = Sandbox::new();
    let said = sandbox.stdout(&["init", "--example", "sweep", "here", "--json"], 0);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["example"], "sweep");
    let files = said["files"].as_array().unwrap();
    assert!(files.len() > 2, "{said}");
    for file in files {
        assert!(sandbox.path(file.as_str().unwrap()).is_file(), "{file}");
    }
}

#[test]
fn an_unknown_example_is_answered_with_the_nearest_and_with_all() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(&["init", "--example", "finetune"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("did you mean `sky init --example fine-tune`?"),
        "{said}"
    );
    assert!(said.contains("hosts-and-cloud"), "{said}");
    let said = stderr(&sandbox.run(&["init", "--example", "xyzzy"]));
    assert!(!said.contains("did you mean"), "{said}");
    assert!(said.contains("`sky init --list`"), "{said}");
}
