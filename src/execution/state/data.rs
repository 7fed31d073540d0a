//! The fields of a state file.

use crate::model::{Extras, Millis, Money, Pack, PlaceName, Purchase, Rate};
use crate::plan::Billing;
pub use crate::plan::Exhausted;
use crate::util::hash::Digest;
use crate::util::tree::Kind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The version of the format that this code writes. A reader refuses a greater one.
pub const VERSION: u32 = 1;

/// A whole state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The version of the format, [`VERSION`] in states of this code.
    pub version: u32,
    /// Grows by one with every snapshot.
    pub serial: u64,
    /// Names this state from its first snapshot on; two states that share it are one's past
    /// and future.
    pub lineage: String,
    /// The version of the `sky` that wrote the snapshot.
    pub sky_version: String,
    /// The job that lives here; none before the first apply and after a destroy.
    pub job: Option<String>,
    /// Digest of the plan that was applied last.
    pub plan: Option<String>,
    /// The last journal record that is part of this snapshot.
    pub journal_sequence: u64,
    /// By stage name.
    pub stages: BTreeMap<String, StageRecord>,
    /// By artifact, `stage.output`.
    pub artifacts: BTreeMap<String, Artifact>,
    /// When the job was begun, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub begun: Option<String>,
    /// When the newest record was written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub newest: Option<String>,
    /// The cost of the job so far: machines that are gone, and data that was moved.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub spent_micro_usd: Money,
    /// The places that each artifact was copied to, and paid for, besides the one where it was
    /// made.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub copies: BTreeMap<String, BTreeSet<PlaceName>>,
    /// Offers that were unavailable.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub exhausted: BTreeSet<Exhausted>,
    /// The age public keys that the snapshot is encrypted for; none: it is plain, or a sky wrote it
    /// that did not say.
    #[serde(skip_serializing_if = "BTreeSet::is_empty", default)]
    pub encrypted_for: BTreeSet<String>,
    /// The addresses of the buckets for data in between, by place: they are there, or may be.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub buckets: BTreeMap<PlaceName, String>,
}

pub(super) fn costs_nothing(money: &Money) -> bool {
    money.0 == 0
}

/// The machines that an attempt rents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rented {
    /// The provider's name of the machine type.
    pub instance_type: String,
    /// Whether the machines are bought on demand or as spot.
    pub purchase: Purchase,
    /// The number of machines.
    pub nodes: u32,
    /// Per machine, as the provider bills it.
    pub rate_nano_usd_per_hour: Rate,
    /// The prices of what comes with each machine and is billed beside it.
    #[serde(skip_serializing_if = "Extras::is_none", default)]
    pub extras: Extras,
    /// How machine time is billed.
    #[serde(skip_serializing_if = "Billing::by_the_millisecond", default)]
    pub billing: Billing,
    /// 0: as planned; else the alternative of that number, from 1 on.
    #[serde(rename = "rung", skip_serializing_if = "is_zero", default)]
    pub alternative: u32,
}

