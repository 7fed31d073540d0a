//! Money for a machine that is to be created.

use super::Error;
use super::budget::{self, Meter, Refused, Wanted};
use super::context::Context;
use super::failover::StageOffer;
use super::stage_inputs;
use crate::execution::provider::{Provider, Token};
use crate::execution::state::event::Event;
use crate::execution::state::{State, holder};
use crate::model::Money;
use crate::plan::PlannedStage;
use crate::util::clock;
use std::io;
use std::time::Duration;

/// Why no money was set aside.
#[derive(Debug)]
pub(super) enum ReservationError {
    /// The budget does not allow it: what the money was for is not done.
    Refused(Refused),
    /// The state cannot be written, or the provider cannot be used at all: the whole apply ends.
    Apply(Error),
}

impl From<Refused> for ReservationError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for ReservationError {
    fn from(error: Error) -> Self {
        Self::Apply(error)
    }
}

impl From<io::Error> for ReservationError {
    fn from(error: io::Error) -> Self {
        Self::Apply(error.into())
    }
}

/// Sets money aside for a machine that is to be created: the lease that it is enough for, and what
/// is to be written down.
pub(super) fn reserve_for_machine(
    context: &Context,
    planned: &PlannedStage,
    stage_offer: &StageOffer,
    (meter, provider): (&Meter, &dyn Provider),
    state: &State,
    token: &Token,
) -> Result<(Duration, Event), Refused> {
    let (mut once, bills) = (Money(0), provider.bills());
    if bills {
        let transfers = stage_inputs::unpaid_input_transfers(context, planned, stage_offer, state);
        let outputs = planned
            .writes
            .iter()
            .map(|(output, bytes)| (output.as_str(), bytes.0));
        let homeward = stage_inputs::unpaid_home_transfers(
            context,
            planned,
            &stage_offer.place,
            state,
            outputs,
        );
        once.0 = transfers
            .iter()
            .chain(&homeward)
            .map(|transfer| transfer.cost.0)
            .sum::<i64>()
            + service_cost(stage_offer).0
            + planned.storage_micro_usd.0;
    }
    let most = budget::longest_lease(stage_offer.duration, bills);
    let wanted_lease = Wanted {
        meter: *meter,
        least: stage_offer.duration,
        most,
        once,
        overrun: provider.overrun(),
    };
    let reservation = context
        .purse()
        .reserve(&planned.name, state, &wanted_lease)?;
    let lease = Duration::from_millis(reservation.lease.0);
    let reserved = Event::Reserved {
        stage: planned.name.clone(),
        token: token.id.clone(),
        micro_usd: reservation.amount,
        lease_end: clock::after(lease),
        anew: true,
        lease_ms: Some(reservation.lease),
        host: Some(holder::host()),
    };
    Ok((lease, reserved))
}

/// What a service takes for what it is asked.
pub(super) fn service_cost(stage_offer: &StageOffer) -> Money {
    stage_offer.usage.map_or(Money(0), |usage| {
        usage
            .unit
            .cost(usage.rate_nano_usd_per_unit, usage.quantity)
    })
}
