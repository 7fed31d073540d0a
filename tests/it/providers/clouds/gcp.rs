//! Google Cloud's provider, against a Google of ours whose machines are SSH servers.

use super::google::{Google, Trouble};
use crate::execution::proof::{Subject, conforms};
use serde_json::Value;
use sky::execution::provider::*;
use sky::model::{Bytes, PlaceName, Purchase, Rate, Tee};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const INSERT: &str = "compute.instances.insert";

/// A provider in a folder of its own.
pub(super) struct Place {
    folder: tempfile::TempDir,
    pub google: Google,
    pub runtime: tokio::runtime::Runtime,
}

impl Place {
    pub(super) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            google: Google::new(),
            runtime,
        }
    }

    /// As a new process would have it.
    pub(super) fn provider(&self) -> Arc<dyn Provider> {
        let settings = gcp::Settings {
            project: Some(super::google::PROJECT.to_owned()),
            endpoint: Some(self.google.endpoint()),
        };
        Arc::new(gcp::open(self.folder.path(), settings))
    }

    pub(super) fn create(
        &self,
        provider: &Arc<dyn Provider>,
        token: &Token,
        spec: &MachineSpec,
    ) -> Result<Machine, ProviderError> {
        self.runtime.block_on(provider.create(token, spec))
    }
}

pub(super) fn owner() -> Owner {
    Owner {
        job: "A Job".into(),
        lineage: "3f2a".into(),
    }
}

pub(super) fn token(stage: &str) -> Token {
    Token::new("3f2a", "sha256:plan", stage, 1)
}

pub(super) fn spec(place: &str, kind: &str) -> MachineSpec {
    MachineSpec {
        owner: owner(),
        plan: format!("sha256:{}", "ab".repeat(32)),
        lease: Duration::from_secs(3600),
        place: PlaceName::parse(place).unwrap(),
        instance_type: kind.into(),
        accelerator: None,
        nodes: 1,
        purchase: Purchase::OnDemand,
        tee: None,
        rate: Rate(1_000_000_000),
        disk: Bytes(5 << 30),
    }
}

fn here() -> MachineSpec {
    spec("gcp:us-central1", "e2-small")
}

#[test]
fn what_is_asked_for_is_what_was_planned() {
    let place = Place::new();
    let provider = place.provider();
    let wanted = MachineSpec {
        purchase: Purchase::Spot,
        ..spec("gcp:us-central1", "2xT4+n1-standard-8")
    };
    let machine = place.create(&provider, &token("train"), &wanted).unwrap();
    // The first zone of the region that has the cards.
    assert_eq!(
        machine.id,
        format!("us-central1-b/sky-{}", token("train").id)
    );
    assert_eq!(machine.place, Some(wanted.place.clone()));
    assert_eq!(
        (
            machine.job.as_str(),
            machine.lineage.as_str(),
            machine.ended
        ),
        ("A Job", "3f2a", false)
    );
    let [body] = place.google.calls(INSERT).try_into().unwrap();
    assert_eq!(
        body["machineType"],
        "zones/us-central1-b/machineTypes/n1-standard-8"
    );
    assert_eq!(
        body["guestAccelerators"][0]["acceleratorType"],
        "zones/us-central1-b/acceleratorTypes/nvidia-tesla-t4"
    );
    assert_eq!(body["guestAccelerators"][0]["acceleratorCount"], 2);
    let scheduling = &body["scheduling"];
    assert_eq!(
        (
            &scheduling["provisioningModel"],
            &scheduling["instanceTerminationAction"]
        ),
        (&"SPOT".into(), &"DELETE".into())
    );
    assert_eq!(
        scheduling["maxRunDuration"]["seconds"],
        (7 * 86_400 + 3600).to_string()
    );
    assert_eq!(
        (
            &scheduling["automaticRestart"],
            &scheduling["onHostMaintenance"]
        ),
        (&false.into(), &"TERMINATE".into())
    );
    assert!(
        body["serviceAccounts"].as_array().is_none_or(Vec::is_empty),
        "{body}"
    );
    let disk = &body["disks"][0];
    assert_eq!(
        (&disk["autoDelete"], &disk["boot"]),
        (&true.into(), &true.into())
    );
    assert_eq!(disk["initializeParams"]["diskSizeGb"], "35");
    assert_eq!(disk["initializeParams"]["labels"], body["labels"]);
    // What is not a label is metadata, and both come back as they were.
    assert_eq!(body["labels"]["sky-job"], "_41_20_4aob");
    assert_eq!(body["labels"]["sky-token"], token("train").id);
    let items = body["metadata"]["items"].as_array().unwrap();
    let item = |key: &str| {
        items
            .iter()
            .find(|item| item["key"] == key)
            .map(|item| item["value"].as_str().unwrap())
    };
    assert_eq!(item("sky-plan"), Some(wanted.plan.as_str()));
    assert!(item("sky-host-key").unwrap().starts_with("ssh-ed25519 "));
    assert_eq!(item("block-project-ssh-keys"), Some("TRUE"));
    assert!(item("user-data").unwrap().starts_with("#cloud-config\n"));
    let listed = place
        .runtime
        .block_on(provider.list(Some(&owner())))
        .unwrap();
    assert_eq!(listed, [machine]);
    place.google.check();
}

