//! The fields of a planned stage, and of its alternatives.

use crate::model::{
    ArtifactRef, Bytes, Destination, Extras, Millis, Money, PlaceName, Purchase, Rate, Retries,
    Tee, Unit,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// One stage, placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStage {
    /// The stage's name.
    pub name: String,
    /// The place that the stage runs at.
    pub place: PlaceName,
    /// ISO 3166 code, if known.
    pub country: Option<String>,
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// `V100:4`; none for a machine without.
    pub accelerator: Option<String>,
    /// The virtual CPUs that each burstable machine gives for as long as it runs, in
    /// thousandths, which is what its time is reckoned with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub baseline_vcpu_thousandths: Option<u64>,
    /// The number of machines.
    pub nodes: u32,
    /// Whether the machines are bought on demand or as spot.
    pub purchase: Purchase,
    /// The trusted execution environment that its machines must run with; none: needs and policy
    /// demand none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tee: Option<Tee>,
    /// Per machine; 0 of a service that is not paid by the hour.
    pub rate_nano_usd_per_hour: Rate,
    /// What is paid for a service that is not paid by the hour.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<Usage>,
    /// Where the rate is from, and of what day.
    pub price_source: PriceSource,
    /// The stage of the job and the number of the replica, where the stage has a `count`.
    #[serde(rename = "copy", skip_serializing_if = "Option::is_none", default)]
    pub replica: Option<ReplicaOf>,
    /// The time from the start of the job to the request for the machines.
    pub start_ms: Millis,
    /// The time from the start of the job to the end of the stage.
    pub end_ms: Millis,
    /// The part of that time until the machines are up.
    #[serde(default)]
    pub boot_ms: Millis,
    /// Machine time that is billed, for each machine.
    #[serde(default)]
    pub billed_ms: Millis,
    /// How its machines are billed.
    #[serde(skip_serializing_if = "Billing::by_the_millisecond", default)]
    pub billing: Billing,
    /// Latest end that the job allows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline_ms: Option<Millis>,
    /// On spot machines: what is expected of them. Time and cost are expected values then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub spot: Option<SpotTerms>,
    /// Compute only; what its inputs cost to move is in the transfers.
    pub cost_micro_usd: Money,
    /// Keeping its outputs where it runs.
    #[serde(default)]
    pub storage_micro_usd: Money,
    /// The boot disk of each machine in GiB; 0: none that is known to be billed.
    #[serde(skip_serializing_if = "is_zero_gib", default)]
    pub boot_disk_gib: u64,
    /// Prices of what comes with each machine.
    #[serde(skip_serializing_if = "Extras::is_none", default)]
    pub extras: Extras,
    /// What the boot disks of all nodes cost.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub disk_micro_usd: Money,
    /// What their public addresses cost.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub address_micro_usd: Money,
    /// Labels of what it reads.
    pub labels: BTreeSet<String>,
    /// The datasets and outputs that the stage reads.
    pub reads: BTreeSet<ArtifactRef>,
    /// Its outputs and their planned sizes.
    pub writes: BTreeMap<String, Bytes>,
    /// Where its outputs go that the job sends somewhere or that nobody reads. Plans of formats
    /// before 1.3 do not say it: there, what nobody reads comes home unpriced.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub outputs: BTreeMap<String, Destination>,
    /// The policy's line that forbids to bring its outputs to the machine that `sky` runs on; none:
    /// they may be brought there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kept_from_home_by: Option<String>,
    /// The rule that keeps checkpoints of its progress from home, which carry the labels of all
    /// that it reads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoints_kept_from_home_by: Option<String>,
    /// Stages that must end first, by data or by order.
    pub after: BTreeSet<String>,
    /// Stages that have to end before it starts so that a quota or the slots of a host suffice,
    /// whatever their results are.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub waits_for: Vec<LimitWait>,
    /// The time between the arrival of the last input and the start, spent on `waits_for`.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub wait_ms: Millis,
    /// The command; none if the stage can only be planned.
    pub run: Option<String>,
    /// The paths of files and folders beside the job that the stage gets.
    pub files: BTreeSet<String>,
    /// Plain environment variables of the command: a text, or `env:NAME`, which is looked up when
    /// the plan is applied.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// Environment variables whose values are looked up when the plan is applied, by reference:
    /// `env:NAME` or `file:PATH`. A value is never in a plan.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub secrets: BTreeMap<String, String>,
    /// How often its progress is brought to safety; none: it saves none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<PlannedCheckpoint>,
    /// How often its command is run again when it fails; none: never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retries: Option<Retries>,
    /// Pre-checked: each keeps every rule and limit if only this stage takes it; cheapest first.
    pub alternatives: Vec<Alternative>,
}

/// A stage that another one waits for because both use what there is not enough of for both at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LimitWait {
    /// The stage that has to end first.
    pub stage: String,
    /// The limit that the two exceed together with what else runs: the dotted key of a quota.
    pub limit: String,
}

