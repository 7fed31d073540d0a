//! Hostile inputs: every file that people, clouds and machines hand to `sky`, broken in several
//! hundred ways.
//!
//! Each trial runs the binary with two gigabytes of address space and a time limit. It must end by
//! itself, with one of the documented exit codes, a message if it refuses, no panic, and no control
//! character in what it prints. A folder beside the sandbox must stay as it is, and nothing of it
//! may be printed.

mod documents;
mod journal;
mod trial;
mod values;
mod worker;

use crate::execution::apply::place::{Place, Row};
use documents::{broken_texts, with_json_values, with_toml_values};
pub(crate) use trial::within_limits;
use trial::{Trial, hold};

/// The trials of a document that lies at `file` of the BERT sandbox, tried with each of the
/// commands in turn.
fn trials(
    file: &'static str,
    contents: Vec<(String, Vec<u8>)>,
    commands: &[&[&'static str]],
) -> Vec<Trial> {
    let trial = |(number, (name, bytes)): (usize, (String, Vec<u8>))| Trial {
        name: format!("{file}: {name}"),
        file,
        bytes: Some(bytes),
        args: commands[number % commands.len()].to_vec(),
    };
    contents.into_iter().enumerate().map(trial).collect()
}

/// The trials of what is not a regular file, with each command.
fn no_files(file: &'static str, commands: &[&[&'static str]]) -> Vec<Trial> {
    let strange = [
        "a folder",
        "a link to itself",
        "a pipe",
        "a link to /dev/zero",
    ];
    let trial = |name: &str, args: &[&'static str]| Trial {
        name: format!("{file}: {name}"),
        file,
        bytes: None,
        args: args.to_vec(),
    };
    strange
        .iter()
        .zip(commands.iter().cycle())
        .map(|(name, args)| trial(name, args))
        .collect()
}

#[test]
fn hostile_jobs_are_refused_or_planned() {
    let text = trial::fixture("job.toml");
    let commands: [&[&str]; 3] = [
        &["validate", "job.toml"],
        &["plan", "--catalog", "catalog"],
        &["plan", "--catalog", "catalog", "--json"],
    ];
    let mut all = trials("job.toml", broken_texts(&text), &commands);
    all.extend(trials("job.toml", with_toml_values(&text, 3), &commands));
    all.extend(no_files("job.toml", &commands));
    hold(&all, 60);
}

#[test]
fn hostile_policies_are_refused_or_planned() {
    let text = trial::fixture("policy.toml");
    let commands: [&[&str]; 2] = [&["plan", "--catalog", "catalog"], &["validate", "job.toml"]];
    let mut all = trials("policy.toml", broken_texts(&text), &commands);
    all.extend(trials("policy.toml", with_toml_values(&text, 6), &commands));
    all.extend(no_files("policy.toml", &commands));
    hold(&all, 40);
}

#[test]
fn hostile_hosts_are_refused_or_planned() {
    let text = "[hosts.one]\naddress = \"127.0.0.1\"\nport = 22\nuser = \"me\"\nidentity = \"key\"\n\
                host_key = \"ssh-ed25519 AAAA\"\nroot = \"/tmp/sky\"\ncpus = 8\nmemory = \"16 GiB\"\ncountry = \"DE\"\n\
                price = \"$0.10\"\nslots = 2\n";
    let commands: [&[&str]; 2] = [
        &["plan", "--catalog", "catalog", "--hosts", "hosts.toml"],
        &["hosts", "--hosts", "hosts.toml"],
    ];
    let mut all = trials("hosts.toml", broken_texts(text), &commands[..1]);
    all.extend(trials(
        "hosts.toml",
        with_toml_values(text, 2),
        &commands[..1],
    ));
    all.extend(no_files("hosts.toml", &commands[..1]));
    hold(&all, 35);
}

#[test]
fn hostile_catalogs_are_refused_or_used() {
    let commands: [&[&str]; 2] = [
        &["plan", "--catalog", "catalog"],
        &["catalog", "check", "catalog"],
    ];
    let mut all = Vec::new();
    for file in [
        "catalog/catalog.toml",
        "catalog/places.csv",
        "catalog/prices.csv",
        "catalog/egress.csv",
    ] {
        all.extend(trials(file, broken_texts(&trial::fixture(file)), &commands));
    }
    all.extend(trials(
        "catalog/machines.csv",
        documents::with_cells(&trial::fixture("catalog/machines.csv")),
        &commands,
    ));
    all.extend(trials(
        "catalog/prices.csv",
        documents::with_cells(&trial::fixture("catalog/prices.csv")),
        &commands,
    ));
    hold(&all, 80);
}

#[test]
fn hostile_plans_are_refused_or_read() {
    let text = trial::plan();
    let commands: [&[&str]; 4] = [
        &["show", "plan.json"],
        &["verify", "plan.json", "--catalog", "catalog"],
        &[
            "apply",
            "plan.json",
            "--provider",
            "sim",
            "--state-dir",
            "state",
        ],
        &["graph", "plan.json"],
    ];
    let mut all = trials("plan.json", broken_texts(&text), &commands);
    all.extend(trials(
        "plan.json",
        with_json_values(&text, 2, true),
        &commands,
    ));
    all.extend(no_files("plan.json", &commands));
    hold(&all, 120);
}

