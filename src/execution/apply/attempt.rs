//! One attempt at a stage: its machine, its money, and what every part of its life needs.

use super::Error;
use super::budget::{self, MachineTime, Meter};
use super::calls::{Patience, patiently};
use super::context::Context;
use super::failover::StageOffer;
use super::lease_keeper::LeaseKeeper;
use super::notice::Notice;
use super::reservation::{ReservationError, reserve_for_machine};
use super::stage_inputs::StageWork;
use crate::execution::provider::{Content, Evidence, LOCAL, Provider, SIM, Token};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Rented, StageRecord, Status};
use crate::model::{Extras, Millis, Money, Rate};
use crate::plan::PlannedStage;
use crate::util::clock;
use crate::util::interruptible::blocking;
use crate::util::tree::{Links, Measured};
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// One attempt under way.
pub(super) struct Attempt<'a> {
    pub context: &'a Arc<Context>,
    pub provider: Arc<dyn Provider>,
    pub token: Token,
    pub meter: Meter,
    /// From asking for the machines to the end of the stage, as planned.
    pub planned: Millis,
    /// What is paid once and was not yet.
    pub once: Money,
    pub begun: Instant,
    /// When its machine may have begun to cost something, RFC 3339.
    pub(super) started: String,
    /// The longest that its machine was there before this process came to it, if no clock of this
    /// host tells.
    pub unseen: Option<Duration>,
    /// From the beginning on, or what is left of it.
    pub lease: Duration,
    pub stage_offer: StageOffer,
    pub resumed: Option<StageRecord>,
    /// The stage of which an input was found to be lost on the way to the machine.
    pub lost_input: Mutex<Option<String>>,
    /// Whether it was said that progress cannot be brought to safety: once is enough for an
    /// attempt.
    pub(super) warned_of_progress: AtomicBool,
    pub keeper: LeaseKeeper,
    /// How often the command has failed before this attempt, of the times that it may be run again.
    pub(super) failures: u32,
}

/// What an attempt is to be made of.
#[derive(Clone, Copy)]
pub(super) struct AttemptPlan<'p> {
    pub planned: &'p PlannedStage,
    /// The offer of the plan that is taken.
    pub stage_offer: &'p StageOffer,
    pub work: &'p StageWork,
    /// Whether the stage was done before, with other content.
    pub changed: bool,
    /// How often the command has failed before this attempt.
    pub failures: u32,
}

/// What tells an attempt from all others, and how far its machine is paid for.
struct AttemptIdentity {
    token: Token,
    /// When its machine may have begun to cost something, RFC 3339.
    started: String,
    /// From the beginning on, or what is left of it.
    lease: Duration,
}

impl AttemptIdentity {
    /// The identity that an earlier `sky` gave.
    fn of_former(former: &StageRecord, stage: &str) -> Self {
        let now = clock::timestamp();
        // An attempt without a lease has no machine that could still be there.
        let lease_left = former
            .lease_end
            .as_deref()
            .map_or(0, |end| clock::between(&now, end));
        Self {
            token: Token {
                id: former.token.clone(),
                stage: stage.to_owned(),
                attempt: former.attempt,
            },
            started: former.started.clone(),
            lease: Duration::from_millis(lease_left),
        }
    }
}

impl<'a> Attempt<'a> {
    /// Sets money aside and journals a new attempt, or goes on with the one that an earlier `sky`
    /// began.
    pub(super) async fn begin_or_resume(
        context: &'a Arc<Context>,
        attempt_plan: &AttemptPlan<'_>,
        resumed: Option<StageRecord>,
    ) -> Result<Self, ReservationError> {
        let AttemptPlan {
            planned,
            stage_offer,
            ..
        } = *attempt_plan;
        let provider_name = match &resumed {
            Some(former) => former.provider.clone(),
            None => context
                .provider_of_cloud(&stage_offer.place.cloud)
                .map_err(|missing| Error::NotReady(vec![missing.to_string()]))?,
        };
        let provider = context.open_provider(&provider_name)?;
        let bills = provider.bills();
        let meter = meter_of_offer(planned, stage_offer, bills);
        let begun_at = Instant::now();
        let identity = match &resumed {
            Some(former) => {
                context.purse().note_begun(&planned.name);
                AttemptIdentity::of_former(former, &planned.name)
            }
            None => {
                let named_provider = (provider_name.as_str(), provider.as_ref());
                reserve_new_attempt(context, attempt_plan, named_provider, &meter).await?
            }
        };
        context.observer.notice(&Notice::Began {
            stage: planned.name.clone(),
            attempt: identity.token.attempt,
            place: stage_offer.place.clone(),
            resumed: resumed.is_some(),
            changed: attempt_plan.changed,
        });
        Ok(Self {
            context,
            provider,
            token: identity.token,
            meter,
            planned: stage_offer.duration,
            once: if bills {
                planned.storage_micro_usd
            } else {
                Money(0)
            },
            begun: begun_at,
            started: identity.started,
            unseen: resumed.as_ref().and_then(budget::unseen_time),
            lease: identity.lease,
            stage_offer: stage_offer.clone(),
            resumed,
            lost_input: Mutex::default(),
            warned_of_progress: AtomicBool::new(false),
            keeper: LeaseKeeper::default(),
            failures: attempt_plan.failures,
        })
    }

