//! Money for a machine that is to be created.

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
use std::time::Duration;

/// Sets money aside for a machine that is to be created: the lease that it is enough for, and what
/// is to be written down.
pub(super) fn reserve(
    context: &Context,
    planned: &PlannedStage,
    stage_offer: &StageOffer,
    (meter, provider): (&Meter, &dyn Provider),
    state: &State,
    token: &Token,
) -> Result<(Duration, Event), Refused> {
    let (mut once, bills) = (Money(0), provider.bills());
    if bills {
        let copies = stage_inputs::copies(context, planned, stage_offer, state);
        let outputs = planned
            .writes
            .iter()
            .map(|(output, bytes)| (output.as_str(), bytes.0));
        let homeward = stage_inputs::homeward(context, planned, &stage_offer.place, state, outputs);
        once.0 = copies
            .iter()
            .chain(&homeward)
            .map(|copy| copy.cost.0)
            .sum::<i64>()
            + usage(stage_offer).0
            + planned.storage_micro_usd.0;
    }
    let most = budget::most(stage_offer.duration, bills);
    let wanted = Wanted {
        meter: *meter,
        least: stage_offer.duration,
        most,
        once,
        overrun: provider.overrun(),
    };
    let given = context.purse().reserve(&planned.name, state, &wanted)?;
    let lease = Duration::from_millis(given.lease.0);
    let reserved = Event::Reserved {
        stage: planned.name.clone(),
        token: token.id.clone(),
        micro_usd: given.amount,
        lease_end: clock::after(lease),
        anew: true,
        lease_ms: Some(given.lease),
        host: Some(holder::host()),
    };
    Ok((lease, reserved))
}

/// What a service takes for what it is asked.
pub(super) fn usage(stage_offer: &StageOffer) -> Money {
    stage_offer.usage.map_or(Money(0), |usage| {
        usage
            .unit
            .cost(usage.rate_nano_usd_per_unit, usage.quantity)
    })
}
