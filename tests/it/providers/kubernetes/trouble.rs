//! What a cluster refuses, takes away and ends.

use super::*;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

/// A provider with one namespace, and what it is told.
fn with(more: &str, settings: Value) -> (Namespace, Place) {
    let namespace = Namespace::new();
    namespace.set(settings);
    let place = place(&namespace, &[("x", &[], &[], "true")]);
    write_hosts(&namespace, &place, more);
    (namespace, place)
}

/// What comes of a machine that is made and waited for.
async fn outcome(provider: &dyn Provider) -> ProviderError {
    match provider.create(&token("x"), &spec(1, HOUR)).await {
        Err(error) => error,
        Ok(_) => provider
            .worker(&token("x"))
            .await
            .err()
            .expect("there is a machine"),
    }
}

#[test]
fn refusals_are_told_apart() {
    let no_node = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.";
    let quota = "forbidden: exceeded quota: few, requested: requests.cpu=4, used: requests.cpu=8, limited: requests.cpu=10";
    let policy = "forbidden: violates PodSecurity \"restricted:latest\"";
    let pull =
        json!({ "reason": "ImagePullBackOff", "message": "Back-off pulling image \"debian:12\"" });
    let answer = |code: u16, message: &str| json!({ "troubles": [{ "method": "PATCH", "resource": "jobs", "code": code, "message": message }] });
    let cases = [
        (json!({ "unplaced": no_node }), ErrorKind::Stockout, no_node),
        (
            json!({ "forbidden": quota }),
            ErrorKind::Quota,
            "exceeded quota: few",
        ),
        (
            json!({ "forbidden": policy }),
            ErrorKind::Denied,
            "PodSecurity",
        ),
        (
            json!({ "waiting": pull }),
            ErrorKind::Other,
            "ImagePullBackOff: Back-off pulling",
        ),
        (
            json!({ "lacks": ["flock", "setsid"] }),
            ErrorKind::Other,
            "lacks setsid flock: its image is debian:12",
        ),
        (
            answer(403, "jobs.batch is forbidden: exceeded quota: few"),
            ErrorKind::Quota,
            "exceeded quota",
        ),
        (
            answer(403, "jobs.batch is forbidden: User \"me\" cannot patch"),
            ErrorKind::Denied,
            "cannot patch",
        ),
        (
            answer(429, "the server has received too many requests"),
            ErrorKind::Throttled,
            "too many",
        ),
        (
            answer(503, "the server is currently unable to handle it"),
            ErrorKind::Unreachable,
            "unable",
        ),
    ];
    runtime().block_on(async {
        for (settings, kind, words) in cases {
            let (namespace, place) = with("wait = \"1 s\"", settings.clone());
            let provider = provider(&place);
            let error = outcome(provider.as_ref()).await;
            assert_eq!(error.kind, kind, "{settings}: {error}");
            assert!(
                error.message.contains(words) && error.message.contains("one"),
                "{settings}: {error}"
            );
            provider.delete(&token("x")).await.unwrap();
            assert_eq!(namespace.names(), Vec::<String>::new(), "{settings}");
        }
        let (_, place) = with("", json!({}));
        let error = provider(&place)
            .create(&token("x"), &spec(2, HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Quota, "{error}");
        let nowhere = MachineSpec {
            instance_type: "other".into(),
            ..spec(1, HOUR)
        };
        let error = provider(&place)
            .create(&token("x"), &nowhere)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Stockout, "{error}");
    });
}

