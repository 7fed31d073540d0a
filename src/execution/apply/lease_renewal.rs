//! The lease of an attempt's machine, renewed for as long as the attempt is under way.
//!
//! One future, [`LeaseKeeper::keep_lease`], runs beside everything that the attempt does: while its
//! machine comes up, while inputs are laid out, while the command runs, while outputs are collected
//! or progress is brought home. So no part of an attempt has to think of the lease, and none can
//! forget it.

use super::Error;
use super::attempt::Attempt;
use super::budget::{self, Wanted};
use super::calls::patiently;
use super::lease_keeper::{EARLY, LeaseKeeper};
use super::notice::Notice;
use super::reservation::ReservationError;
use crate::execution::provider::{ErrorKind, LeaseEnd};
use crate::execution::state::event::Event;
use crate::model::Millis;
use crate::util::clock;
use std::time::Duration;
use tokio::time::Instant;

/// By how much a lease has to grow for a renewal to be worth a call.
const WORTH_IT: Duration = Duration::from_secs(1);
/// How long a renewal may be on its way to a machine, at most: it counts from its arrival. So much
/// more than the lease that is asked for is set aside.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

/// What the budget allows of a longer lease.
pub(super) enum LongerLease {
    /// There is money set aside for a lease of this length, from now on.
    Granted(Duration),
    /// The budget does not allow any longer lease.
    Refused,
    /// The machine is given back: it needs no lease any more.
    GivenBack,
}

impl LeaseKeeper {
    /// Renews the lease whenever it is due. Returns only when the journal cannot be written.
    pub(super) async fn keep_lease(&self, attempt: &Attempt<'_>) -> Error {
        loop {
            let renewal_due = self
                .lock()
                .filter(|lease| lease.renewable)
                .map(|lease| lease.due);
            match renewal_due {
                None => self.changed.notified().await,
                Some(due) => tokio::select! {
                    biased;
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(due) => {
                        if let Err(error) = self.renew_lease(attempt).await {
                            return error;
                        }
                    }
                },
            }
        }
    }

    /// Sets money aside for a longer lease, then asks for it. What the budget does not allow is not
    /// asked for: the machine ends itself then.
    pub(super) async fn renew_lease(&self, attempt: &Attempt<'_>) -> Result<(), Error> {
        let Some(lease) = *self.lock() else {
            return Ok(());
        };
        let lease_left = lease.end.saturating_duration_since(Instant::now());
        let stage = &attempt.token.stage;
        if lease_left.saturating_add(WORTH_IT) >= lease_slack(attempt) {
            // It lasts for as long as a renewal would give, as after a resumption: there is time,
            // whatever the budget.
            self.change_lease(|lease| lease.due = lease.end - EARLY.min(lease_left / 4));
            return Ok(());
        }
        let longer = match self.reserve_longer_lease(attempt, lease_left).await? {
            LongerLease::Granted(longer) if longer > lease_left.saturating_add(WORTH_IT) => longer,
            // It is given back: nobody is to come here again for this lease.
            LongerLease::GivenBack => {
                *self.lock() = None;
                return Ok(());
            }
            LongerLease::Granted(_) | LongerLease::Refused => {
                self.change_lease(|lease| lease.renewable = false);
                let message = format!(
                    "stage.{stage}: the budget allows no longer lease: its machine ends in {} s",
                    millis(lease_left).div_ceil(1000)
                );
                attempt
                    .context
                    .observer
                    .notice(&Notice::Warning { message });
                return Ok(());
            }
        };
        let (asked, end) = (Instant::now(), LeaseEnd::after(longer));
        let renewed = patiently(attempt.patience(), || {
            attempt.provider.renew(&attempt.token, end)
        })
        .await;
        match renewed {
            Ok(()) => self.change_lease(|lease| {
                lease.end = end.instant();
                lease.due = lease.end - EARLY.min(longer / 4);
            }),
            // What has become of it is found by whoever uses it.
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.change_lease(|lease| lease.due = asked + EARLY)
            }
            Err(error) => {
                // With half of what is left, so not at once again.
                let retry_pause = lease.end.saturating_duration_since(Instant::now()) / 2;
                self.change_lease(|lease| {
                    lease.due = Instant::now() + retry_pause.max(Duration::from_secs(1))
                });
                if self.lock().is_some() {
                    let message = format!("stage.{stage}: its lease could not be renewed: {error}");
                    attempt
                        .context
                        .observer
                        .notice(&Notice::Warning { message });
                }
            }
        }
        Ok(())
    }

    /// How long a lease there is money for, set aside already with the time that its renewal may be
    /// on its way.
    pub(super) async fn reserve_longer_lease(
        &self,
        attempt: &Attempt<'_>,
        lease_left: Duration,
    ) -> Result<LongerLease, Error> {
        let (age, left) = (millis(attempt.machine_age()), millis(lease_left));
        let (stage, token) = (&attempt.token.stage, &attempt.token.id);
        // Fifteen minutes, the least slack of a lease, have room for it; shorter ones of tests have
        // it in proportion.
        let on_its_way = millis(ON_ITS_WAY.min(lease_slack(attempt) / 15));
        let wanted_lease = Wanted {
            meter: attempt.meter,
            least: Millis(age.saturating_add(left)),
            most: Millis(
                age.saturating_add(millis(lease_slack(attempt)).max(left))
                    .saturating_add(on_its_way),
            ),
            once: attempt.once,
            overrun: attempt.provider.overrun(),
        };
        let decided = attempt.context.recorder.decide(|state| {
            let held_reservation = state
                .stages
                .get(stage)
                .filter(|record| record.live && record.token == *token);
            let Some(held) = held_reservation.filter(|_| self.lock().is_some()) else {
                return Ok((LongerLease::GivenBack, Vec::new()));
            };
            let longer_reservation =
                attempt
                    .context
                    .purse()
                    .reserve(stage, state, &wanted_lease)?;
            let longer = Duration::from_millis(
                longer_reservation
                    .lease
                    .0
                    .saturating_sub(age.saturating_add(on_its_way)),
            );
            if millis(longer) <= left {
                // It stays as it is, and so does what is written down of it.
                return Ok((LongerLease::Granted(longer), Vec::new()));
            }
            let reserved = Event::Reserved {
                stage: stage.clone(),
                token: token.clone(),
                // Never less than what the lease that is running may cost.
                micro_usd: longer_reservation.amount.max(held.reserved_micro_usd),
                lease_end: clock::after(longer),
                anew: false,
                lease_ms: Some(longer_reservation.lease),
                host: None,
            };
            Ok((LongerLease::Granted(longer), vec![reserved]))
        });
        match decided.await {
            Ok(longer) => Ok(longer),
            Err(ReservationError::Refused(_)) => Ok(LongerLease::Refused),
            Err(ReservationError::Apply(error)) => Err(error),
        }
    }
}

/// For how long from then on a lease is renewed.
fn lease_slack(attempt: &Attempt<'_>) -> Duration {
    match attempt.provider.bills() {
        true => budget::lease_slack(attempt.planned),
        false => Duration::from_millis(budget::longest_lease(attempt.planned, false).0),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
