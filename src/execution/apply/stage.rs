//! The life of one stage: is it done already, is it still running, or does it need an attempt; and
//! which offer of the plan the next attempt takes.

use super::Error;
use super::abandon::{abandon_attempt, abandon_or_warn, never_begun};
use super::attempt::{Attempt, AttemptPlan};
use super::attempt_endings::{AttemptEnd, PREEMPTED};
use super::budget::Refused;
use super::collected::is_gone;
use super::context::{Context, SIGNAL};
use super::failover::stage_offers;
use super::finished_outputs::has_all_outputs;
use super::held_artifacts::is_whole;
use super::notice::Notice;
use super::offer_search::OfferSearch;
use super::outcome::StageOutcome;
use super::reservation::ReservationError;
use super::stage_inputs::{StageWork, prepare_work};

use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{StageRecord, Status};
use crate::model::ArtifactRef;
use crate::plan::PlannedStage;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Attempts that may go lost in one apply before the stage counts as failed.
const LOSSES: u32 = 3;

/// What came of a stage.
pub(super) enum StageRun {
    Ended(StageOutcome),
    /// What it reads is damaged or lost, and these stages have to make it again before.
    Remake(BTreeSet<String>),
}

impl StageRun {
    /// A signal came before the stage was begun.
    fn not_begun() -> Self {
        Self::Ended(StageOutcome::NotBegun { because: SIGNAL })
    }
}

/// What has become of the attempt that an earlier `sky` made at a stage.
enum FormerAttempt {
    /// It is under way, and is gone on with.
    UnderWay(Box<StageRecord>),
    /// It is over: another attempt has to be made.
    Over,
    /// The stage needs no other attempt, or can have none.
    Ended(StageOutcome),
}

/// Brings a stage whose predecessors are done to its end.
pub(super) async fn run_stage(
    context: &Arc<Context>,
    planned: &PlannedStage,
) -> Result<StageRun, Error> {
    let name = &planned.name;
    let mut interrupt = context.interrupt.clone();
    // What it reads may be large, and is read in whole.
    let prepared = tokio::select! {
        biased;
        prepared = prepare_work(context, planned) => prepared,
        _ = interrupt.wait_for(Option::is_some) => return Ok(StageRun::not_begun()),
    };
    let work = match prepared {
        Ok(work) => work,
        Err(error) => {
            let message = error.to_string();
            record_not_begun(context, planned, Status::Failed, &message).await?;
            let failed_outcome = fail_before_an_attempt(context, name, message);
            return Ok(StageRun::Ended(failed_outcome));
        }
    };
    let former_record = || {
        context
            .recorder
            .read(|state| state.stages.get(name).cloned())
    };
    let status_changed = former_record().is_some_and(|former| former.status == Status::Done);
    let mut resumed = None;
    if let Some(former) = former_record() {
        match settle_former_attempt(context, planned, &work, former).await? {
            FormerAttempt::UnderWay(former) => resumed = Some(*former),
            FormerAttempt::Over => {}
            FormerAttempt::Ended(outcome) => return Ok(StageRun::Ended(outcome)),
        }
    }
    if resumed.is_none() {
        let lost = tokio::select! {
            biased;
            lost = lost_inputs(context, planned) => lost?,
            _ = interrupt.wait_for(Option::is_some) => return Ok(StageRun::not_begun()),
        };
        if !lost.is_empty() {
            return Ok(StageRun::Remake(lost));
        }
    }
    let failures = former_record().map_or(0, |former| failures_before(&former, planned, &work));
    run_attempts(context, planned, &work, resumed, (status_changed, failures)).await
}

/// Finds out whether an attempt of an earlier `sky` has done its work or is still at it; if neither,
/// ends what is left of it.
async fn settle_former_attempt(
    context: &Arc<Context>,
    planned: &PlannedStage,
    work: &StageWork,
    former: StageRecord,
) -> Result<FormerAttempt, Error> {
    let name = &planned.name;
    let same_content = work.content.is_of(&former);
    if former.status == Status::Done && same_content {
        // What stayed in its place so far is brought home, which may take long.
        let complete = tokio::select! {
            biased;
            complete = has_all_outputs(context, planned) => complete?,
            () = context.deadlines.grace_is_over() => {
                return Ok(FormerAttempt::Ended(StageOutcome::NotBegun { because: SIGNAL }));
            }
        };
        if complete {
            if former.live {
                abandon_or_warn(context, name, &former, "done").await?;
            }
            context.observer.notice(&Notice::Unchanged {
                stage: name.clone(),
            });
            return Ok(FormerAttempt::Ended(StageOutcome::Unchanged));
        }
    }
    if !former.live {
        return Ok(FormerAttempt::Over);
    }
    if former.status.in_flight() && same_content && !former.stopping {
        return Ok(FormerAttempt::UnderWay(Box::new(former)));
    }
    let reason_words = if former.stopping {
        // A command that was asked to stop may have exited well with half of its outputs.
        "an earlier sky set out to stop it"
    } else {
        "its command or inputs have changed"
    };
    if let Err(error) = abandon_attempt(context, name, &former, reason_words).await {
        // The attempt before stays live in the state. A second beside it could cost and write as
        // well.
        let error = error.of_attempt()?;
        let message = format!("cannot end its attempt {}: {error}", former.attempt);
        let failed_outcome = fail_before_an_attempt(context, name, message);
        return Ok(FormerAttempt::Ended(failed_outcome));
    }
    Ok(FormerAttempt::Over)
}

