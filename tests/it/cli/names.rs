//! Names that nothing answers to, inputs from standard input and with byte-order marks: what is
//! said at the door, before anything is planned.

use crate::support::sandbox::{Sandbox, stderr};
use std::io::Write;
use std::process::{Output, Stdio};

fn plan(sandbox: &Sandbox) -> Output {
    sandbox.run(&["plan", "--catalog", "catalog"])
}

fn piped(sandbox: &Sandbox, args: &[&str], input: &[u8]) -> Output {
    let mut command = sandbox.sky(args);
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
fn every_name_of_a_policy_that_matches_nothing_is_said_with_the_nearest_one() {
    let cases = [
        (
            "[operators]\ndeny = [\"Microsft\"]",
            "operators.deny `Microsft` matches nothing",
            "did you mean `Microsoft`?",
        ),
        (
            "[operators]\ndeny = [\"Amazn*\"]",
            "operators.deny `Amazn*` matches nothing",
            "did you mean `Amazon Web Services`?",
        ),
        (
            "[clouds]\ndeny = [\"gpc\"]",
            "clouds.deny `gpc` matches nothing",
            "did you mean `gcp`?",
        ),
        (
            "[places]\ndeny = [\"aws:us-eats-1\"]",
            "places.deny `aws:us-eats-1` matches nothing",
            "did you mean `aws:us-east-1`?",
        ),
        (
            "[accounts.awss]\nused_this_month = \"1 GB\"",
            "accounts: the catalog has no cloud `awss`",
            "did you mean `aws`?",
        ),
        (
            "[quotas]\nazuer = { cpus = 999 }",
            "quotas: `azuer` matches nothing",
            "did you mean `azure`?",
        ),
        (
            "[quotas]\nazure = { accelerators = { \"V10\" = 9 } }",
            "quotas of `azure`: the catalog has no accelerator `V10`",
            "did you mean `V100`?",
        ),
        (
            "[[links]]\nfrom = \"aws:us-eats-1\"\nto = \"gcp:*\"\nper_gb = \"$0\"",
            "links: `aws:us-eats-1` matches nothing",
            "did you mean `aws:us-east-1`?",
        ),
        (
            "[partitions]\nallow = [\"us-gov\"]",
            "partitions.allow `us-gov` matches nothing",
            "",
        ),
    ];
    for (rule, message, hint) in cases {
        let sandbox = Sandbox::bert();
        sandbox.write("policy.toml", rule);
        let done = plan(&sandbox);
        let said = stderr(&done);
        // With `deny`, an operator whose owner is unknown is out, which is every one of this
        // catalog.
        let code = if rule.starts_with("[operators]") {
            3
        } else {
            0
        };
        assert_eq!(done.status.code(), Some(code), "{rule}\n{said}");
        assert!(
            said.contains(message) && said.contains(hint),
            "{rule}\n{said}"
        );
        let said = stderr(&sandbox.run(&["validate", "--catalog", "catalog"]));
        assert!(
            said.contains(message) && said.contains(hint),
            "validate: {rule}\n{said}"
        );
    }
}

#[test]
fn every_name_of_a_job_that_matches_nothing_is_said_with_the_nearest_one() {
    let serve = "needs = { accelerators = [\"T4\", \"Inferentia\"] }";
    let cases = [
        (
            "needs = { accelerators = [\"T4\", \"Inferentia\"], places = [\"aws:us-east-*\", \"aws:us-eats-1\"] }",
            "stage serve: places `aws:us-eats-1` matches nothing",
            "did you mean `aws:us-east-1`?",
        ),
        (
            "needs = { accelerators = [\"T4\", \"Inferentia\"], instance_types = [\"*.xlarge\", \"inf1.xlrage\"] }",
            "stage serve: instance_types `inf1.xlrage` matches nothing",
            "did you mean `inf1.xlarge`?",
        ),
        (
            "needs = { accelerators = [\"T4\", \"Inferentia\"], ordered = [{ cpus = 1 }, { places = [\"gpc:*\"] }] }",
            "stage serve: places `gpc:*` matches nothing",
            "",
        ),
    ];
    for (needs, message, hint) in cases {
        let sandbox = Sandbox::bert();
        sandbox.replace("job.toml", serve, needs);
        let done = plan(&sandbox);
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(0), "{needs}\n{said}");
        assert!(
            said.contains(message) && said.contains(hint),
            "{needs}\n{said}"
        );
    }
}

#[test]
fn a_name_that_matches_nothing_is_also_said_where_there_is_no_plan() {
    let sandbox = Sandbox::bert();
    let serve = "needs = { accelerators = [\"T4\", \"Inferentia\"]";
    sandbox.replace(
        "job.toml",
        serve,
        &format!("{serve}, places = [\"aws:us-eats-1\"]"),
    );
    let done = plan(&sandbox);
    let said = stderr(&done);
    assert_eq!(done.status.code(), Some(3), "{said}");
    assert!(
        said.contains("note: stage serve: places `aws:us-eats-1` matches nothing"),
        "{said}"
    );
    assert!(said.contains("did you mean `aws:us-east-1`?"), "{said}");
}

