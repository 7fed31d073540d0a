//! Calls to providers: announced in the journal, made with patience, their results written down.

use super::notice::Interrupt;
use super::recorder::Recorder;
use super::step_error::{Step, StepError};
use crate::execution::provider::{
    ErrorKind, Owner, Provider, ProviderError, RunStatus, Survey, Worker,
};
use crate::execution::state::event::Call;
use crate::util::{crash, simulation, watch};
use backon::{BackoffBuilder, ExponentialBuilder};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a call without an answer is made again by whoever has more to do.
const BRIEFLY: u32 = 3;

/// Whether a call is made again after trouble that passes.
#[derive(Clone, Debug)]
pub(super) enum Patience {
    /// Until a signal comes: the work can be done by a later apply.
    UntilSignal(watch::Receiver<Option<Interrupt>>),
    /// Through signals: what is left undone would go on costing money.
    Through,
    /// Calls are made again for a short time only: there is more to do, and it is told at
    /// the end.
    Briefly,
}

/// Announces a call, makes it, and writes down how it went.
pub(super) async fn call_and_record<T, F: Future<Output = Result<T, ProviderError>>>(
    recorder: &Recorder,
    (stage, token, call): (&str, &str, Call),
    patience: Patience,
    make: impl FnMut() -> F,
) -> Step<T> {
    recorder.announce_call(stage, token, call).await?;
    let result = patiently(patience, make).await;
    recorder.record_result(stage, token, call, &result).await?;
    result.map_err(StepError::Attempt)
}

/// What a provider has of an owner, or of all. What passes is waited out, briefly; what cannot be
/// looked at then is told beside what can.
pub(super) async fn patient_survey(provider: &dyn Provider, owner: Option<&Owner>) -> Survey {
    let newest = Mutex::new(Survey::default());
    let looked = patiently(Patience::Briefly, || async {
        let survey = provider.survey(owner).await;
        let failed = survey
            .failed
            .iter()
            .find(|error| is_passing(error))
            .cloned();
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = survey;
        failed.map_or(Ok(()), Err)
    });
    // Why it failed is in the survey.
    let _ = looked.await;
    newest.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a call may go through later.
pub(super) fn is_passing(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::Throttled | ErrorKind::Unreachable)
}

/// Makes a call that may be made again, and does so when it was throttled or not answered: up to
/// eight times more, over some 20 seconds.
pub(super) async fn patiently<T, F: Future<Output = Result<T, ProviderError>>>(
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
    let mut unanswered = 0;
    loop {
        crash::point("call before");
        let result = make().await;
        crash::point("call after");
        let Some(error) = result.as_ref().err().filter(|error| is_passing(error)) else {
            return result;
        };
        unanswered += u32::from(error.kind == ErrorKind::Unreachable);
        if matches!(patience, Patience::Briefly) && unanswered > BRIEFLY {
            return result;
        }
        let Some(wait) = waits.next() else {
            return result;
        };
        match &mut patience {
            Patience::Through | Patience::Briefly => tokio::time::sleep(wait).await,
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

/// How long a machine may take to answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(30);

/// What a machine says of its command, asked until it answers.
pub(super) async fn status_when_answered(worker: &dyn Worker) -> Result<RunStatus, ProviderError> {
    loop {
        let Ok(answer) = tokio::time::timeout(ANSWER, worker.status()).await else {
            continue;
        };
        match answer {
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(Duration::from_millis(500)).await
            }
            answer => return answer,
        }
    }
}
