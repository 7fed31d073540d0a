//! What the inside of a machine does: see the contract at the head of [`provider`](super).

use super::{Content, ProviderError, Staging, Task, Written};
use async_trait::async_trait;
use std::path::Path;
use std::time::Duration;

/// How a command is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// The command was never started.
    NotStarted,
    /// The command runs.
    Running,
    /// The command runs, and the provider has said that it takes the machine away in so long.
    Leaving(Duration),
    /// The command ended with this exit code; 128 + N: by signal N.
    Exited(i32),
    /// The command was started, is gone, and nobody knows how it ended.
    Lost,
    /// The provider took the machine away before the command ended, as it may with spot machines.
    Preempted,
    /// The lease ended before the command did, and the machine ended it.
    Expired,
}

/// The inside of one machine.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Lays out inputs and files; what an earlier, interrupted call left is replaced. The call is
    /// made only before the start.
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError>;

    /// Starts the command, detached from this process; does nothing if the command was ever
    /// started.
    async fn start(&self, task: &Task) -> Result<(), ProviderError>;

    /// How the command is doing.
    async fn status(&self) -> Result<RunStatus, ProviderError>;

    /// How long to wait between two looks at the status.
    fn interval(&self) -> Duration;

    /// What the command has written to its log from byte `offset` on, up to some limit; empty:
    /// there is no more for now.
    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError>;

    /// The log's length so far, in bytes.
    async fn log_length(&self) -> Result<u64, ProviderError>;

    /// The place where people find the log.
    fn log_name(&self) -> String;

    /// The command's progress so far, as it may be given to another attempt: a directory with what
    /// is complete in `$SKY_CHECKPOINT`, that is all but names that begin with a dot or end in
    /// `.tmp`; none if there is nothing yet. More bytes than `most` are an error of kind
    /// [`ErrorKind::Output`](super::ErrorKind::Output).
    async fn checkpoint(&self, most: u64) -> Result<Option<Content>, ProviderError>;

    /// Ends the command and all that it started: asks first, and after `grace` ends it by force.
    async fn stop(&self, grace: Duration) -> Result<(), ProviderError>;

    /// What a command that exited well wrote, in the order of `outputs`. An output that is missing
    /// is an error of kind [`ErrorKind::Output`](super::ErrorKind::Output). Nothing is changed:
    /// collecting again gives the same.
    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError>;

    /// What the command has left in `$SKY_OUTPUTS` so far, by name; the list is empty also if the
    /// machine cannot say.
    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        Ok(Vec::new())
    }

    /// Lays all that the command has left in `$SKY_OUTPUTS` out in the folder `to`, which must not
    /// exist, whatever its names; tells whether there was anything. More bytes than `most` are an
    /// error of kind [`ErrorKind::Output`](super::ErrorKind::Output).
    async fn bring_outputs(&self, _to: &Path, _most: u64) -> Result<bool, ProviderError> {
        Ok(false)
    }

    /// How many machines the worker stands for: those of a gang, or one.
    fn nodes(&self) -> usize {
        1
    }

    /// What the worker does with buckets; none: it cannot use them, and all data goes through this
    /// machine.
    fn staging(&self) -> Option<&dyn Staging> {
        None
    }
}
