//! Stages as jobs of a cluster, with a real Slurm.

mod apply;
mod plan;
mod trouble;

use crate::execution::apply::place::{Place, Row};
use crate::support::own_hosts;
use crate::support::slurmd::Cluster;
use sky::execution::provider::*;
use sky::model::{Bytes, PlaceName, Purchase, Rate};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A folder with a plan whose stages run on `slurm:one`, the cluster's partition `main`.
pub(crate) fn place(cluster: &Cluster, rows: &[Row]) -> Place {
    let place = Place::new(rows);
    let mut plan = crate::execution::apply::place::plan("job", rows);
    for stage in &mut plan.stages {
        stage.place = PlaceName::parse("slurm:one").unwrap();
        stage.instance_type = "one".into();
    }
    place.write_plan(&plan);
    write_hosts(cluster, &place, "partition = \"main\"");
    place
}

/// Writes the inventory of `place`: one cluster, with more lines.
pub(crate) fn write_hosts(cluster: &Cluster, place: &Place, more: &str) {
    std::fs::write(
        place.path("hosts.toml"),
        cluster.entry("one", &place.path("shared"), more),
    )
    .unwrap();
}

pub(crate) fn provider(place: &Place) -> Arc<dyn Provider> {
    let access = own_hosts::access(place.path(".sky"), &place.path("hosts.toml"));
    open(SLURM, &access).unwrap().unwrap()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// What lies in the shared folder.
pub(crate) fn left(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.path("shared/one"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .map(|entry| entry.path().display().to_string())
        .collect()
}

pub(crate) fn spec(nodes: u32, lease: Duration) -> MachineSpec {
    MachineSpec {
        owner: Owner {
            job: "jobs".into(),
            lineage: "lineage".into(),
        },
        plan: "sha256:plan".into(),
        lease,
        place: PlaceName::parse("slurm:one").unwrap(),
        instance_type: "one".into(),
        accelerator: None,
        nodes,
        purchase: Purchase::OnDemand,
        tee: None,
        rate: Rate(0),
        disk: Bytes(1),
    }
}

pub(crate) fn task(command: &str) -> Task {
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

pub(crate) fn token(stage: &str) -> Token {
    Token::new("lineage", "sha256:plan", stage, 1)
}

/// Creates, fills and starts.
pub(crate) async fn begin(
    provider: &dyn Provider,
    stage: &str,
    command: &str,
    lease: Duration,
) -> Box<dyn Worker> {
    provider
        .create(&token(stage), &spec(1, lease))
        .await
        .unwrap();
    let worker = provider.worker(&token(stage)).await.unwrap();
    worker.stage_in(&task(command)).await.unwrap();
    worker.start(&task(command)).await.unwrap();
    worker
}

pub(crate) async fn until(worker: &dyn Worker, wanted: RunStatus) {
    let begun = Instant::now();
    loop {
        let status = worker.status().await.unwrap();
        if status == wanted {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "{wanted:?} did not come: {status:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