#[test]
fn a_mistyped_label_of_a_rule_is_an_error_and_an_optional_one_is_not() {
    let sandbox = Sandbox::bert();
    for table in ["residency", "trust", "certifications"] {
        let list = match table {
            "residency" => "[\"US\"]",
            "trust" => "[\"sgx\", \"sev-snp\"]",
            _ => "[\"C5\"]",
        };
        sandbox.write("policy.toml", &format!("[{table}]\npersonnal = {list}\n"));
        for verb in ["plan", "validate", "frontier", "explain"] {
            let done = sandbox.run(&[verb, "--catalog", "catalog"]);
            let said = stderr(&done);
            assert_eq!(done.status.code(), Some(1), "{verb} {table}: {said}");
            assert!(
                said.contains("no dataset of the job carries the label `personnal`"),
                "{said}"
            );
            assert!(said.contains("did you mean `personal`?"), "{said}");
        }
        sandbox.write(
            "policy.toml",
            &format!("[{table}]\npersonnal = {{ in = {list}, optional = true }}\n"),
        );
        let done = plan(&sandbox);
        // No place of this catalog is certified by anything, and the catalog knows no scheme at
        // all.
        let code = if table == "certifications" { 1 } else { 0 };
        assert_eq!(done.status.code(), Some(code), "{table}: {}", stderr(&done));
    }
}

#[test]
fn an_unknown_certification_scheme_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("job.toml", "name = \"j\"\n[stages.s]\nduration = \"1 h\"\n");
    sandbox.write(
        "policy.toml",
        "[certifications]\ndefault = [\"SecNumClod\"]\n",
    );
    for verb in ["plan", "validate"] {
        let done = sandbox.run(&[verb]);
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(1), "{verb}: {said}");
        assert!(
            said.contains("no certification scheme `secnumclod`"),
            "{said}"
        );
        assert!(
            said.contains("did you mean `secnumcloud`?") && said.contains("policy.toml:2:1"),
            "{said}"
        );
    }
    sandbox.write(
        "policy.toml",
        "[certifications]\ndefault = [\"SecNumCloud\"]\n",
    );
    assert_eq!(sandbox.run(&["validate"]).status.code(), Some(0));
}

#[test]
fn a_file_of_a_stage_that_is_not_there_is_an_error() {
    let sandbox = Sandbox::bert();
    sandbox.replace(
        "job.toml",
        "run = \"python train.py\"",
        "run = \"python train.py\"\nfiles = [\"train.py\"]",
    );
    for args in [&["plan", "--catalog", "catalog"][..], &["validate"]] {
        let done = sandbox.run(args);
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(
            said.contains("stage `train` needs the file `train.py`, which is not there"),
            "{said}"
        );
        assert!(said.contains("job.toml:25:"), "{said}");
    }
    sandbox.write("train.py", "");
    assert_eq!(plan(&sandbox).status.code(), Some(0));
    assert_eq!(sandbox.run(&["validate"]).status.code(), Some(0));
}

#[test]
fn a_broken_file_of_hosts_is_an_error_at_its_place() {
    let sandbox = Sandbox::bert();
    sandbox.write("hosts.toml", "[hosts.big]\ncpus = 4\nmemmory = \"8 GiB\"\n");
    for args in [
        &["plan", "--catalog", "catalog"][..],
        &["validate"],
        &["frontier", "--catalog", "catalog"],
    ] {
        let done = sandbox.run(args);
        let said = stderr(&done);
        assert_eq!(done.status.code(), Some(1), "{args:?} {said}");
        assert!(
            said.contains("hosts.toml:3:1: unknown field `memmory`") && said.contains("hint: "),
            "{said}"
        );
    }
}

