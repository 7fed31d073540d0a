//! What people want done: stages, the data between them, the datasets they start from.

use crate::model::{
    AcceleratorNeed, Bytes, Millis, Pattern, PlaceName, Purchase, Rate, ServiceNeed, Tee,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A job: a DAG of stages. Maps and sets are ordered, so the order of the file is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The job's name.
    pub name: String,
    /// Data that exists before the job.
    pub datasets: BTreeMap<String, Dataset>,
    /// The work, by stage name.
    pub stages: BTreeMap<String, Stage>,
    /// How stages are kept apart.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub spread: Vec<Spread>,
    /// Outputs of stages that are done and so not in `stages` any more: data that exists, like
    /// datasets, under the name that its readers know.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub made: BTreeMap<ArtifactRef, Dataset>,
    /// Where outputs go, as the job says it; see [`Job::destination`] for those that it does not
    /// name. Outputs of a stage with `count` are named once for all copies.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub outputs: BTreeMap<ArtifactRef, Destination>,
}

/// Where an output of a stage goes once it is made, besides to the stages that read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// To the machine that `sky` runs on.
    Home,
    /// Nowhere: it stays in the place where it was made.
    There,
}

/// At most so many of some stages (or of their copies) in any one failure domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Spread {
    /// Names of stages of the job; a stage with `count` stands for all its copies.
    pub stages: BTreeSet<String>,
    /// What may be lost at once.
    pub over: Domain,
    /// At least 1.
    pub at_most: u32,
}

/// What fails together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Stages are spread over places.
    Place,
    /// Stages are spread over clouds.
    Cloud,
}

/// An artifact that exists before the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Where it lies; `local:here` for data given by `path` alone.
    pub at: PlaceName,
    /// Where this machine has it (or a sample of it), relative to the job file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Its size.
    pub size: Bytes,
    /// Classifications that stick to it and to all that is derived from it.
    pub labels: BTreeSet<String>,
}

/// One node of the DAG.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// What it reads.
    pub reads: BTreeSet<ArtifactRef>,
    /// What it writes, with sizes.
    pub writes: BTreeMap<String, Bytes>,
    /// Labels that its outputs no longer carry.
    pub removes: BTreeSet<String>,
    /// What a machine must have to run it.
    pub needs: Needs,
    /// How long it runs.
    pub work: Work,
    /// The command, for `/bin/sh`. A stage without one can be planned, not applied.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub run: Option<String>,
    /// Files beside the job file that the command needs in its folder.
    pub files: BTreeSet<String>,
    /// A gang of so many identical machines in one place.
    pub nodes: u32,
    /// Stages that must end first, without data between.
    pub after: BTreeSet<String>,
    /// The number of replicas of the stage, each on its own `nodes`: a sweep, a map over shards.
    #[serde(skip_serializing_if = "is_one", default = "one")]
    pub count: u32,
    /// Latest end, from the start of the job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deadline: Option<Millis>,
    /// How its machines are bought; none: as the policy says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub allocation: Option<Allocation>,
    /// How it saves its progress; none: what is interrupted starts over.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<Checkpoint>,
    /// Plain environment variables of the command, by name: a text that is taken as it is, or
    /// `env:NAME`, the value of that variable of `sky apply`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub env: BTreeMap<String, String>,
    /// Environment variables whose values are looked up when the plan is applied: by name, a
    /// reference, `env:NAME` or `file:PATH` relative to the job file.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub secrets: BTreeMap<String, String>,
    /// How often a command that fails is run again; none: as the policy says.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retries: Option<Retries>,
    /// Offers that were tried and were unavailable.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub without: BTreeSet<OfferName>,
}

/// How often a command that fails is run again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retries {
    /// How many more times it is run after the first; 0: it is not run again.
    pub times: u32,
    /// The exit codes after which it is run again; empty: after every code but 0.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub on: BTreeSet<i32>,
}

impl Retries {
    /// Whether a command that ended with `code` is run again when it has failed `failures` times,
    /// this time included.
    pub fn allow(&self, code: i32, failures: u32) -> bool {
        failures <= self.times && (self.on.is_empty() || self.on.contains(&code))
    }
}

/// What tells an offer from all others of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferName {
    /// The place of the offer.
    pub place: PlaceName,
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// Whether the machine is bought on demand or as spot.
    pub purchase: Purchase,
}

fn one() -> u32 {
    1
}

fn is_one(count: &u32) -> bool {
    *count == 1
}

/// How machines are bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// Only on demand.
    OnDemand,
    /// Only spot.
    Spot,
    /// Spot in every place that has a spot offer for the stage; on demand elsewhere.
    SpotIfAvailable,
    /// Whatever costs least in expectation.
    Cheapest,
}

/// How a stage saves its progress against interruptions of spot machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Work between two checkpoints; none: the best interval (Young 1974, Daly 2006).
    pub every: Option<Millis>,
    /// How long saving one takes.
    pub save: Millis,
    /// How long it takes to go on from one, on top of the machine's boot.
    pub restart: Millis,
    /// What is saved; it is moved when the machine moves.
    pub size: Bytes,
}