pub(super) fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Everything that is known about one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    /// The status of the newest attempt.
    pub status: Status,
    /// The attempt that `status` is about, from 1 on.
    pub attempt: u32,
    /// The idempotency token of that attempt.
    pub token: String,
    /// Whether something of this attempt may still exist that costs money or runs.
    pub live: bool,
    /// The provider of the machines.
    pub provider: String,
    /// The place that the stage runs at.
    pub place: PlaceName,
    /// Digest of what the plan says of the stage's work: command, names of inputs, outputs, files.
    pub definition: String,
    /// Digest of the definition and the content of all inputs and files.
    pub fingerprint: String,
    /// The command's exit code, once it has one; 128 + N: ended by signal N.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exit_code: Option<i32>,
    /// How often its command has failed, this attempt included, of the times that it may be run
    /// again.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub failures: u32,
    /// Whether `sky` has set out to stop it: whatever exit code follows, it is not done.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub stopping: bool,
    /// The machines that the stage rents; `None` for a stage that was never begun, or was begun by
    /// an older sky.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rented: Option<Rented>,
    /// When the attempt's lease ends, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_end: Option<String>,
    /// From the beginning of the attempt's machine to the end of its lease, whatever clock that is
    /// by.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_ms: Option<Millis>,
    /// The host whose clock `started` is by. None: not known, or no machine was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_host: Option<String>,
    /// The money that is reserved for the attempt while it is live.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub reserved_micro_usd: Money,
    /// Whether the attempt has paid a service for what it asks.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub usage_paid: bool,
    /// The cost of all attempts of the stage so far, moving its inputs included.
    #[serde(skip_serializing_if = "costs_nothing", default)]
    pub spent_micro_usd: Money,
    /// The newest progress that was brought to safety, of any attempt at the same work.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<Artifact>,
    /// Why it failed, was lost or was skipped.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub message: Option<String>,
    /// When the attempt began, RFC 3339.
    pub started: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended: Option<String>,
}

/// Where a stage is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// No attempt was begun.
    Planned,
    /// The machines are being created.
    Provisioning,
    /// Inputs are being brought to the machines.
    StagingIn,
    /// The command runs.
    Running,
    /// Outputs are being collected.
    StagingOut,
    /// The outputs are in the store.
    Done,
    /// The command or its outputs failed.
    Failed,
    /// The process or the machine went away without a result; the stage is run again as a new
    /// attempt.
    Lost,
    /// Not begun, because a stage that it waits for is not done.
    Skipped,
}

/// The providers that rehearse plans for other places: processes of this machine, and the simulated
/// cloud.
pub const REHEARSING: [&str; 2] = ["local", "sim"];

/// The fingerprint of an attempt that was taken over by hand: whoever did so says that it fits.
pub const IMPORTED: &str = "imported";

impl StageRecord {
    /// The provider that a stage of another place was rehearsed with; none: it ran where its place
    /// is, or on machines of one's own in place of it.
    pub fn rehearsed_with(&self) -> Option<&str> {
        let rehearses =
            REHEARSING.contains(&self.provider.as_str()) && self.place.cloud != self.provider;
        (rehearses && self.attempt > 0).then_some(self.provider.as_str())
    }

    /// Whether it was taken over by hand.
    pub fn imported(&self) -> bool {
        self.fingerprint == IMPORTED
    }
}

impl Status {
    /// Whether an attempt is under way.
    pub fn in_flight(self) -> bool {
        matches!(
            self,
            Status::Provisioning | Status::StagingIn | Status::Running | Status::StagingOut
        )
    }

    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Status::Planned => "planned",
            Status::Provisioning => "provisioning",
            Status::StagingIn => "staging-in",
            Status::Running => "running",
            Status::StagingOut => "staging-out",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Lost => "lost",
            Status::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// An output that was collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// The digest of the file, or of the listing of the directory.
    pub digest: Digest,
    /// Sum over its files.
    pub bytes: u64,
    /// Whether the output is a file, an executable file or a directory.
    pub kind: Kind,
    /// The attempt that wrote it.
    pub attempt: u32,
    /// The copies of the artifact in buckets, by the place of the bucket.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub staged: BTreeMap<PlaceName, Pack>,
    /// Whether it never came into the store of the state folder, or not yet.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub away: bool,
}

impl State {
    /// A state in which nothing was ever applied.
    pub fn empty(lineage: String) -> Self {
        Self {
            version: VERSION,
            serial: 0,
            lineage,
            sky_version: env!("CARGO_PKG_VERSION").to_owned(),
            job: None,
            plan: None,
            journal_sequence: 0,
            stages: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            begun: None,
            newest: None,
            spent_micro_usd: Money(0),
            copies: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            encrypted_for: BTreeSet::new(),
            buckets: BTreeMap::new(),
        }
    }
}
