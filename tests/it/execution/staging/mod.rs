//! Data between stages that goes through object stores: Amazon's and Azure's protocols, on this
//! machine.

mod flow;
mod trouble;

use crate::execution::apply::place::{Place, Row, ended};
use crate::execution::stores::servers;
use crate::support::sshd::Sshd;
use sky::execution::state::event::Record;
use sky::execution::state::{Event, State};
use sky::model::{DataRate, Money, PlaceName};
use sky::plan::{Plan, PlannedLink};
use std::process::{Command, Output};

pub(crate) const AMAZON: &str = "aws:us-east-1";
pub(crate) const AZURE: &str = "azure:westeurope";

/// A folder with a plan whose stages are at these places, and run on a host of an SSH server.
pub(crate) struct Yard {
    pub place: Place,
}

impl Yard {
    pub(crate) fn new(server: &Sshd, at: &[&str], rows: &[Row]) -> Self {
        let place = Place::new(rows);
        let mut plan = crate::execution::apply::place::plan("job", rows);
        for (stage, at) in plan.stages.iter_mut().zip(at) {
            stage.place = PlaceName::parse(at).unwrap();
            stage.instance_type = "m1.small".into();
        }
        let ways: Vec<&str> = at
            .iter()
            .copied()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        for from in &ways {
            for to in ways.iter().filter(|to| *to != from) {
                let name = |text: &str| PlaceName::parse(text).unwrap();
                let rate_nano_usd_per_gb = DataRate(90_000_000_000);
                let (from, to) = (name(from), name(to));
                plan.links.push(PlannedLink {
                    from,
                    to,
                    rate_nano_usd_per_gb,
                    bits_per_second: 1_000_000_000,
                    assumed_speed: false,
                });
            }
        }
        place.write_plan(&plan);
        std::fs::write(
            place.path("hosts.toml"),
            server.host("one", &place.path("host"), "slots = 8"),
        )
        .unwrap();
        Self { place }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.sky(args);
        for name in ["SKY_STATE", "SKY_STAGING", "SKY_HOSTS", "AWS_ENDPOINT_URL"] {
            command.env_remove(name);
        }
        command
            .envs(servers::environment())
            .env("SKY_GRACE", "1s")
            .env("SKY_STAGING_CHUNK", "1");
        command
    }

    /// An apply with what is handed on in buckets.
    pub(crate) fn staged(&self, more: &[&str]) -> Command {
        self.command(
            &[
                &[
                    "apply",
                    "plan.json",
                    "--provider",
                    "ssh",
                    "--staging",
                    "buckets",
                ],
                more,
            ]
            .concat(),
        )
    }

    pub(crate) fn apply(&self, more: &[&str]) -> Output {
        self.staged(more).output().unwrap()
    }

    pub(crate) fn destroy(&self) -> String {
        ended(
            &self
                .command(&["destroy", "--auto-approve"])
                .output()
                .unwrap(),
            0,
        )
    }

    pub(crate) fn state(&self) -> State {
        self.place.state()
    }

    /// The events that an apply wrote down, which is stopped where it cannot take them into a
    /// snapshot.
    pub(crate) fn journal(&self) -> Vec<Event> {
        let text = self.place.text(".sky/journal");
        text.lines()
            .filter_map(|line| serde_json::from_str::<Record>(line.get(9..)?).ok())
            .map(|record| record.event)
            .collect()
    }
}

/// Changes the plan in a folder.
pub(crate) fn change(place: &Place, change: impl FnOnce(&mut Plan)) {
    let mut plan = sky::plan::file::read(&place.path("plan.json")).unwrap();
    plan.digest = None;
    change(&mut plan);
    place.write_plan(&plan);
}