#[test]
fn who_may_not_come_in_is_told() {
    let namespace = Namespace::new();
    let place = place(&namespace, &[("x", &[], &[], "true")]);
    let said = |entry: String| {
        std::fs::write(
            place.path("hosts.toml"),
            format!("[kubernetes.one]\nimage = \"i\"\n{entry}\n"),
        )
        .unwrap();
        runtime().block_on(async { outcome(provider(&place).as_ref()).await })
    };
    for (user, words) in [
        ("unknown", "does not take our credentials"),
        ("stranger", "User \"stranger\" cannot"),
    ] {
        let path = namespace.kubeconfig(place.folder.path(), user);
        let error = said(format!("kubeconfig = \"{}\"", path.display()));
        assert!(
            error.kind == ErrorKind::Denied && error.message.contains(words),
            "{error}"
        );
    }
    let path = namespace
        .kubeconfig(place.folder.path(), "admin")
        .display()
        .to_string();
    let error = said(format!("kubeconfig = \"{path}\"\ncontext = \"other\""));
    assert!(
        error.kind == ErrorKind::Denied && error.message.contains("other"),
        "{error}"
    );
    let error = said("kubeconfig = \"no-such\"".to_owned());
    assert!(
        error.kind == ErrorKind::Denied && error.message.contains("no-such"),
        "{error}"
    );
    let error = said(format!("kubeconfig = \"{path}\"\nnamespace = \"nowhere\""));
    assert!(
        error.kind == ErrorKind::Other && error.message.contains("\"nowhere\" not found"),
        "{error}"
    );
    // Nobody is there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let server = text.lines().find(|line| line.contains("server:")).unwrap();
    std::fs::write(
        &path,
        text.replace(server, &format!("    server: http://{gone}")),
    )
    .unwrap();
    let error = said(format!("kubeconfig = \"{path}\""));
    assert!(
        error.kind == ErrorKind::Unreachable && error.message.contains("does not answer"),
        "{error}"
    );
}

