//! The inside of a job: the shared runner's, but for how a command begins. It does so once its job
//! has, which may be long after [`Worker::start`]. Until then `sky` keeps its secrets, and hands
//! them over when the job asks for them; should another `sky` go on with it, it starts it again for
//! that.

use super::super::runner::{RemoteWorker, is_variable};
use super::super::{Content, ErrorKind, ProviderError, RunStatus, Task, Worker, Written};
use crate::util::secret::Secret;
use crate::util::variables;
use async_trait::async_trait;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Secrets that wait for their jobs, by token.
pub(super) type Waiting = Arc<Mutex<HashMap<String, BTreeMap<String, Secret>>>>;

pub(super) struct JobWorker {
    pub token: String,
    pub inside: RemoteWorker,
    pub waiting: Waiting,
}

impl JobWorker {
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<String, Secret>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn hand_over(&self, secrets: &BTreeMap<String, Secret>) -> Result<(), ProviderError> {
        let arguments: Vec<&str> = secrets
            .iter()
            .flat_map(|(name, secret)| [name.as_str(), secret.reveal()])
            .collect();
        self.inside.lines("hand", &arguments).await?;
        self.waiting().remove(&self.token);
        Ok(())
    }
}

#[async_trait]
impl Worker for JobWorker {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.inside.stage_in(task).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        let values = task
            .environment
            .iter()
            .map(|(name, value)| (name, value.as_str()));
        let secrets = task
            .secrets
            .iter()
            .map(|(name, secret)| (name, secret.reveal()));
        if let Some((name, _)) = values
            .chain(secrets)
            .find(|(name, value)| !is_variable(name) || value.contains('\0'))
        {
            let message = format!(
                "`{}` cannot be a variable of the environment",
                name.escape_debug()
            );
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let sealed = if task.secrets.is_empty() {
            "plain"
        } else {
            "sealed"
        };
        let log_limit = task.log_limit.to_string();
        let mut arguments = vec![
            task.command.as_str(),
            sealed,
            variables::SKY_LOG_LIMIT.name,
            &log_limit,
        ];
        arguments.extend(
            task.environment
                .iter()
                .flat_map(|(name, value)| [name.as_str(), value.as_str()]),
        );
        if !task.secrets.is_empty() {
            self.waiting()
                .insert(self.token.clone(), task.secrets.clone());
        }
        self.inside.lines("start", &arguments).await.map(drop)
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        let look_line = self.inside.line("look").await?;
        if !["sealed", "asking"].contains(&look_line.as_str()) {
            return self.inside.understood(&look_line);
        }
        let Some(secrets) = self.waiting().get(&self.token).cloned() else {
            return Ok(RunStatus::NotStarted);
        };
        if look_line == "asking" {
            self.hand_over(&secrets).await?;
        }
        Ok(RunStatus::Running)
    }

    fn interval(&self) -> Duration {
        self.inside.interval()
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        // Who waits for the first line waits for the secrets, too.
        if self.waiting().contains_key(&self.token) {
            self.status().await?;
        }
        self.inside.log(offset).await
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        self.inside.log_length().await
    }

    fn log_name(&self) -> String {
        self.inside.log_name()
    }

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        self.inside.checkpoint(most_bytes).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        self.inside.stop(grace).await
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.inside.collect(outputs).await
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        self.inside.written().await
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        self.inside.bring_outputs(to, most_bytes).await
    }
}
