//! `sky catalog import` and `sky import` as processes: what they need, where they write, how they
//! end.

use crate::support::sandbox::{Sandbox, stderr};
use std::path::Path;
use std::process::{Command, Output};

const LIST: &str =
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region
m5.large,,,2.0,8.0,,0.107,,eu-west-1
m5.2xlarge,,,8.0,32.0,,0.428,,eu-west-1
";

fn sky(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("SKY_CATALOG")
        .output()
        .unwrap()
}

#[test]
fn a_list_alone_can_be_planned_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("lists-2025-02-01/aws")).unwrap();
    std::fs::write(at("lists-2025-02-01/aws/vms.csv"), LIST).unwrap();
    let done = sky(
        folder.path(),
        &["catalog", "import", "skypilot", "lists-2025-02-01"],
    );
    assert_eq!(
        done.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(
        said.contains("dated 2025-02-01, the day in the name `lists-2025-02-01`"),
        "{said}"
    );
    assert!(said.contains("of the shipped catalog"), "{said}");
    assert!(at("catalog/catalog.toml").is_file());
    let job = "name = \"j\"\n[datasets.d]\nat = \"gcp:europe-west1\"\nsize = \"1 GB\"\n\
               [stages.s]\nreads = [\"d\"]\nneeds = { cpus = 8 }\nduration = \"1 h\"\n";
    std::fs::write(at("job.toml"), job).unwrap();
    let plan = sky(folder.path(), &["plan", "job.toml", "--catalog", "catalog"]);
    let said = String::from_utf8(plan.stdout).unwrap();
    assert!(
        plan.status.success() && said.contains("m5.2xlarge"),
        "{said}{}",
        String::from_utf8_lossy(&plan.stderr)
    );
    let again = sky(
        folder.path(),
        &[
            "catalog",
            "import",
            "skypilot",
            "lists-2025-02-01",
            "--json",
        ],
    );
    let said = String::from_utf8(again.stdout).unwrap();
    assert!(
        said.contains("\"changed\": []") || said.contains("\"changed\":[]"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("empty/aws")).unwrap();
    std::fs::write(folder.path().join("empty/aws/vms.csv"), "").unwrap();
    for (path, message) in [
        ("nowhere", "there is no such file or folder"),
        ("empty", "the file is empty"),
    ] {
        let failed = sky(folder.path(), &["catalog", "import", "skypilot", path]);
        let said = String::from_utf8(failed.stderr).unwrap();
        assert_eq!(failed.status.code(), Some(1), "{said}");
        assert!(said.contains(message), "{said}");
        assert!(failed.stdout.is_empty() && !folder.path().join("catalog").exists());
    }
}

pub(crate) const WORKFLOW: &str = r#"{ "name": "two", "schemaVersion": "1.5", "workflow": {
  "specification": {
    "tasks": [
      { "name": "a", "id": "a", "parents": [], "children": ["b"], "inputFiles": ["in"], "outputFiles": ["mid"] },
      { "name": "b", "id": "b", "parents": ["a"], "children": [], "inputFiles": ["mid"], "outputFiles": ["out"] }
    ],
    "files": [
      { "id": "in", "sizeInBytes": 1000 }, { "id": "mid", "sizeInBytes": 2000 }, { "id": "out", "sizeInBytes": 0 }
    ]
  },
  "execution": { "makespanInSeconds": 9, "executedAt": "2026-01-01T00:00:00Z", "tasks": [
    { "id": "a", "runtimeInSeconds": 600 }, { "id": "b", "runtimeInSeconds": 0 }
  ] }
} }"#;

#[test]
fn a_workflow_can_be_planned() {
    let sandbox = Sandbox::bert();
    sandbox.write("two.json", WORKFLOW);
    let import = ["import", "wfformat", "two.json", "--scale-data", "10"];
    let text = sandbox.stdout(&import, 0);
    assert!(
        text.starts_with("name = \"two\"\n")
            && text.contains("at = \"local:here\"\nsize = \"10 kB\""),
        "{text}"
    );
    let done = sandbox.run(&[&import[..], &["--out", "two.toml"]].concat());
    assert!(
        done.status.success() && done.stdout.is_empty(),
        "{}",
        stderr(&done)
    );
    assert_eq!(sandbox.read("two.toml"), text);
    let said = stderr(&done);
    assert!(
        said.contains("two.toml: 2 stages, 1 dataset\n")
            && said.contains("warning: 1 task took less"),
        "{said}"
    );
    std::fs::remove_file(sandbox.path("policy.toml")).unwrap();
    let plan = sandbox.stdout(&["plan", "two.toml", "--catalog", "catalog"], 0);
    assert!(plan.contains("Plan: 2 to add"), "{plan}");
    for (out, code, message) in [
        ("two.json", 1, "it would be lost"),
        ("no/where.toml", 1, "no/where.toml"),
    ] {
        let failed = sandbox.run(&["import", "wfformat", "two.json", "--out", out]);
        assert_eq!(failed.status.code(), Some(code));
        assert!(stderr(&failed).contains(message), "{}", stderr(&failed));
    }
    assert_eq!(sandbox.read("two.json"), WORKFLOW);
}

#[test]
fn a_workflow_with_mistakes_is_exit_code_1_and_no_file() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "bad.json",
        &WORKFLOW.replace("\"parents\": [\"a\"]", "\"parents\": [\"x\"]"),
    );
    let failed = sandbox.run(&["import", "wfformat", "bad.json", "--out", "job.toml"]);
    assert_eq!((failed.status.code(), failed.stdout.len()), (Some(1), 0));
    let said = stderr(&failed);
    assert_eq!(
        said,
        "error: bad.json: workflow.specification.tasks[1].parents[0]: there is no task `x`\n"
    );
    assert!(!sandbox.path("job.toml").exists());
    sandbox.write(
        "big.json",
        &WORKFLOW.replace(
            "\"sizeInBytes\": 2000",
            "\"sizeInBytes\": 1000000000000000000",
        ),
    );
    let said = stderr(&sandbox.run(&["import", "wfformat", "big.json"]));
    assert!(
        said.contains("big.json: the datasets and artifacts add up to more than 1 EB"),
        "{said}"
    );
    for arguments in [
        ["--at", "here"],
        ["--cpus", "many"],
        ["--memory", "4"],
        ["--scale-time", "0"],
    ] {
        let failed =
            sandbox.run(&[&["import", "wfformat", "bad.json"][..], &arguments[..]].concat());
        assert_eq!(failed.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&failed).contains(arguments[0]),
            "{}",
            stderr(&failed)
        );
    }
}
