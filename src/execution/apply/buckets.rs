//! The buckets of an apply: opened and made when they are first needed, deleted when nobody reads
//! them any more.

use super::Error;
use super::attempt::Attempt;
use super::calls::{Patience, patiently};
use super::context::Context;
use super::notice::Notice;
use super::outcome::StageOutcome;
use super::recorder::Recorder;
use super::step_error::{Step, StepError};
use crate::execution::provider::{ErrorKind, ProviderError};
use crate::execution::state::State;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::storage::bucket::{Bucket, BucketError, Purpose, Trouble};
use crate::model::{Destination, PlaceName, bucket_name, pack};
use crate::plan::Plan;
use std::collections::BTreeMap;
use std::time::Duration;

/// Signed addresses are valid for this long, at least.
pub(super) const VALID: Duration = Duration::from_secs(3600);

/// A bucket's trouble as a call's.
pub(super) fn as_call(error: BucketError) -> ProviderError {
    let kind = match error.kind {
        Trouble::Passing => ErrorKind::Unreachable,
        Trouble::Denied => ErrorKind::Denied,
        // A machine that is not found is lost; a bucket is not.
        Trouble::Damaged => ErrorKind::Damaged,
        Trouble::Missing | Trouble::Other => ErrorKind::Other,
    };
    ProviderError::new(kind, error.message)
}

/// The bucket of a place, made if it is not there; none if the place can have none.
pub(super) async fn bucket_of_place(context: &Context, place: &PlaceName) -> Step<Option<Bucket>> {
    let mut open_buckets = context.buckets.open.lock().await;
    if let Some(bucket) = open_buckets.get(place) {
        return Ok(Some(bucket.clone()));
    }
    let (known, fresh) = context.recorder.read(|state| {
        let fresh_address =
            context
                .settings
                .staging
                .address(place, &state.lineage, state.journal_sequence);
        (state.buckets.get(place).cloned(), fresh_address)
    });
    let address = match (known, fresh) {
        (Some(known), _) => known,
        (None, None) => return Ok(None),
        (None, Some(address)) => {
            let event = Event::Bucket {
                place: place.clone(),
                address: address.clone(),
            };
            context.recorder.record(event, Durability::Now).await?;
            address
        }
    };
    let bucket = match Bucket::open(&address, place) {
        Ok(bucket) => bucket,
        Err(error) => return Err(StepError::Attempt(as_call(error))),
    };
    let lineage = &context.owner.lineage;
    let patience = Patience::UntilSignal(context.interrupt.clone());
    let bucket_made = patiently(patience, || async {
        bucket.make(lineage).await.map_err(as_call)
    })
    .await;
    if let Err(error) = bucket_made {
        return Err(StepError::Attempt(error));
    }
    open_buckets.insert(place.clone(), bucket.clone());
    Ok(Some(bucket))
}

/// Makes the bucket of the attempt's place, and tries whether addresses in it can be signed.
pub(super) async fn check_bucket(attempt: &Attempt<'_>) -> Step<()> {
    let bucket = match bucket_of_place(attempt.context, &attempt.stage_offer.place).await? {
        Some(bucket) => bucket,
        None => return Ok(()),
    };
    let keys = [pack::object("trial", 0)];
    let signing = || async {
        bucket
            .sign(Purpose::Write, &keys, VALID)
            .await
            .map_err(as_call)
    };
    patiently(attempt.patience(), signing)
        .await
        .map(drop)
        .map_err(StepError::Attempt)
}

/// Deletes the buckets once all stages are done: nobody reads any more what is in them.
pub(super) async fn delete_buckets_when_done(
    context: &Context,
    outcomes: &BTreeMap<String, StageOutcome>,
) -> Result<(), Error> {
    let is_done =
        |outcome: &StageOutcome| matches!(outcome, StageOutcome::Done | StageOutcome::Unchanged);
    if context.settings.keep_buckets || !outcomes.values().all(is_done) {
        return Ok(());
    }
    let (buckets, kept) = context.recorder.read(|state| {
        (
            state.buckets.clone(),
            outputs_kept_in_place(&context.plan, state),
        )
    });
    for (place, address) in buckets {
        if let Some(outputs) = kept.get(&place) {
            let outputs = outputs.join(", ");
            let message = format!("{outputs} stays at {place}, in {address}, until `sky destroy`");
            context.observer.notice(&Notice::Warning { message });
            continue;
        }
        if let Err(error) = delete_bucket(&context.recorder, &place, &address).await {
            let error = error.of_attempt()?;
            // The next apply and a destroy come back to it.
            let message = format!("the bucket of {place} could not be deleted: {error}");
            context.observer.notice(&Notice::Warning { message });
        }
    }
    Ok(())
}

/// The outputs that stay in their places by the plan, by the place of the bucket that has them.
fn outputs_kept_in_place(plan: &Plan, state: &State) -> BTreeMap<PlaceName, Vec<String>> {
    let mut kept_outputs: BTreeMap<PlaceName, Vec<String>> = BTreeMap::new();
    for stage in &plan.stages {
        for (output, _) in stage
            .outputs
            .iter()
            .filter(|(_, goes)| **goes == Destination::There)
        {
            let name = format!("{}.{output}", stage.name);
            let made_place = state.stages.get(&stage.name).map(|record| &record.place);
            let artifact = state.artifacts.get(&name);
            if let Some(place) = made_place
                .filter(|place| artifact.is_some_and(|held| held.staged.contains_key(*place)))
            {
                kept_outputs.entry(place.clone()).or_default().push(name);
            }
        }
    }
    kept_outputs
}

/// Deletes a bucket of the state.
pub(super) async fn delete_bucket(
    recorder: &Recorder,
    place: &PlaceName,
    address: &str,
) -> Step<()> {
    let fault = recorder.read(|state| bucket_name::fault(address, place, &state.lineage));
    if let Some(fault) = fault {
        let message = format!("{address} is not deleted as the bucket of {place}: {fault}");
        let delete_denied = ProviderError::new(ErrorKind::Denied, message);
        return Err(StepError::Attempt(delete_denied));
    }
    recorder
        .record(
            Event::Unstaging {
                place: place.clone(),
            },
            Durability::Now,
        )
        .await?;
    let deleting = || async {
        Bucket::open(address, place)
            .map_err(as_call)?
            .delete()
            .await
            .map_err(as_call)
    };
    patiently(Patience::Through, deleting)
        .await
        .map_err(StepError::Attempt)?;
    recorder
        .record(
            Event::Unstaged {
                place: place.clone(),
            },
            Durability::Now,
        )
        .await?;
    Ok(())
}
