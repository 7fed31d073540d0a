//! Calls to providers: announced in the journal, made with patience, their results written down.

use super::notice::Interrupt;
use super::record::Recorder;
use crate::provider::{ErrorKind, ProviderError};
use crate::state::event::Call;
use crate::util::{crash, simulation, watch};
use backon::{BackoffBuilder, ExponentialBuilder};
use std::io;
use std::time::Duration;

/// Whether a call is made again after trouble that passes.
#[derive(Clone, Debug)]
pub enum Patience {
    /// Until a signal comes: the work can be done by a later apply.
    UntilSignal(watch::Receiver<Option<Interrupt>>),
    /// Through signals: what is left undone would go on costing money.
    Through,
}

/// Announces a call, makes it, and writes down how it went.
pub async fn call<T, F: Future<Output = Result<T, ProviderError>>>(
    recorder: &Recorder,
    (stage, token, call): (&str, &str, Call),
    patience: Patience,
    make: impl FnMut() -> F,
) -> io::Result<Result<T, ProviderError>> {
    recorder.intend(stage, token, call).await?;
    let result = patiently(patience, make).await;
    recorder.result(stage, token, call, &result).await?;
    Ok(result)
}

/// Makes a call that may be made again, and does so when it was throttled or not answered: up to
/// eight times more, over some 20 seconds.
pub async fn patiently<T, F: Future<Output = Result<T, ProviderError>>>(
    mut patience: Patience,
    mut make: impl FnMut() -> F,
) -> Result<T, ProviderError> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(8)
        .with_jitter();
    let waits = match simulation::random() {
        Some(seed) => waits.with_jitter_seed(seed),
        None => waits,
    };
    let mut waits = waits.build();
    loop {
        crash::point("call before");
        let result = make().await;
        crash::point("call after");
        let passes = |error: &ProviderError| matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unreachable);
        let Some(wait) = result.as_ref().err().filter(|error| passes(error)).and_then(|_| waits.next()) else {
            return result;
        };
        match &mut patience {
            Patience::Through => tokio::time::sleep(wait).await,
            Patience::UntilSignal(interrupt) => {
                if interrupt.borrow_and_update().is_some() {
                    return result;
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(wait) => {}
                    _ = interrupt.changed() => return result,
                }
            }
        }
    }
}