#[test]
fn job_and_policy_come_from_standard_input() {
    let sandbox = Sandbox::bert();
    let job = sandbox.read("job.toml");
    let expected = sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    let done = piped(
        &sandbox,
        &["plan", "-", "--catalog", "catalog"],
        job.as_bytes(),
    );
    assert_eq!(
        String::from_utf8(done.stdout).unwrap(),
        expected,
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let policy = sandbox.read("policy.toml");
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    let done = piped(
        &sandbox,
        &["plan", "--policy", "-", "--catalog", "catalog"],
        policy.as_bytes(),
    );
    assert_eq!(String::from_utf8(done.stdout).unwrap(), expected);
    let broken = job.replace("duration", "durration");
    let done = piped(&sandbox, &["validate", "-"], broken.as_bytes());
    let said = stderr(&done);
    assert!(
        done.status.code() == Some(1) && said.contains("standard input:15:1"),
        "{said}"
    );
    let done = piped(&sandbox, &["plan", "-", "--policy", "-"], b"");
    let said = stderr(&done);
    assert!(
        done.status.code() == Some(1) && said.contains("cannot both be standard input"),
        "{said}"
    );
    // Plans, too.
    sandbox.write("policy.toml", &policy);
    let bytes = std::fs::read(sandbox.path("plan.json")).unwrap();
    for args in [
        &["show", "-"][..],
        &["verify", "-", "--catalog", "catalog"],
        &["graph", "-"],
        &["explain", "-", "--catalog", "catalog"],
    ] {
        let done = piped(&sandbox, args, &bytes);
        assert_eq!(done.status.code(), Some(0), "{args:?} {}", stderr(&done));
    }
    let done = piped(&sandbox, &["graph", "-"], job.as_bytes());
    assert!(
        done.status.success() && String::from_utf8_lossy(&done.stdout).contains("train"),
        "{}",
        stderr(&done)
    );
}

#[test]
fn a_byte_order_mark_changes_nothing() {
    let sandbox = Sandbox::bert();
    let expected = sandbox.stdout(&["plan", "--catalog", "catalog", "--out", "plan.json"], 0);
    for name in [
        "job.toml",
        "policy.toml",
        "plan.json",
        "catalog/catalog.toml",
        "catalog/places.csv",
        "catalog/prices.csv",
    ] {
        sandbox.write(name, &format!("\u{feff}{}", sandbox.read(name)));
    }
    assert_eq!(
        sandbox.stdout(&["plan", "--catalog", "catalog"], 0),
        expected
    );
    sandbox.stdout(&["show", "plan.json"], 0);
    sandbox.stdout(&["verify", "plan.json", "--catalog", "catalog"], 0);
    let wide: Vec<u8> = sandbox
        .read("job.toml")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    std::fs::write(sandbox.path("job.toml"), wide).unwrap();
    assert_eq!(
        sandbox.stdout(&["plan", "--catalog", "catalog"], 0),
        expected
    );
    sandbox.write(
        "hosts.toml",
        "\u{feff}[hosts.big]\ncpus = 4\nmemory = \"8 GiB\"\n",
    );
    sandbox.stdout(&["plan", "--catalog", "catalog"], 0);
}

const UNRELATED: &str = r#"{ "name": "two", "schemaVersion": "1.5", "workflow": {
  "specification": {
    "tasks": [
      { "name": "a", "id": "a", "parents": [], "children": [], "inputFiles": ["in"], "outputFiles": [] },
      { "name": "b", "id": "b", "parents": [], "children": [], "inputFiles": ["in"], "outputFiles": [] }
    ],
    "files": [{ "id": "in", "sizeInBytes": 1000 }]
  },
  "execution": { "makespanInSeconds": 9, "executedAt": "2026-01-01T00:00:00Z", "tasks": [
    { "id": "a", "runtimeInSeconds": 600 }, { "id": "b", "runtimeInSeconds": 600 }
  ] }
} }"#;

#[test]
fn an_import_without_any_dependency_is_said() {
    let sandbox = Sandbox::new();
    let done = piped(
        &sandbox,
        &["import", "wfformat", "-"],
        format!("\u{feff}{UNRELATED}").as_bytes(),
    );
    let said = stderr(&done);
    assert!(
        done.status.success() && said.contains("none of the 2 stages depends on another"),
        "{said}"
    );
    sandbox.write(
        "chain.json",
        &UNRELATED
            .replace(
                "\"parents\": [], \"children\": [], \"inputFiles\": [\"in\"], \"outputFiles\": [] }\n",
                "\"parents\": [\"a\"], \"children\": [], \"inputFiles\": [\"in\"], \"outputFiles\": [] }\n",
            )
            .replacen("\"children\": []", "\"children\": [\"b\"]", 1),
    );
    let said = stderr(&sandbox.run(&["import", "wfformat", "chain.json"]));
    assert!(!said.contains("depends on another"), "{said}");
}

#[test]
fn an_import_puts_data_at_places_that_exist() {
    let sandbox = Sandbox::bert();
    sandbox.write("two.json", UNRELATED);
    let import = |place: &str| sandbox.run(&["import", "wfformat", "two.json", "--at", place]);
    let done = import("aws:us-eats-1");
    let said = stderr(&done);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(
        said.contains("--at: the catalog has no place `aws:us-eats-1`"),
        "{said}"
    );
    assert!(
        said.contains("did you mean `aws:us-east-1`?") && done.stdout.is_empty(),
        "{said}"
    );
    for place in ["aws:us-east-1", "local:here"] {
        assert_eq!(import(place).status.code(), Some(0), "{place}");
    }
}
