//! What the options of `sky plan` promise: exit codes, files, streams.

use crate::support::sandbox::{Sandbox, stderr};
use serde_json::Value;

const PLAN: [&str; 5] = ["plan", "--catalog", "catalog", "--out", "plan.json"];

/// A job of three small real stages, planned on the BERT catalog and run on this machine.
fn pipeline() -> Sandbox {
    let sandbox = Sandbox::bert();
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    sandbox.write("data/words", "sky\nblue\nsky\n");
    sandbox.write(
        "job.toml",
        r#"name = "count"
[datasets.words]
at = "azure:eastus"
path = "data/words"
size = "1 kB"
[stages.sort]
reads = ["words"]
writes = { sorted = "1 kB" }
duration = "1 m"
run = 'sort "$SKY_INPUTS/words" > "$SKY_OUTPUTS/sorted"'
[stages.count]
reads = ["sort.sorted"]
writes = { counts = "1 kB" }
needs = { accelerators = ["T4"] }
duration = "1 m"
run = 'uniq -c "$SKY_INPUTS/sorted" > "$SKY_OUTPUTS/counts"'
"#,
    );
    sandbox
}

fn with_path(sandbox: &Sandbox, args: &[&str]) -> std::process::Output {
    // The stages' commands are found by PATH.
    sandbox
        .sky(args)
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap()
}

#[test]
fn check_compares_bytes() {
    let sandbox = Sandbox::bert();
    let check = ["plan", "--catalog", "catalog", "--check", "plan.json"];
    assert_eq!(
        sandbox.run(&check).status.code(),
        Some(1),
        "there is no plan yet"
    );
    sandbox.stdout(&PLAN, 0);
    sandbox.stdout(&check, 0);
    let text = sandbox.read("plan.json");
    sandbox.write("plan.json", &format!("{text} "));
    assert_eq!(sandbox.run(&check).status.code(), Some(2), "one byte more");
    sandbox.write("plan.json", &text.replacen("\"bert\"", "\"bart\"", 1));
    assert_eq!(
        sandbox.run(&check).status.code(),
        Some(2),
        "one byte differs"
    );
    sandbox.write("plan.json", "no plan at all");
    assert_eq!(sandbox.run(&check).status.code(), Some(2));
    sandbox.write("plan.json", &text);
    sandbox.replace("catalog/prices.csv", "0.228", "0.229");
    let changed = sandbox.run(&check);
    assert_eq!(changed.status.code(), Some(2));
    let said = stderr(&changed);
    assert!(
        said.contains("the catalog changed") && !said.contains("the job changed"),
        "{said}"
    );
    assert_eq!(sandbox.read("plan.json"), text, "--check writes nothing");
}

#[test]
fn detailed_exit_code_tells_whether_there_is_something_to_do() {
    let sandbox = pipeline();
    let detailed = [
        PLAN.as_slice(),
        &["--detailed-exitcode", "--state-dir", "st"],
    ]
    .concat();
    assert!(sandbox.stdout(&detailed, 2).contains("Plan: 2 to add"));
    let applied = with_path(
        &sandbox,
        &[
            "apply",
            "plan.json",
            "--provider",
            "local",
            "--state-dir",
            "st",
        ],
    );
    assert_eq!(applied.status.code(), Some(0), "{}", stderr(&applied));
    assert!(sandbox.stdout(&detailed, 0).contains("No changes."));
    // Another command is something to do.
    sandbox.replace("job.toml", "uniq -c", "uniq");
    sandbox.stdout(&detailed, 2);
}

#[test]
fn a_job_is_planned_and_applied_in_one_go() {
    let sandbox = pipeline();
    let args = [
        "apply",
        "job.toml",
        "--catalog",
        "catalog",
        "--auto-approve",
        "--provider",
        "local",
        "--state-dir=.sky",
    ];
    let applied = with_path(&sandbox, &args);
    assert_eq!(applied.status.code(), Some(0), "{}", stderr(&applied));
    let counts = std::fs::read_dir(sandbox.path(".sky/objects"))
        .map(|entries| entries.count())
        .unwrap_or(0);
    assert!(counts > 0, "the outputs are kept");
    let detailed = [
        "plan",
        "--catalog",
        "catalog",
        "--detailed-exitcode",
        "--state-dir=.sky",
    ];
    sandbox.stdout(&detailed, 0);
}

