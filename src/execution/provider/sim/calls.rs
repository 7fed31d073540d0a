//! The simulated cloud, and one call of it, which may go wrong.

use super::super::local::worker as inside;
use super::super::{ErrorKind, ProviderError, Token};
use super::faults::{Counts, Fault, Faults, FaultsError, Made};
use super::machine_records::{self, EndReason, MachineRecord, now};
use crate::util::file;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The simulated cloud.
#[derive(Clone, Debug)]
pub struct Sim {
    pub(super) root: PathBuf,
    faults: Arc<Faults>,
    counts: Arc<Mutex<Counts>>,
}

impl Sim {
    /// The cloud in this folder, which need not exist yet.
    pub fn open(root: &Path) -> Result<Self, ProviderError> {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        let path = root.join("faults.toml");
        let faults_wrong = |error: FaultsError| {
            ProviderError::new(ErrorKind::Other, format!("{}: {error}", path.display()))
        };
        let faults = match path.exists() {
            true => Faults::parse(&file::read_text(&path)?).map_err(faults_wrong)?,
            false => Faults::default(),
        };
        let sim = Self {
            root,
            faults: Arc::new(faults),
            counts: Arc::default(),
        };
        if *sim.faults != Faults::default() {
            sim.count_earlier_calls();
        }
        Ok(sim)
    }

    /// What earlier processes called counts, too.
    fn count_earlier_calls(&self) {
        let calls = std::fs::read_to_string(self.root.join("calls")).unwrap_or_default();
        let mut call_counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for line in calls.lines() {
            let mut line_words = line.split('\t');
            let mut word = || line_words.next().unwrap_or_default();
            let (call, stage, attempt, place) =
                (word(), word(), word().parse().unwrap_or(0), word());
            self.faults.next(
                Made {
                    call,
                    stage,
                    attempt,
                    place,
                },
                &mut call_counts,
            );
        }
    }

    /// Makes one call, which may go wrong. A fault that is not one of the call's own kind of
    /// trouble leaves `work` undone, but for a lost answer.
    pub(super) async fn call<T>(
        &self,
        made_call: Made<'_>,
        work: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let fault = {
            let mut call_counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            self.write_down(made_call)?;
            self.faults.next(made_call, &mut call_counts)
        };
        let error_of = |kind, what: &str| {
            let about_stage = if made_call.stage.is_empty() {
                String::new()
            } else {
                format!(" for stage.{}", made_call.stage)
            };
            Err(ProviderError::new(
                kind,
                format!("sim: {}{about_stage}: {what}", made_call.call),
            ))
        };
        let Some((fault, delay)) = fault else {
            return work.await;
        };
        match fault {
            Fault::Stockout => error_of(ErrorKind::Stockout, "no capacity of this kind now"),
            Fault::Quota => error_of(ErrorKind::Quota, "the account's limit is reached"),
            Fault::Denied => error_of(ErrorKind::Denied, "no permission"),
            Fault::Throttled => error_of(ErrorKind::Throttled, "too many calls"),
            Fault::Unreachable => error_of(ErrorKind::Unreachable, "no answer"),
            Fault::Fail => error_of(ErrorKind::Other, "internal error"),
            Fault::LostAnswer => {
                let _ = work.await;
                error_of(ErrorKind::Unreachable, "no answer")
            }
            Fault::Slow => {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                work.await
            }
            Fault::Preempt => {
                let of_stage = |record: &MachineRecord| {
                    record.stage == made_call.stage && record.attempt == made_call.attempt
                };
                for record in machine_records::all(&self.root)?
                    .into_iter()
                    .filter(of_stage)
                {
                    self.end(&record, EndReason::Preempted).await?;
                }
                work.await
            }
            Fault::Notice => {
                let of_stage = |record: &MachineRecord| {
                    record.stage == made_call.stage && record.attempt == made_call.attempt
                };
                for mut record in machine_records::all(&self.root)?
                    .into_iter()
                    .filter(of_stage)
                {
                    record.leaves_ms.get_or_insert(now().saturating_add(delay));
                    machine_records::write(&self.root, &record)?;
                }
                work.await
            }
        }
    }

    fn write_down(&self, made_call: Made<'_>) -> Result<(), ProviderError> {
        file::create_private_folders(&self.root)?;
        let path = self.root.join("calls");
        let fail = |error| ProviderError::from(file::named(&path, "append to", error));
        let mut calls = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        let call_line = format!(
            "{}\t{}\t{}\t{}\n",
            made_call.call, made_call.stage, made_call.attempt, made_call.place
        );
        calls.write_all(call_line.as_bytes()).map_err(fail)
    }

    /// The machine of a token, unless it is gone. One whose lease or time is over goes now.
    pub(super) async fn find(&self, token: &str) -> Result<Option<MachineRecord>, ProviderError> {
        let Some(record) = machine_records::read(&self.root, token)? else {
            return Ok(None);
        };
        let leaving_reason = match record.leaves_ms {
            Some(leaves) if leaves <= now() => EndReason::Preempted,
            _ if record.lease_end_ms <= now() => EndReason::Lease,
            _ => return Ok(Some(record)),
        };
        self.end(&record, leaving_reason).await?;
        Ok(None)
    }

    /// Ends a machine: first its processes, then the bill, then the folder.
    pub(super) async fn end(
        &self,
        record: &MachineRecord,
        why: EndReason,
    ) -> Result<(), ProviderError> {
        inside::attempt_processes(
            &machine_records::disk(&self.root, &record.token),
            &record.token,
        )
        .end(Duration::ZERO)
        .await?;
        Ok(machine_records::finish(&self.root, record, why)?)
    }

    pub(super) fn made<'a>(&self, call: &'a str, token: &'a Token, place: &'a str) -> Made<'a> {
        Made {
            call,
            stage: &token.stage,
            attempt: token.attempt,
            place,
        }
    }

    /// Where the machine of a token is, for rules about places.
    pub(super) fn place(&self, token: &Token) -> String {
        let record = machine_records::read(&self.root, &token.id).ok().flatten();
        record
            .and_then(|record| record.place)
            .map(|place| place.to_string())
            .unwrap_or_default()
    }
}
