//! The fields of a plan file. Money is in micro-USD, rates in nano-USD per hour, times in
//! milliseconds since the job's start, sizes in bytes.

use crate::model::{
    ArtifactRef, Bytes, DataRate, Destination, Extras, Gigabyte, Millis, Money, Objective,
    PlaceName, Purchase, Rate, Retries, Tee, Unit,
};
use crate::util::hash::Digest;
use crate::util::tree::{Kind, Measured};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The version of the format that this code writes. A reader refuses another major version.
pub const FORMAT_VERSION: &str = "1.3";

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of the format, [`FORMAT_VERSION`] in plans of this code.
    pub format_version: String,
    /// The version of the `sky` that wrote the plan.
    pub sky_version: String,
    /// The job's name.
    pub job: String,
    /// The digests of what was planned.
    pub inputs: Inputs,
    /// What was minimised.
    pub objective: PlannedObjective,
    /// The policy's limits on the whole job.
    pub limits: Limits,
    /// By start, then by name.
    pub stages: Vec<PlannedStage>,
    /// By start, then by artifact and destination.
    pub transfers: Vec<PlannedTransfer>,
    /// The datasets of the job by name.
    pub datasets: BTreeMap<String, PlannedDataset>,
    /// The costs and the makespan of the whole plan.
    pub totals: Totals,
    /// What rests on old prices; none: all are recent beside the newest.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub old_prices: Option<OldPrices>,
    /// Stages whose boot disks have no price of their place in the catalog, but one of other places
    /// of the cloud.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub estimated_disks: BTreeSet<String>,
    /// The best plan inside one cloud; none when no single cloud can run the job.
    pub single_cloud: Option<SingleCloud>,
    /// How the plan was found, and how good it is proven to be.
    pub solver: SolverReport,
    /// The numbers of clouds, places, prices and offers that the plan was chosen from.
    pub considered: Considered,
    /// What a reader should know: assumptions made, data that lies outside a rule's countries.
    pub warnings: Vec<String>,
    /// The links between the places that stages may be at, their alternatives included, by `from`,
    /// then `to`; a plan's file calls them `ways`.
    #[serde(rename = "ways", skip_serializing_if = "Vec::is_empty", default)]
    pub links: Vec<PlannedLink>,
    /// What was done already when this was planned; none: nothing was looked at.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_state: Option<FromState>,
    /// What the stages read of the machine that planned, by content. What could not be read there
    /// is not in it.
    #[serde(skip_serializing_if = "Contents::is_empty", default)]
    pub contents: Contents,
    /// SHA-256 of the canonical text of all other members: a plan of which anything was changed is
    /// refused. None: it was written before there was one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
}

/// What a plan minimises first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlannedObjective {
    /// Money, then time. Plans of formats before 1.3 say so also where time is weighed.
    Cost,
    /// Time, then money.
    Time,
    /// Money, and what the time is worth by [`Limits::hour_nano_usd`].
    Weighted,
}

impl PlannedObjective {
    /// What counts before anything else.
    pub fn first(self) -> Objective {
        match self {
            Self::Cost | Self::Weighted => Objective::Cost,
            Self::Time => Objective::Time,
        }
    }

    /// The objective of a policy that says what an hour is worth, or does not.
    pub fn of(minimize: Objective, hour: Option<Rate>) -> Self {
        match (minimize, hour) {
            (Objective::Time, _) => Self::Time,
            (Objective::Cost, None) => Self::Cost,
            (Objective::Cost, Some(_)) => Self::Weighted,
        }
    }
}

/// SHA-256 digests of the canonical forms of what was planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The digest of the job.
    pub job: String,
    /// The digest of the policy.
    pub policy: String,
    /// The digest of the catalog.
    pub catalog: String,
    /// The day of the newest price in the catalog, `YYYY-MM-DD`.
    pub catalog_date: String,
}

/// The content of datasets and files, as far as it could be read where the plan was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// By the dataset's name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub datasets: BTreeMap<String, ContentDigest>,
    /// By the name that stages give the file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub files: BTreeMap<String, ContentDigest>,
}

impl Contents {
    /// Whether nothing could be read, or nothing is read.
    pub fn is_empty(&self) -> bool {
        self.datasets.is_empty() && self.files.is_empty()
    }
}

/// The digest of a file, or of a directory with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentDigest {
    /// The digest of the file, or of the listing of the directory.
    pub digest: Digest,
    /// Sum over its files.
    pub bytes: Bytes,
    /// Whether the content is a file, an executable file or a directory.
    pub kind: Kind,
}

impl ContentDigest {
    /// Returns the digest of a file that a command is given, of which it may matter whether it can
    /// be executed.
    pub fn as_file(&self) -> String {
        format!("{:?} {}", self.kind, self.digest)
    }
}

impl From<Measured> for ContentDigest {
    fn from(measured: Measured) -> Self {
        Self {
            digest: measured.digest,
            bytes: Bytes(measured.bytes),
            kind: measured.kind,
        }
    }
}

/// The policy's limits on the whole job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most time for the whole job; `None`: there is no deadline.
    pub deadline_ms: Option<Millis>,
    /// The most money for the whole job; `None`: there is no budget.
    pub budget_micro_usd: Option<Money>,
    /// What an hour of makespan is worth: cost plus this is minimised.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hour_nano_usd: Option<Rate>,
}

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

/// The price and the speed of moving data from one place to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLink {
    /// The place that the data comes from.
    pub from: PlaceName,
    /// The place that the data goes to.
    pub to: PlaceName,
    /// The dearest tier that the plan's data reaches: no gigabyte costs more.
    pub rate_nano_usd_per_gb: DataRate,
    /// The speed of the link.
    pub bits_per_second: u64,
    /// Whether the speed is assumed, because nobody has measured or declared it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub assumed_speed: bool,
}