    /// Does what may be left half-way when a signal comes; none: one came.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut interrupt = self.context.interrupt.clone();
        tokio::select! {
            biased;
            _ = interrupt.wait_for(Option::is_some) => None,
            done = work => Some(done),
        }
    }

    /// Whether the provider stands in for the plan's places on this machine.
    pub(super) fn rehearses(&self) -> bool {
        [LOCAL, SIM].contains(&self.provider.name())
    }

    /// Puts what a command wrote into the store.
    pub(super) async fn store_content(
        &self,
        content: Content,
        most_bytes: Option<u64>,
    ) -> io::Result<Measured> {
        let objects = self.context.objects.clone();
        let (path, links) = match content {
            Content::Local(path) => (path, Links::Resolve),
            Content::Stored(path) => (path, Links::Keep),
            Content::Empty | Content::Fetched(_) => {
                return Err(io::Error::other("there is nothing to be taken in"));
            }
        };
        blocking(move |bounds| objects.put_within(&path, links, &bounds.within(most_bytes))).await
    }

    pub(super) fn tell_lost(&self, message: &str) {
        let (stage, attempt) = (self.token.stage.clone(), self.token.attempt);
        self.context.observer.notice(&Notice::Lost {
            stage,
            attempt,
            message: message.to_owned(),
        });
    }

    /// Ends the attempt; whether nothing of it is left.
    pub(super) async fn end_and_release(
        &self,
        status: Status,
        message: &str,
        evidence: Evidence,
    ) -> Result<bool, Error> {
        let (stage, message) = (self.token.stage.clone(), self.context.redact(message));
        self.context
            .recorder
            .record(
                Event::Ended {
                    stage,
                    status,
                    message,
                },
                Durability::Now,
            )
            .await?;
        self.release_machine(evidence).await
    }

    /// Gives the machine back and charges for its time; whether that went well.
    pub(super) async fn release_machine(&self, evidence: Evidence) -> Result<bool, Error> {
        self.keeper.end_lease();
        let machine_end = self
            .context
            .end_of_machine(self.provider.as_ref(), &self.token)
            .await;
        match patiently(Patience::Through, || {
            self.provider.release(&self.token, evidence)
        })
        .await
        {
            Ok(()) => {
                let time = MachineTime {
                    started: &self.started,
                    seen: self.begun.elapsed(),
                    unseen: self.unseen,
                    end: machine_end,
                };
                self.context
                    .settle_machine(&self.token, &self.meter, &time)
                    .await?;
                Ok(true)
            }
            // It stays live in the state: the next apply and destroy come back to it.
            Err(error) => {
                let message = format!("stage.{}: cannot clean up: {error}", self.token.stage);
                self.context.observer.notice(&Notice::Warning { message });
                Ok(false)
            }
        }
    }

    /// The time since its machine may have begun to cost something.
    pub(super) fn machine_age(&self) -> Duration {
        let by_clock = clock::between(&self.started, &clock::timestamp());
        let time_seen = self.begun.elapsed();
        Duration::from_millis(by_clock)
            .max(self.unseen.unwrap_or_default().saturating_add(time_seen))
    }

    pub(super) async fn record_status(&self, status: Status) -> io::Result<()> {
        let stage = self.token.stage.clone();
        self.context
            .recorder
            .record(
                Event::Moved {
                    stage: stage.clone(),
                    status,
                },
                Durability::Later,
            )
            .await?;
        self.context.observer.notice(&Notice::Moved {
            stage,
            attempt: self.token.attempt,
            status,
        });
        Ok(())
    }

    pub(super) fn patience(&self) -> Patience {
        Patience::UntilSignal(self.context.interrupt.clone())
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.context.interrupt.borrow().is_some()
    }
}

/// What the machines of an offer cost by their time, if their provider bills at all.
fn meter_of_offer(planned: &PlannedStage, stage_offer: &StageOffer, bills: bool) -> Meter {
    let (rate, extras) = if bills {
        (stage_offer.rate, stage_offer.extras)
    } else {
        (Rate(0), Extras::default())
    };
    Meter {
        rate,
        extras,
        nodes: planned.nodes,
        billing: stage_offer.billing,
    }
}

/// Sets money aside for a new attempt, and writes both down in one decision.
async fn reserve_new_attempt(
    context: &Context,
    attempt_plan: &AttemptPlan<'_>,
    (provider_name, provider): (&str, &dyn Provider),
    meter: &Meter,
) -> Result<AttemptIdentity, ReservationError> {
    let AttemptPlan {
        planned,
        stage_offer,
        work,
        ..
    } = *attempt_plan;
    let stage = &planned.name;
    let decided = context.recorder.decide(|state| {
        let last_attempt = state.stages.get(stage).map_or(0, |former| former.attempt);
        let token = Token::new(
            &state.lineage,
            &context.plan_digest,
            stage,
            last_attempt + 1,
        );
        let (lease, reserved) = reserve_for_machine(
            context,
            planned,
            stage_offer,
            (meter, provider),
            state,
            &token,
        )?;
        let rented = Rented {
            instance_type: stage_offer.instance_type.clone(),
            purchase: stage_offer.purchase,
            nodes: planned.nodes,
            rate_nano_usd_per_hour: meter.rate,
            extras: meter.extras,
            billing: stage_offer.billing,
            alternative: stage_offer.number,
        };
        let attempt = Event::Attempt {
            stage: stage.clone(),
            attempt: token.attempt,
            token: token.id.clone(),
            provider: provider_name.to_owned(),
            place: stage_offer.place.clone(),
            definition: work.content.definition.clone(),
            fingerprint: work.fingerprint.clone(),
            rented: Some(rented),
            failures: attempt_plan.failures,
        };
        Ok::<_, ReservationError>(((token, lease), vec![attempt, reserved]))
    });
    let (token, lease) = decided.await?;
    Ok(AttemptIdentity {
        token,
        started: clock::timestamp(),
        lease,
    })
}
