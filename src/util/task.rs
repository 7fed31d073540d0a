//! Work beside the current task. In a simulation it stays on the one thread and a part of its
//! process.

use super::simulation;
use tokio::task::JoinHandle;

/// Spawns a task on the current runtime.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(simulation::inherit(future))
}
