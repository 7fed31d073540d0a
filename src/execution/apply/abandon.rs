//! Ending attempts that are of no use any more, and the records of stages that were never begun.

use super::Error;
use super::budget::{MachineTime, Meter};
use super::calls::{Patience, call_and_record};
use super::context::Context;
use super::notice::Notice;
use super::step_error::Step;
use crate::execution::provider::{Evidence, Token};
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::standing;
use crate::execution::state::{StageRecord, Status};
use crate::model::{Extras, Money, Rate};
use crate::plan::{Billing, PlannedStage};
use crate::util::clock;

/// Ends an attempt that is of no use any more. An attempt that cannot be ended stays live in the
/// state, so that the next apply and destroy come back to it: that is an error of the attempt.
pub(super) async fn abandon_attempt(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Step<()> {
    let token = Token {
        id: former.token.clone(),
        stage: name.to_owned(),
        attempt: former.attempt,
    };
    let provider = context.open_provider(&former.provider)?;
    let evidence = if former.status == Status::Done {
        Evidence::Drop
    } else {
        Evidence::Keep
    };
    let call_of = (name, token.id.as_str(), Call::Release);
    let machine_end = context.end_of_machine(provider.as_ref(), &token).await;
    call_and_record(&context.recorder, call_of, Patience::Through, || {
        provider.release(&token, evidence)
    })
    .await?;
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
    let time = MachineTime::of(former, machine_end);
    context
        .settle_machine(&token, &meter_of_record(former), &time)
        .await?;
    Ok(())
}

/// Ends an attempt on which nothing else depends: one that cannot be ended is told in a
/// warning.
pub(super) async fn abandon_or_warn(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Result<(), Error> {
    if let Err(error) = abandon_attempt(context, name, former, why).await {
        let error = error.of_attempt()?;
        let message = format!(
            "stage.{name}: cannot clean up: {error}; the next apply or destroy tries it again"
        );
        context.observer.notice(&Notice::Warning { message });
    }
    Ok(())
}

/// What the machine of an attempt costs by its time.
pub(super) fn meter_of_record(record: &StageRecord) -> Meter {
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
) -> Result<Box<StageRecord>, Error> {
    let provider = context.checked.providers.get(&planned.name).cloned();
    let provider = provider
        .ok_or_else(|| Error::Bug(format!("no provider was found for stage.{}", planned.name)))?;
    Ok(Box::new(StageRecord {
        status,
        attempt: 0,
        token: String::new(),
        live: false,
        provider,
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
    }))
}
