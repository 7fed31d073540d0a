//! Work beside the current task. In a simulation it stays on the one thread and a part of its process.

use super::simulation;
use std::io;
use tokio::task::JoinHandle;

/// Spawns a task on the current runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(simulation::inherit(future))
}

/// Runs file work off the event loop.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    if simulation::is_on() {
        return work();
    }
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
