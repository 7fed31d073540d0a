//! Ending attempts that are of no use any more, and the records of stages that were never begun.

use super::Error;
use super::budget::{MachineTime, Meter};
use super::calls::{Patience, call};
use super::context::Context;
use super::notice::Notice;
use crate::execution::provider::{Evidence, ProviderError, Token};
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::standing;
use crate::execution::state::{StageRecord, Status};
use crate::model::{Extras, Money, Rate};
use crate::plan::{Billing, PlannedStage};
use crate::util::clock;

/// Ends an attempt that is of no use any more. An attempt that cannot be ended stays live in the
/// state, so that the next apply and destroy come back to it; the inner error says why.
pub(super) async fn abandon(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Result<Result<(), ProviderError>, Error> {
    let token = Token {
        id: former.token.clone(),
        stage: name.to_owned(),
        attempt: former.attempt,
    };
    let provider = context.open(&former.provider)?;
    let evidence = if former.status == Status::Done {
        Evidence::Drop
    } else {
        Evidence::Keep
    };
    let call_of = (name, token.id.as_str(), Call::Release);
    let end = context.end_of_machine(provider.as_ref(), &token).await;
    let released = call(&context.recorder, call_of, Patience::Through, || {
        provider.release(&token, evidence)
    })
    .await?;
    if let Err(error) = released {
        return Ok(Err(error));
    }
    if former.status.in_flight() {
        let (stage, message) = (name.to_owned(), why.to_owned());
        context
            .recorder
            .record(
                Event::Ended {
                    stage,
                    status: Status::Lost,
                    message,
                },
                Durability::Later,
            )
            .await?;
    }
    let time = MachineTime::of(former, end);
    context.settle(&token, &meter(former), &time).await?;
    Ok(Ok(()))
}

/// Ends an attempt on which nothing else depends: one that cannot be ended is told in a
/// warning.
pub(super) async fn abandon_or_warn(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Result<(), Error> {
    if let Err(error) = abandon(context, name, former, why).await? {
        let message = format!(
            "stage.{name}: cannot clean up: {error}; the next apply or destroy tries it again"
        );
        context.observer.notice(&Notice::Warning { message });
    }
    Ok(())
}

/// What the machine of an attempt costs by its time.
pub(super) fn meter(record: &StageRecord) -> Meter {
    match &record.rented {
        Some(rented) => Meter {
            rate: rented.rate_nano_usd_per_hour,
            extras: rented.extras,
            nodes: rented.nodes,
            billing: rented.billing,
        },
        None => Meter {
            rate: Rate(0),
            extras: Extras::default(),
            nodes: 1,
            billing: Billing::default(),
        },
    }
}

/// The record of a stage of which no attempt was ever made.
pub(super) fn never_begun(
    context: &Context,
    planned: &PlannedStage,
    status: Status,
    message: String,
) -> Box<StageRecord> {
    Box::new(StageRecord {
        status,
        attempt: 0,
        token: String::new(),
        live: false,
        provider: context
            .checked
            .providers
            .get(&planned.name)
            .cloned()
            .unwrap_or_default(),
        place: planned.place.clone(),
        definition: standing::Content::new(planned.into(), |_| None, |_| None).definition,
        fingerprint: String::new(),
        exit_code: None,
        failures: 0,
        stopping: false,
        rented: None,
        lease_end: None,
        lease_ms: None,
        started_host: None,
        reserved_micro_usd: Money(0),
        usage_paid: false,
        spent_micro_usd: Money(0),
        checkpoint: None,
        message: Some(message),
        started: clock::timestamp(),
        ended: None,
    })
}
