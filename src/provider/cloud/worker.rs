//! The inside of a cloud's machine. What the shared runner cannot know is asked of the cloud: whether a
//! machine that does not answer is there at all, and who has ended it.

use super::super::runner::RemoteWorker;
use super::super::{Content, ErrorKind, ProviderError, RunStatus, Task, Token, Worker};
use super::{Cloud, Life};
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;

pub(super) struct CloudWorker<C> {
    pub inner: RemoteWorker,
    pub cloud: Arc<C>,
    pub token: Token,
}

impl<C: Cloud> CloudWorker<C> {
    /// Why a machine does not answer: its end, if that is it; else none.
    async fn end(&self) -> Result<Option<RunStatus>, ProviderError> {
        let found = self.cloud.find(Some(&self.token.id)).await?;
        Ok(match found.iter().map(|instance| instance.life).min_by_key(|life| *life != Life::Alive) {
            Some(Life::Alive) => None,
            Some(Life::Preempted) => Some(RunStatus::Preempted),
            Some(Life::Ended) | None => Some(RunStatus::Lost),
        })
    }
}

#[async_trait]
impl<C: Cloud + 'static> Worker for CloudWorker<C> {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.inner.stage_in(task).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        self.inner.start(task).await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        match self.inner.status().await {
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::NotFound) => {
                self.end().await?.map_or(Err(error), Ok)
            }
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
        self.inner.log_name()
    }

    async fn checkpoint(&self) -> Result<Option<Content>, ProviderError> {
        self.inner.checkpoint().await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        self.inner.stop(grace).await
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.inner.collect(outputs).await
    }
}
