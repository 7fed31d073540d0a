//! Tests of Azure's provider that need an environment, and so a process, of their own.

use super::*;
use std::io::{Read, Write};

/// A provider in a folder of its own. Rules need to know our address, which is in the environment:
/// so this is for tests in a process of their own.
struct Place {
    folder: tempfile::TempDir,
    azure: Microsoft,
    runtime: tokio::runtime::Runtime,
}

impl Place {
    fn new() -> Self {
        assert!(std::env::var_os("SKY_TEST_ALONE").is_some());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            azure: Microsoft::new(),
            runtime,
        }
    }

    /// As a new process would have it.
    fn provider(&self) -> Arc<dyn Provider> {
        let settings = azure::Settings {
            subscription: Some(SUBSCRIPTION.to_owned()),
            endpoint: Some(self.azure.endpoint()),
        };
        Arc::new(azure::open(self.folder.path(), settings))
    }

    fn create(
        &self,
        provider: &Arc<dyn Provider>,
        token: &Token,
        spec: &MachineSpec,
    ) -> Result<Machine, ProviderError> {
        self.runtime.block_on(provider.create(token, spec))
    }
}

fn provider(root: &Path) -> Arc<dyn Provider> {
    open(
        AZURE,
        &Access {
            root: root.to_owned(),
            ..Access::default()
        },
    )
    .unwrap()
    .unwrap()
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
#[ignore = "run by what_is_asked_for_is_what_was_planned"]
fn what_was_planned() {
    let place = Place::new();
    let provider = place.provider();
    let wanted = MachineSpec {
        purchase: Purchase::Spot,
        rate: Rate(123_456_789),
        ..spec("azure:eastus", "Standard_DC2as_v5")
    };
    let machine = place.create(&provider, &token("train"), &wanted).unwrap();
    let name = format!("sky-{}-eastus", token("train").id);
    let (group, named) = machine.id.split_once('/').unwrap();
    assert_eq!(
        (named, machine.place.as_ref()),
        (name.as_str(), Some(&wanted.place))
    );
    assert_eq!(
        (
            machine.job.as_str(),
            machine.lineage.as_str(),
            machine.ended
        ),
        ("A Job", "3f2a", false)
    );
    assert_eq!(place.azure.names("resourceGroups"), [group]);
    let [body] = place.azure.calls(PUT).try_into().unwrap();
    let properties = &body["properties"];
    assert_eq!(
        (&body["location"], &properties["hardwareProfile"]["vmSize"]),
        (&"eastus".into(), &"Standard_DC2as_v5".into())
    );
    assert_eq!(
        (&properties["priority"], &properties["evictionPolicy"]),
        (&"Spot".into(), &"Delete".into())
    );
    assert_eq!(properties["billingProfile"]["maxPrice"], 0.12346);
    // A type whose memory is encrypted.
    assert_eq!(
        properties["securityProfile"]["securityType"],
        "ConfidentialVM"
    );
    let disk = &properties["storageProfile"]["osDisk"];
    assert_eq!(
        disk["managedDisk"]["securityProfile"]["securityEncryptionType"],
        "VMGuestStateOnly"
    );
    assert_eq!(
        (&disk["diskSizeGB"], &disk["deleteOption"]),
        (&55.into(), &"Delete".into())
    );
    let interface =
        &properties["networkProfile"]["networkInterfaceConfigurations"][0]["properties"];
    let public = &interface["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"]["properties"];
    assert_eq!(
        (&interface["deleteOption"], &public["deleteOption"]),
        (&"Delete".into(), &"Delete".into())
    );
    // Nothing on it may speak for us.
    assert!(body["identity"].is_null(), "{body}");
    let system = &properties["osProfile"];
    assert!(
        system["adminPassword"].is_null()
            && system["linuxConfiguration"]["disablePasswordAuthentication"] == true
    );
    let data = system["customData"].as_str().unwrap();
    let data = STANDARD.decode(data).unwrap();
    assert!(data.starts_with(b"#cloud-config\n"));
    let tags = &body["tags"];
    assert_eq!(
        (&tags["sky-token"], &tags["sky-job"]),
        (&token("train").id.into(), &"A Job".into())
    );
    assert!(
        tags["sky-host-key"]
            .as_str()
            .unwrap()
            .starts_with("ssh-ed25519 ")
    );
    assert_eq!(tags["sky-plan"].as_str(), Some(wanted.plan.as_str()));
    let listed = place
        .runtime
        .block_on(provider.list(Some(&owner())))
        .unwrap();
    assert_eq!(listed, std::slice::from_ref(&machine));
    // Types that need another image, and one of SGX, which is nothing of Azure's. Another region of
    // the same state is in the same group.
    for (stage, at, kind, sku) in [
        ("arm", "azure:eastus", "Standard_D2ps_v5", "server-arm64"),
        ("old", "azure:eastus", "Standard_A1_v2", "server-gen1"),
        ("sgx", "azure:westeurope", "Standard_DC8_v2", "server"),
    ] {
        let machine = place
            .create(&provider, &token(stage), &spec(at, kind))
            .unwrap();
        assert!(
            machine.id.starts_with(&format!("{group}/")),
            "{}",
            machine.id
        );
        let body = place.azure.calls(PUT).pop().unwrap();
        assert_eq!(
            body["properties"]["storageProfile"]["imageReference"]["sku"],
            sku
        );
        assert!(
            body["properties"]["securityProfile"].is_null()
                && body["properties"]["priority"].is_null()
        );
    }
    // All pages of the list are read.
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(Some(&owner())))
            .unwrap()
            .len(),
        4
    );
    assert_eq!(
        place.azure.names("virtualNetworks"),
        ["sky-eastus", "sky-westeurope"]
    );
    place.azure.check();
}