/// A bound on the round trip between where a stage runs and where its users are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Latency {
    /// ISO 3166 code of the users' country.
    pub to: String,
    /// Longest round trip.
    pub at_most: Millis,
}

/// What a machine must have, at least.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Virtual CPUs, in thousandths.
    pub vcpu_thousandths: u64,
    /// Memory.
    pub memory: Bytes,
    /// Any of these; empty: none needed.
    pub accelerators: BTreeSet<AcceleratorNeed>,
    /// Any of these trusted execution environments; empty: none needed.
    pub tee: BTreeSet<Tee>,
    /// CPU architecture, `x86_64`, `arm64` or `any`; none: as the policy says, else x86_64.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arch: Option<String>,
    /// Any of these places; empty: all.
    pub places: BTreeSet<Pattern>,
    /// Any of these instance types; empty: all.
    pub instance_types: BTreeSet<Pattern>,
    /// Only places near enough to a country.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub latency: Option<Latency>,
    /// The most that an hour of one machine may cost; none: any price. Offers that are not billed
    /// by the hour are not bound by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_price: Option<Rate>,
    /// A service, instead of machines.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service: Option<ServiceNeed>,
    /// What it scans, where a service is paid by that.
    #[serde(skip_serializing_if = "is_nothing", default)]
    pub scans: Bytes,
    /// How often it calls a service that is paid by that.
    #[serde(skip_serializing_if = "is_none", default)]
    pub requests: u64,
    /// When not empty: a machine must meet one of these whole sets of needs instead (what is
    /// common is already copied into each; the fields above hold the common part).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub any_of: Vec<Needs>,
    /// `any_of` is in order of preference: an earlier one is taken over a later one at any price.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub ordered: bool,
}

fn is_nothing(bytes: &Bytes) -> bool {
    bytes.0 == 0
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// How long a stage runs on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// One duration for all machines.
    Duration(Millis),
    /// By accelerator; a machine with none of these is not a candidate.
    DurationBy(BTreeMap<AcceleratorNeed, Millis>),
    /// Floating-point operations, in units of 10⁹, at the catalog's dense rate for `precision`
    /// times `efficiency_percent`, over all accelerators of all nodes.
    Flops {
        /// The number format, such as `bf16`.
        precision: String,
        /// The operations, in units of 10⁹.
        gigaflop: u64,
        /// The share of the dense rate that is reached, in percent.
        efficiency_percent: u32,
    },
    /// Time on one virtual CPU, divided by the virtual CPUs of all nodes.
    VcpuTime(Millis),
}

/// A dataset, or what a stage writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ArtifactRef {
    /// `reviews`
    Dataset(String),
    /// `process.tokens`
    Output {
        /// The stage's name.
        stage: String,
        /// The output's name.
        name: String,
    },
}

/// Ends the name of an artifact that is read element by element: with `split.part[i]`, copy `i`
/// of the reader reads what copy `i` of `split` wrote.
pub const ELEMENT: &str = "[i]";

impl ArtifactRef {
    /// The last part of the name: the file that a stage sees under `$SKY_INPUTS`.
    pub fn file_name(&self) -> &str {
        match self {
            ArtifactRef::Dataset(name) => name,
            ArtifactRef::Output { name, .. } => name.strip_suffix(ELEMENT).unwrap_or(name),
        }
    }

    /// True for `split.part[i]`.
    pub fn is_element(&self) -> bool {
        matches!(self, ArtifactRef::Output { name, .. } if name.ends_with(ELEMENT))
    }

    /// What is read, of whichever copy: `split.part` for `split.part[i]`.
    pub fn whole(&self) -> ArtifactRef {
        match self {
            ArtifactRef::Output { stage, .. } => ArtifactRef::Output {
                stage: stage.clone(),
                name: self.file_name().to_owned(),
            },
            ArtifactRef::Dataset(_) => self.clone(),
        }
    }
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactRef::Dataset(name) => f.pad(name),
            ArtifactRef::Output { stage, name } => f.pad(&format!("{stage}.{name}")),
        }
    }
}

impl From<String> for ArtifactRef {
    fn from(text: String) -> Self {
        match text.split_once('.') {
            Some((stage, name)) => ArtifactRef::Output {
                stage: stage.to_owned(),
                name: name.to_owned(),
            },
            None => ArtifactRef::Dataset(text),
        }
    }
}

impl From<ArtifactRef> for String {
    fn from(artifact: ArtifactRef) -> String {
        artifact.to_string()
    }
}

impl Job {
    /// The size of an artifact of this job; of one replica's, if its stage has several. None: the
    /// job has no such artifact.
    pub fn size(&self, artifact: &ArtifactRef) -> Option<Bytes> {
        let planned = || match artifact {
            ArtifactRef::Dataset(name) => self.datasets.get(name).map(|dataset| dataset.size),
            ArtifactRef::Output { stage, .. } => self
                .stages
                .get(stage)
                .and_then(|stage| stage.writes.get(artifact.file_name()).copied()),
        };
        self.made
            .get(artifact)
            .map(|made| made.size)
            .or_else(planned)
    }
}
