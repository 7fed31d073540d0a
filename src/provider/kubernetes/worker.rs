//! The inside of a pod. What the shared runner cannot know is asked of the cluster: whether a pod that does
//! not answer is there at all, and who has ended it.

use super::super::runner::RemoteWorker;
use super::super::{Content, ErrorKind, ProviderError, RunStatus, Task, Token, Worker, Written};
use super::machine::Machines;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct PodWorker {
    pub inner: RemoteWorker,
    pub machines: Arc<Machines>,
    pub token: Token,
    /// Where its log is when the pod is gone.
    pub kept: PathBuf,
}

/// What is said when a pod does not answer that may not be there.
fn silent(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::Unreachable | ErrorKind::NotFound)
}

impl PodWorker {
    /// Whoever waits for a pod that is gone waits in vain.
    async fn unless_gone<T>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        match result {
            Err(error) if silent(&error) => match self.machines.fate(&self.token).await {
                Ok(Some(_)) => {
                    let message = format!("kubernetes: the pod is gone ({})", error.message);
                    Err(ProviderError::new(ErrorKind::NotFound, message))
                }
                Err(why) if !silent(&why) => Err(why),
                _ => Err(error),
            },
            result => result,
        }
    }
}

#[async_trait]
impl Worker for PodWorker {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.stage_in(task).await).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.start(task).await).await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        match self.inner.status().await {
            Err(error) if silent(&error) => self.machines.fate(&self.token).await?.ok_or(error),
            status => status,
        }
    }

    fn interval(&self) -> Duration {
        self.inner.interval()
    }

    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError> {
        self.inner.log(offset).await
    }

    async fn log_length(&self) -> Result<u64, ProviderError> {
        self.inner.log_length().await
    }

    fn log_name(&self) -> String {
        self.kept.display().to_string()
    }

    async fn checkpoint(&self, most: u64) -> Result<Option<Content>, ProviderError> {
        self.inner.checkpoint(most).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        match self.unless_gone(self.inner.stop(grace).await).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            stopped => stopped,
        }
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.unless_gone(self.inner.collect(outputs).await).await
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        self.inner.written().await
    }

    async fn bring_outputs(&self, to: &Path, most: u64) -> Result<bool, ProviderError> {
        self.inner.bring_outputs(to, most).await
    }
}
