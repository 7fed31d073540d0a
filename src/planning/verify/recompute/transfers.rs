//! Readers, times and speeds of transfers.

use super::artifact_places::Origin;
use super::plan_check::PlanCheck;
use crate::model::units::{div_half_even, saturate_unsigned};
use crate::model::{ArtifactRef, Bandwidth, Bytes, Millis, PlaceName};
use crate::plan::PlannedTransfer;
use std::collections::BTreeSet;

/// The speed of a transfer whose speed was not measured and that no policy declares.
const ASSUMED_SPEED: Bandwidth = Bandwidth(1_000_000_000);

impl PlanCheck<'_> {
    /// Checks all that the plan says of a transfer, except what it costs.
    pub(super) fn transfer(&mut self, transfer: &PlannedTransfer) {
        let places = (
            self.catalog.place_id(&transfer.from),
            self.catalog.place_id(&transfer.to),
        );
        let (Some(from), Some(to)) = places else {
            return self.wrong(
                transfer_member(transfer, "from"),
                &transfer.from,
                "places of the catalog",
            );
        };
        match self.job.size(&transfer.artifact) {
            Some(size) => self.same(transfer_member(transfer, "bytes"), &transfer.bytes, &size),
            None => self.wrong(
                transfer_member(transfer, "artifact"),
                &transfer.artifact,
                "an artifact of the job",
            ),
        }
        self.readers(transfer);
        self.single_arrival(transfer);
        // Transfers of what was transferred lead back to the origin, each later than the one
        // before.
        match self.arrival(&transfer.artifact, &transfer.from) {
            Some(ready) => self.same(
                transfer_member(transfer, "start_ms"),
                &transfer.start_ms,
                &ready,
            ),
            None => self.wrong(
                transfer_member(transfer, "from"),
                &transfer.from,
                "a place that has it",
            ),
        }
        self.duration(transfer, from, to);
        self.same(
            transfer_member(transfer, "storage_micro_usd"),
            &transfer.storage_micro_usd,
            &self.storage_cost(&transfer.to, transfer.bytes),
        );
    }

    /// Checks that a transfer names those stages at its destination that read the artifact.
    fn readers(&mut self, transfer: &PlannedTransfer) {
        let runs_there = |name: &str| {
            let planned = self.stages.get(name);
            planned.is_some_and(|stage| stage.place == transfer.to)
        };
        let readers: BTreeSet<String> = self
            .job
            .stages
            .iter()
            .filter(|(name, stage)| stage.reads.contains(&transfer.artifact) && runs_there(name))
            .map(|(name, _)| name.clone())
            .collect();
        self.same(
            transfer_member(transfer, "readers"),
            &transfer.readers,
            &readers,
        );
        if readers.is_empty() && !self.brings_home(transfer) {
            self.wrong(
                transfer_member(transfer, "readers"),
                "none",
                "a stage that reads it there",
            );
        }
    }

    /// Checks that a place gets an artifact once, and only if the artifact is not there anyway.
    fn single_arrival(&mut self, transfer: &PlannedTransfer) {
        let arrivals = self
            .plan
            .transfers
            .iter()
            .filter(|other| other.artifact == transfer.artifact && other.to == transfer.to);
        let comes_from_there = self
            .origin(&transfer.artifact)
            .is_some_and(|origin| *origin.place == transfer.to);
        if arrivals.count() > 1 || comes_from_there {
            self.wrong(
                transfer_member(transfer, "to"),
                &transfer.to,
                "a place that does not have it yet",
            );
        }
    }

    /// Checks how fast a transfer is, and how long it takes.
    fn duration(&mut self, transfer: &PlannedTransfer, from: u32, to: u32) {
        let known_speed = self.speed(transfer, from, to);
        self.same(
            transfer_member(transfer, "assumed_speed"),
            &transfer.assumed_speed,
            &known_speed.is_none(),
        );
        let speed = known_speed.unwrap_or(ASSUMED_SPEED).0;
        self.same(
            transfer_member(transfer, "bits_per_second"),
            &transfer.bits_per_second,
            &speed,
        );
        let is_shared = self.shares_link_with(transfer);
        self.same(
            transfer_member(transfer, "shared_link_bytes"),
            &transfer.shared_link_bytes,
            &is_shared,
        );
        let millibits = (i128::from(transfer.bytes.0) + i128::from(is_shared.0)) * 8000;
        let time = div_half_even(millibits, i128::from(speed.max(1)));
        let time = Millis(saturate_unsigned(time));
        self.same(
            transfer_member(transfer, "duration_ms"),
            &transfer.duration_ms,
            &time,
        );
    }

    /// Returns the speed of a transfer, if it was measured or the policy declares it.
    fn speed(&self, transfer: &PlannedTransfer, from: u32, to: u32) -> Option<Bandwidth> {
        let (here, home) = (PlaceName::here(), &self.policy.home);
        let measured_speed = self
            .catalog
            .network
            .speed(from, to)
            .map(|speed| speed.bandwidth);
        let declared = if transfer.from == here {
            home.uplink
        } else if transfer.to == here {
            home.downlink.or(home.uplink)
        } else {
            None
        };
        [measured_speed, declared].into_iter().flatten().min()
    }

    /// Returns what of other transfers a fair link of this machine lets pass before a transfer has
    /// arrived: of each no more than the transfer itself. Every reader of data that lies here
    /// fetches it on its own.
    fn shares_link_with(&self, transfer: &PlannedTransfer) -> Bytes {
        let home_place = PlaceName::here();
        let own_bytes = transfer.bytes;
        let lies_here =
            |origin: Origin<'_>| *origin.place == home_place && origin.ready == Millis(0);
        let passed_bytes = if self.origin(&transfer.artifact).is_some_and(lies_here) {
            self.passed_uplink(own_bytes)
        } else if self.brings_home(transfer) {
            self.passed_downlink(own_bytes)
        } else {
            own_bytes
        };
        passed_bytes - own_bytes
    }

    /// Returns what all readers fetch from this machine, of each artifact at most `most`.
    fn passed_uplink(&self, most_bytes: Bytes) -> Bytes {
        let home_place = PlaceName::here();
        let readers = |artifact: &ArtifactRef| {
            let stages = self.job.stages.values();
            stages
                .filter(|stage| stage.reads.contains(artifact))
                .count() as u64
        };
        let datasets = self
            .job
            .datasets
            .iter()
            .map(|(name, data)| (ArtifactRef::Dataset(name.clone()), data));
        let data_made = self
            .job
            .made
            .iter()
            .map(|(artifact, data)| (artifact.clone(), data));
        datasets
            .chain(data_made)
            .filter(|(_, data)| data.at == home_place)
            .map(|(artifact, data)| {
                let fetched_bytes = data.size.min(most_bytes);
                Bytes(fetched_bytes.0.saturating_mul(readers(&artifact)))
            })
            .sum()
    }

    /// Returns what all transfers bring home, of each at most `most`.
    fn passed_downlink(&self, most_bytes: Bytes) -> Bytes {
        self.plan
            .transfers
            .iter()
            .filter(|other| self.brings_home(other))
            .map(|other| other.bytes.min(most_bytes))
            .sum()
    }
}

/// Returns how differences name a member of a transfer.
fn transfer_member(transfer: &PlannedTransfer, name: &str) -> String {
    format!("transfers.{} to {}.{name}", transfer.artifact, transfer.to)
}
