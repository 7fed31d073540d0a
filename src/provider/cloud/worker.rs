//! The inside of a cloud's machine. What the shared runner cannot know is asked of the cloud: whether a
//! machine that does not answer is there at all, and who has ended it.

use super::super::runner::RemoteWorker;
use super::super::{
    Content, Delivery, ErrorKind, Fetch, Moved, Parcel, ProviderError, RunStatus, Source, Task, Token, Worker, Written,
};
use super::{Cloud, Life, tag};
use crate::model::PlaceName;
use crate::util::clock;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(super) struct CloudWorker<C> {
    pub inner: RemoteWorker,
    pub cloud: Arc<C>,
    pub token: Token,
    /// Which of a gang it is.
    pub node: u32,
    /// Where its instance is.
    pub place: Option<PlaceName>,
    /// Where its log is when the machine is gone.
    pub kept: PathBuf,
}

impl<C: Cloud> CloudWorker<C> {
    /// Why a machine does not answer: its end, if that is it; else none.
    async fn end(&self) -> Result<Option<RunStatus>, ProviderError> {
        let mut found = self.cloud.find(&self.token.id, self.place.as_ref()).await?;
        found.retain(|instance| tag::node(instance) == self.node);
        found.sort_by_key(|instance| instance.life != Life::Alive);
        let Some(instance) = found.first() else { return Ok(Some(RunStatus::Lost)) };
        let lease_end = instance.tags.get(tag::LEASE_END);
        Ok(match instance.life {
            Life::Alive => None,
            Life::Preempted => Some(RunStatus::Preempted),
            // Nothing but its own watchdog waits for that.
            Life::Stopped | Life::Ended
                if lease_end.is_some_and(|end| clock::between(end, &clock::timestamp()) > 0) =>
            {
                Some(RunStatus::Expired)
            }
            Life::Stopped | Life::Ended => Some(RunStatus::Lost),
        })
    }

    /// Whoever waits for a machine that is gone waits in vain.
    async fn unless_gone<T>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        match result {
            Err(error) if error.kind == ErrorKind::Unreachable => match self.end().await {
                Ok(Some(_)) => {
                    let message = format!("{}: the machine is gone ({})", self.cloud.name(), error.message);
                    Err(ProviderError::new(ErrorKind::NotFound, message))
                }
                _ => Err(error),
            },
            result => result,
        }
    }
}

#[async_trait]
impl<C: Cloud + 'static> Worker for CloudWorker<C> {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.stage_in(task).await).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.start(task).await).await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        match self.inner.status().await {
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::NotFound) => {
                self.end().await?.ok_or(error)
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

    fn stages(&self) -> bool {
        self.inner.stages()
    }

    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        self.unless_gone(self.inner.measure(outputs).await).await
    }

    async fn deliver(&self, source: Source<'_>, delivery: &Delivery) -> Result<Moved, ProviderError> {
        self.unless_gone(self.inner.deliver(source, delivery).await).await
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError> {
        self.unless_gone(self.inner.fetch(fetch).await).await
    }
}
