//! Machines over SSH, with a real server.

mod apply;
mod capacity;
mod plan;
mod trust;

use crate::execution::apply::place::{Place, Row};
use crate::support::own_hosts;
use crate::support::sshd::Sshd;
use sky::execution::provider::{Provider, SSH, open};
use sky::model::PlaceName;
use std::sync::Arc;

/// A folder with a plan whose stages run where `at` says, and hosts `one` and `two` of a server.
pub(crate) fn place(server: &Sshd, at: &[&str], rows: &[Row]) -> Place {
    let place = Place::new(rows);
    let mut plan = crate::execution::apply::place::plan("job", rows);
    for (stage, at) in plan.stages.iter_mut().zip(at) {
        stage.place = PlaceName::parse(at).unwrap();
        stage.instance_type.clone_from(&stage.place.region);
    }
    place.write_plan(&plan);
    write_hosts(server, &place, "");
    place
}

/// Writes the inventory of `place`, with more lines for each host.
pub(crate) fn write_hosts(server: &Sshd, place: &Place, more: &str) {
    let host = |name: &str| server.host(name, &place.path("hosts").join(name), more);
    std::fs::write(place.path("hosts.toml"), host("one") + &host("two")).unwrap();
}

pub(crate) fn provider(place: &Place) -> Arc<dyn Provider> {
    let access = own_hosts::access(place.path(".sky"), &place.path("hosts.toml"));
    open(SSH, &access).unwrap().unwrap()
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// What lies on the hosts.
pub(crate) fn left(place: &Place) -> Vec<String> {
    let mut left = Vec::new();
    for host in ["one", "two"] {
        let entries = std::fs::read_dir(place.path("hosts").join(host))
            .into_iter()
            .flatten()
            .flatten();
        left.extend(entries.map(|entry| entry.path().display().to_string()));
    }
    left
}