#[test]
fn what_is_taken_away_is_never_begun_anew() {
    let (namespace, place) = with("", json!({}));
    runtime().block_on(async {
        let provider = provider(&place);
        for harm in ["evict", "preempt", "delete"] {
            let ran = place.path(&format!("ran-{harm}"));
            let run = format!("echo x >> '{}'; sleep 600", ran.display());
            let worker = begin(provider.as_ref(), harm, &run).await;
            crate::execution::apply::place::wait("the command", || ran.exists());
            // A cluster of old makes another pod.
            namespace.set(json!({ "old": harm == "delete" }));
            namespace.harm(harm, &token(harm).id);
            until(worker.as_ref(), RunStatus::Preempted).await;
            if harm == "delete" {
                crate::execution::apply::place::wait("another pod", || {
                    namespace.names().len() == 2
                });
            }
            let error = worker.start(&task(&run)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            // Nor by a sky that knows nothing of it.
            let error = super::provider(&place)
                .worker(&token(harm))
                .await
                .err()
                .unwrap();
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            let error = super::provider(&place)
                .renew(&token(harm), LeaseEnd::after(HOUR))
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
            assert_eq!(std::fs::read_to_string(&ran).unwrap(), "x\n");
            provider.delete(&token(harm)).await.unwrap();
        }
        let worker = begin(provider.as_ref(), "oom", "sleep 600").await;
        namespace.harm("oom", &token("oom").id);
        let error = worker.status().await.unwrap_err();
        assert!(
            error.kind == ErrorKind::Other && error.message.contains("memory"),
            "{error}"
        );
        provider.delete(&token("oom")).await.unwrap();
        // Somebody deletes the Job.
        let worker = begin(provider.as_ref(), "gone", "sleep 600").await;
        super::provider(&place)
            .delete(&token("gone"))
            .await
            .unwrap();
        until(worker.as_ref(), RunStatus::Lost).await;
    });
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}

#[test]
fn leases_move_the_limit_and_the_cluster_itself_ends_what_outlives_it() {
    let (namespace, place) = with("", json!({}));
    let limit = || {
        namespace.look()["jobs"][0]["spec"]["activeDeadlineSeconds"]
            .as_i64()
            .unwrap()
    };
    runtime().block_on(async {
        let provider = provider(&place);
        let worker = begin(provider.as_ref(), "moved", "sleep 600").await;
        assert_eq!(limit(), 3660);
        provider
            .renew(&token("moved"), LeaseEnd::after(HOUR * 2))
            .await
            .unwrap();
        // Whole seconds, of what is left when the call is made.
        assert!((7250..7320).contains(&limit()), "{}", limit());
        let machine = provider.get(&token("moved")).await.unwrap().unwrap();
        assert!(!machine.ended);
        // As if its watchdog were not there.
        let path = namespace.kubeconfig(place.folder.path(), "admin");
        let config = kube::config::Kubeconfig::read_from(path).unwrap();
        let config = kube::Config::from_custom_kubeconfig(config, &Default::default())
            .await
            .unwrap();
        let jobs: Api<Job> = Api::default_namespaced(kube::Client::try_from(config).unwrap());
        let shorter = Patch::Merge(json!({ "spec": { "activeDeadlineSeconds": 1 } }));
        jobs.patch(
            &format!("sky-{}", token("moved").id),
            &PatchParams::default(),
            &shorter,
        )
        .await
        .unwrap();
        until(worker.as_ref(), RunStatus::Expired).await;
        assert!(provider.get(&token("moved")).await.unwrap().unwrap().ended);
        let error = provider
            .renew(&token("moved"), LeaseEnd::after(HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        provider.delete(&token("moved")).await.unwrap();
    });
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}

#[test]
fn answers_that_are_lost_give_no_second_job() {
    let lost = |method: &str, resource: &str| json!({ "troubles": [{ "method": method, "resource": resource, "lost": true }] });
    let (namespace, place) = with("", lost("PATCH", "jobs"));
    runtime().block_on(async {
        let error = provider(&place)
            .create(&token("x"), &spec(1, HOUR))
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        let uid = namespace.look()["jobs"][0]["metadata"]["uid"].clone();
        let provider = provider(&place);
        provider.create(&token("x"), &spec(1, HOUR)).await.unwrap();
        // Then that of the pod that is written down.
        namespace.set(lost("PATCH", "jobs"));
        let error = provider.worker(&token("x")).await.err().unwrap();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        let worker = provider.worker(&token("x")).await.unwrap();
        worker.stage_in(&task("true")).await.unwrap();
        worker.start(&task("true")).await.unwrap();
        until(worker.as_ref(), RunStatus::Exited(0)).await;
        let look = namespace.look();
        assert_eq!(
            (
                look["jobs"].as_array().unwrap().len(),
                &look["jobs"][0]["metadata"]["uid"]
            ),
            (1, &uid)
        );
        assert_eq!(
            look["jobs"][0]["metadata"]["annotations"]["sky-pod"],
            look["pods"][0]["metadata"]["uid"]
        );
        namespace.set(lost("DELETE", "jobs"));
        let error = provider.delete(&token("x")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
        provider.delete(&token("x")).await.unwrap();
    });
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}

#[test]
fn two_at_once_and_clusters_of_old_do_as_well() {
    let (namespace, place) = with("", json!({ "protocol": "v4.channel.k8s.io", "old": true }));
    let (one, two) = (provider(&place), provider(&place));
    runtime().block_on(async {
        let (lease, longer) = (spec(1, HOUR), spec(1, HOUR * 2));
        let x = token("x");
        let (first, second) = tokio::join!(one.create(&x, &lease), two.create(&x, &longer));
        assert_eq!(first.unwrap().id, second.unwrap().id);
        let (first, second) = tokio::join!(one.worker(&x), two.worker(&x));
        let (first, second) = (first.unwrap(), second.unwrap());
        first.stage_in(&task("echo x")).await.unwrap();
        first.start(&task("echo x")).await.unwrap();
        second.start(&task("echo y")).await.unwrap();
        until(second.as_ref(), RunStatus::Exited(0)).await;
        assert_eq!(second.log(0).await.unwrap(), b"x\n");
        assert_eq!(two.list(None).await.unwrap().len(), 1);
        one.delete(&token("x")).await.unwrap();
        assert!(two.get(&token("x")).await.unwrap().is_none());
    });
    assert_eq!(namespace.names(), Vec::<String>::new());
    namespace.check();
}
