//! The inside of a simulated machine: that of the provider `local`, for as long as the machine is
//! there.

use super::super::local::worker::LocalWorker;
use super::super::{Content, ErrorKind, ProviderError, RunStatus, Task, Token, Worker, Written};
use super::calls::Sim;
use super::faults::Made;
use super::machine_records::{self, EndReason};
use async_trait::async_trait;
use std::path::Path;
use std::time::Duration;

pub(super) struct SimWorker {
    sim: Sim,
    token: Token,
    place: String,
    inside: LocalWorker,
}

/// The error of a machine that is not there.
pub(super) fn gone(token: &Token) -> ProviderError {
    let message = format!(
        "sim: the machine of attempt {} of stage.{} is gone",
        token.attempt, token.stage
    );
    ProviderError::new(ErrorKind::NotFound, message)
}

impl SimWorker {
    pub(super) fn new(sim: Sim, token: Token) -> Self {
        let place = sim.place(&token);
        let working_folder = machine_records::working_folder(&sim.root, &token.id);
        let inner_worker = LocalWorker::new(
            machine_records::disk(&sim.root, &token.id),
            working_folder,
            token.clone(),
        );
        Self {
            sim,
            token,
            place,
            inside: inner_worker,
        }
    }

    async fn call<T>(
        &self,
        call: &str,
        work: impl Future<Output = Result<T, ProviderError>> + Send,
    ) -> Result<T, ProviderError> {
        let call_made = Made {
            call,
            stage: &self.token.stage,
            attempt: self.token.attempt,
            place: &self.place,
        };
        let work = async {
            if self.sim.find(&self.token.id).await?.is_none() {
                return Err(gone(&self.token));
            }
            work.await
        };
        self.sim.call(call_made, work).await
    }
}

#[async_trait]
impl Worker for SimWorker {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.call("stage-in", self.inside.stage_in(task)).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        self.call("start", self.inside.start(task)).await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        match self.call("status", self.inside.status()).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(
                match machine_records::end_of(&self.sim.root, &self.token.id)? {
                    Some(EndReason::Preempted) => RunStatus::Preempted,
                    Some(EndReason::Lease) => RunStatus::Expired,
                    _ => RunStatus::Lost,
                },
            ),
            Ok(RunStatus::Running) => Ok(
                match machine_records::read(&self.sim.root, &self.token.id)?
                    .and_then(|record| record.leaves_ms)
                {
                    Some(leaves) => RunStatus::Leaving(Duration::from_millis(
                        leaves.saturating_sub(machine_records::now()),
                    )),
                    None => RunStatus::Running,
                },
            ),
            other => other,
        }
    }

    fn interval(&self) -> Duration {
        self.inside.interval()
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        self.inside.log(offset).await
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        self.inside.log_length().await
    }

    fn log_name(&self) -> String {
        self.inside.log_name()
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        self.call("stop", self.inside.stop(grace)).await
    }

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        self.call("checkpoint", self.inside.checkpoint(most_bytes))
            .await
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.call("collect", self.inside.collect(outputs)).await
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        self.inside.written().await
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        self.inside.bring_outputs(to, most_bytes).await
    }
}
