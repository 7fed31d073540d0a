//! Clusters as offers, and applies whose stages are pods.

use super::*;
use crate::execution::apply::place::{ended, wait};
use crate::execution::proof::files_with;
use serde_json::json;
use std::process::Command;

const JOB: &str = "name = \"train\"\n[stages.train]\nwrites = { model = \"1 MB\" }\nneeds = { accelerators = [\"A100-80GB:2\"] }\n\
    duration = \"2 h\"\nrun = \"echo $$ > $SKY_OUTPUTS/model\"\n";
const MORE: &str = "image = \"registry.example.org/train:1\"\ncpus = 3.5\nmemory = \"100 MiB\"\naccelerators = \"A100-80GB:2\"\n\
    arch = \"x86_64\"\nselector = { \"cloud.google.com/gke-accelerator\" = \"nvidia-a100-80gb\" }\ntolerations = [\"nvidia.com/gpu\"]\n\
    priority_class = \"batch\"\nruntime_class = \"kata\"\nplace = \"berlin\"\ntype = \"dgx\"\nnodes = 3\nprice = \"$1.20\"\n\
    [places.berlin]\ncountry = \"DE\"\n";

#[test]
fn a_plan_takes_the_cluster_and_an_apply_runs_there() {
    let folder = tempfile::tempdir().unwrap();
    let namespace = Namespace::new();
    std::fs::write(folder.path().join("job.toml"), JOB).unwrap();
    std::fs::write(
        folder.path().join("hosts.toml"),
        namespace.entry("gpu", folder.path(), MORE),
    )
    .unwrap();
    let run = |args: &[&str], code: i32| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command.args(args).current_dir(folder.path());
        for name in ["SKY_HOSTS", "SKY_CATALOG", "SKY_DATA_DIR"] {
            command.env_remove(name);
        }
        ended(&command.output().unwrap(), code)
    };
    let said = run(&["plan", "--out", "plan.json"], 0);
    assert!(
        said.contains("kubernetes:berlin") && said.contains("dgx") && said.contains("$2.40"),
        "{said}"
    );
    let plan = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    for kept in ["kubeconfig", "registry.example.org", "gke-accelerator"] {
        assert!(!plan.contains(kept), "{kept} in {plan}");
    }
    run(&["verify", "plan.json"], 0);
    run(&["apply", "plan.json"], 0);
    // It was not the first process: that one waits.
    let got = std::fs::read_to_string(folder.path().join(".sky/artifacts/train/model")).unwrap();
    assert!(got.trim().parse::<u32>().unwrap() > 1, "{got}");
    let look = namespace.look();
    let asked = look["asked"].as_array().unwrap();
    let job = asked
        .iter()
        .find(|call| call["method"] == "PATCH" && call["body"]["kind"] == "Job")
        .unwrap();
    assert_eq!(job["query"]["fieldManager"], json!(["sky"]));
    let amounts = json!({ "cpu": "3500m", "memory": "102400Ki", "nvidia.com/gpu": "2" });
    let pod = &job["body"]["spec"]["template"]["spec"];
    assert_eq!(
        pod["containers"][0]["resources"],
        json!({ "limits": amounts, "requests": amounts })
    );
    let labels = json!({ "cloud.google.com/gke-accelerator": "nvidia-a100-80gb", "kubernetes.io/arch": "amd64" });
    assert_eq!(pod["nodeSelector"], labels);
    assert_eq!(
        pod["tolerations"],
        json!([{ "key": "nvidia.com/gpu", "operator": "Exists" }])
    );
    assert_eq!(
        (&pod["priorityClassName"], &pod["runtimeClassName"]),
        (&json!("batch"), &json!("kata"))
    );
    assert_eq!(pod["automountServiceAccountToken"], json!(false));
    let notes = &job["body"]["metadata"]["annotations"];
    for (name, value) in [
        ("sky-stage", "train"),
        ("sky-attempt", "1"),
        ("sky-job", "train"),
        ("sky-type", "dgx"),
    ] {
        assert_eq!(notes[name], json!(value), "{notes}");
    }
    assert!(run(&["sweep", "--dry-run"], 0).contains("Nothing to sweep"));
    run(&["destroy", "--auto-approve"], 0);
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}

#[test]
fn secrets_and_commands_come_into_the_pod_alone() {
    let namespace = Namespace::new();
    let planted = "pl4nted-in-a-pod-'$x";
    let rows: [Row; 1] = [(
        "secret",
        &[],
        &["o"],
        "printf %s \"$PASSWORD\" | wc -c > $SKY_OUTPUTS/o; echo c0mmand",
    )];
    let place = place(&namespace, &rows);
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.stages[0].secrets =
        std::iter::once(("PASSWORD".to_owned(), "env:PLANTED".to_owned())).collect();
    plan.digest = None;
    place.write_plan(&plan);
    let said = ended(
        &place
            .sky(&["apply", "plan.json"])
            .env("PLANTED", planted)
            .output()
            .unwrap(),
        0,
    );
    assert!(
        !said.contains(planted) && said.contains("c0mmand"),
        "{said}"
    );
    assert_eq!(place.text(".sky/artifacts/secret/o").trim(), "20");
    let everything = namespace.look().to_string();
    for hidden in ["pl4nted", "c0mmand", "PASSWORD", "SKY_OUTPUTS"] {
        assert!(!everything.contains(hidden), "{hidden} in {everything}");
    }
    for folder in [place.folder.path(), &namespace.folder()] {
        assert_eq!(files_with(folder, planted), Vec::<String>::new());
    }
    ended(
        &place.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    namespace.check();
}

#[test]
fn a_sweep_finds_jobs_whose_state_is_lost() {
    let namespace = Namespace::new();
    let folder = namespace.folder();
    let place = place(&namespace, &[("x", &[], &["o"], "touch begun; sleep 300")]);
    let mut child = place.start();
    wait("the command", || files_named(&folder, "begun"));
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_dir_all(place.path(".sky")).unwrap();
    std::fs::remove_file(place.path("sky.state.json")).unwrap();
    let said = ended(
        &place
            .sky(&["sweep", "--dry-run", "--all"])
            .output()
            .unwrap(),
        2,
    );
    assert!(
        said.contains("of another state") && said.contains("one/sky-"),
        "{said}"
    );
    ended(
        &place
            .sky(&["sweep", "--all", "--auto-approve"])
            .output()
            .unwrap(),
        0,
    );
    assert_eq!(namespace.names(), Vec::<String>::new());
    assert!(!files_named(&folder, "begun"));
    namespace.check();
}

fn files_named(folder: &std::path::Path, name: &str) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        entry.file_name() == name
            || entry.file_type().is_ok_and(|kind| kind.is_dir()) && files_named(&entry.path(), name)
    })
}

/// The cluster for tests is what Kubernetes' own client takes it for.
#[test]
fn another_client_drives_the_same_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let namespace = Namespace::new();
    let mut python = Command::new(fake::python());
    python
        .arg("-B")
        .arg(fake::script("cluster_drive.py"))
        .arg(namespace.kubeconfig(folder.path(), "admin"));
    assert!(ended(&python.output().unwrap(), 0).contains("fine"));
    namespace.check();
}