#[test]
#[ignore = "run by failures_are_told_apart"]
fn failures() {
    let place = Place::new();
    let provider = place.provider();
    let cases = [
        (Trouble::Operation("AllocationFailed"), ErrorKind::Stockout),
        (
            Trouble::Operation("ZonalAllocationFailed"),
            ErrorKind::Stockout,
        ),
        (
            Trouble::Operation("OverconstrainedAllocationRequest"),
            ErrorKind::Stockout,
        ),
        (Trouble::Operation("OperationNotAllowed"), ErrorKind::Quota),
        (Trouble::Operation("AuthorizationFailed"), ErrorKind::Denied),
        (
            Trouble::Operation("InternalExecutionError"),
            ErrorKind::Unreachable,
        ),
        (Trouble::Operation("SomethingElse"), ErrorKind::Other),
        (Trouble::Answer(409, "SkuNotAvailable"), ErrorKind::Stockout),
        (
            Trouble::Answer(409, "OperationNotAllowed"),
            ErrorKind::Quota,
        ),
        (Trouble::Answer(400, "QuotaExceeded"), ErrorKind::Quota),
        (
            Trouble::Answer(403, "AuthorizationFailed"),
            ErrorKind::Denied,
        ),
        (
            Trouble::Answer(401, "InvalidAuthenticationToken"),
            ErrorKind::Denied,
        ),
        (
            Trouble::Answer(429, "TooManyRequests"),
            ErrorKind::Throttled,
        ),
        (
            Trouble::Answer(503, "ServiceUnavailable"),
            ErrorKind::Unreachable,
        ),
        (Trouble::Answer(400, "InvalidParameter"), ErrorKind::Other),
    ];
    for (number, (trouble, kind)) in cases.into_iter().enumerate() {
        place.azure.no_trouble();
        place.azure.trouble(PUT, trouble.clone());
        let before = place.azure.calls(PUT).len();
        let token = token(&format!("stage{number}"));
        let error = place.create(&provider, &token, &here()).unwrap_err();
        assert_eq!(error.kind, kind, "{trouble:?}: {error}");
        // Waiting for it did not ask for it again, and what failed has left nothing.
        assert_eq!(place.azure.calls(PUT).len(), before + 1, "{trouble:?}");
        for kind in PARTS {
            assert_eq!(
                place.azure.names(kind),
                Vec::<String>::new(),
                "{trouble:?}: {kind}"
            );
        }
        assert_eq!(place.runtime.block_on(provider.get(&token)), Ok(None));
    }
    place.azure.no_trouble();
    // What is unavailable is known before anything is asked for.
    let before = place.azure.calls(PUT).len();
    for (at, kind) in [
        ("azure:eastus", "Standard_X9"),
        ("azure:eastus", "Standard_M8ms"),
        ("azure:nowhere", "Standard_B2s"),
    ] {
        let error = place
            .create(&provider, &token("none"), &spec(at, kind))
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    }
    assert_eq!(place.azure.calls(PUT).len(), before);
    // A list that cannot be had is not taken for an empty one.
    place.azure.trouble(
        "LIST virtualMachines",
        Trouble::Answer(503, "ServiceUnavailable"),
    );
    assert_eq!(
        place
            .runtime
            .block_on(provider.list(None))
            .unwrap_err()
            .kind,
        ErrorKind::Unreachable
    );
    place.azure.check();
}

#[test]
#[ignore = "run by an_answer_that_is_lost_makes_no_second_machine"]
fn lost_answers() {
    let place = Place::new();
    place.azure.trouble(PUT, Trouble::Silence);
    let error = place
        .create(&place.provider(), &token("a"), &here())
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
    place.azure.no_trouble();
    // A new process, with a lease of its own.
    let again = place
        .create(&place.provider(), &token("a"), &here())
        .unwrap();
    assert_eq!(
        place.azure.names("virtualMachines"),
        [again.id.split_once('/').unwrap().1]
    );
    assert_eq!(place.azure.calls(PUT).len(), 1);
    place.azure.check();
}

