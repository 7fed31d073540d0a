//! TPU VMs, against the same Google of ours.

use super::gcp::{Place, owner, spec, token, within};
use super::google::{Google, Trouble};
use crate::execution::apply::place::ended;
use serde_json::{Value, json};
use sky::execution::provider::*;
use sky::model::{Bytes, Purchase, Tee};
use std::process::{Command, Stdio};
use std::time::Duration;

const CREATE: &str = "tpu.projects.locations.nodes.create";
const LIST: &str = "tpu.projects.locations.nodes.list";
const FULL: Trouble = Trouble::Operation(
    "8 There is no more capacity in the zone \"us-central1-b\"; you can try in another zone",
);
const QUOTA: Trouble = Trouble::Operation(
    "8 Quota limit 'TPUV3PerProjectPerZoneForTPUAPI' has been exceeded. Limit: 0 in zone us-central1-b.",
);

fn v3() -> MachineSpec {
    spec("gcp:us-central1", "tpu-v3-8+n1-highmem-8")
}

#[test]
fn what_is_asked_for_is_what_was_planned() {
    let place = Place::new();
    let provider = place.provider();
    let wanted = MachineSpec {
        purchase: Purchase::Spot,
        ..v3()
    };
    let machine = place.create(&provider, &token("train"), &wanted).unwrap();
    // The first zone of the region that has it.
    assert_eq!(
        machine.id,
        format!("locations/us-central1-b/nodes/sky-{}", token("train").id)
    );
    assert_eq!(
        (machine.place.as_ref(), machine.instance_type.as_deref()),
        (Some(&wanted.place), Some("tpu-v3-8"))
    );
    assert_eq!(
        (
            machine.job.as_str(),
            machine.lineage.as_str(),
            machine.ended
        ),
        ("A Job", "3f2a", false)
    );
    let [body] = place.google.calls(CREATE).try_into().unwrap();
    assert_eq!(
        (&body["acceleratorType"], &body["runtimeVersion"]),
        (&"v3-8".into(), &"tpu-ubuntu2204-base".into())
    );
    assert_eq!(body["schedulingConfig"], json!({ "spot": true }));
    assert_eq!(
        body["networkConfig"],
        json!({ "enableExternalIps": true, "network": "default" })
    );
    // A node cannot be without an account: what it is given is good for nothing.
    assert_eq!(
        body["serviceAccount"],
        json!({ "scope": ["https://www.googleapis.com/auth/userinfo.email"] })
    );
    assert_eq!(body["labels"]["sky-job"], "_41_20_4aob");
    assert_eq!(body["metadata"]["sky-plan"], wanted.plan);
    assert_eq!(body["metadata"]["block-project-ssh-keys"], "TRUE");
    assert!(
        body["metadata"]["startup-script"]
            .as_str()
            .unwrap()
            .starts_with("#!/bin/sh\n")
    );
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(Some(&owner())))
            .unwrap(),
        std::slice::from_ref(&machine)
    );
    // Made again, by another process, it is the same.
    assert_eq!(
        place
            .create(&place.provider(), &token("train"), &wanted)
            .unwrap(),
        machine
    );
    let other = spec("gcp:us-central1", "tpu-v5litepod-8");
    place.create(&provider, &token("serve"), &other).unwrap();
    let body = place.google.calls(CREATE).pop().unwrap();
    assert_eq!(
        (&body["runtimeVersion"], body.get("schedulingConfig")),
        (&"v2-alpha-tpuv5-lite".into(), None)
    );
    assert_eq!(
        place.runtime.block_on(provider.list(None)).unwrap().len(),
        2
    );
    place.google.check();
}

#[test]
fn what_cannot_be_had_is_said_before_it_is_asked_for() {
    let place = Place::new();
    let provider = place.provider();
    for (wanted, kind, part) in [
        (
            spec("gcp:europe-west4", "tpu-v3-32"),
            ErrorKind::Quota,
            "the largest is tpu-v3-8",
        ),
        (
            spec("gcp:us-central1", "tpu-v2-8"),
            ErrorKind::Stockout,
            "no zone of gcp:us-central1 has the TPU v2-8",
        ),
        (
            MachineSpec {
                tee: Some(Tee::SevSnp),
                ..v3()
            },
            ErrorKind::Stockout,
            "cannot be had with sev-snp",
        ),
        (
            MachineSpec {
                disk: Bytes(1 << 40),
                ..v3()
            },
            ErrorKind::Quota,
            "a disk of 100 GB",
        ),
    ] {
        let error = place.create(&provider, &token("a"), &wanted).unwrap_err();
        assert!(
            error.kind == kind && error.message.contains(part),
            "{error}"
        );
    }
    assert!(place.google.calls(CREATE).is_empty());
    place.google.check();
}

