//! The job of the guide from end to end: planned, created by three clouds' APIs, run over SSH,
//! handed on, and given back.

use crate::execution::apply::place::ended;
use crate::execution::proof::files_with;
use crate::execution::proof::ground::{Ground, On};
use crate::execution::stores::servers;
use std::collections::BTreeMap;
use std::path::Path;

/// In place of each stage's program.
const COMMANDS: [(&str, &str); 3] = [
    (
        "python process.py",
        "echo \\\"process $SKY_NODE of $SKY_NODES\\\" >> RAN; tr a-z A-Z < $SKY_INPUTS/reviews > $SKY_OUTPUTS/tokens",
    ),
    (
        "python train.py",
        "echo train >> RAN; wc -w < $SKY_INPUTS/tokens | tr -d ' ' > $SKY_OUTPUTS/model",
    ),
    (
        "python serve.py",
        "echo serve >> RAN; sed 's/^/answers: /' $SKY_INPUTS/model > $SKY_OUTPUTS/answers",
    ),
];

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// The job with stand-ins for its programs, and the plan of it.
fn planned() -> Ground {
    let ground = Ground::new(On::Clouds);
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bert"),
        ground.folder.path(),
    );
    let ran = ground.path("ran").display().to_string();
    // Here the answers are looked at.
    let mut job = ground.text("job.toml").replace("\"there\"", "\"home\"");
    for (program, stand_in) in COMMANDS {
        assert!(job.contains(program));
        job = job.replace(program, &stand_in.replace("RAN", &ran));
    }
    std::fs::write(ground.path("job.toml"), job).unwrap();
    std::fs::write(ground.path("reviews"), "good bad good\n").unwrap();
    let plan = [
        "plan",
        "job.toml",
        "--policy",
        "policy.toml",
        "--catalog",
        "catalog",
        "--out",
        "plan.json",
    ];
    let said = ended(&ground.sky(&plan).output().unwrap(), 0);
    assert!(
        said.contains("$39.75") && said.contains("5 h 44 m"),
        "{said}"
    );
    ground
}

/// A journal without what differs from run to run: a line for each step.
fn steps(journal: &str) -> String {
    let differs = [
        "token",
        "digest",
        "fingerprint",
        "definition",
        "lease_end",
        "plan",
        "host",
        "lease_ms",
    ];
    let mut text = String::new();
    for line in journal.lines() {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        let event = record["event"].as_object_mut().unwrap();
        let kind = event.remove("type").unwrap();
        let mut words = vec![kind.as_str().unwrap().to_owned()];
        for (name, value) in event
            .iter()
            .filter(|(name, _)| !differs.contains(&name.as_str()))
        {
            let value = match (name.as_str(), value) {
                // By the second.
                ("micro_usd", _) if kind != "copied" => continue,
                ("address", value) => value
                    .as_str()
                    .unwrap()
                    .split("-")
                    .next()
                    .unwrap()
                    .to_owned(),
                ("rented" | "outputs" | "pack", value) => {
                    format!("{} fields", value.as_object().unwrap().len())
                }
                (_, serde_json::Value::String(text)) => text.clone(),
                (_, value) => value.to_string(),
            };
            words.push(format!("{name}={value}"));
        }
        text += &(words.join(" ") + "\n");
    }
    text
}

/// What reaches the object stores, which are other servers than the machines' ones.
pub(super) fn stores() -> Vec<(&'static str, String)> {
    let others = servers::environment().into_iter();
    let others = others.filter(|(name, _)| {
        !name.starts_with("AWS_") || name.ends_with("_S3") || name.ends_with("_HTTP")
    });
    others.chain(servers::google()).collect()
}

