//! The machine of an attempt: money is set aside for it, then it is found or made.

use super::Error;
use super::attempt::Attempt;
use super::budget::Refused;
use super::calls::patiently;
use super::reservation::{ReservationError, reserve_for_machine};
use crate::execution::provider::{ErrorKind, MachineSpec, ProviderError, Worker};
use crate::execution::state::Status;
use crate::execution::state::event::Call;
use crate::plan::PlannedStage;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Why there is no machine.
pub(super) enum NoMachine {
    /// The provider has none, or it cannot be reached.
    Provider(ProviderError),
    /// The budget does not allow it.
    Budget(Refused),
    /// The state cannot be written: the whole apply ends.
    Apply(Error),
}

impl From<ReservationError> for NoMachine {
    fn from(error: ReservationError) -> Self {
        match error {
            ReservationError::Refused(refused) => Self::Budget(refused),
            ReservationError::Apply(error) => Self::Apply(error),
        }
    }
}

impl From<io::Error> for NoMachine {
    fn from(error: io::Error) -> Self {
        Self::Apply(error.into())
    }
}

impl Attempt<'_> {
    /// The machine of this attempt, found or made. From here on its lease is kept.
    pub(super) async fn find_or_create_machine(
        &self,
        planned: &PlannedStage,
    ) -> Result<Box<dyn Worker>, NoMachine> {
        let mut lease = self.lease;
        if let Some(former) = &self.resumed {
            match patiently(self.patience(), || self.provider.get(&self.token)).await {
                Err(error) => return Err(NoMachine::Provider(error)),
                Ok(Some(_)) => {
                    self.keeper.begin_lease(lease, true);
                    return self.reach_worker().await;
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
                    let machine_gone =
                        ProviderError::new(ErrorKind::NotFound, "its machine is gone");
                    return Err(NoMachine::Provider(machine_gone));
                }
                Ok(None) => lease = self.reserve_anew(planned).await?,
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
        let asked_at = Instant::now();
        // Announced by the attempt itself.
        let created = patiently(self.patience(), || self.provider.create(&self.token, &spec)).await;
        self.context
            .recorder
            .record_result(&planned.name, &self.token.id, Call::Create, &created)
            .await?;
        match created {
            Ok(_) => {
                self.keeper
                    .begin_lease(lease.saturating_sub(asked_at.elapsed()), false);
                self.reach_worker().await
            }
            Err(error) => Err(NoMachine::Provider(error)),
        }
    }

    /// Waits until the inside of the machine can be reached, or a signal comes.
    async fn reach_worker(&self) -> Result<Box<dyn Worker>, NoMachine> {
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
        worker.map_err(NoMachine::Provider)
    }

    /// An earlier `sky` announced a machine that never came to be: its lease begins now.
    async fn reserve_anew(&self, planned: &PlannedStage) -> Result<Duration, ReservationError> {
        let meter = (&self.meter, self.provider.as_ref());
        self.context
            .recorder
            .decide(|state| {
                let (given, reserved) = reserve_for_machine(
                    self.context,
                    planned,
                    &self.stage_offer,
                    meter,
                    state,
                    &self.token,
                )?;
                Ok((given, vec![reserved]))
            })
            .await
    }
}