/// How machine time is billed: in steps of `increment_ms`, at least `minimum_ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Billing {
    /// The step that time is rounded up to.
    pub increment_ms: Millis,
    /// The least time that is billed.
    pub minimum_ms: Millis,
}

impl Billing {
    /// Whether there are no steps and no minimum.
    pub fn by_the_millisecond(&self) -> bool {
        *self == Self::default()
    }

    /// What is billed of a time.
    pub fn billed(&self, time: Millis) -> Millis {
        let increment = self.increment_ms.0.max(1);
        Millis(
            time.0
                .div_ceil(increment)
                .saturating_mul(increment)
                .max(self.minimum_ms.0),
        )
    }
}

/// How a stage saves its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedCheckpoint {
    /// Work between two checkpoints; none: when the stage finds it best.
    pub every_ms: Option<Millis>,
    /// The size of a checkpoint.
    pub bytes: Bytes,
}

/// What a stage pays for that is not time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// The unit that the service is billed by.
    pub unit: Unit,
    /// The price of a unit.
    pub rate_nano_usd_per_unit: Rate,
    /// Bytes scanned, or requests.
    pub quantity: u64,
}

/// Which replica of a stage a planned stage is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaOf {
    /// The stage of the job.
    pub stage: String,
    /// The number of the replica, from 0.
    pub index: u32,
    /// How many replicas the stage has.
    pub count: u32,
}

/// What is expected of spot machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpotTerms {
    /// Share of such machines that is interrupted in a month, in parts per million.
    pub monthly_ppm: u32,
    /// Whether the share is assumed, and not from a source.
    pub assumed: bool,
    /// Expected number of interruptions, in millionths.
    pub interruptions_millionths: u64,
    /// Work between two checkpoints; none: none is saved.
    pub checkpoint_every_ms: Option<Millis>,
    /// The part of the stage's cost that is for bringing checkpoints to other places. Plans of this
    /// code say 0: an interrupted stage is expected to start again in the place where it was.
    pub moving_micro_usd: Money,
}

/// Where a price is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceSource {
    /// The id of the source in the catalog.
    pub id: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// The price is of that day scaled by how the price of its machine type changed since.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub estimated: bool,
}

/// How much of a plan's cost rests on prices that are old beside the newest of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldPrices {
    /// Prices are old that are so many days or more before the newest of the catalog.
    pub older_than_days: u32,
    /// What is paid at such prices.
    pub cost_micro_usd: Money,
    /// The share of the plan's whole cost that rests on old prices, in parts per million.
    pub share_ppm: u64,
    /// The day of the oldest of these prices, `YYYY-MM-DD`.
    pub oldest: String,
    /// The cost that rests on old prices, by what is paid for: `machines` (and services),
    /// `boot disks and addresses`, `egress`, `storage`. Empty: the plan is of an earlier version,
    /// which counted machines only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub kinds: BTreeMap<String, Money>,
    /// Stages whose prices are scaled estimates.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub estimated: BTreeSet<String>,
}

/// Another offer for a stage, with the whole job's figures if the stage takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alternative {
    /// The place of the offer.
    pub place: PlaceName,
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// Whether the machines are bought on demand or as spot.
    pub purchase: Purchase,
    /// 0 of a service that is not paid by the hour.
    pub rate_nano_usd_per_hour: Rate,
    /// The cost of the whole job with the alternative.
    pub total_cost_micro_usd: Money,
    /// The makespan of the whole job with the alternative.
    pub makespan_ms: Millis,
    /// ISO 3166 code, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub country: Option<String>,
    /// `V100:4`; none for a machine without.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accelerator: Option<String>,
    /// The trusted execution environment of the machines, as for a stage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tee: Option<Tee>,
    /// What a service is paid for that is not time, as for a stage.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage: Option<Usage>,
    /// How the alternative's machine time is billed.
    #[serde(skip_serializing_if = "Billing::by_the_millisecond", default)]
    pub billing: Billing,
    /// From asking for the machines to the end of the stage. 0: written by an older sky.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub duration_ms: Millis,
    /// The part of the duration until the machines are up.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub boot_ms: Millis,
    /// Compute only, all nodes.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub cost_micro_usd: Money,
    /// The prices of what comes with each machine, as for a stage.
    #[serde(skip_serializing_if = "Extras::is_none", default)]
    pub extras: Extras,
    /// A quota or a spread counts the stage together with others: it was checked with all others
    /// where the plan puts them, and only holds then.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub counted_with_others: bool,
}

fn is_zero(time: &Millis) -> bool {
    time.0 == 0
}

fn is_zero_gib(size: &u64) -> bool {
    *size == 0
}

pub(super) fn costs_nothing(cost: &Money) -> bool {
    cost.0 == 0
}
