//! Which offer of a stage the next attempt takes, once another was passed.

use super::Error;
use super::budget::Refused;
use super::context::Context;
use super::failover::{self, StageOffer};
use super::notice::Notice;
use super::outcome::StageOutcome;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Exhausted, StageRecord};
use crate::model::Millis;
use crate::plan::PlannedStage;
use crate::util::clock;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The offers of a stage, and why those that were looked at are not taken.
pub(super) struct OfferSearch<'a> {
    context: &'a Context,
    planned: &'a PlannedStage,
    stage_offers: &'a [StageOffer],
    /// By the number of the offer.
    passed: BTreeMap<u32, String>,
}

impl<'a> OfferSearch<'a> {
    /// Begins with all offers of a stage; there is at least the planned one.
    pub(super) fn new(
        context: &'a Context,
        planned: &'a PlannedStage,
        stage_offers: &'a [StageOffer],
    ) -> Self {
        Self {
            context,
            planned,
            stage_offers,
            passed: BTreeMap::new(),
        }
    }

    /// The offer that an attempt under way has taken, or else the planned one.
    pub(super) fn first_offer(&self, resumed: Option<&StageRecord>) -> &'a StageOffer {
        let offer_number = resumed
            .and_then(|former| former.rented.as_ref())
            .map_or(0, |rented| rented.alternative);
        self.stage_offers
            .iter()
            .find(|stage_offer| stage_offer.number == offer_number)
            .unwrap_or(&self.stage_offers[0])
    }

    /// Passes an alternative that the budget does not allow, for a cheaper one. The planned offer is
    /// not passed for the budget's sake.
    pub(super) fn cheaper_offer(
        &mut self,
        refused_offer: &StageOffer,
        refused: &Refused,
    ) -> Option<&'a StageOffer> {
        if refused_offer.number == 0 {
            return None;
        }
        self.passed
            .insert(refused_offer.number, refused.to_string());
        self.next_offer()
    }

    /// Writes down that an offer is unavailable, and takes the next one that fits.
    pub(super) async fn fail_over(
        &mut self,
        unavailable: &StageOffer,
        why: &str,
        message: String,
    ) -> Result<Option<&'a StageOffer>, Error> {
        let search_begun = Instant::now();
        let offer = Exhausted {
            stage: self.planned.name.clone(),
            place: unavailable.place.clone(),
            instance_type: unavailable.instance_type.clone(),
            purchase: unavailable.purchase,
            why: why.to_owned(),
        };
        self.context
            .recorder
            .record(Event::Exhausted { offer }, Durability::Later)
            .await?;
        self.passed.insert(unavailable.number, message.clone());
        let next_offer = self.next_offer();
        if let Some(next) = next_offer {
            self.context.observer.notice(&Notice::FailedOver {
                stage: self.planned.name.clone(),
                why: message,
                place: next.place.clone(),
                instance_type: next.instance_type.clone(),
                decided: search_begun.elapsed(),
            });
        }
        Ok(next_offer)
    }

    /// The first offer that was not passed and may be taken now; why others may not is noted.
    fn next_offer(&mut self) -> Option<&'a StageOffer> {
        let (context, planned, stage_offers) = (self.context, self.planned, self.stage_offers);
        let passed_offers = &mut self.passed;
        context.recorder.read(|state| {
            // A job that has not begun has taken no time.
            let elapsed = state
                .begun
                .as_deref()
                .map_or(0, |begun| clock::between(begun, &clock::timestamp()));
            stage_offers.iter().find(|stage_offer| {
                if passed_offers.contains_key(&stage_offer.number) {
                    return false;
                }
                if let Err(missing) = context.provider_of_cloud(&stage_offer.place.cloud) {
                    passed_offers.insert(stage_offer.number, missing.to_string());
                    return false;
                }
                let elapsed = Millis(elapsed);
                match failover::check_offer(&context.plan, state, planned, stage_offer, elapsed) {
                    Ok(()) => true,
                    Err(why) => {
                        passed_offers.insert(stage_offer.number, why.to_string());
                        false
                    }
                }
            })
        })
    }

    /// Says that no offer of the plan is left.
    pub(super) fn fail_without_offers(&self) -> StageOutcome {
        let tried_offers = self.stage_offers.iter().filter_map(|stage_offer| {
            let passed_because = self.passed.get(&stage_offer.number)?;
            Some(format!(
                "{} at {}: {passed_because}",
                stage_offer.instance_type, stage_offer.place
            ))
        });
        let message = match self.stage_offers.len() {
            1 => "it is unavailable, and the plan has no alternative",
            _ => "it is unavailable, and so is every alternative of the plan",
        };
        self.context.observer.notice(&Notice::Failed {
            stage: self.planned.name.clone(),
            message: message.to_owned(),
            elapsed: Duration::ZERO,
        });
        StageOutcome::Failed {
            message: message.to_owned(),
            tail: tried_offers.collect(),
            log: None,
            used_up: true,
        }
    }
}