#[test]
fn what_must_be_confidential_is() {
    let place = Place::new();
    let provider = place.provider();
    for (tee, named) in [
        (Tee::Sev, "SEV"),
        (Tee::SevSnp, "SEV_SNP"),
        (Tee::Tdx, "TDX"),
    ] {
        let wanted = MachineSpec {
            tee: Some(tee),
            ..here()
        };
        place.create(&provider, &token(named), &wanted).unwrap();
        let body = place.google.calls(INSERT).pop().unwrap();
        let config = serde_json::json!({ "enableConfidentialCompute": true, "confidentialInstanceType": named });
        assert_eq!(body["confidentialInstanceConfig"], config);
        assert_eq!(body["scheduling"]["onHostMaintenance"], "TERMINATE");
        assert_eq!(body["networkInterfaces"][0]["nicType"], "GVNIC");
        assert_eq!(body["minCpuPlatform"] == "AMD Milan", tee == Tee::SevSnp);
    }
    let before = place.google.calls(INSERT).len();
    for tee in [Tee::Sgx, Tee::NitroEnclave] {
        let wanted = MachineSpec {
            tee: Some(tee),
            ..here()
        };
        let error = place
            .create(&provider, &token("none"), &wanted)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout);
        assert!(
            error.message.contains(&format!("cannot be had with {tee}")),
            "{error}"
        );
    }
    assert_eq!(place.google.calls(INSERT).len(), before);
    place.create(&provider, &token("open"), &here()).unwrap();
    assert!(
        place
            .google
            .calls(INSERT)
            .pop()
            .unwrap()
            .get("confidentialInstanceConfig")
            .is_none()
    );
    place.google.check();
}

