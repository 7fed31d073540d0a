//! The life of one stage: is it done already, is it still running, or does it need an attempt; and
//! which offer of the plan the next attempt takes.

use super::Error;
use super::abandon::{abandon, abandon_or_warn, never_begun};
use super::attempt::Attempt;
use super::attempt_life::{Ended, PREEMPTED};
use super::budget::Refused;
use super::collected::is_gone;
use super::context::{Context, SIGNAL};
use super::failover::{self, StageOffer};
use super::held_artifacts::{publish, whole};
use super::notice::Notice;
use super::outcome::StageOutcome;
use super::stage_inputs::{Work, goes_home, homeward, prepare};
use super::staging;
use super::step_error::of_attempt;

use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Artifact, Exhausted, StageRecord, Status};
use crate::model::{ArtifactRef, Millis, Money, PlaceName};
use crate::plan::PlannedStage;
use crate::util::clock;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Attempts that may go lost in one apply before the stage counts as failed.
const LOSSES: u32 = 3;

/// What came of a stage.
pub(super) enum Ran {
    Ended(StageOutcome),
    /// What it reads is damaged or lost, and these stages have to make it again before.
    Remake(BTreeSet<String>),
}

/// Brings a stage whose predecessors are done to its end.
pub(super) async fn run(context: &Arc<Context>, planned: &PlannedStage) -> Result<Ran, Error> {
    let name = &planned.name;
    let mut interrupt = context.interrupt.clone();
    // What it reads may be large, and is read in whole.
    let prepared = tokio::select! {
        biased;
        prepared = prepare(context, planned) => prepared,
        _ = interrupt.wait_for(Option::is_some) => {
            return Ok(Ran::Ended(StageOutcome::NotBegun { because: SIGNAL }));
        }
    };
    let work = match prepared {
        Ok(work) => work,
        Err(error) => {
            let message = error.to_string();
            let record = never_begun(context, planned, Status::Failed, message.clone());
            context
                .recorder
                .record(
                    Event::NotBegun {
                        stage: name.clone(),
                        record,
                    },
                    Durability::Now,
                )
                .await?;
            return Ok(failed_before_it_began(context, name, message));
        }
    };
    let former = || {
        context
            .recorder
            .read(|state| state.stages.get(name).cloned())
    };
    let changed = former().is_some_and(|former| former.status == Status::Done);
    let mut resume = None;
    if let Some(former) = former() {
        let same = work.content.is_of(&former);
        // What stayed in its place so far is brought home, which may take long.
        let complete = async {
            Ok::<bool, Error>(
                former.status == Status::Done && same && complete(context, planned).await?,
            )
        };
        let complete = tokio::select! {
            biased;
            complete = complete => complete?,
            () = context.deadlines.grace_is_over() => {
                return Ok(Ran::Ended(StageOutcome::NotBegun { because: SIGNAL }));
            }
        };
        if complete {
            if former.live {
                abandon_or_warn(context, name, &former, "done").await?;
            }
            context.observer.notice(&Notice::Unchanged {
                stage: name.clone(),
            });
            return Ok(Ran::Ended(StageOutcome::Unchanged));
        }
        if former.live && former.status.in_flight() && same && !former.stopping {
            resume = Some(former);
        } else if former.live {
            // A command that was asked to stop may have exited well with half of its outputs.
            let stopped = "an earlier sky set out to stop it";
            let why = if former.stopping {
                stopped
            } else {
                "its command or inputs have changed"
            };
            if let Err(error) = abandon(context, name, &former, why).await? {
                // The attempt before stays live in the state. A second beside it could cost and
                // write as well.
                let message = format!("cannot end its attempt {}: {error}", former.attempt);
                return Ok(failed_before_it_began(context, name, message));
            }
        }
    }
    if resume.is_none() {
        let lost = tokio::select! {
            biased;
            lost = lost_inputs(context, planned) => lost?,
            _ = interrupt.wait_for(Option::is_some) => {
                return Ok(Ran::Ended(StageOutcome::NotBegun { because: SIGNAL }));
            }
        };
        if !lost.is_empty() {
            return Ok(Ran::Remake(lost));
        }
    }
    let failures = former().map_or(0, |former| failures_before(&former, planned, &work));
    attempts(context, planned, &work, resume, (changed, failures)).await
}

/// Tells of a stage that failed before an attempt was made.
fn failed_before_it_began(context: &Context, name: &str, message: String) -> Ran {
    let failed = Notice::Failed {
        stage: name.to_owned(),
        message: message.clone(),
        elapsed: Duration::ZERO,
    };
    context.observer.notice(&failed);
    Ran::Ended(StageOutcome::Failed {
        message,
        tail: Vec::new(),
        log: None,
        used_up: false,
    })
}

