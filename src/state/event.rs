//! What is written to the journal, and what it does to a state.

use super::data::{Artifact, Exhausted, Rented, StageRecord, State, Status};
use crate::model::{Money, PlaceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// From 1 on, without gaps within one lineage.
    pub sequence: u64,
    /// RFC 3339; for people, nothing is decided by it.
    pub at: String,
    pub event: Event,
}

/// What happened, or is about to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// An operation began.
    Begun { operation: String, job: Option<String>, plan: Option<String> },
    /// A new attempt of a stage begins: its machine is about to be created under `token`.
    Attempt {
        stage: String,
        attempt: u32,
        token: String,
        provider: String,
        place: PlaceName,
        definition: String,
        fingerprint: String,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        rented: Option<Rented>,
    },
    /// Money is set aside for an attempt, and its lease ends then; before its machine is created or
    /// renewed.
    Reserved { stage: String, token: String, micro_usd: Money, lease_end: String },
    /// Something was paid for a stage.
    Charged { stage: String, token: String, what: Charge, micro_usd: Money },
    /// An offer was not to be had.
    Exhausted { offer: Exhausted },
    /// Progress was brought to safety.
    Checkpointed { stage: String, artifact: Artifact },
    /// A provider call is about to be made.
    Intent { stage: String, token: String, call: Call },
    /// The call returned; `error` is none when it went well.
    Result {
        stage: String,
        token: String,
        call: Call,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        error: Option<String>,
    },
    /// The stage moved on within its attempt.
    Moved { stage: String, status: Status },
    /// The command ended.
    Exited { stage: String, code: i32 },
    /// The attempt's outputs are in the store.
    Done { stage: String, outputs: BTreeMap<String, Artifact> },
    /// The attempt came to nothing: `failed` or `lost`.
    Ended { stage: String, status: Status, message: String },
    /// The stage was not begun; only said of a stage that never was.
    NotBegun { stage: String, record: Box<StageRecord> },
    /// Nothing of the attempt is left that runs or costs money.
    Released { stage: String },
    /// All that the state knows of the stage is gone.
    Forgotten { stage: String },
    /// Everything is gone.
    Emptied,
}

/// What money was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Charge {
    /// Machines, for as long as they were there.
    Compute,
    /// Data on its way to another place.
    Egress,
}

/// A call that changes something at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    Create,
    StageIn,
    Start,
    Stop,
    Collect,
    Release,
    Delete,
    Renew,
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
            Event::Begun { job, plan, .. } => {
                if job.is_some() {
                    if self.job != *job {
                        self.begun = Some(record.at.clone());
                    }
                    self.job.clone_from(job);
                    self.plan.clone_from(plan);
                }
            }
            Event::Attempt { stage, attempt, token, provider, place, definition, fingerprint, rented } => {
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
                    stopping: false,
                    rented: rented.clone(),
                    lease_end: None,
                    reserved_micro_usd: Money(0),
                    spent_micro_usd: former.map_or(Money(0), |former| former.spent_micro_usd),
                    checkpoint: same.and_then(|same| same.checkpoint.clone()),
                    message: None,
                    started: record.at.clone(),
                    ended: None,
                };
                self.stages.insert(stage.clone(), begun);
            }
            Event::Reserved { stage, token, micro_usd, lease_end } => {
                self.change(stage, |stage| {
                    if stage.token == *token {
                        stage.reserved_micro_usd = *micro_usd;
                        stage.lease_end = Some(lease_end.clone());
                    }
                });
            }
            Event::Charged { stage, micro_usd, .. } => {
                self.spent_micro_usd = Money(self.spent_micro_usd.0.saturating_add(micro_usd.0));
                self.change(stage, |stage| {
                    stage.spent_micro_usd = Money(stage.spent_micro_usd.0.saturating_add(micro_usd.0));
                });
            }
            Event::Exhausted { offer } => {
                self.exhausted.insert(offer.clone());
            }
            Event::Checkpointed { stage, artifact } => {
                self.change(stage, |stage| stage.checkpoint = Some(artifact.clone()));
            }
            Event::Intent { stage, token, call: Call::Stop } => {
                self.change(stage, |stage| stage.stopping |= stage.token == *token);
            }
            Event::Intent { .. } | Event::Result { .. } => {}
            Event::Moved { stage, status } => self.change(stage, |stage| stage.status = *status),
            Event::Exited { stage, code } => self.change(stage, |stage| stage.exit_code = Some(*code)),
            Event::Done { stage, outputs } => {
                self.change(stage, |stage| {
                    stage.status = Status::Done;
                    stage.ended = Some(record.at.clone());
                });
                self.drop_artifacts(stage);
                for (name, artifact) in outputs {
                    self.artifacts.insert(format!("{stage}.{name}"), artifact.clone());
                }
            }
            Event::Ended { stage, status, message } => self.change(stage, |stage| {
                stage.status = *status;
                stage.message = Some(message.clone());
                stage.ended = Some(record.at.clone());
            }),
            Event::NotBegun { stage, record } => {
                if self.stages.get(stage).is_none_or(|former| former.attempt == 0) {
                    self.stages.insert(stage.clone(), (**record).clone());
                }
            }
            Event::Released { stage } => self.change(stage, |stage| {
                stage.live = false;
                stage.reserved_micro_usd = Money(0);
                stage.lease_end = None;
            }),
            Event::Forgotten { stage } => {
                self.stages.remove(stage);
                self.drop_artifacts(stage);
            }
            Event::Emptied => {
                self.stages.clear();
                self.artifacts.clear();
                self.job = None;
                self.plan = None;
                self.begun = None;
                self.spent_micro_usd = Money(0);
                self.exhausted.clear();
            }
        }
    }

    fn change(&mut self, stage: &str, change: impl FnOnce(&mut StageRecord)) {
        if let Some(record) = self.stages.get_mut(stage) {
            change(record);
        }
    }

    fn drop_artifacts(&mut self, stage: &str) {
        let prefix = format!("{stage}.");
        self.artifacts.retain(|name, _| !name.starts_with(&prefix));
    }
}