#[test]
fn full_zones_are_followed_by_the_next() {
    let place = Place::new();
    let provider = place.provider();
    place.google.trouble(
        &format!("{INSERT} us-central1-a"),
        Trouble::Operation("ZONE_RESOURCE_POOL_EXHAUSTED"),
    );
    let full = Trouble::Operation("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS");
    place
        .google
        .trouble(&format!("{INSERT} us-central1-b"), full.clone());
    let machine = place.create(&provider, &token("a"), &here()).unwrap();
    assert!(machine.id.starts_with("us-central1-f/"), "{}", machine.id);
    assert_eq!(place.google.calls(INSERT).len(), 3);
    // All are full; then one is not any more, and the same token gets its machine.
    place
        .google
        .trouble(&format!("{INSERT} us-central1-f"), full);
    let error = place.create(&provider, &token("b"), &here()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    assert!(
        error.message.contains("all 3 zones of gcp:us-central1"),
        "{error}"
    );
    assert_eq!(place.runtime.block_on(provider.get(&token("b"))), Ok(None));
    // A region that does not have the type at all.
    let error = place
        .create(&provider, &token("c"), &spec("gcp:us-central1", "n9-none"))
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    place.google.check();
}

/// Traffic between zones is billed, and slow: nothing that a gang says to itself crosses one.
#[test]
fn a_gang_is_made_in_one_zone() {
    let (full, first) = (
        Trouble::Operation("ZONE_RESOURCE_POOL_EXHAUSTED"),
        format!("{INSERT} us-central1-a"),
    );
    let place = Place::new();
    let provider = place.provider();
    let gang = MachineSpec { nodes: 3, ..here() };
    // The first zone is full for the first machine, and has room again for the others.
    place.google.trouble(&first, full.clone());
    place.create(&provider, &token("train"), &here()).unwrap();
    place.google.no_trouble();
    place.create(&provider, &token("train"), &gang).unwrap();
    let zones: Vec<String> = place
        .google
        .instances()
        .into_iter()
        .map(|(zone, _)| zone)
        .collect();
    assert_eq!(zones, ["us-central1-b"; 3]);
    // A zone that has one machine and no second has no gang.
    place.create(&provider, &token("eval"), &here()).unwrap();
    place.google.trouble(&first, full);
    let error = place.create(&provider, &token("eval"), &gang).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    assert!(
        error
            .message
            .contains("in us-central1-a, where the first machine"),
        "{error}"
    );
}

#[test]
fn failures_are_told_apart() {
    let place = Place::new();
    let provider = place.provider();
    let cases = [
        (Trouble::Operation("QUOTA_EXCEEDED"), ErrorKind::Quota),
        (
            Trouble::Operation("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"),
            ErrorKind::Throttled,
        ),
        (Trouble::Operation("INTERNAL_ERROR"), ErrorKind::Unreachable),
        (Trouble::Operation("PERMISSIONS_ERROR"), ErrorKind::Denied),
        (Trouble::Operation("SOMETHING_ELSE"), ErrorKind::Other),
        (Trouble::Answer(403, "quotaExceeded"), ErrorKind::Quota),
        (
            Trouble::Answer(403, "rateLimitExceeded"),
            ErrorKind::Throttled,
        ),
        (Trouble::Answer(403, "forbidden"), ErrorKind::Denied),
        (Trouble::Answer(401, "authError"), ErrorKind::Denied),
        (
            Trouble::Answer(429, "rateLimitExceeded"),
            ErrorKind::Throttled,
        ),
        (
            Trouble::Answer(400, "resourceNotReady"),
            ErrorKind::Throttled,
        ),
        (Trouble::Answer(503, "backendError"), ErrorKind::Unreachable),
        (Trouble::Answer(400, "invalid"), ErrorKind::Other),
    ];
    for (number, (trouble, kind)) in cases.into_iter().enumerate() {
        place.google.no_trouble();
        place.google.trouble(INSERT, trouble.clone());
        let before = place.google.calls(INSERT).len();
        let token = token(&format!("stage{number}"));
        let error = place.create(&provider, &token, &here()).unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}: {error}");
        // What no other zone can help is not asked of another zone.
        assert_eq!(place.google.calls(INSERT).len(), before + 1, "{trouble:?}");
        assert_eq!(place.runtime.block_on(provider.get(&token)), Ok(None));
    }
    // A list that cannot be had is not taken for an empty one.
    place.google.trouble(
        "compute.instances.aggregatedList",
        Trouble::Answer(503, "backendError"),
    );
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(None))
            .unwrap_err()
            .kind,
        ErrorKind::Unreachable
    );
    place.google.check();
}