/// Tells of a stage that failed before an attempt was made.
fn fail_before_an_attempt(context: &Context, name: &str, message: String) -> StageOutcome {
    let failed_notice = Notice::Failed {
        stage: name.to_owned(),
        message: message.clone(),
        elapsed: Duration::ZERO,
    };
    context.observer.notice(&failed_notice);
    StageOutcome::Failed {
        message,
        tail: Vec::new(),
        log: None,
        used_up: false,
    }
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
        let is_whole_copy = is_whole(context, &format!("`{name}`"), &artifact).await?;
        if !is_whole_copy && artifact.staged.is_empty() && !is_gone(&artifact) {
            lost.insert(stage.clone());
        }
    }
    Ok(lost)
}

/// Makes one attempt after the other, until the stage is done or there is no way left. `changed`:
/// it was done before, with other content; `failures`: how often its command has failed.
async fn run_attempts(
    context: &Arc<Context>,
    planned: &PlannedStage,
    work: &StageWork,
    mut resumed: Option<StageRecord>,
    (changed, mut failures): (bool, u32),
) -> Result<StageRun, Error> {
    let stage_offers = stage_offers(planned);
    let mut offer_search = OfferSearch::new(context, planned, &stage_offers);
    let mut stage_offer = offer_search.first_offer(resumed.as_ref());
    let mut losses = 0;
    loop {
        if context.interrupt.borrow().is_some() {
            return Ok(StageRun::not_begun());
        }
        let attempt_plan = AttemptPlan {
            planned,
            stage_offer,
            work,
            changed,
            failures,
        };
        let begun_attempt = Attempt::begin_or_resume(context, &attempt_plan, resumed.take()).await;
        let attempt = match begun_attempt {
            Ok(attempt) => attempt,
            Err(ReservationError::Refused(refused)) => {
                match offer_search.cheaper_offer(stage_offer, &refused) {
                    Some(cheaper) => stage_offer = cheaper,
                    None => {
                        let denied_outcome = deny_for_budget(context, planned, &refused).await?;
                        return Ok(StageRun::Ended(denied_outcome));
                    }
                }
                continue;
            }
            Err(ReservationError::Apply(error)) => return Err(error),
        };
        match attempt.run_with_lease(planned, work).await? {
            AttemptEnd::Outcome(outcome) => return Ok(StageRun::Ended(outcome)),
            AttemptEnd::InputLost(producer) => {
                return Ok(StageRun::Remake(BTreeSet::from([producer])));
            }
            AttemptEnd::Lost => losses += 1,
            AttemptEnd::Retried => failures += 1,
            AttemptEnd::Unavailable { why, message } => {
                let taken_away = why == PREEMPTED;
                losses += u32::from(taken_away);
                match offer_search.fail_over(stage_offer, why, message).await? {
                    Some(next) => stage_offer = next,
                    // What was taken away may be had again.
                    None if taken_away && losses < LOSSES => {}
                    None => return Ok(StageRun::Ended(offer_search.fail_without_offers())),
                }
            }
        }
        if losses >= LOSSES {
            let message = format!("it was lost {LOSSES} times; the next apply tries again");
            let failed_outcome = fail_before_an_attempt(context, &planned.name, message);
            return Ok(StageRun::Ended(failed_outcome));
        }
    }
}

/// How often the command has failed already in the tries that an earlier `sky` did not bring to
/// their end.
fn failures_before(former: &StageRecord, planned: &PlannedStage, work: &StageWork) -> u32 {
    let same_work = former.fingerprint == work.fingerprint;
    let goes_on = match (former.status, former.exit_code, &planned.retries) {
        (Status::Failed, Some(code), Some(retries)) => retries.allow(code, former.failures),
        (Status::Lost, ..) => true,
        (status, ..) => status.in_flight(),
    };
    // Of an attempt that is gone on with, its own failure is counted when it is seen.
    let own_failure =
        u32::from(former.status.in_flight() && former.exit_code.is_some_and(|code| code != 0));
    if same_work && goes_on {
        former.failures.saturating_sub(own_failure)
    } else {
        0
    }
}

/// Writes down and says that the budget is what is in the way.
async fn deny_for_budget(
    context: &Context,
    planned: &PlannedStage,
    refused: &Refused,
) -> Result<StageOutcome, Error> {
    let message = refused.to_string();
    record_not_begun(context, planned, Status::Skipped, &message).await?;
    context.observer.notice(&Notice::Denied {
        stage: planned.name.clone(),
        message: message.clone(),
    });
    Ok(StageOutcome::Denied { message })
}

async fn record_not_begun(
    context: &Context,
    planned: &PlannedStage,
    status: Status,
    message: &str,
) -> Result<(), Error> {
    let not_begun = Event::NotBegun {
        stage: planned.name.clone(),
        record: never_begun(context, planned, status, message.to_owned())?,
    };
    Ok(context.recorder.record(not_begun, Durability::Now).await?)
}