#[test]
fn full_zones_are_followed_by_the_next_and_failures_told_apart() {
    let place = Place::new();
    let provider = place.provider();
    place
        .google
        .trouble(&format!("{CREATE} us-central1-b"), FULL);
    let machine = place.create(&provider, &token("a"), &v3()).unwrap();
    assert!(
        machine.id.starts_with("locations/us-central1-f/"),
        "{}",
        machine.id
    );
    // A quota is one of a zone, too; but a zone that is full now may not be so for long.
    place
        .google
        .trouble(&format!("{CREATE} us-central1-f"), QUOTA);
    let error = place.create(&provider, &token("b"), &v3()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    assert!(
        error
            .message
            .contains("of 2 zones of gcp:us-central1 that have it"),
        "{error}"
    );
    for (number, (trouble, kind)) in [
        (QUOTA, ErrorKind::Quota),
        (
            Trouble::Operation("3 update is not supported while in state PREEMPTED"),
            ErrorKind::Stockout,
        ),
        (
            Trouble::Operation("7 Permission 'tpu.nodes.create' denied"),
            ErrorKind::Denied,
        ),
        (
            Trouble::Operation("13 Internal error"),
            ErrorKind::Unreachable,
        ),
        (Trouble::Operation("3 no such software"), ErrorKind::Other),
        (Trouble::Answer(403, "forbidden"), ErrorKind::Denied),
        (
            Trouble::Answer(429, "rateLimitExceeded"),
            ErrorKind::Throttled,
        ),
        (Trouble::Answer(503, "backendError"), ErrorKind::Unreachable),
    ]
    .into_iter()
    .enumerate()
    {
        place.google.no_trouble();
        place.google.trouble(CREATE, trouble.clone());
        let token = token(&format!("stage{number}"));
        let error = place.create(&provider, &token, &v3()).unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}: {error}");
        assert_eq!(place.runtime.block_on(provider.get(&token)), Ok(None));
    }
    assert_eq!(place.google.nodes().len(), 1);
    place.google.check();
}

#[test]
fn an_answer_that_is_lost_makes_no_second_node() {
    let place = Place::new();
    place.google.trouble(CREATE, Trouble::Silence);
    let error = place
        .create(&place.provider(), &token("a"), &v3())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    place.google.no_trouble();
    let again = place.create(&place.provider(), &token("a"), &v3()).unwrap();
    assert_eq!(
        place.google.nodes(),
        [("us-central1-b".to_owned(), format!("sky-{}", token("a").id))]
    );
    assert!(again.id.ends_with(&token("a").id));
    place.google.check();
}

/// A node as somebody with our tags would make it.
fn planted(stage: &str, lease_end: &str) -> Value {
    json!({
        "acceleratorType": "v2-8",
        "runtimeVersion": "tpu-ubuntu2204-base",
        "labels": { "sky-token": token(stage).id, "sky-stage": stage, "sky-attempt": "1", "sky-job": "_41_20_4aob",
            "sky-lineage": "3f2a", "sky-lease-end": lease_end },
    })
}

#[test]
fn what_a_former_process_has_begun_is_waited_for() {
    let place = Place::new();
    let (name, mut coming) = (
        format!("sky-{}", token("a").id),
        planted("a", "9999-01-01_5400_3a00_3a00_5a"),
    );
    coming["state"] = "CREATING".into();
    place.google.plant("us-central1-f", &name, &coming);
    let machine = place.create(&place.provider(), &token("a"), &v3()).unwrap();
    assert_eq!(machine.id, format!("locations/us-central1-f/nodes/{name}"));
    assert!(place.google.calls(CREATE).is_empty());
    place
        .runtime
        .block_on(place.provider().delete(&token("a")))
        .unwrap();
    // The zone was full after all: it is gone, and the next zone is tried.
    place.google.plant("us-central1-b", &name, &coming);
    place.google.trouble(
        "tpu.projects.locations.nodes.get us-central1-b",
        Trouble::Operation("8 full"),
    );
    place
        .google
        .trouble(&format!("{CREATE} us-central1-b"), FULL);
    let provider = place.provider();
    // Lists do not have it yet, or the engine would take what is there.
    place
        .google
        .trouble(LIST, Trouble::Answer(403, "SERVICE_DISABLED"));
    let machine = place.create(&provider, &token("a"), &v3()).unwrap();
    assert_eq!(machine.id, format!("locations/us-central1-f/nodes/{name}"));
    place.google.check();
}