/// Reads what a stage is about to be given from the store. What is damaged is said and discarded;
/// the stages whose outputs can be had from nowhere else.
async fn lost_inputs(
    context: &Arc<Context>,
    planned: &PlannedStage,
) -> Result<BTreeSet<String>, Error> {
    let mut lost = BTreeSet::new();
    for read in &planned.reads {
        let ArtifactRef::Output { stage, .. } = read else {
            continue;
        };
        let name = read.to_string();
        let Some(artifact) = context
            .recorder
            .read(|state| state.artifacts.get(&name).cloned())
        else {
            continue;
        };
        let whole = whole(context, &format!("`{name}`"), &artifact).await?;
        if !whole && artifact.staged.is_empty() && !is_gone(&artifact) {
            lost.insert(stage.clone());
        }
    }
    Ok(lost)
}

/// One attempt after the other, until the stage is done or there is no way left.
async fn attempts(
    context: &Arc<Context>,
    planned: &PlannedStage,
    work: &Work,
    mut resume: Option<StageRecord>,
    (changed, mut failures): (bool, u32),
) -> Result<Ran, Error> {
    let name = &planned.name;
    let stage_offers = failover::stage_offers(planned);
    let number = resume
        .as_ref()
        .and_then(|former| former.rented.as_ref())
        .map_or(0, |rented| rented.alternative);
    let mut stage_offer = stage_offers
        .iter()
        .find(|stage_offer| stage_offer.number == number)
        .unwrap_or(&stage_offers[0]);
    // Why each offer that was looked at is not taken.
    let mut passed: BTreeMap<u32, String> = BTreeMap::new();
    let mut losses = 0;
    loop {
        if context.interrupt.borrow().is_some() {
            return Ok(Ran::Ended(StageOutcome::NotBegun { because: SIGNAL }));
        }
        let begun = Attempt::begin(
            context,
            planned,
            stage_offer,
            work,
            resume.take(),
            (changed, failures),
        )
        .await?;
        let attempt = match begun {
            Ok(attempt) => attempt,
            // A cheaper offer may do, if there is one.
            Err(refused) if stage_offer.number > 0 => {
                passed.insert(stage_offer.number, refused.to_string());
                match next(context, planned, &stage_offers, &mut passed) {
                    Some(next) => stage_offer = next,
                    None => return denied(context, planned, &refused).await.map(Ran::Ended),
                }
                continue;
            }
            Err(refused) => return denied(context, planned, &refused).await.map(Ran::Ended),
        };
        match attempt.run(planned, work).await? {
            Ended::Outcome(outcome) => return Ok(Ran::Ended(outcome)),
            Ended::InputLost(producer) => return Ok(Ran::Remake(BTreeSet::from([producer]))),
            Ended::Lost => losses += 1,
            Ended::Retried => failures += 1,
            Ended::Unavailable { why, message } => {
                let begun = Instant::now();
                let offer = Exhausted {
                    stage: name.clone(),
                    place: stage_offer.place.clone(),
                    instance_type: stage_offer.instance_type.clone(),
                    purchase: stage_offer.purchase,
                    why: why.to_owned(),
                };
                context
                    .recorder
                    .record(Event::Exhausted { offer }, Durability::Later)
                    .await?;
                let taken_away = why == PREEMPTED;
                losses += u32::from(taken_away);
                passed.insert(stage_offer.number, message.clone());
                match next(context, planned, &stage_offers, &mut passed) {
                    Some(next) => {
                        stage_offer = next;
                        let (stage, place) = (name.clone(), stage_offer.place.clone());
                        let instance_type = stage_offer.instance_type.clone();
                        let decided = begun.elapsed();
                        let notice = Notice::FailedOver {
                            stage,
                            why: message,
                            place,
                            instance_type,
                            decided,
                        };
                        context.observer.notice(&notice);
                    }
                    // What was taken away may be had again.
                    None if taken_away && losses < LOSSES => {}
                    None => {
                        return used_up(context, planned, &stage_offers, &passed).map(Ran::Ended);
                    }
                }
            }
        }
        if losses >= LOSSES {
            let message = format!("it was lost {LOSSES} times; the next apply tries again");
            return Ok(failed_before_it_began(context, name, message));
        }
    }
}

/// How often the command has failed already in the tries that an earlier `sky` did not bring to
/// their end.
fn failures_before(former: &StageRecord, planned: &PlannedStage, work: &Work) -> u32 {
    let same = former.fingerprint == work.fingerprint;
    let goes_on = match (former.status, former.exit_code, &planned.retries) {
        (Status::Failed, Some(code), Some(retries)) => retries.allow(code, former.failures),
        (Status::Lost, ..) => true,
        (status, ..) => status.in_flight(),
    };
    // Of an attempt that is gone on with, its own failure is counted when it is seen.
    let own =
        u32::from(former.status.in_flight() && former.exit_code.is_some_and(|code| code != 0));
    if same && goes_on {
        former.failures.saturating_sub(own)
    } else {
        0
    }
}