/// The state that a plan goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromState {
    /// The lineage of the state.
    pub lineage: String,
    /// The serial of the state.
    pub serial: u64,
    /// From the start of the job to the last thing that the state knows of.
    pub elapsed_ms: Millis,
    /// What was spent so far, and what is set aside for machines that are still there.
    pub spent_micro_usd: Money,
    /// The stages that are done: they are not in the plan, and their outputs are data that exists.
    pub done: BTreeMap<String, DoneStage>,
    /// Offers that were unavailable, which the plan does without.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub exhausted: BTreeSet<Exhausted>,
}

/// An offer that was unavailable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exhausted {
    /// The stage that wanted the offer.
    pub stage: String,
    /// The place of the offer.
    pub place: PlaceName,
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// Whether the machines are bought on demand or as spot.
    pub purchase: Purchase,
    /// `stockout`, `quota`, `preempted`.
    pub why: String,
}

/// A stage that was done before the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneStage {
    /// Where it ran, and its outputs lie.
    pub place: PlaceName,
    /// Their sizes as they are.
    pub outputs: BTreeMap<String, Bytes>,
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
    /// The part of the stage's cost that is for bringing checkpoints to other places.
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

fn costs_nothing(cost: &Money) -> bool {
    cost.0 == 0
}

/// One copy of an artifact to another place; to `local:here` if it is brought home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTransfer {
    /// The dataset or output that is brought to another place.
    pub artifact: ArtifactRef,
    /// A place that has the artifact by then: where it was made, or one that gets one too.
    pub from: PlaceName,
    /// The place that gets the artifact.
    pub to: PlaceName,
    /// The size of the artifact.
    pub bytes: Bytes,
    /// The stages that read this copy; none if it is brought home.
    pub readers: BTreeSet<String>,
    /// The time from the start of the job to the start of the transfer.
    pub start_ms: Millis,
    /// The time that the transfer takes.
    pub duration_ms: Millis,
    /// Egress.
    pub cost_micro_usd: Money,
    /// Keeping the copy at its destination.
    #[serde(default)]
    pub storage_micro_usd: Money,
    /// The price of its last gigabyte.
    pub rate_nano_usd_per_gb: DataRate,
    /// Bytes of a gigabyte as that cloud bills it.
    #[serde(skip_serializing_if = "is_decimal", default)]
    pub billed_gb_bytes: Gigabyte,
    /// The speed of the way; 0 in plans of formats before 1.3.
    #[serde(skip_serializing_if = "is_unsaid", default)]
    pub bits_per_second: u64,
    /// Whether the speed is assumed, because nobody has measured or declared it.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub assumed_speed: bool,
    /// What of other copies passes the link of this machine, which it shares with them, before this
    /// one has arrived: part of its duration.
    #[serde(skip_serializing_if = "is_empty", default)]
    pub shared_link_bytes: Bytes,
}

fn is_decimal(gigabyte: &Gigabyte) -> bool {
    *gigabyte == Gigabyte::DECIMAL
}

fn is_unsaid(bits_per_second: &u64) -> bool {
    *bits_per_second == 0
}

fn is_empty(bytes: &Bytes) -> bool {
    bytes.0 == 0
}

/// A dataset, as the job gives it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDataset {
    /// The place that the dataset is at.
    pub at: PlaceName,
    /// Relative to the job file.
    pub path: Option<String>,
    /// The size of the dataset.
    pub bytes: Bytes,
    /// The labels that rules of data can name.
    pub labels: BTreeSet<String>,
}

/// Sums over the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The cost of the whole plan.
    pub cost_micro_usd: Money,
    /// The part of the cost that is for machines and services.
    pub compute_micro_usd: Money,
    /// The part of the cost that is for transfers.
    pub egress_micro_usd: Money,
    /// The part of the cost that is for storage.
    #[serde(default)]
    pub storage_micro_usd: Money,
    /// Boot disks.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub disk_micro_usd: Money,
    /// Public IPv4 addresses.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub address_micro_usd: Money,
    /// The time from the start of the job to the end of its last stage or transfer.
    pub makespan_ms: Millis,
}

/// The best plan inside one cloud, under the same rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SingleCloud {
    /// The name of the cloud.
    pub cloud: String,
    /// The cost of the whole job inside that cloud.
    pub cost_micro_usd: Money,
    /// The makespan of the whole job inside that cloud.
    pub makespan_ms: Millis,
    /// False: no single cloud keeps the deadline and the budget; this one is the best without.
    pub within_limits: bool,
}

/// How the answer was found, and how good it is proven to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SolverReport {
    /// The name of the solver.
    pub name: String,
    /// The version of the solver.
    pub version: String,
    /// `optimal`; `feasible` when a limit ended the search first.
    pub status: String,
    /// No plan under these rules costs less (with `minimize = "time"`: less at this makespan).
    pub bound_micro_usd: Money,
    /// With `minimize = "time"`: no plan under these rules is faster.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bound_ms: Option<Millis>,
    /// Between the plan and the bound of the objective, in parts per million of the plan.
    pub gap: u64,
    /// The random seed that the solver was given.
    pub seed: u32,
    /// The number of threads that the solver was given.
    pub threads: u32,
    /// A wall-clock limit was set: another run may give another plan.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub time_limited: bool,
}

/// What the answer was chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The number of clouds in the catalog.
    pub clouds: u64,
    /// The number of places in the catalog.
    pub places: u64,
    /// Prices in the catalog.
    pub offers: u64,
    /// Pairs of a stage and an offer that it may use under needs and policy.
    pub candidates: u64,
    /// The offers that were left after dominated offers in the same place were dropped.
    pub kept: u64,
}
