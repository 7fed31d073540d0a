//! The inside of a machine that may vanish: one that a cloud or a cluster ends, and that then
//! answers no more. What the runner cannot know is asked of whoever runs the machine.

use super::super::{
    Content, Delivery, ErrorKind, Fetch, Moved, Parcel, ProviderError, RunStatus, Source, Staging,
    Task, Worker, Written, ended_or_gone,
};
use super::worker::RemoteWorker;
use async_trait::async_trait;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What has become of a machine, by whoever runs it.
#[async_trait]
pub(in crate::execution::provider) trait MachineFate:
    Send + Sync
{
    /// Why a machine does not answer: its end, if that is it; else none.
    async fn fate(&self) -> Result<Option<RunStatus>, ProviderError>;

    /// The error of a call that has failed with this one. Whoever waits for a machine that is gone
    /// waits in vain: that is an error of kind [`ErrorKind::NotFound`].
    async fn explain(&self, error: ProviderError) -> ProviderError;

    /// Whether such machines send and fetch data by buckets.
    fn uses_buckets(&self) -> bool;
}

/// One attempt on a machine that may vanish.
pub(in crate::execution::provider) struct VanishingWorker<F> {
    pub inner: RemoteWorker,
    pub fate: F,
    /// The place of the log when the machine is gone.
    pub kept: PathBuf,
}

impl<F: MachineFate> VanishingWorker<F> {
    async fn unless_gone<T>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        match result {
            Err(error) => Err(self.fate.explain(error).await),
            result => result,
        }
    }
}

#[async_trait]
impl<F: MachineFate> Worker for VanishingWorker<F> {
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.stage_in(task).await).await
    }

    async fn start(&self, task: &Task) -> Result<(), ProviderError> {
        self.unless_gone(self.inner.start(task).await).await
    }

    async fn status(&self) -> Result<RunStatus, ProviderError> {
        match self.inner.status().await {
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::NotFound) => {
                self.fate.fate().await?.ok_or(error)
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

    async fn checkpoint(&self, most_bytes: u64) -> Result<Option<Content>, ProviderError> {
        self.inner.checkpoint(most_bytes).await
    }

    async fn stop(&self, grace: Duration) -> Result<(), ProviderError> {
        ended_or_gone(self.unless_gone(self.inner.stop(grace).await).await)
    }

    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError> {
        self.unless_gone(self.inner.collect(outputs).await).await
    }

    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        self.inner.written().await
    }

    async fn bring_outputs(&self, to: &Path, most_bytes: u64) -> Result<bool, ProviderError> {
        self.inner.bring_outputs(to, most_bytes).await
    }

    fn staging(&self) -> Option<&dyn Staging> {
        self.inner
            .staging()
            .filter(|_| self.fate.uses_buckets())
            .map(|_| self as &dyn Staging)
    }
}

#[async_trait]
impl<F: MachineFate> Staging for VanishingWorker<F> {
    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        self.unless_gone(self.inner.measure(outputs).await).await
    }

    async fn deliver(
        &self,
        source: Source<'_>,
        delivery: &Delivery,
    ) -> Result<Moved, ProviderError> {
        self.unless_gone(self.inner.deliver(source, delivery).await)
            .await
    }

    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError> {
        self.unless_gone(self.inner.fetch(fetch).await).await
    }
}
