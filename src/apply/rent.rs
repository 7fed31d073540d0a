//! The machine of an attempt: money is set aside for it, then it is found or made.

use super::Error;
use super::attempt::Attempt;
use super::budget::{self, Meter, Refused, Wanted};
use super::calls::patiently;
use super::engine::Context;
use super::ladder::Rung;
use super::work;
use crate::model::Money;
use crate::plan::PlannedStage;
use crate::provider::{ErrorKind, MachineSpec, Provider, ProviderError, Token, Worker};
use crate::state::event::{Call, Event};
use crate::state::{State, Status, holder};
use crate::util::clock;
use std::time::Duration;
use tokio::time::Instant;

/// Why there is no machine.
pub(super) enum NoMachine {
    Provider(ProviderError),
    Budget(Refused),
}

impl Attempt<'_> {
    /// The machine of this attempt, found or made. From here on its lease is kept.
    pub(super) async fn machine(&self, planned: &PlannedStage) -> Result<Result<Box<dyn Worker>, NoMachine>, Error> {
        let mut lease = self.lease;
        if let Some(former) = &self.resumed {
            match patiently(self.patience(), || self.provider.get(&self.token)).await {
                Err(error) => return Ok(Err(NoMachine::Provider(error))),
                Ok(Some(_)) => {
                    self.keeper.begin(lease, true);
                    return self.worker().await;
                }
                // It was there, so something may have come of it: another attempt has to be made. So it has if the call
                // of an earlier `sky` may have made it after all, and its lease has ended it since: it was paid for. By the
                // clock of another host nobody knows whether that has ended.
                Ok(None) if former.status != Status::Provisioning || self.lease.is_zero() || self.unseen.is_some() => {
                    let gone = ProviderError::new(ErrorKind::NotFound, "its machine is gone");
                    return Ok(Err(NoMachine::Provider(gone)));
                }
                Ok(None) => match self.reserve_anew(planned).await? {
                    Ok(given) => lease = given,
                    Err(refused) => return Ok(Err(NoMachine::Budget(refused))),
                },
            }
        }
        let rung = &self.rung;
        let spec = MachineSpec {
            owner: self.context.owner.clone(),
            plan: self.context.plan_digest.clone(),
            lease,
            place: rung.place.clone(),
            instance_type: rung.instance_type.clone(),
            accelerator: rung.accelerator.clone(),
            nodes: planned.nodes,
            purchase: rung.purchase,
            tee: rung.tee,
            rate: self.meter.rate,
            disk: planned.writes.values().copied().sum(),
        };
        let asked = Instant::now();
        // Announced by the attempt itself.
        let created = patiently(self.patience(), || self.provider.create(&self.token, &spec)).await;
        self.context.recorder.result(&planned.name, &self.token.id, Call::Create, &created).await?;
        match created {
            Ok(_) => {
                self.keeper.begin(lease.saturating_sub(asked.elapsed()), false);
                self.worker().await
            }
            Err(error) => Ok(Err(NoMachine::Provider(error))),
        }
    }

    async fn worker(&self) -> Result<Result<Box<dyn Worker>, NoMachine>, Error> {
        let mut interrupt = self.context.interrupt.clone();
        let worker = tokio::select! {
            biased;
            worker = patiently(self.patience(), || self.provider.worker(&self.token)) => worker,
            // A machine may take minutes to come up.
            _ = interrupt.wait_for(Option::is_some) => {
                let message = "interrupted before its machine was up";
                Err(ProviderError::new(ErrorKind::Unreachable, message))
            }
        };
        Ok(worker.map_err(NoMachine::Provider))
    }

    /// An earlier `sky` announced a machine that never came to be: its lease begins now.
    async fn reserve_anew(&self, planned: &PlannedStage) -> Result<Result<Duration, Refused>, Error> {
        let meter = (&self.meter, self.provider.as_ref());
        Ok(self
            .context
            .recorder
            .decide(|state| {
                let (given, reserved) = reserve(self.context, planned, &self.rung, meter, state, &self.token)?;
                Ok((given, vec![reserved]))
            })
            .await?)
    }
}

/// Sets money aside for a machine that is to be created: the lease that it is enough for, and what
/// is to be written down.
pub(super) fn reserve(
    context: &Context,
    planned: &PlannedStage,
    rung: &Rung,
    (meter, provider): (&Meter, &dyn Provider),
    state: &State,
    token: &Token,
) -> Result<(Duration, Event), Refused> {
    let (mut once, bills) = (Money(0), provider.bills());
    if bills {
        let copies = work::copies(context, planned, rung, state);
        let outputs = planned.writes.iter().map(|(output, bytes)| (output.as_str(), bytes.0));
        let homeward = work::homeward(context, planned, &rung.place, state, outputs);
        once.0 = copies.iter().chain(&homeward).map(|copy| copy.cost.0).sum::<i64>()
            + usage(rung).0
            + planned.storage_micro_usd.0;
    }
    let most = budget::most(rung.duration, bills);
    let wanted = Wanted { meter: *meter, least: rung.duration, most, once, overrun: provider.overrun() };
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
pub(super) fn usage(rung: &Rung) -> Money {
    rung.usage.map_or(Money(0), |usage| usage.unit.cost(usage.rate_nano_usd_per_unit, usage.quantity))
}
