//! The provider on a cluster with nothing of ours in it: API server, controllers, scheduler and
//! kubelet of Kubernetes itself, and containers. `make test-kubernetes` builds it, begins it, and
//! runs these tests.

use super::*;
use crate::execution::proof::{Subject, conforms};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use std::path::PathBuf;

/// A file or a folder that `.ci/kubernetes` tells of.
fn told(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: `make test-kubernetes` does"))
        .into()
}

fn write(place: &Place, more: &str) -> Arc<dyn Provider> {
    let image = if more.contains("image =") {
        ""
    } else {
        "image = \"sky.test/busybox:1\"\n"
    };
    let text = format!(
        "[kubernetes.one]\nkubeconfig = \"{}\"\n{image}{more}\n",
        told("SKY_TEST_KUBECONFIG").display()
    );
    std::fs::write(place.path("hosts.toml"), text).unwrap();
    provider(place)
}

#[test]
#[ignore = "wants a real cluster: make test-kubernetes"]
fn a_real_cluster_conforms() {
    let place = Place::new(&[]);
    let subject = Subject {
        provider: write(&place, "cpus = 0.1\nmemory = \"64 MiB\""),
        folders: vec![place.folder.path().to_owned(), told("SKY_TEST_CLUSTER")],
        place: PlaceName::parse("kubernetes:one").unwrap(),
        instance_type: "one".into(),
    };
    runtime().block_on(conforms(&subject));
}

#[test]
#[ignore = "wants a real cluster: make test-kubernetes"]
fn a_real_cluster_refuses_and_takes_away() {
    let place = Place::new(&[]);
    runtime().block_on(async {
        let cases = [
            (
                "cpus = 1000\nwait = \"1 s\"",
                ErrorKind::Stockout,
                "Insufficient cpu",
            ),
            (
                "accelerators = \"A100:1\"\nwait = \"1 s\"",
                ErrorKind::Stockout,
                "Insufficient nvidia.com/gpu",
            ),
            (
                "selector = { no = \"such\" }\nwait = \"1 s\"",
                ErrorKind::Stockout,
                "didn't match",
            ),
            (
                "image = \"sky.test/none:1\"",
                ErrorKind::Other,
                "ImagePullBackOff",
            ),
            (
                "namespace = \"nowhere\"",
                ErrorKind::Other,
                "\"nowhere\" not found",
            ),
        ];
        for (more, kind, words) in cases {
            let provider = write(&place, more);
            let error = match provider.create(&token("x"), &spec(1, HOUR)).await {
                Err(error) => error,
                Ok(_) => provider
                    .worker(&token("x"))
                    .await
                    .err()
                    .expect("there is a machine"),
            };
            assert!(
                error.kind == kind && error.message.contains(words),
                "{more}: {error:?}"
            );
            provider.delete(&token("x")).await.unwrap();
            assert!(provider.get(&token("x")).await.unwrap().is_none());
        }
        let provider = write(&place, "");
        let worker = begin(provider.as_ref(), "taken", "sleep 600").await;
        until(worker.as_ref(), RunStatus::Running).await;
        let options = kube::config::Kubeconfig::read_from(told("SKY_TEST_KUBECONFIG")).unwrap();
        let config = kube::Config::from_custom_kubeconfig(options, &Default::default())
            .await
            .unwrap();
        let pods: Api<Pod> = Api::default_namespaced(kube::Client::try_from(config).unwrap());
        let label = format!("sky-token={}", token("taken").id);
        for pod in pods
            .list(&ListParams::default().labels(&label))
            .await
            .unwrap()
        {
            pods.delete(&pod.metadata.name.unwrap(), &DeleteParams::default())
                .await
                .unwrap();
        }
        until(worker.as_ref(), RunStatus::Preempted).await;
        let error = worker.start(&task("true")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        provider.delete(&token("taken")).await.unwrap();
        assert_eq!(
            pods.list(&ListParams::default().labels(&label))
                .await
                .unwrap()
                .items
                .len(),
            0
        );
    });
}
