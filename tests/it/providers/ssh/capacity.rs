//! Who gets a host, and for how long.

use super::*;
use crate::execution::apply::place::{ended, wait};
use sky::execution::provider::*;
use sky::model::{Bytes, Extras, Millis, Money, Purchase, Rate, Tee};
use sky::plan::Alternative;
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn spec(place: &str, instance_type: &str, lease: Duration) -> MachineSpec {
    MachineSpec {
        owner: Owner {
            job: "capacity".into(),
            lineage: "lineage".into(),
        },
        plan: "sha256:plan".into(),
        lease,
        place: PlaceName::parse(place).unwrap(),
        instance_type: instance_type.into(),
        accelerator: None,
        nodes: 1,
        purchase: Purchase::OnDemand,
        tee: None,
        rate: Rate(0),
        disk: Bytes(1),
    }
}

fn task(command: &str) -> Task {
    Task {
        command: command.into(),
        environment: BTreeMap::new(),
        secrets: BTreeMap::new(),
        log_limit: 0,
        checkpoint: None,
        files: Vec::new(),
        inputs: Vec::new(),
    }
}

fn token(stage: &str) -> Token {
    Token::new("lineage", "sha256:plan", stage, 1)
}

#[test]
fn a_host_has_one_machine_at_a_time() {
    let place = place(Sshd::shared(), &["local:here"], &[("x", &[], &[], "true")]);
    write_hosts(Sshd::shared(), &place, "type = \"box\"\nplace = \"office\"");
    let spec = spec("ssh:office", "box", HOUR);
    runtime().block_on(async {
        let provider = provider(&place);
        let (a, b) = (token("a"), token("b"));
        let (first, second) = tokio::join!(provider.create(&a, &spec), provider.create(&b, &spec));
        let (first, second) = (first.unwrap(), second.unwrap());
        // Each has a host of its own.
        assert_ne!(first.id.split('/').next(), second.id.split('/').next());
        let error = provider.create(&token("c"), &spec).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
        assert!(
            error.message.contains("is taken (") && error.message.contains("one"),
            "{error}"
        );
        assert!(provider.get(&token("c")).await.unwrap().is_none());
        // Whose it is already, has it still.
        assert_eq!(provider.create(&a, &spec).await.unwrap().id, first.id);
        provider.release(&a, Evidence::Keep).await.unwrap();
        let third = provider.create(&token("c"), &spec).await.unwrap();
        assert_eq!(third.id.split('/').next(), first.id.split('/').next());
        let none = provider
            .create(&token("d"), &self::spec("ssh:office", "no-such-box", HOUR))
            .await
            .unwrap_err();
        assert_eq!(none.kind, ErrorKind::Stockout, "{none}");
        for name in ["a", "b", "c"] {
            provider.delete(&token(name)).await.unwrap();
        }
    });
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn what_must_be_confidential_gets_a_host_that_is() {
    let place = place(Sshd::shared(), &["local:here"], &[("x", &[], &[], "true")]);
    let wanted = |tee| MachineSpec {
        tee: Some(tee),
        ..spec("ssh:office", "box", HOUR)
    };
    runtime().block_on(async {
        write_hosts(Sshd::shared(), &place, "type = \"box\"\nplace = \"office\"");
        let error = provider(&place)
            .create(&token("a"), &wanted(Tee::SevSnp))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
        assert!(
            error
                .message
                .contains("box at ssh:office cannot be had with sev-snp"),
            "{error}"
        );
        write_hosts(
            Sshd::shared(),
            &place,
            "type = \"box\"\nplace = \"office\"\ntee = [\"sev-snp\"]",
        );
        let provider = provider(&place);
        assert_eq!(
            provider
                .create(&token("a"), &wanted(Tee::Tdx))
                .await
                .unwrap_err()
                .kind,
            ErrorKind::Stockout
        );
        provider
            .create(&token("a"), &wanted(Tee::SevSnp))
            .await
            .unwrap();
        // A plan for a cloud that is rehearsed on a host wants as much.
        let rehearsed = MachineSpec {
            place: PlaceName::parse("gcp:x").unwrap(),
            ..wanted(Tee::Tdx)
        };
        assert_eq!(
            provider
                .create(&token("b"), &rehearsed)
                .await
                .unwrap_err()
                .kind,
            ErrorKind::Stockout
        );
        provider.delete(&token("a")).await.unwrap();
    });
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn a_lease_ends_a_run_whoever_is_gone_and_frees_the_host() {
    let mut server = Sshd::start();
    let place = place(&server, &["local:here"], &[("x", &[], &[], "true")]);
    let long = token("long");
    runtime().block_on(async {
        let provider = provider(&place);
        provider
            .create(&long, &spec("ssh:one", "one", Duration::from_secs(3)))
            .await
            .unwrap();
        let worker = provider.worker(&long).await.unwrap();
        worker.stage_in(&task("sleep 300")).await.unwrap();
        worker.start(&task("sleep 300")).await.unwrap();
        let busy = provider
            .create(&token("next"), &spec("ssh:one", "one", HOUR))
            .await
            .unwrap_err();
        assert_eq!(busy.kind, ErrorKind::Stockout);
    });
    assert!(place.processes() > 0);
    server.end();
    let expired = place
        .path("hosts/one/machines")
        .join(&long.id)
        .join("box/.run/expired");
    wait("the end of the lease", || {
        place.processes() == 0 && expired.exists()
    });
    server.begin();
    runtime().block_on(async {
        let provider = provider(&place);
        let worker = provider.worker(&long).await.unwrap();
        assert_eq!(worker.status().await.unwrap(), RunStatus::Expired);
        let error = provider
            .renew(&long, LeaseEnd::after(HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        provider
            .create(&token("next"), &spec("ssh:one", "one", HOUR))
            .await
            .unwrap();
        // What was never begun ends with its lease, too.
        let brief = token("brief");
        provider
            .create(&brief, &spec("ssh:two", "two", Duration::from_secs(1)))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let worker = provider.worker(&brief).await.unwrap();
        let error = worker.stage_in(&task("true")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(
            provider
                .list(None)
                .await
                .unwrap()
                .iter()
                .any(|machine| machine.token == brief)
        );
        for name in ["long", "next", "brief"] {
            provider.delete(&token(name)).await.unwrap();
        }
    });
    assert_eq!(left(&place), Vec::<String>::new());
}

#[test]
fn when_a_host_is_taken_the_next_alternative_is_another() {
    let place = place(
        Sshd::shared(),
        &["ssh:one"],
        &[("x", &[], &["o"], "echo x > $SKY_OUTPUTS/o")],
    );
    let (runtime, provider) = (runtime(), provider(&place));
    runtime
        .block_on(provider.create(&token("taken"), &spec("ssh:one", "one", HOUR)))
        .unwrap();
    let said = ended(&place.apply(&[]), 1);
    assert!(
        said.contains("every host that is one at ssh:one is taken (one)"),
        "{said}"
    );
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.stages[0].alternatives = vec![Alternative {
        place: PlaceName::parse("ssh:two").unwrap(),
        instance_type: "two".into(),
        purchase: Purchase::OnDemand,
        tee: None,
        rate_nano_usd_per_hour: Rate(0),
        total_cost_micro_usd: Money(0),
        makespan_ms: Millis(0),
        country: None,
        accelerator: None,
        usage: None,
        billing: Default::default(),
        duration_ms: Millis(1000),
        boot_ms: Millis(0),
        extras: Extras::default(),
        cost_micro_usd: Money(0),
        counted_with_others: false,
    }];
    plan.digest = None;
    place.write_plan(&plan);
    ended(&place.apply(&[]), 0);
    assert_eq!(place.state().stages["x"].place.to_string(), "ssh:two");
    runtime.block_on(provider.delete(&token("taken"))).unwrap();
}

#[test]
fn a_sweep_finds_what_a_lost_state_has_left() {
    let place = place(
        Sshd::shared(),
        &["ssh:one"],
        &[("x", &[], &["o"], "touch ../../../../../begun; sleep 300")],
    );
    let mut child = place.start();
    place.wait_for("begun");
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
        said.contains("of another state") && said.contains("one/"),
        "{said}"
    );
    ended(
        &place
            .sky(&["sweep", "--all", "--auto-approve"])
            .output()
            .unwrap(),
        0,
    );
    assert_eq!((place.processes(), left(&place)), (0, Vec::<String>::new()));
}
