//! The machine of an attempt: money is set aside for it, then it is found or made.

use super::Error;
use super::attempt::Attempt;
use super::budget::Refused;
use super::calls::patiently;
use super::reservation::reserve;
use crate::execution::provider::{ErrorKind, MachineSpec, ProviderError, Worker};
use crate::execution::state::Status;
use crate::execution::state::event::Call;
use crate::plan::PlannedStage;
use std::time::Duration;
use tokio::time::Instant;

/// Why there is no machine.
pub(super) enum NoMachine {
    Provider(ProviderError),
    Budget(Refused),
}

impl Attempt<'_> {
    /// The machine of this attempt, found or made. From here on its lease is kept.
    pub(super) async fn machine(
        &self,
        planned: &PlannedStage,
    ) -> Result<Result<Box<dyn Worker>, NoMachine>, Error> {
        let mut lease = self.lease;
        if let Some(former) = &self.resumed {
            match patiently(self.patience(), || self.provider.get(&self.token)).await {
                Err(error) => return Ok(Err(NoMachine::Provider(error))),
                Ok(Some(_)) => {
                    self.keeper.begin(lease, true);
                    return self.worker().await;
                }
                // It was there, so something may have come of it: another attempt has to be made.
                // So it has if the call of an earlier `sky` may have made it after all, and its
                // lease has ended it since: it was paid for. By the clock of another host nobody
                // knows whether that has ended.
                Ok(None)
                    if former.status != Status::Provisioning
                        || self.lease.is_zero()
                        || self.unseen.is_some() =>
                {
                    let gone = ProviderError::new(ErrorKind::NotFound, "its machine is gone");
                    return Ok(Err(NoMachine::Provider(gone)));
                }
                Ok(None) => match self.reserve_anew(planned).await? {
                    Ok(given) => lease = given,
                    Err(refused) => return Ok(Err(NoMachine::Budget(refused))),
                },
            }
        }
        let stage_offer = &self.stage_offer;
        let spec = MachineSpec {
            owner: self.context.owner.clone(),
            plan: self.context.plan_digest.clone(),
            lease,
            place: stage_offer.place.clone(),
            instance_type: stage_offer.instance_type.clone(),
            accelerator: stage_offer.accelerator.clone(),
            nodes: planned.nodes,
            purchase: stage_offer.purchase,
            tee: stage_offer.tee,
            rate: self.meter.rate,
            disk: planned.writes.values().copied().sum(),
        };
        let asked = Instant::now();
        // Announced by the attempt itself.
        let created = patiently(self.patience(), || self.provider.create(&self.token, &spec)).await;
        self.context
            .recorder
            .result(&planned.name, &self.token.id, Call::Create, &created)
            .await?;
        match created {
            Ok(_) => {
                self.keeper
                    .begin(lease.saturating_sub(asked.elapsed()), false);
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
    async fn reserve_anew(
        &self,
        planned: &PlannedStage,
    ) -> Result<Result<Duration, Refused>, Error> {
        let meter = (&self.meter, self.provider.as_ref());
        Ok(self
            .context
            .recorder
            .decide(|state| {
                let (given, reserved) = reserve(
                    self.context,
                    planned,
                    &self.stage_offer,
                    meter,
                    state,
                    &self.token,
                )?;
                Ok((given, vec![reserved]))
            })
            .await?)
    }
}