#[test]
fn a_plan_that_cannot_be_applied_is_refused_before_anything_is_shown() {
    let sandbox = pipeline();
    let output = with_path(
        &sandbox,
        &[
            "apply",
            "--catalog",
            "catalog",
            "--auto-approve",
            "--provider",
            "ssh",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    // In a build with the clouds' features there may be a provider for every place.
    assert!(
        stderr(&output).contains("needs the file of your hosts"),
        "{}",
        stderr(&output)
    );
    assert!(
        output.stdout.is_empty(),
        "nobody was asked, so there is nothing to look at"
    );
    assert!(!sandbox.path(".sky").exists());
}

#[test]
fn a_usage_error_is_exit_code_1_and_help_is_0() {
    let sandbox = Sandbox::bert();
    let wrong: [&[&str]; 7] = [
        &[],
        &["frobnicate"],
        &["plan", "--no-such-option"],
        &["plan", "a.toml", "b.toml"],
        &["plan", "--json", "--markdown"],
        &["plan", "--max-nodes", "many"],
        &["plan", "--time-limit", "0"],
    ];
    for args in wrong {
        let output = sandbox.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        // Whoever asks for JSON gets the error as JSON, too.
        let json = args.contains(&"--json");
        assert_eq!(output.stdout.is_empty(), !json, "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    for args in [
        &["--help"][..],
        &["plan", "-h"],
        &["apply", "-help"],
        &["--version"],
        &["version"],
    ] {
        assert!(!sandbox.stdout(args, 0).is_empty(), "{args:?}");
    }
}

#[test]
fn one_dash_is_as_good_as_two() {
    let sandbox = Sandbox::bert();
    let two = sandbox.stdout(
        &[
            "plan",
            "--catalog=catalog",
            "--markdown",
            "--policy",
            "cheapest",
        ],
        0,
    );
    let one = sandbox.stdout(
        &[
            "plan",
            "-catalog=catalog",
            "-markdown",
            "-policy",
            "cheapest",
        ],
        0,
    );
    assert_eq!(one, two);
}

#[test]
fn the_catalog_is_named_by_the_environment_too() {
    let sandbox = Sandbox::bert();
    sandbox.replace("catalog/prices.csv", "0.228", "0.328");
    let run = |folder: &str| {
        sandbox
            .sky(&["plan", "--json"])
            .env("SKY_CATALOG", folder)
            .output()
            .unwrap()
    };
    let output = String::from_utf8(run("catalog").stdout).unwrap();
    let last: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    // 1.1 h of serving at ten cents more
    assert_eq!(last["totals"]["cost_micro_usd"], 39_744_652 + 110_000);
    assert_eq!(run("nowhere").status.code(), Some(1));
}

#[test]
fn policies_come_from_the_flag_or_from_beside_the_job() {
    let sandbox = Sandbox::bert();
    let heading = |args: &[&str]| sandbox.stdout(args, 0).lines().next().unwrap().to_owned();
    assert_eq!(
        heading(&PLAN),
        "Plan for bert: least cost, deadline 6 h, budget $60.00"
    );
    let with = |policy: &'static str| heading(&[PLAN.as_slice(), &["--policy", policy]].concat());
    assert_eq!(with("cheapest"), "Plan for bert: least cost");
    assert_eq!(with("fastest"), "Plan for bert: least time");
    // A file of that name comes first.
    sandbox.write("fastest", "[limits]\nbudget = \"$50\"\n");
    assert_eq!(with("fastest"), "Plan for bert: least cost, budget $50.00");
    // Beside the job, not beside the caller.
    sandbox
        .write("deep/policy.toml", "[limits]\ndeadline = \"7 h\"\n")
        .write("deep/job.toml", &sandbox.read("job.toml"));
    let deep = heading(&["plan", "deep/job.toml", "--catalog", "catalog"]);
    assert_eq!(deep, "Plan for bert: least cost, deadline 7 h");
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    assert_eq!(heading(&PLAN), "Plan for bert: least cost");
}

#[test]
fn chdir_comes_before_everything() {
    let sandbox = Sandbox::bert();
    std::fs::create_dir(sandbox.path("empty")).unwrap();
    let expected = sandbox.stdout(&["plan", "--catalog", "catalog"], 0);
    let output = sandbox
        .sky(&["plan", "--chdir", "..", "--catalog", "catalog"])
        .current_dir(sandbox.path("empty"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!(
        sandbox
            .run(&["--chdir", "no-such-folder", "plan"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn planning_leaves_nothing_behind() {
    let sandbox = Sandbox::bert();
    let files = || {
        let mut names: Vec<_> = std::fs::read_dir(sandbox.path(""))
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = files();
    for args in [
        &["plan", "--catalog", "catalog"][..],
        &["validate"],
        &["graph"],
        &["show"],
        &["version"],
    ] {
        assert_eq!(sandbox.run(args).status.code(), Some(0), "{args:?}");
    }
    assert_eq!(files(), before);
}

#[test]
fn every_file_of_these_tests_is_compiled() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut folders = vec![(root.join("main.rs"), root)];
    let mut seen = 0;
    while let Some((parent, folder)) = folders.pop() {
        let text = std::fs::read_to_string(&parent).unwrap();
        for path in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && name != "snapshots" {
                let inside = path.join("mod.rs");
                let beside = path.with_extension("rs");
                folders.push((if inside.exists() { inside } else { beside }, path));
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && path != parent
                && name != "mod"
            {
                assert!(
                    text.lines().any(|line| line
                        .split_once("mod ")
                        .is_some_and(|(_, rest)| rest == format!("{name};"))),
                    "{name} is not in {}",
                    parent.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn an_output_never_takes_the_place_of_an_input() {
    let sandbox = Sandbox::bert();
    sandbox
        .write("hosts.toml", "[hosts.own]\ncpus = 4\n")
        .write("mine.toml", "[hosts.own]\ncpus = 4\n");
    sandbox.stdout(&["catalog", "lock", "--catalog", "catalog"], 0);
    for output in ["--out", "--emit-mps"] {
        for input in [
            "job.toml",
            "policy.toml",
            "./catalog/../job.toml",
            "hosts.toml",
            "mine.toml",
            "sky.lock",
            "catalog/prices.csv",
            "catalog/catalog.toml",
        ] {
            let before = sandbox.read(input);
            let mut words = vec!["plan", "--catalog", "catalog", output, input];
            if input == "mine.toml" {
                words.extend(["--hosts", "mine.toml"]);
            }
            let run = sandbox.run(&words);
            assert_eq!(run.status.code(), Some(1), "{output} {input}");
            assert!(
                stderr(&run).contains("it would be lost"),
                "{}",
                stderr(&run)
            );
            assert_eq!(sandbox.read(input), before);
        }
    }
    let both = sandbox.run(&[
        "plan",
        "--catalog",
        "catalog",
        "--out",
        "x",
        "--emit-mps",
        "./x",
    ]);
    assert_eq!(both.status.code(), Some(1));
    assert!(!sandbox.path("x").exists());
}

#[test]
fn an_output_goes_through_a_link_and_into_a_pipe() {
    let sandbox = Sandbox::bert();
    sandbox.stdout(&PLAN, 0);
    sandbox.write("real.json", "old");
    std::os::unix::fs::symlink("real.json", sandbox.path("link.json")).unwrap();
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "link.json"], 0);
    assert!(
        std::fs::symlink_metadata(sandbox.path("link.json"))
            .unwrap()
            .is_symlink()
    );
    assert_eq!(sandbox.read("real.json"), sandbox.read("plan.json"));
    // A pipe gets the bytes and stays a pipe.
    let pipe = sandbox.path("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read_to_string(pipe).unwrap()
    });
    sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "pipe"], 0);
    assert_eq!(reader.join().unwrap(), sandbox.read("plan.json"));
    assert!(!std::fs::symlink_metadata(&pipe).unwrap().is_file());
}

#[test]
fn validate_checks_names_against_a_named_catalog() {
    let sandbox = Sandbox::bert();
    sandbox.replace("job.toml", "azure:eastus", "azure:eastu");
    assert_eq!(
        sandbox.run(&["validate"]).status.code(),
        Some(0),
        "no catalog, no opinion"
    );
    let run = sandbox.run(&["validate", "--catalog", "catalog"]);
    assert_eq!(run.status.code(), Some(1));
    let said = stderr(&run);
    assert!(
        said.contains("the catalog has no place `azure:eastu`") && said.contains("job.toml:6:1"),
        "{said}"
    );
}

#[test]
fn a_name_that_matches_nothing_is_said() {
    let sandbox = Sandbox::bert();
    sandbox.write(
        "policy.toml",
        "[clouds]\ndeny = [\"awz\"]\n[places]\ndeny = [\"azure:nowhere\", \"aws:*\"]\n",
    );
    let run = sandbox.run(&["plan", "--catalog", "catalog"]);
    let said = stderr(&run);
    assert!(
        said.contains("clouds.deny `awz` matches nothing")
            && said.contains("places.deny `azure:nowhere`"),
        "{said}"
    );
    assert!(!said.contains("`aws:*`"), "{said}");
}

#[test]
fn validate_shows_all_that_copies_quotas_and_spreads_say() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "job.toml",
        "name = \"j\"\n[stages.s]\nduration = \"1 h\"\ncount = 2\nallocation = \"spot\"\n\
         [[spread]]\nstages = [\"s\"]\nover = \"cloud\"\nat_most = 2\n",
    );
    sandbox.write(
        "policy.toml",
        "[spot]\nallow = false\n[quotas]\naws = { instances = 0 }\n",
    );
    let said = sandbox.stdout(&["validate", "--json"], 0);
    let json: Value = serde_json::from_str(&said).unwrap();
    let found = json["diagnostics"].as_array().unwrap().iter();
    let found: Vec<(&str, i64)> = found
        .map(|said| {
            (
                said["summary"].as_str().unwrap(),
                said["range"]["start"]["line"].as_i64().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("at most 2 of 2 in one cloud is always so", 9),
        ("with `instances = 0` no machine can run there", 4),
        (
            "stage `s` asks for spot machines only, which are not allowed",
            2,
        ),
    ];
    assert_eq!(found, expected);
    sandbox.replace("job.toml", "at_most = 2", "survivors = 2");
    let said = stderr(&sandbox.run(&["validate"]));
    assert!(
        said.contains("--> job.toml:9:13")
            && said.contains("2 of 2 cannot be left after any one loss"),
        "{said}"
    );
}