#[test]
#[ignore = "run by nothing_stays_of_a_machine"]
fn leftovers() {
    let place = Place::new();
    let provider = place.provider();
    place
        .azure
        .trouble("DELETE virtualMachines", Trouble::Leftovers);
    place.create(&provider, &token("a"), &here()).unwrap();
    place
        .runtime
        .block_on(provider.release(&token("a"), Evidence::Drop))
        .unwrap();
    for kind in PARTS {
        assert_eq!(place.azure.names(kind), Vec::<String>::new(), "{kind}");
    }
    // The home costs nothing, and is there for the next one. A destroy by another process takes it
    // away.
    assert_eq!(place.azure.names("resourceGroups").len(), 1);
    place
        .runtime
        .block_on(place.provider().delete(&token("a")))
        .unwrap();
    assert_eq!(place.azure.names("resourceGroups"), Vec::<String>::new());
    place.azure.check();
}

#[test]
#[ignore = "run by what_has_powered_itself_off_is_seen_and_removed"]
fn off() {
    let place = Place::new();
    let provider = place.provider();
    let machine = place.create(&provider, &token("a"), &here()).unwrap();
    place.azure.power_off();
    place.runtime.block_on(async {
        // It costs as much as before.
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
        provider.delete(&token("a")).await.unwrap();
        assert!(provider.list(None).await.unwrap().is_empty());
    });
    assert_eq!(place.azure.names("virtualMachines"), Vec::<String>::new());
    place.azure.check();
}

#[test]
#[ignore = "run by machines_are_found_by_all_of_their_names"]
fn names() {
    let place = Place::new();
    let provider = place.provider();
    let machine = place.create(&provider, &token("a"), &here()).unwrap();
    let (group, name) = machine.id.split_once('/').unwrap();
    let whole = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/{}/providers/Microsoft.Compute/virtualMachines/{name}",
        group.to_ascii_uppercase()
    );
    let heir = Owner {
        job: "x".repeat(120),
        lineage: "heir".into(),
    };
    for id in [machine.id.as_str(), &whole, name] {
        // As another process, that has never seen it.
        let taken = place
            .runtime
            .block_on(place.provider().adopt(id, &token("a"), &heir))
            .unwrap();
        assert_eq!(
            (taken.id.as_str(), taken.job.as_str()),
            (machine.id.as_str(), heir.job.as_str())
        );
    }
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
        .block_on(provider.delete(&token("a")))
        .unwrap();
    // The home is that of its first owner, and goes with it all the same.
    assert_eq!(place.azure.names("resourceGroups"), Vec::<String>::new());
    place.azure.check();
}

/// Makes a machine, from where the environment says that we are.
#[test]
#[ignore = "run by whoever_moves_is_let_in_and_others_are_not_any_more"]
fn one_machine() {
    let text = |name: &str| std::env::var(name).unwrap();
    let provider = provider(text("SKY_TEST_STATE").as_ref());
    run(async {
        let made = provider
            .create(&token(&text("SKY_TEST_STAGE")), &here())
            .await;
        match std::env::var("SKY_SSH_FROM").unwrap().contains("::") {
            true => assert!(made.unwrap_err().message.contains("SKY_SSH_FROM")),
            false => drop(made.unwrap()),
        }
    });
}

#[test]
#[ignore = "run by it_conforms"]
fn the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let machines = std::env::var_os("SKY_TEST_MACHINES").unwrap();
    let subject = Subject {
        provider: provider(folder.path()),
        folders: vec![folder.path().to_owned(), machines.into()],
        place: PlaceName::parse("azure:eastus").unwrap(),
        instance_type: "Standard_B2s".into(),
    };
    run(conforms(&subject));
}

/// Has something done to all machines.
fn all(what: &str) {
    let endpoint = std::env::var("SKY_AZURE_ENDPOINT").unwrap();
    let mut stream = std::net::TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
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
            let purchase = if what == "take" {
                Purchase::Spot
            } else {
                Purchase::OnDemand
            };
            let wanted = MachineSpec {
                lease: Duration::from_secs(lease),
                purchase,
                ..here()
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
        let error = provider(folder.path()).list(None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied, "{error}");
        assert!(
            error.message.contains("az login") && error.message.contains("AZURE_CLIENT_ID"),
            "{error}"
        );
    });
}

#[test]
#[ignore = "run by without_credentials_it_says_what_to_do"]
fn no_subscription() {
    let folder = tempfile::tempdir().unwrap();
    assert!(
        !present(&Access {
            root: folder.path().to_owned(),
            ..Access::default()
        })
        .contains(&AZURE.to_owned())
    );
    run(async {
        let error = provider(folder.path()).list(None).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Denied);
        assert!(error.message.contains("AZURE_SUBSCRIPTION_ID"), "{error}");
    });
}
