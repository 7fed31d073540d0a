//! One attempt at a stage: its machine, its money, and what every part of its life needs.

use super::Error;
use super::budget::{self, MachineTime, Meter, Refused};
use super::calls::{Patience, patiently};
use super::context::Context;
use super::failover::StageOffer;
use super::lease_keeper::LeaseKeeper;
use super::notice::Notice;
use super::reservation::reserve;
use super::stage_inputs::Work;
use crate::execution::provider::{Content, Evidence, LOCAL, Provider, SIM, Token};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Rented, StageRecord, Status};
use crate::model::{Extras, Millis, Money};
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

impl<'a> Attempt<'a> {
    /// Sets money aside and journals a new attempt, or goes on with the one that an earlier `sky`
    /// began.
    pub(super) async fn begin(
        context: &'a Arc<Context>,
        planned: &PlannedStage,
        stage_offer: &StageOffer,
        work: &Work,
        resumed: Option<StageRecord>,
        (changed, failures): (bool, u32),
    ) -> Result<Result<Self, Refused>, Error> {
        let stage = planned.name.clone();
        let name = match &resumed {
            Some(former) => former.provider.clone(),
            None => context
                .provider(&stage_offer.place.cloud)
                .map_err(|missing| Error::NotReady(vec![missing]))?,
        };
        let provider = context.open(&name)?;
        let free = if provider.bills() { 1 } else { 0 };
        let rate = crate::model::Rate(stage_offer.rate.0 * free);
        let extras = if provider.bills() {
            stage_offer.extras
        } else {
            Extras::default()
        };
        let meter = Meter {
            rate,
            extras,
            nodes: planned.nodes,
            billing: stage_offer.billing,
        };
        let storage = Money(planned.storage_micro_usd.0 * free);
        let begun = Instant::now();
        let attempt =
            |token: Token, started: String, lease: Duration, resumed: Option<StageRecord>| Self {
                context,
                provider: provider.clone(),
                token,
                meter,
                planned: stage_offer.duration,
                once: storage,
                begun,
                started,
                unseen: resumed.as_ref().and_then(budget::unseen),
                lease,
                stage_offer: stage_offer.clone(),
                resumed,
                lost_input: Mutex::default(),
                warned_of_progress: AtomicBool::new(false),
                keeper: LeaseKeeper::default(),
                failures,
            };
        let tell = |attempt: u32, resumed: bool| {
            let place = stage_offer.place.clone();
            context.observer.notice(&Notice::Began {
                stage: stage.clone(),
                attempt,
                place,
                resumed,
                changed,
            });
        };
        if let Some(former) = resumed {
            let token = Token {
                id: former.token.clone(),
                stage: stage.clone(),
                attempt: former.attempt,
            };
            let now = clock::timestamp();
            let left = former
                .lease_end
                .as_deref()
                .map_or(0, |end| clock::between(&now, end));
            context.purse().begin(&stage);
            tell(former.attempt, true);
            return Ok(Ok(attempt(
                token,
                former.started.clone(),
                Duration::from_millis(left),
                Some(former),
            )));
        }
        let reserved = context
            .recorder
            .decide(|state| {
                let last = state.stages.get(&stage).map_or(0, |former| former.attempt);
                let token = Token::new(&state.lineage, &context.plan_digest, &stage, last + 1);
                let rented = Rented {
                    instance_type: stage_offer.instance_type.clone(),
                    purchase: stage_offer.purchase,
                    nodes: planned.nodes,
                    rate_nano_usd_per_hour: rate,
                    extras,
                    billing: stage_offer.billing,
                    alternative: stage_offer.number,
                };
                let (given, reserved) = reserve(
                    context,
                    planned,
                    stage_offer,
                    (&meter, provider.as_ref()),
                    state,
                    &token,
                )?;
                let attempt = Event::Attempt {
                    stage: stage.clone(),
                    attempt: token.attempt,
                    token: token.id.clone(),
                    provider: name.clone(),
                    place: stage_offer.place.clone(),
                    definition: work.content.definition.clone(),
                    fingerprint: work.fingerprint.clone(),
                    rented: Some(rented),
                    failures,
                };
                Ok(((token, given), vec![attempt, reserved]))
            })
            .await?;
        let (token, lease) = match reserved {
            Ok(reserved) => reserved,
            Err(refused) => return Ok(Err(refused)),
        };
        tell(token.attempt, false);
        Ok(Ok(attempt(token, clock::timestamp(), lease, None)))
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
    pub(super) async fn take_in(
        &self,
        content: Content,
        most: Option<u64>,
    ) -> io::Result<Measured> {
        let objects = self.context.objects.clone();
        let (path, links) = match content {
            Content::Local(path) => (path, Links::Resolve),
            Content::Stored(path) => (path, Links::Keep),
            Content::Empty | Content::Fetched(_) => {
                return Err(io::Error::other("there is nothing to be taken in"));
            }
        };
        blocking(move |bounds| objects.put_within(&path, links, &bounds.within(most))).await
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
    pub(super) async fn finish(
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
        self.release(evidence).await
    }

    /// Gives the machine back and charges for its time; whether that went well.
    pub(super) async fn release(&self, evidence: Evidence) -> Result<bool, Error> {
        self.keeper.end();
        let end = self
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
                    end,
                };
                self.context.settle(&self.token, &self.meter, &time).await?;
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
    pub(super) fn age(&self) -> Duration {
        let by_clock = clock::between(&self.started, &clock::timestamp());
        let seen = self.begun.elapsed();
        Duration::from_millis(by_clock).max(self.unseen.unwrap_or_default().saturating_add(seen))
    }

    pub(super) async fn moved(&self, status: Status) -> io::Result<()> {
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

    pub(super) fn interrupted(&self) -> bool {
        self.context.interrupt.borrow().is_some()
    }
}
