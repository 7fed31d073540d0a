//! What is written to the journal, and what it does to a state.

use super::data::{Artifact, Exhausted, Rented, StageRecord, Status, costs_nothing, is_zero};
use crate::model::{Millis, Money, Pack, PlaceName};
use crate::util::hash::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 1 on, without gaps within one lineage.
    pub sequence: u64,
    /// When it was written, RFC 3339: the time of an attempt is counted from it.
    pub at: String,
    /// What happened.
    pub event: Event,
}

/// Something that happened, or is about to happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// An operation began. `continues`: its plan goes on from what the former one has done and
    /// spent.
    Begun {
        /// The verb that began, such as `apply`.
        operation: String,
        /// The job's name; `None` for a verb that works on no plan.
        job: Option<String>,
        /// The digest of the plan; `None` for a verb that works on no plan.
        plan: Option<String>,
        /// Whether the plan goes on from what the former plan has done and spent.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        continues: bool,
    },
    /// A new attempt of a stage begins: its machine is about to be created under `token`.
    Attempt {
        /// The stage's name.
        stage: String,
        /// The attempt's number, from 1 on.
        attempt: u32,
        /// The idempotency token of the attempt.
        token: String,
        /// The provider that creates the machine.
        provider: String,
        /// The place that the machine is created at.
        place: PlaceName,
        /// Digest of what the plan says of the stage's work.
        definition: String,
        /// Digest of that work and of the content of all inputs.
        fingerprint: String,
        /// The machines that are rented; `None` in journals of early versions.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rented: Option<Rented>,
        /// How often the command has failed in the attempts before it that count against its
        /// retries.
        #[serde(skip_serializing_if = "is_zero", default)]
        failures: u32,
    },
    /// Money is set aside for an attempt, and its lease ends then; before its machine is created or
    /// renewed. `anew`: there was no machine until now, so nothing was to be paid.
    Reserved {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The money that is set aside from now on, in place of an earlier amount.
        micro_usd: Money,
        /// The end of the lease (RFC 3339).
        lease_end: String,
        /// Whether there was no machine until now, so that nothing was to be paid.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        anew: bool,
        /// The time that this is enough for, from the beginning of the machine on.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        lease_ms: Option<Millis>,
        /// The host whose clock the time of this event is by.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        host: Option<String>,
    },
    /// A service is paid for what an attempt asks of it.
    Charged {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// What the service costs.
        micro_usd: Money,
    },
    /// An artifact is being copied to another place for a stage, and paid for: once for each place.
    Copied {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The place that gets the artifact.
        to: PlaceName,
        /// The size of the artifact in bytes.
        bytes: u64,
        /// What the transfer costs.
        micro_usd: Money,
    },
    /// A place is about to get a bucket at this address.
    Bucket {
        /// The place of the bucket.
        place: PlaceName,
        /// The bucket's address.
        address: String,
    },
    /// An artifact is about to be written to the bucket of a place.
    Staging {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The digest of the artifact's content.
        digest: Digest,
        /// The place of the bucket.
        place: PlaceName,
    },
    /// The artifact is in the bucket; so many bytes were moved for it, and what was there already
    /// was not.
    Staged {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The digest of the artifact's content.
        digest: Digest,
        /// The place of the bucket.
        place: PlaceName,
        /// The bytes that were moved; what was there already is not counted.
        moved: u64,
        /// The form that the artifact has in the bucket.
        pack: Pack,
    },
    /// The machine of an attempt is about to read an artifact from the bucket of a place.
    Fetching {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The place of the bucket that is read.
        from: PlaceName,
    },
    /// The artifact was fetched; so many bytes were moved.
    Fetched {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The place of the bucket that is read.
        from: PlaceName,
        /// The bytes that were moved; what was there already is not counted.
        moved: u64,
    },
    /// An artifact was brought into the store of the state folder from the bucket of a place.
    Brought {
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The digest of the artifact's content.
        digest: Digest,
        /// The place of the bucket that is read.
        from: PlaceName,
        /// The bytes that were moved; what was there already is not counted.
        moved: u64,
    },
    /// What the bucket of a place has of an artifact is not what was written, and is not to be
    /// relied on any more.
    Discarded {
        /// The artifact's name, `STAGE.OUTPUT` or that of a dataset.
        artifact: String,
        /// The place of the bucket.
        place: PlaceName,
    },
    /// The bucket of a place is about to be deleted, and what is in it is not to be relied on any
    /// more.
    Unstaging {
        /// The place of the bucket.
        place: PlaceName,
    },
    /// The bucket is gone.
    Unstaged {
        /// The place of the bucket.
        place: PlaceName,
    },
    /// An offer was unavailable.
    Exhausted {
        /// The offer that could not be had.
        offer: Exhausted,
    },
    /// Somebody outside has changed the machine.
    Observed {
        /// The stage's name.
        stage: String,
        /// The place that the machine is at now; `None` if that is unchanged.
        place: Option<PlaceName>,
        /// The type that the machine has now; `None` if that is unchanged.
        instance_type: Option<String>,
    },
    /// Progress was brought to safety.
    Checkpointed {
        /// The stage's name.
        stage: String,
        /// The saved progress.
        artifact: Artifact,
    },
    /// A provider call is about to be made.
    Intent {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The call to the provider.
        call: Call,
    },
    /// The call returned; `error` is none when it went well.
    Result {
        /// The stage's name.
        stage: String,
        /// The idempotency token of the attempt.
        token: String,
        /// The call to the provider.
        call: Call,
        /// What the provider answered; `None` if the call went well.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
        /// Whether a creation that failed has certainly made nothing, so that nothing will be on a
        /// bill.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        absent: bool,
    },
    /// The stage moved on within its attempt.
    Moved {
        /// The stage's name.
        stage: String,
        /// The new status.
        status: Status,
    },
    /// The command ended.
    Exited {
        /// The stage's name.
        stage: String,
        /// The exit code.
        code: i32,
    },
    /// The attempt's outputs are in the store, and paid for.
    Done {
        /// The stage's name.
        stage: String,
        /// The outputs by name.
        outputs: BTreeMap<String, Artifact>,
        /// What it costs to keep the outputs for as long as the plan says.
        #[serde(skip_serializing_if = "costs_nothing", default)]
        storage_micro_usd: Money,
    },
    /// The attempt came to nothing: `failed` or `lost`.
    Ended {
        /// The stage's name.
        stage: String,
        /// The new status.
        status: Status,
        /// Why the attempt ended.
        message: String,
    },
    /// The stage was not begun; only said of a stage that never was.
    NotBegun {
        /// The stage's name.
        stage: String,
        /// What the state says of the stage from now on.
        record: Box<StageRecord>,
    },
    /// Nothing of the attempt is left that runs or costs money; its machine has cost so much.
    Released {
        /// The stage's name.
        stage: String,
        /// What the machine has cost.
        #[serde(skip_serializing_if = "costs_nothing", default)]
        micro_usd: Money,
    },
    /// All that the state knows of the stage is gone.
    Forgotten {
        /// The stage's name.
        stage: String,
    },
    /// The stage has another name from now on.
    Renamed {
        /// The stage's name.
        stage: String,
        /// The new name.
        to: String,
    },
    /// Everything is gone.
    Emptied,
}

/// A call that changes something at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// The machine is created.
    Create,
    /// Inputs are brought to the machine.
    StageIn,
    /// The command is started.
    Start,
    /// The command is asked to end.
    Stop,
    /// Outputs are read from the machine.
    Collect,
    /// The machine is given back after its work.
    Release,
    /// The machine is deleted, whatever it does.
    Delete,
    /// The lease is lengthened.
    Renew,
    /// A machine that the state did not know is taken over.
    Adopt,
}