#[test]
fn an_answer_that_is_lost_makes_no_second_machine() {
    let place = Place::new();
    place.google.trouble(INSERT, Trouble::Silence);
    let error = place
        .create(&place.provider(), &token("a"), &here())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    place.google.no_trouble();
    // A new process, with a lease of its own.
    let again = place
        .create(&place.provider(), &token("a"), &here())
        .unwrap();
    assert_eq!(
        place.google.instances(),
        [("us-central1-a".to_owned(), format!("sky-{}", token("a").id))]
    );
    assert_eq!(again.id, format!("us-central1-a/sky-{}", token("a").id));
    place.google.check();
}

#[test]
fn what_has_powered_itself_off_is_seen_and_removed() {
    let place = Place::new();
    let provider = place.provider();
    let machine = place.create(&provider, &token("a"), &here()).unwrap();
    place.google.power_off();
    place.runtime.block_on(async {
        // Its disk costs.
        assert_eq!(
            provider.list(None).await.unwrap(),
            std::slice::from_ref(&machine)
        );
        assert_eq!(
            provider.get(&token("a")).await.unwrap(),
            Some(machine.clone())
        );
        assert_eq!(
            provider.create(&token("a"), &here()).await.unwrap().id,
            machine.id
        );
        let error = provider
            .renew(&token("a"), LeaseEnd::after(Duration::from_secs(60)))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        let error = provider.worker(&token("a")).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        provider.delete(&token("a")).await.unwrap();
        assert!(provider.list(None).await.unwrap().is_empty());
    });
    assert!(place.google.instances().is_empty());
    place.google.check();
}

#[test]
fn machines_are_found_by_all_of_their_names() {
    let place = Place::new();
    let provider = place.provider();
    let machine = place.create(&provider, &token("a"), &here()).unwrap();
    let name = format!("sky-{}", token("a").id);
    let heir = Owner {
        job: "x".repeat(70),
        lineage: "heir".into(),
    };
    for id in [
        machine.id.clone(),
        format!("zones/us-central1-a/instances/{name}"),
        name,
    ] {
        let taken = place
            .runtime
            .block_on(provider.adopt(&id, &token("a"), &heir))
            .unwrap();
        assert_eq!(
            (taken.id, taken.job),
            (machine.id.clone(), heir.job.clone())
        );
    }
    // Too long for a label, so it is in the metadata now, and no label contradicts it.
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(Some(&heir)))
            .unwrap()
            .len(),
        1
    );
    place
        .runtime
        .block_on(provider.adopt(&machine.id, &token("a"), &owner()))
        .unwrap();
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(Some(&owner())))
            .unwrap()
            .len(),
        1
    );
    place.google.check();
}

/// Runs a test below in a process of its own, whose environment leads to a Google of ours.
pub(super) fn within(name: &str, environment: Vec<(&'static str, String)>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &crate::support::sandbox::test_name(module_path!(), &format!("within::{name}")),
            "--ignored",
        ])
        .stdin(Stdio::null());
    command.env_remove("SKY_SSH_KEY").envs(environment);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn it_conforms() {
    let google = Google::new();
    within("the_suite", google.environment());
    google.check();
    assert_eq!(google.instances(), []);
    // The rule admitted us alone, and went with the last machine.
    let rules = google.calls("compute.firewalls.insert");
    assert!(!rules.is_empty());
    for rule in rules {
        assert_eq!(rule["sourceRanges"], serde_json::json!(["192.0.2.1/32"]));
        assert_eq!(
            rule["allowed"],
            serde_json::json!([{ "IPProtocol": "tcp", "ports": ["22"] }])
        );
        assert_eq!(rule["targetTags"], serde_json::json!([rule["name"]]));
    }
    assert_eq!(google.firewalls(), Vec::<Value>::new());
}

#[test]
fn ends_are_told_apart() {
    let google = Google::new();
    within("ends", google.environment());
    google.check();
}