#[test]
fn hostile_states_are_refused_or_read() {
    let text = trial::state();
    let commands: [&[&str]; 4] = [
        &["state", "list", "--state-dir", "state"],
        &["destroy", "--auto-approve", "--state-dir", "state"],
        &["refresh", "--state-dir", "state"],
        &["sweep", "--auto-approve", "--state-dir", "state"],
    ];
    let mut all = trials("state/sky.state.json", broken_texts(&text), &commands);
    all.extend(trials(
        "state/sky.state.json",
        with_json_values(&text, 2, false),
        &commands,
    ));
    all.extend(no_files("state/sky.state.json", &commands));
    hold(&all, 80);
}

#[test]
fn hostile_journals_are_refused_or_read() {
    let commands: [&[&str]; 3] = [
        &["state", "list", "--state-dir", "state"],
        &["state", "journal", "--state-dir", "state"],
        &["destroy", "--auto-approve", "--state-dir", "state"],
    ];
    let snapshot: serde_json::Value = serde_json::from_str(&trial::state()).unwrap();
    let last = snapshot["journal_sequence"].as_u64().unwrap();
    // What is broken is told from what is not: a good journal is read, and changes what the state
    // says.
    let good = &trials(
        "state/journal",
        vec![("good".to_owned(), journal::good(last))],
        &commands[1..],
    )[0];
    assert!(good.says().contains("begun"), "{}", good.says());
    hold(
        &trials("state/journal", journal::journals(last), &commands),
        20,
    );
}

#[test]
fn hostile_locks_are_refused_or_read() {
    let text = trial::lock();
    let commands: [&[&str]; 2] = [&["plan", "--locked"], &["catalog", "diff"]];
    hold(&trials("sky.lock", broken_texts(&text), &commands), 15);
}

#[test]
fn hostile_machines_are_not_believed() {
    worker::hold();
}

/// A pipe, a folder, a link to itself or to a device in the place of each file that is read.
#[test]
fn what_is_no_regular_file_is_refused_wherever_a_file_is_read() {
    let state = ["--state-dir", "state"];
    let commands: [(&str, &[&[&str]]); 14] = [
        (
            "state/lock",
            &[&["lock", "show"], &["destroy", "--auto-approve"]],
        ),
        (
            "state/lock",
            &[
                &["force-unlock", "0123", "--auto-approve"],
                &["sweep", "--dry-run"],
            ],
        ),
        (
            "state/journal",
            &[&["state", "list"], &["state", "journal"], &["refresh"]],
        ),
        ("state/.gitignore", &[&["destroy", "--auto-approve"]]),
        ("key", &[&["state", "list", "--state-identity", "key"]]),
        (
            "sky.lock",
            &[&["plan"], &["catalog", "diff"], &["catalog", "lock"]],
        ),
        (
            "hosts.toml",
            &[&["plan", "--catalog", "catalog"], &["validate"], &["check"]],
        ),
        ("catalog/prices.csv", &[&["plan", "--catalog", "catalog"]]),
        (
            "catalog/catalog.toml",
            &[&["catalog", "check", "--catalog", "catalog"]],
        ),
        (
            "saved.json",
            &[&["plan", "--catalog", "catalog", "--check", "saved.json"]],
        ),
        ("workflow.json", &[&["import", "wfformat", "workflow.json"]]),
        (
            "acme.toml",
            &[&["catalog", "register", "acme.toml", "--allow-unsigned"]],
        ),
        (
            "list/aws/vms.csv",
            &[&["catalog", "import", "skypilot", "list", "--out", "new"]],
        ),
        ("pushed.json", &[&["state", "push", "pushed.json"]]),
    ];
    let mut all = Vec::new();
    for (file, commands) in commands {
        let of_state = file.starts_with("state/") || ["key", "pushed.json"].contains(&file);
        for command in commands {
            let more: &[&str] = if of_state { &state } else { &[] };
            let words = [*command, more].concat();
            all.extend(no_files(file, &[&words[..]; 4]));
        }
    }
    hold(&all, 80);
}

#[test]
fn an_output_of_folders_in_each_other_ends_its_stage_and_nothing_else() {
    let rows: [Row; 2] = [
        (
            "deep",
            &[],
            &["o"],
            "cd $SKY_OUTPUTS; mkdir o; cd o; for i in $(seq 1500); do mkdir d; cd d; echo x > f; done",
        ),
        ("other", &[], &["o"], "echo 1 > $SKY_OUTPUTS/o"),
    ];
    let place = Place::new(&rows);
    let apply = [
        "apply",
        "plan.json",
        "--provider",
        "local",
        "--state-dir",
        "state",
    ];
    let ended = within_limits(place.sky(&apply));
    assert_eq!(ended.faults(), Vec::<String>::new());
    assert!(
        ended.said.contains("deeper than 100 folders"),
        "{}",
        ended.said
    );
    assert!(ended.said.contains("1 done"), "{}", ended.said);
    let destroy = ["destroy", "--auto-approve", "--state-dir", "state"];
    let ended = within_limits(place.sky(&destroy));
    assert_eq!(ended.faults(), Vec::<String>::new());
    let left = std::fs::read_dir(place.path("state/work"))
        .into_iter()
        .flatten();
    assert_eq!(left.count(), 0, "{}", ended.said);
}
