//! Every provider, as a subject of the contract.

use super::*;

/// Runs the suite on what is made of a folder.
fn check(make: impl FnOnce(&Path) -> Subject) {
    let folder = tempfile::tempdir().unwrap();
    let subject = make(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(conforms(&subject));
}

#[test]
fn this_machine() {
    check(|folder| Subject {
        provider: open(
            LOCAL,
            &Access {
                root: folder.to_owned(),
                ..Access::default()
            },
        )
        .unwrap()
        .unwrap(),
        folders: vec![folder.to_owned()],
        place: PlaceName::here(),
        instance_type: "this".into(),
    });
}

#[test]
fn the_simulated_cloud() {
    check(|folder| Subject {
        provider: open(
            SIM,
            &Access {
                root: folder.to_owned(),
                ..Access::default()
            },
        )
        .unwrap()
        .unwrap(),
        folders: vec![folder.to_owned()],
        place: PlaceName::parse("aws:us-east-1").unwrap(),
        instance_type: "m1.small".into(),
    });
}

#[test]
fn a_host_over_ssh() {
    check(|folder| {
        let hosts = folder.join("hosts.toml");
        let root = folder.join("host");
        std::fs::write(
            &hosts,
            crate::support::sshd::Sshd::shared().host("one", &root, "slots = 50"),
        )
        .unwrap();
        Subject {
            provider: open(
                SSH,
                &crate::support::own_hosts::access(folder.join("state"), &hosts),
            )
            .unwrap()
            .unwrap(),
            folders: vec![folder.to_owned()],
            place: PlaceName::parse("ssh:one").unwrap(),
            instance_type: "one".into(),
        }
    });
}

/// The provider is told where AWS is by the environment, so the suite is run in a process of its
/// own.
#[cfg(feature = "aws")]
#[test]
fn an_instance_at_amazon() {
    const INSIDE: &str = "SKY_TEST_INSIDE";
    if let Some(folder) = std::env::var_os(INSIDE) {
        let folder = std::path::PathBuf::from(folder);
        let access = Access {
            root: folder.join("state"),
            ..Access::default()
        };
        let subject = Subject {
            provider: open(AWS, &access).unwrap().unwrap(),
            folders: vec![folder.join("state"), folder.join("aws")],
            place: PlaceName::parse("aws:us-east-1").unwrap(),
            instance_type: "m1.small".into(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(conforms(&subject));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let account = crate::providers::aws::fake::Account::new(folder.path());
    let mut inside = std::process::Command::new(std::env::current_exe().unwrap());
    inside.args([
        "--exact",
        &crate::support::sandbox::test_name(module_path!(), "an_instance_at_amazon"),
        "--nocapture",
    ]);
    let output = inside
        .envs(account.environment())
        .env(INSIDE, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    assert_eq!(account.machines(), Vec::<std::path::PathBuf>::new());
    // Nothing is left of keys or logs, either, but the key that we log in with.
    let keys: Vec<_> = std::fs::read_dir(folder.path().join("state/keys/hosts"))
        .unwrap()
        .collect();
    assert!(keys.is_empty(), "{keys:?}");
    assert_eq!(account.groups("us-east-1"), Vec::<String>::new());
}

#[test]
fn a_cluster() {
    check(|folder| {
        let hosts = folder.join("hosts.toml");
        std::fs::write(
            &hosts,
            crate::support::slurmd::Cluster::shared().entry("one", &folder.join("shared"), ""),
        )
        .unwrap();
        Subject {
            provider: open(
                SLURM,
                &crate::support::own_hosts::access(folder.join("state"), &hosts),
            )
            .unwrap()
            .unwrap(),
            folders: vec![
                folder.to_owned(),
                crate::support::slurmd::Cluster::shared().path(""),
            ],
            place: PlaceName::parse("slurm:one").unwrap(),
            instance_type: "one".into(),
        }
    });
}

#[cfg(feature = "kubernetes")]
#[test]
fn a_pod_of_a_cluster() {
    let namespace = crate::providers::kubernetes::fake::Namespace::new();
    check(|folder| {
        let hosts = folder.join("hosts.toml");
        std::fs::write(&hosts, namespace.entry("one", folder, "")).unwrap();
        Subject {
            provider: open(
                KUBERNETES,
                &crate::support::own_hosts::access(folder.join("state"), &hosts),
            )
            .unwrap()
            .unwrap(),
            folders: vec![folder.to_owned(), namespace.folder()],
            place: PlaceName::parse("kubernetes:one").unwrap(),
            instance_type: "one".into(),
        }
    });
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}

#[test]
fn stockouts_quotas_and_denials_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let cloud = folder.path().join("cloud");
    std::fs::create_dir_all(&cloud).unwrap();
    let kinds = [
        ("stockout", ErrorKind::Stockout),
        ("quota", ErrorKind::Quota),
        ("denied", ErrorKind::Denied),
        ("throttled", ErrorKind::Throttled),
        ("unreachable", ErrorKind::Unreachable),
        ("fail", ErrorKind::Other),
    ];
    let rules = kinds.map(|(fault, _)| {
        format!("[[faults]]\ncall = \"create\"\nstage = \"{fault}\"\nfault = \"{fault}\"\n")
    });
    std::fs::write(cloud.join("faults.toml"), rules.concat()).unwrap();
    let access = Access {
        root: folder.path().to_owned(),
        ..Access::default()
    };
    let subject = Subject {
        provider: open(SIM, &access).unwrap().unwrap(),
        folders: Vec::new(),
        place: PlaceName::parse("aws:us-east-1").unwrap(),
        instance_type: "m1.small".into(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (fault, kind) in kinds {
            let token = subject.token(fault, 1);
            let error = subject
                .provider
                .create(&token, &subject.spec(LONG))
                .await
                .unwrap_err();
            assert_eq!(error.kind, kind, "{error}");
            assert!(subject.provider.get(&token).await.unwrap().is_none());
        }
    });
}
