//! What is written to the journal, and what it does to a state.

use super::data::{
    Artifact, Exhausted, Rented, StageRecord, State, Status, costs_nothing, is_zero,
};
use crate::model::{Millis, Money, Pack, PlaceName};
use crate::util::hash::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 1 on, without gaps within one lineage.
    pub sequence: u64,
    /// RFC 3339; for people, nothing is decided by it.
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

impl State {
    /// Takes a record in. Records that the state already holds do nothing.
    pub fn take(&mut self, record: &Record) {
        if record.sequence <= self.journal_sequence {
            return;
        }
        self.journal_sequence = record.sequence;
        self.newest = Some(record.at.clone());
        match &record.event {
            Event::Begun {
                job,
                plan,
                continues,
                ..
            } => {
                if job.is_some() {
                    // Another plan has an account of its own.
                    if self.begun.is_none() || self.job != *job || self.plan != *plan && !continues
                    {
                        self.begun = Some(record.at.clone());
                        self.spent_micro_usd = Money(0);
                        self.exhausted.clear();
                        self.stages
                            .values_mut()
                            .for_each(|stage| stage.spent_micro_usd = Money(0));
                    }
                    self.job.clone_from(job);
                    self.plan.clone_from(plan);
                }
            }
            Event::Attempt {
                stage,
                attempt,
                token,
                provider,
                place,
                definition,
                fingerprint,
                rented,
                failures,
            } => {
                let former = self.stages.get(stage);
                let same = former.filter(|former| former.fingerprint == *fingerprint);
                let begun = StageRecord {
                    status: Status::Provisioning,
                    attempt: *attempt,
                    token: token.clone(),
                    live: true,
                    provider: provider.clone(),
                    place: place.clone(),
                    definition: definition.clone(),
                    fingerprint: fingerprint.clone(),
                    exit_code: None,
                    failures: *failures,
                    stopping: false,
                    rented: rented.clone(),
                    lease_end: None,
                    lease_ms: None,
                    started_host: None,
                    reserved_micro_usd: Money(0),
                    usage_paid: false,
                    spent_micro_usd: former.map_or(Money(0), |former| former.spent_micro_usd),
                    checkpoint: same.and_then(|same| same.checkpoint.clone()),
                    message: None,
                    started: record.at.clone(),
                    ended: None,
                };
                self.stages.insert(stage.clone(), begun);
            }
            Event::Reserved {
                stage,
                token,
                micro_usd,
                lease_end,
                anew,
                lease_ms,
                host,
            } => {
                self.change(stage, |stage| {
                    if stage.token == *token {
                        if *anew {
                            stage.started.clone_from(&record.at);
                            stage.started_host.clone_from(host);
                        }
                        stage.lease_ms = *lease_ms;
                        stage.reserved_micro_usd = *micro_usd;
                        stage.lease_end = Some(lease_end.clone());
                    }
                });
            }
            Event::Charged {
                stage,
                token,
                micro_usd,
            } => {
                self.charge(stage, token, *micro_usd);
                self.change(stage, |stage| stage.usage_paid |= stage.token == *token);
            }
            Event::Copied {
                stage,
                token,
                artifact,
                to,
                micro_usd,
                ..
            } => {
                self.charge(stage, token, *micro_usd);
                self.copies
                    .entry(artifact.clone())
                    .or_default()
                    .insert(to.clone());
            }
            Event::Bucket { place, address } => {
                self.buckets.insert(place.clone(), address.clone());
            }
            Event::Staged {
                artifact,
                digest,
                place,
                pack,
                ..
            } => {
                if let Some(artifact) = self
                    .artifacts
                    .get_mut(artifact)
                    .filter(|held| held.digest == *digest)
                {
                    artifact.staged.insert(place.clone(), pack.clone());
                }
            }
            Event::Brought {
                artifact, digest, ..
            } => {
                if let Some(artifact) = self
                    .artifacts
                    .get_mut(artifact)
                    .filter(|held| held.digest == *digest)
                {
                    artifact.away = false;
                }
            }
            Event::Discarded { artifact, place } => {
                if let Some(artifact) = self.artifacts.get_mut(artifact) {
                    artifact.staged.remove(place);
                }
            }
            Event::Unstaging { place } => self.artifacts.values_mut().for_each(|artifact| {
                artifact.staged.remove(place);
            }),
            Event::Unstaged { place } => {
                self.buckets.remove(place);
            }
            Event::Staging { .. } | Event::Fetching { .. } | Event::Fetched { .. } => {}
            Event::Exhausted { offer } => {
                self.exhausted.insert(offer.clone());
            }
            Event::Observed {
                stage,
                place,
                instance_type,
            } => self.change(stage, |stage| {
                if let Some(place) = place {
                    stage.place = place.clone();
                }
                if let (Some(rented), Some(now)) = (stage.rented.as_mut(), instance_type) {
                    rented.instance_type.clone_from(now);
                }
            }),
            Event::Checkpointed { stage, artifact } => {
                self.change(stage, |stage| stage.checkpoint = Some(artifact.clone()));
            }
            Event::Intent {
                stage,
                token,
                call: Call::Stop,
            } => {
                self.change(stage, |stage| stage.stopping |= stage.token == *token);
            }
            Event::Result {
                stage,
                token,
                absent: true,
                ..
            } => self.change(stage, |stage| {
                if stage.token == *token {
                    stage.reserved_micro_usd = Money(0);
                    stage.lease_end = None;
                }
            }),
            Event::Intent { .. } | Event::Result { .. } => {}
            Event::Moved { stage, status } => self.change(stage, |stage| stage.status = *status),
            Event::Exited { stage, code } => self.change(stage, |stage| {
                // An attempt that is gone on with says it again.
                stage.failures += u32::from(*code != 0 && stage.exit_code.is_none());
                stage.exit_code = Some(*code);
            }),
            Event::Done {
                stage,
                outputs,
                storage_micro_usd,
            } => {
                let token = self
                    .stages
                    .get(stage)
                    .map(|stage| stage.token.clone())
                    .unwrap_or_default();
                self.charge(stage, &token, *storage_micro_usd);
                self.change(stage, |stage| {
                    stage.status = Status::Done;
                    stage.checkpoint = None;
                    stage.ended = Some(record.at.clone());
                });
                self.drop_artifacts(stage);
                for (name, artifact) in outputs {
                    self.artifacts
                        .insert(format!("{stage}.{name}"), artifact.clone());
                }
            }
            Event::Ended {
                stage,
                status,
                message,
            } => self.change(stage, |stage| {
                stage.status = *status;
                stage.message = Some(message.clone());
                stage.ended = Some(record.at.clone());
            }),
            Event::NotBegun { stage, record } => {
                if self
                    .stages
                    .get(stage)
                    .is_none_or(|former| former.attempt == 0)
                {
                    self.stages.insert(stage.clone(), (**record).clone());
                }
            }
            Event::Released { stage, micro_usd } => {
                self.charge(stage, "", *micro_usd);
                self.change(stage, |stage| {
                    stage.live = false;
                    stage.reserved_micro_usd = Money(0);
                    stage.lease_end = None;
                });
            }
            Event::Forgotten { stage } => {
                self.stages.remove(stage);
                self.drop_artifacts(stage);
            }
            Event::Renamed { stage, to } => self.rename(stage, to),
            Event::Emptied => {
                self.stages.clear();
                self.artifacts.clear();
                self.job = None;
                self.plan = None;
                self.begun = None;
                self.spent_micro_usd = Money(0);
                self.exhausted.clear();
                self.copies.clear();
                self.buckets.clear();
            }
        }
    }

    fn change(&mut self, stage: &str, change: impl FnOnce(&mut StageRecord)) {
        if let Some(record) = self.stages.get_mut(stage) {
            change(record);
        }
    }

    fn charge(&mut self, stage: &str, token: &str, amount: Money) {
        let add = |sum: &mut Money| sum.0 = sum.0.saturating_add(amount.0);
        add(&mut self.spent_micro_usd);
        self.change(stage, |stage| {
            add(&mut stage.spent_micro_usd);
            if stage.token == *token {
                stage.reserved_micro_usd.0 =
                    stage.reserved_micro_usd.0.saturating_sub(amount.0).max(0);
            }
        });
    }

    fn drop_artifacts(&mut self, stage: &str) {
        let (first, after) = (format!("{stage}."), format!("{stage}/"));
        let names: Vec<String> = self
            .artifacts
            .range(first..after)
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.artifacts.remove(&name);
            self.copies.remove(&name);
        }
    }
}