#[test]
fn without_credentials_it_says_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    within(
        "no_credentials",
        vec![
            ("HOME", home.path().display().to_string()),
            ("GOOGLE_APPLICATION_CREDENTIALS", String::new()),
            ("GCE_METADATA_HOST", String::new()),
            ("SKY_GCP_ENDPOINT", String::new()),
            ("SKY_GCP_PROJECT", "p".to_owned()),
        ],
    );
    within(
        "no_project",
        vec![
            ("HOME", home.path().display().to_string()),
            ("GOOGLE_APPLICATION_CREDENTIALS", String::new()),
            ("SKY_GCP_PROJECT", String::new()),
            ("GOOGLE_CLOUD_PROJECT", String::new()),
        ],
    );
}

/// What needs an environment of its own.
mod within {
    use super::*;
    use std::io::{Read, Write};

    fn provider(root: &std::path::Path) -> Arc<dyn Provider> {
        open(
            GCP,
            &Access {
                root: root.to_owned(),
                ..Access::default()
            },
        )
        .unwrap()
        .unwrap()
    }

    /// The type of which machines are made.
    fn kind() -> String {
        std::env::var("SKY_TEST_TYPE").unwrap_or_else(|_| "e2-small".to_owned())
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(test);
    }

    #[test]
    #[ignore = "run by it_conforms"]
    fn the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let machines = std::env::var_os("SKY_TEST_MACHINES").unwrap();
        let subject = Subject {
            provider: provider(folder.path()),
            folders: vec![folder.path().to_owned(), machines.into()],
            place: PlaceName::parse("gcp:us-central1").unwrap(),
            instance_type: kind(),
        };
        run(conforms(&subject));
    }

    /// Has something done to all machines.
    fn all(what: &str) {
        let endpoint = std::env::var("SKY_GCP_ENDPOINT").unwrap();
        let mut stream =
            std::net::TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
        write!(
            stream,
            "POST /test/{what} HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[test]
    #[ignore = "run by ends_are_told_apart"]
    fn ends() {
        let folder = tempfile::tempdir().unwrap();
        let provider = provider(folder.path());
        run(async {
            for (what, lease, status) in [
                ("take", 3600, RunStatus::Preempted),
                ("off", 3600, RunStatus::Lost),
                // Nothing but its watchdog waits for the end of a lease.
                ("off", 0, RunStatus::Expired),
            ] {
                let token = token(&format!("{what}{lease}"));
                let wanted = MachineSpec {
                    lease: Duration::from_secs(lease),
                    ..spec("gcp:us-central1", &kind())
                };
                provider.create(&token, &wanted).await.unwrap();
                let worker = provider.worker(&token).await.unwrap();
                assert_eq!(worker.status().await.unwrap(), RunStatus::NotStarted);
                all(what);
                let begun = std::time::Instant::now();
                let seen = loop {
                    match worker.status().await {
                        Ok(seen) => break seen,
                        // Its connection is not known to be gone yet.
                        Err(error) => assert_eq!(error.kind, ErrorKind::Unreachable, "{error}"),
                    }
                    assert!(begun.elapsed() < Duration::from_secs(60));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                assert_eq!(seen, status, "{what} {lease}");
                provider.delete(&token).await.unwrap();
            }
        });
    }

    #[test]
    #[ignore = "run by without_credentials_it_says_what_to_do"]
    fn no_credentials() {
        let folder = tempfile::tempdir().unwrap();
        run(async {
            let error = provider(folder.path())
                .create(&token("a"), &here())
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied);
            assert!(
                error
                    .message
                    .contains("gcloud auth application-default login"),
                "{error}"
            );
        });
    }

    #[test]
    #[ignore = "run by without_credentials_it_says_what_to_do"]
    fn no_project() {
        let folder = tempfile::tempdir().unwrap();
        run(async {
            let error = provider(folder.path()).list(None).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Denied);
            assert!(error.message.contains("SKY_GCP_PROJECT"), "{error}");
        });
    }
}
