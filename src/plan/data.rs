//! The fields of a plan file. Money is in micro-USD, rates in nano-USD per hour, times in
//! milliseconds since the job's start, sizes in bytes.

use super::planned_stage::{OldPrices, PlannedStage, costs_nothing};
use super::planned_transfer::{PlannedLink, PlannedTransfer};
use crate::model::{Bytes, Millis, Money, Objective, PlaceName, Purchase, Rate};
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
    /// The number of clouds in which some stage can run.
    pub clouds: u64,
    /// The number of places in which some stage can run.
    pub places: u64,
    /// Prices in the catalog.
    pub offers: u64,
    /// Pairs of a stage and an offer that it may use under needs and policy.
    pub candidates: u64,
    /// The offers that were left after dominated offers in the same place were dropped.
    pub kept: u64,
}