/// The first offer that was not passed and may be taken now; why others may not is noted.
fn next<'a>(
    context: &Context,
    planned: &PlannedStage,
    stage_offers: &'a [StageOffer],
    passed: &mut BTreeMap<u32, String>,
) -> Option<&'a StageOffer> {
    context.recorder.read(|state| {
        let elapsed = state
            .begun
            .as_deref()
            .map_or(0, |begun| clock::between(begun, &clock::timestamp()));
        stage_offers.iter().find(|stage_offer| {
            if passed.contains_key(&stage_offer.number) {
                return false;
            }
            if let Err(missing) = context.provider(&stage_offer.place.cloud) {
                passed.insert(stage_offer.number, missing);
                return false;
            }
            match failover::fits(&context.plan, state, planned, stage_offer, Millis(elapsed)) {
                Ok(()) => true,
                Err(why) => {
                    passed.insert(stage_offer.number, why.to_string());
                    false
                }
            }
        })
    })
}

/// The budget is what is in the way.
async fn denied(
    context: &Context,
    planned: &PlannedStage,
    refused: &Refused,
) -> Result<StageOutcome, Error> {
    let message = refused.to_string();
    let record = never_begun(context, planned, Status::Skipped, message.clone());
    context
        .recorder
        .record(
            Event::NotBegun {
                stage: planned.name.clone(),
                record,
            },
            Durability::Now,
        )
        .await?;
    context.observer.notice(&Notice::Denied {
        stage: planned.name.clone(),
        message: message.clone(),
    });
    Ok(StageOutcome::Denied { message })
}

/// No offer of the plan is left.
fn used_up(
    context: &Context,
    planned: &PlannedStage,
    stage_offers: &[StageOffer],
    passed: &BTreeMap<u32, String>,
) -> Result<StageOutcome, Error> {
    let tried = stage_offers.iter().filter_map(|stage_offer| {
        let why = passed.get(&stage_offer.number)?;
        Some(format!(
            "{} at {}: {why}",
            stage_offer.instance_type, stage_offer.place
        ))
    });
    let tail: Vec<String> = tried.collect();
    let message = match stage_offers.len() {
        1 => "it is unavailable, and the plan has no alternative".to_owned(),
        _ => "it is unavailable, and so is every alternative of the plan".to_owned(),
    };
    let (stage, elapsed) = (planned.name.clone(), Duration::ZERO);
    context.observer.notice(&Notice::Failed {
        stage,
        message: message.clone(),
        elapsed,
    });
    Ok(StageOutcome::Failed {
        message,
        tail,
        log: None,
        used_up: true,
    })
}

/// Whether all outputs of a stage that is done are in the store, or can be had from elsewhere;
/// those by name are made again.
async fn complete(context: &Arc<Context>, planned: &PlannedStage) -> Result<bool, Error> {
    for output in planned.writes.keys() {
        let name = format!("{}.{output}", planned.name);
        let artifact = context
            .recorder
            .read(|state| state.artifacts.get(&name).cloned());
        let Some(artifact) = artifact else {
            return Ok(false);
        };
        let here = context.objects.has(&artifact.digest, artifact.kind);
        // It stayed in its place so far, or was on its way when an earlier sky ended.
        let brought = !here && goes_home(planned, output) && !artifact.staged.is_empty();
        if brought && let Err(why) = bring(context, planned, output, &artifact).await? {
            let message = format!("output `{name}` stays where it is: {why}");
            context.observer.notice(&Notice::Warning { message });
        }
        let published = context.artifacts.join(&planned.name).join(output).exists();
        let held = context.objects.has(&artifact.digest, artifact.kind)
            && (published || publish(context, &planned.name, output, &artifact).await);
        if !held {
            if staging::to_be_had(context, &name, &artifact).await? {
                continue;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings an output of a stage that is done home, and pays for the way unless that is done; or says
/// why it cannot.
async fn bring(
    context: &Arc<Context>,
    planned: &PlannedStage,
    output: &str,
    artifact: &Artifact,
) -> Result<Result<(), String>, Error> {
    let name = &planned.name;
    let Some(record) = context
        .recorder
        .read(|state| state.stages.get(name).cloned())
    else {
        return Ok(Err("its stage is not in the state".to_owned()));
    };
    if context.open(&record.provider)?.bills() {
        let paid = context.recorder.decide(|state| {
            let copies = homeward(
                context,
                planned,
                &record.place,
                state,
                [(output, artifact.bytes)].into_iter(),
            );
            let cost = copies
                .iter()
                .map(|copy| copy.cost.0)
                .fold(0, i64::saturating_add);
            let account = context.purse().account(name, state);
            let needed = account
                .spent
                .0
                .saturating_add(account.reserved.0)
                .saturating_add(cost);
            if let Some(limit) = account.limit.filter(|limit| cost > 0 && needed > limit.0) {
                return Err(format!(
                    "the budget of {limit} does not allow the {} of its way home",
                    Money(cost)
                ));
            }
            let events = copies.into_iter().map(|copy| Event::Copied {
                stage: name.clone(),
                token: record.token.clone(),
                artifact: copy.artifact,
                to: PlaceName::here(),
                bytes: copy.bytes,
                micro_usd: copy.cost,
            });
            Ok(((), events.collect()))
        });
        if let Err(refused) = paid.await? {
            return Ok(Err(refused));
        }
    }
    let delivered = of_attempt(staging::deliver(context, &format!("{name}.{output}")).await)?;
    Ok(delivered.map_err(|error| error.to_string()))
}