#[test]
fn on_three_clouds_from_the_plan_to_nothing_left() {
    let ground = planned();
    let check = ended(
        &ground
            .sky(&["check", "plan.json", "--staging", "buckets"])
            .envs(stores())
            .output()
            .unwrap(),
        0,
    );
    assert_eq!(check.matches("object store").count(), 3, "{check}");
    for cloud in ["aws", "azure", "gcp"] {
        assert!(check.contains(&format!("{cloud}: ready\n")), "{check}");
    }
    let apply = ["apply", "plan.json", "--data", "reviews=reviews", "--json"];
    let said = ended(&ground.sky(&apply).output().unwrap(), 0);
    assert_eq!(
        ground.text(".sky/artifacts/serve/answers"),
        "answers: 3\n",
        "{said}"
    );
    let mut ran: Vec<String> = ground.text("ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(ran, ["process 0 of 2", "process 1 of 2", "serve", "train"]);
    let state = ground.state();
    let places: BTreeMap<&str, String> = state
        .stages
        .iter()
        .map(|(name, record)| (name.as_str(), record.place.to_string()))
        .collect();
    let wanted = [
        ("process", "azure:eastus"),
        ("serve", "aws:us-east-1"),
        ("train", "gcp:us-central1"),
    ];
    assert_eq!(
        places,
        wanted.map(|(name, place)| (name, place.to_owned())).into()
    );
    // What each cloud was asked for.
    let machines = ground.microsoft().unwrap().calls("PUT virtualMachines");
    let sizes = machines
        .iter()
        .map(|body| &body["properties"]["hardwareProfile"]["vmSize"]);
    assert_eq!(sizes.collect::<Vec<_>>(), ["Standard_DC8_v2"; 2]);
    assert_eq!(
        ground
            .account()
            .requests("RunInstances")
            .iter()
            .filter(|one| one["DryRun"] != "true")
            .count(),
        1
    );
    assert_eq!(
        ground
            .google()
            .calls("tpu.projects.locations.nodes.create")
            .len(),
        1
    );
    // Both ways between clouds were paid for, by what was really moved.
    let there = |artifact: &str| {
        state
            .copies
            .get(artifact)
            .map(|places| places.iter().map(ToString::to_string).collect())
    };
    assert_eq!(
        there("process.tokens"),
        Some(vec!["gcp:us-central1".to_owned()])
    );
    assert_eq!(there("train.model"), Some(vec!["aws:us-east-1".to_owned()]));
    ground.check_nothing_left("bert");
    // No credential is in the state, in logs, in plans or in what came back.
    assert_eq!(
        files_with(&ground.path(".sky"), crate::providers::aws::fake::SECRET),
        Vec::<String>::new()
    );
    ended(
        &ground.sky(&["destroy", "--auto-approve"]).output().unwrap(),
        0,
    );
    assert_eq!(ground.account().groups("us-east-1"), Vec::<String>::new());
    assert_eq!(
        ground.microsoft().unwrap().names("resourceGroups"),
        Vec::<String>::new()
    );
}

#[test]
fn killed_on_its_way_it_goes_on() {
    let ground = planned();
    let apply = ["apply", "plan.json", "--data", "reviews=reviews"];
    let mut kills = 0;
    while kills < 25 && ground.crash(&apply, 9 + kills % 5) {
        kills += 1;
    }
    assert!(kills > 5, "{kills}");
    ended(&ground.sky(&apply).output().unwrap(), 0);
    let mut ran: Vec<String> = ground.text("ran").lines().map(str::to_owned).collect();
    ran.sort();
    assert_eq!(
        ran,
        ["process 0 of 2", "process 1 of 2", "serve", "train"],
        "nothing ran twice"
    );
    ground.check_nothing_left("bert, killed");
}

#[test]
fn what_is_handed_on_goes_through_the_object_stores_of_all_three() {
    let ground = planned();
    let stores = stores();
    let apply = || {
        let mut apply = ground.sky(&[
            "apply",
            "plan.json",
            "--data",
            "reviews=reviews",
            "--keep-buckets",
        ]);
        // As nobody says anything else.
        apply.env_remove("SKY_STAGING");
        apply
    };
    // Without a storage account nothing is begun: what is computed could not be handed on.
    let without = stores.iter().filter(|(name, _)| !name.starts_with("AZUR"));
    let said = ended(&apply().envs(without.cloned()).output().unwrap(), 1);
    assert!(said.contains("AZURE_STORAGE_ACCOUNT_NAME"), "{said}");
    assert!(
        ground
            .microsoft()
            .unwrap()
            .calls("PUT virtualMachines")
            .is_empty()
    );
    ended(&apply().envs(stores.clone()).output().unwrap(), 0);
    assert_eq!(ground.text(".sky/artifacts/serve/answers"), "answers: 3\n");
    let state = ground.state();
    let model = &state.artifacts["train.model"];
    assert!(model.away && model.staged.len() == 2, "{model:?}");
    // What the first of the gang has written is at Azure, too.
    let tokens = &state.artifacts["process.tokens"];
    assert!(tokens.away && tokens.staged.len() == 2, "{tokens:?}");
    let address = |cloud: &str| {
        state
            .buckets
            .values()
            .find(|address| address.starts_with(cloud))
            .unwrap()
            .clone()
    };
    let (azure, google, amazon) = (address("az://"), address("gs://"), address("s3://"));
    assert_eq!(servers::content(&azure).unwrap().len(), 1);
    let journal = ended(&ground.sky(&["state", "journal"]).output().unwrap(), 0);
    insta::assert_snapshot!("the_journal_of_the_three_clouds", steps(&journal));
    let look = servers::google_look();
    assert!(
        !look["buckets"][google.trim_start_matches("gs://")]
            .as_array()
            .unwrap()
            .is_empty(),
        "{look:#}"
    );
    assert!(
        look["in"].as_u64() > Some(0) && look["out"].as_u64() > Some(0),
        "{look:#}"
    );
    assert!(!servers::content(&amazon).unwrap().is_empty());
    // The one crossing that the plan has for it, at the plan's rate for the bytes that there were.
    let there = state.copies["train.model"]
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(there, ["aws:us-east-1"]);
    ground.check_nothing_left("bert, staged");
    let secret = std::fs::read_to_string(&servers::google()[0].1).unwrap();
    let secret: serde_json::Value = serde_json::from_str(&secret).unwrap();
    let line = secret["private_key"]
        .as_str()
        .unwrap()
        .lines()
        .nth(3)
        .unwrap()
        .to_owned();
    let words = [
        "X-Goog-Signature",
        "X-Amz-Signature",
        "&sig=",
        crate::providers::aws::fake::SECRET,
        servers::AZURE_SECRET,
    ];
    for word in words.into_iter().chain([line.as_str()]) {
        assert_eq!(
            files_with(&ground.path(".sky"), word),
            Vec::<String>::new(),
            "{word}"
        );
    }
    let mut destroy = ground.sky(&["destroy", "--auto-approve"]);
    ended(&destroy.envs(stores).output().unwrap(), 0);
    assert!(servers::content(&amazon).is_none() && servers::content(&azure).is_none());
    assert!(
        servers::google_look()["buckets"]
            .get(google.trim_start_matches("gs://"))
            .is_none()
    );
}
