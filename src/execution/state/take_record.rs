//! What a record of the journal does to a state.

use super::data::{Artifact, StageRecord, State, Status};
use super::event::{Call, Event, Record};
use crate::model::Money;
use crate::util::hash::Digest;

impl State {
    /// Takes a record in. Records that the state already holds do nothing.
    pub fn take(&mut self, record: &Record) {
        if record.sequence <= self.journal_sequence {
            return;
        }
        self.journal_sequence = record.sequence;
        self.newest = Some(record.at.clone());
        match &record.event {
            Event::Begun { .. } | Event::Emptied => self.take_operation(record),
            Event::Attempt { .. }
            | Event::Observed { .. }
            | Event::Checkpointed { .. }
            | Event::Moved { .. }
            | Event::Exited { .. } => self.take_progress(record),
            Event::Done { .. }
            | Event::Ended { .. }
            | Event::NotBegun { .. }
            | Event::Forgotten { .. }
            | Event::Renamed { .. } => self.take_end(record),
            Event::Reserved { .. }
            | Event::Charged { .. }
            | Event::Copied { .. }
            | Event::Released { .. } => self.take_payment(record),
            Event::Intent { .. } | Event::Result { .. } => self.take_call(&record.event),
            Event::Bucket { .. }
            | Event::Staging { .. }
            | Event::Staged { .. }
            | Event::Fetching { .. }
            | Event::Fetched { .. }
            | Event::Brought { .. }
            | Event::Discarded { .. }
            | Event::Unstaging { .. }
            | Event::Unstaged { .. } => self.take_storage(&record.event),
            Event::Exhausted { offer } => {
                self.exhausted.insert(offer.clone());
            }
        }
    }

    /// Takes in that an operation began, or that everything is gone.
    fn take_operation(&mut self, record: &Record) {
        match &record.event {
            Event::Begun { job: None, .. } => {}
            Event::Begun {
                job,
                plan,
                continues,
                ..
            } => {
                // Another plan has an account of its own.
                let same_job = self.job == *job && (self.plan == *plan || *continues);
                if self.begun.is_none() || !same_job {
                    self.begun = Some(record.at.clone());
                    self.spent_micro_usd = Money(0);
                    self.exhausted.clear();
                    for stage in self.stages.values_mut() {
                        stage.spent_micro_usd = Money(0);
                    }
                }
                self.job.clone_from(job);
                self.plan.clone_from(plan);
            }
            _ => {
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

    /// Takes in how far the newest attempt of a stage is.
    fn take_progress(&mut self, record: &Record) {
        match &record.event {
            Event::Attempt { stage, .. } => {
                if let Some(begun) = self.begun_attempt(record) {
                    self.stages.insert(stage.clone(), begun);
                }
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
            Event::Moved { stage, status } => self.change(stage, |stage| stage.status = *status),
            Event::Exited { stage, code } => self.change(stage, |stage| {
                // An attempt that is gone on with says it again.
                stage.failures += u32::from(*code != 0 && stage.exit_code.is_none());
                stage.exit_code = Some(*code);
            }),
            _ => {}
        }
    }

    /// The record of a stage whose attempt begins; `None`: the event is another one.
    fn begun_attempt(&self, record: &Record) -> Option<StageRecord> {
        let Event::Attempt {
            stage,
            attempt,
            token,
            provider,
            place,
            definition,
            fingerprint,
            rented,
            failures,
        } = &record.event
        else {
            return None;
        };
        let former_record = self.stages.get(stage);
        let same_content = former_record.filter(|former| former.fingerprint == *fingerprint);
        Some(StageRecord {
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
            spent_micro_usd: former_record.map_or(Money(0), |former| former.spent_micro_usd),
            checkpoint: same_content.and_then(|former| former.checkpoint.clone()),
            message: None,
            started: record.at.clone(),
            ended: None,
        })
    }

    /// Takes in what became of a stage.
    fn take_end(&mut self, record: &Record) {
        match &record.event {
            Event::Done {
                stage,
                outputs,
                storage_micro_usd,
            } => {
                // What a stage that is not known has cost is spent all the same.
                let token = self.stages.get(stage).map(|stage| stage.token.clone());
                self.charge(stage, &token.unwrap_or_default(), *storage_micro_usd);
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
                let former_record = self.stages.get(stage);
                if former_record.is_none_or(|former| former.attempt == 0) {
                    self.stages.insert(stage.clone(), (**record).clone());
                }
            }
            Event::Forgotten { stage } => {
                self.stages.remove(stage);
                self.drop_artifacts(stage);
            }
            Event::Renamed { stage, to } => self.rename(stage, to),
            _ => {}
        }
    }

    /// Takes in what is set aside, and what is paid.
    fn take_payment(&mut self, record: &Record) {
        match &record.event {
            Event::Reserved {
                stage,
                token,
                micro_usd,
                lease_end,
                anew,
                lease_ms,
                host,
            } => self.change(stage, |stage| {
                if stage.token == *token {
                    if *anew {
                        stage.started.clone_from(&record.at);
                        stage.started_host.clone_from(host);
                    }
                    stage.lease_ms = *lease_ms;
                    stage.reserved_micro_usd = *micro_usd;
                    stage.lease_end = Some(lease_end.clone());
                }
            }),
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
                let places = self.copies.entry(artifact.clone()).or_default();
                places.insert(to.clone());
            }
            Event::Released { stage, micro_usd } => {
                self.charge(stage, "", *micro_usd);
                self.change(stage, |stage| {
                    stage.live = false;
                    stage.reserved_micro_usd = Money(0);
                    stage.lease_end = None;
                });
            }
            _ => {}
        }
    }

    /// Takes in a call to a provider, or its answer.
    fn take_call(&mut self, event: &Event) {
        match event {
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
            _ => {}
        }
    }

    /// Takes in where artifacts are, and which buckets there are.
    fn take_storage(&mut self, event: &Event) {
        match event {
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
                if let Some(held) = self.held(artifact, digest) {
                    held.staged.insert(place.clone(), pack.clone());
                }
            }
            Event::Brought {
                artifact, digest, ..
            } => {
                if let Some(held) = self.held(artifact, digest) {
                    held.away = false;
                }
            }
            Event::Discarded { artifact, place } => {
                if let Some(artifact) = self.artifacts.get_mut(artifact) {
                    artifact.staged.remove(place);
                }
            }
            Event::Unstaging { place } => {
                for artifact in self.artifacts.values_mut() {
                    artifact.staged.remove(place);
                }
            }
            Event::Unstaged { place } => {
                self.buckets.remove(place);
            }
            _ => {}
        }
    }

    /// An artifact of the state, if it has that content.
    fn held(&mut self, artifact: &str, digest: &Digest) -> Option<&mut Artifact> {
        let held_artifact = self.artifacts.get_mut(artifact)?;
        (held_artifact.digest == *digest).then_some(held_artifact)
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