#[test]
fn a_node_that_was_made_behind_our_back_is_found_and_ended() {
    let place = Place::new();
    let provider = place.provider();
    place.google.plant(
        "europe-west4-a",
        "theirs",
        &planted("a", "9999-01-01_5400_3a00_3a00_5a"),
    );
    // Its watchdog must have powered it off long ago; but it costs, and Google calls it ready.
    place.google.plant(
        "europe-west4-a",
        "old",
        &planted("b", "2026-01-01_5400_3a00_3a00_5a"),
    );
    place.google.plant(
        "europe-west4-a",
        "strange",
        &json!({ "acceleratorType": "v2-8", "labels": { "x": "y" } }),
    );
    place.runtime.block_on(async {
        let found: Vec<String> = provider
            .list(None)
            .await
            .unwrap()
            .into_iter()
            .map(|machine| machine.id)
            .collect();
        assert_eq!(found.len(), 2, "{found:?}");
        let missing = provider
            .renew(&token("b"), LeaseEnd::after(Duration::from_secs(60)))
            .await
            .unwrap_err();
        assert_eq!(missing.kind, ErrorKind::NotFound, "{missing}");
        // By all of its names.
        let heir = Owner {
            job: "x".repeat(70),
            lineage: "heir".into(),
        };
        for id in [
            "locations/europe-west4-a/nodes/theirs",
            "projects/p/locations/europe-west4-a/nodes/theirs",
            "europe-west4-a/theirs",
            "theirs",
        ] {
            assert_eq!(
                provider.adopt(id, &token("a"), &heir).await.unwrap().id,
                "locations/europe-west4-a/nodes/theirs"
            );
        }
        // Too long for a label.
        assert_eq!(provider.list(Some(&heir)).await.unwrap().len(), 1);
    });
    let folder = tempfile::tempdir().unwrap();
    let sweep = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sky"));
        command
            .arg("sweep")
            .args(args)
            .current_dir(folder.path())
            .stdin(Stdio::null());
        for name in ["SKY_DATA_DIR", "SKY_HOSTS", "SKY_STATE"] {
            command.env_remove(name);
        }
        command
            .envs(place.google.environment())
            .env("SKY_SIM", folder.path().join("none"))
            .output()
            .unwrap()
    };
    let said = ended(&sweep(&["--all", "--dry-run"]), 2);
    for name in ["theirs", "old"] {
        assert!(
            said.contains(&format!("locations/europe-west4-a/nodes/{name} ")),
            "{said}"
        );
    }
    // Without being asked for more, only what nobody can need any more is ended.
    ended(&sweep(&["--auto-approve"]), 0);
    let left: Vec<String> = place
        .google
        .nodes()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(left, ["strange", "theirs"]);
    place.runtime.block_on(async {
        provider.delete(&token("a")).await.unwrap();
        assert_eq!(provider.list(None).await.unwrap(), []);
    });
    assert_eq!(
        place.google.nodes(),
        [("europe-west4-a".to_owned(), "strange".to_owned())]
    );
    place.google.check();
}

#[test]
fn who_does_not_use_tpus_needs_nothing_for_them() {
    let place = Place::new();
    let provider = place.provider();
    let here = spec("gcp:us-central1", "e2-small");
    // The API is off: there are none.
    place
        .google
        .trouble(LIST, Trouble::Answer(403, "SERVICE_DISABLED"));
    place.create(&provider, &token("a"), &here).unwrap();
    place.runtime.block_on(async {
        assert_eq!(provider.list(None).await.unwrap().len(), 1);
        provider.delete(&token("a")).await.unwrap();
    });
    // They may not be looked at: a machine needs no such right, but nobody says that there are
    // none.
    place.google.no_trouble();
    place
        .google
        .trouble(LIST, Trouble::Answer(403, "forbidden"));
    place.create(&provider, &token("b"), &here).unwrap();
    place.runtime.block_on(async {
        let error = provider.list(None).await.unwrap_err();
        assert!(
            error.kind == ErrorKind::Denied && error.message.contains("look for TPUs"),
            "{error}"
        );
        provider.delete(&token("b")).await.unwrap();
    });
    // Who has once asked for one is not told that there is none.
    place.google.trouble(CREATE, FULL);
    assert_eq!(
        place
            .create(&provider, &token("c"), &v3())
            .unwrap_err()
            .kind,
        ErrorKind::Stockout
    );
    assert_eq!(
        place
            .runtime
            .block_on(provider.get(&token("c")))
            .unwrap_err()
            .kind,
        ErrorKind::Denied
    );
    place.google.check();
}

#[test]
fn it_conforms() {
    let google = Google::new();
    let mut environment = google.environment();
    environment.push(("SKY_TEST_TYPE", "tpu-v3-8".to_owned()));
    within("the_suite", environment);
    google.check();
    assert!(
        google.calls("compute.instances.insert").is_empty() && !google.calls(CREATE).is_empty()
    );
    assert_eq!(
        (google.nodes(), google.firewalls()),
        (Vec::new(), Vec::<Value>::new())
    );
}

#[test]
fn ends_are_told_apart() {
    let google = Google::new();
    let mut environment = google.environment();
    environment.push(("SKY_TEST_TYPE", "tpu-v3-8".to_owned()));
    within("ends", environment);
    google.check();
}
