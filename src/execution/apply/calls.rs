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
    let call_result = patiently(patience, make).await;
    recorder
        .record_result(stage, token, call, &call_result)
        .await?;
    call_result.map_err(StepError::Attempt)
}

/// What a provider has of an owner, or of all. What passes is waited out, briefly; what cannot be
/// looked at then is told beside what can.
pub(super) async fn patient_survey(provider: &dyn Provider, owner: Option<&Owner>) -> Survey {
    let newest = Mutex::new(Survey::default());
    let looked = patiently(Patience::Briefly, || async {
        let survey = provider.survey(owner).await;
        let passing_failure = survey
            .failed
            .iter()
            .find(|error| is_passing(error))
            .cloned();
        *newest.lock().unwrap_or_else(PoisonError::into_inner) = survey;
        passing_failure.map_or(Ok(()), Err)
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
    let pause_builder = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(10))
        .with_max_times(8)
        .with_jitter();
    let pause_builder = match simulation::random() {
        Some(seed) => pause_builder.with_jitter_seed(seed),
        None => pause_builder,
    };
    let mut pauses = pause_builder.build();
    let mut unanswered = 0;
    loop {
        crash::point("call before");
        let call_result = make().await;
        crash::point("call after");
        let Some(error) = call_result.as_ref().err().filter(|error| is_passing(error)) else {
            return call_result;
        };
        unanswered += u32::from(error.kind == ErrorKind::Unreachable);
        if matches!(patience, Patience::Briefly) && unanswered > BRIEFLY {
            return call_result;
        }
        let Some(wait) = pauses.next() else {
            return call_result;
        };
        match &mut patience {
            Patience::Through | Patience::Briefly => tokio::time::sleep(wait).await,
            Patience::UntilSignal(interrupt) => {
                if interrupt.borrow_and_update().is_some() {
                    return call_result;
                }
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(wait) => {}
                    _ = interrupt.changed() => return call_result,
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
