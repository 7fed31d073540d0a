//! The asynchronous runtime of verbs that ask providers.

use super::Failure;

/// Starts a runtime with two worker threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built_runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    built_runtime.map_err(|error| Failure::error(format!("cannot start: {error}")))
}
