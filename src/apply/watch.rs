//! Staying with a command until its end: its log is told, its lease renewed, its progress brought
//! to safety.

use super::Error;
use super::attempt::Attempt;
use super::budget::{self, Wanted};
use super::calls::{Patience, call, patiently};
use super::log::Log;
use super::notice::Notice;
use crate::model::{Millis, Money};
use crate::plan::PlannedCheckpoint;
use crate::provider::{ErrorKind, ProviderError, RunStatus, Worker};
use crate::state::event::{Call, Event};
use crate::util::clock;
use std::time::Duration;
use tokio::time::Instant;

/// Between two words about a stage that runs.
const STILL: Duration = Duration::from_secs(10);
/// How often progress is brought to safety where the plan leaves that to the stage.
const SAVE: Duration = Duration::from_secs(600);
/// The rest of a lease with which it is renewed, at most.
const EARLY: Duration = Duration::from_secs(300);
/// How often progress is brought to safety, at most, on a machine that is about to be taken away.
const HURRY: Duration = Duration::from_secs(10);
/// What is left of such a machine's time, besides the grace, when its command is asked to end.
const LAST: Duration = Duration::from_secs(5);
/// After the end of a lease, how long a machine may go unheard before it is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command ended.
pub(super) enum End {
    Exited(i32),
    Lost(String),
    Preempted(&'static str),
    Interrupted,
    Broken(ProviderError),
    /// Its lease ended, and the budget allows no more of it.
    Unaffordable(String),
}

/// What is watched.
pub(super) struct Watched<'a> {
    pub worker: &'a dyn Worker,
    pub checkpoint: Option<PlannedCheckpoint>,
    /// How long its machine may live from now on.
    pub lease: Duration,
}

/// The lease as it is watched.
struct Lease {
    end: Instant,
    /// The rest with which it is renewed.
    early: Duration,
    /// The budget allows it.
    renewable: bool,
}

/// Watches; `resumed`: an earlier `sky` had begun it, whose lease may be about to end.
pub(super) async fn watch(
    attempt: &Attempt<'_>,
    watched: &Watched<'_>,
    resumed: bool,
    log: &mut Log,
) -> Result<End, Error> {
    let Watched { worker, checkpoint, lease } = *watched;
    let mut interrupt = attempt.context.interrupt.clone();
    let mut lease = Lease { end: Instant::now() + lease, early: EARLY.min(lease / 4), renewable: true };
    if resumed {
        renew(attempt, &mut lease).await?;
    }
    let mut every =
        checkpoint.map(|checkpoint| checkpoint.every_ms.map_or(SAVE, |every| Duration::from_millis(every.0)));
    let mut save = every.map(|every| Instant::now() + every);
    let mut told = STILL;
    let mut leaves = false;
    // Quick commands are not made to wait for a long interval.
    let mut pause = Duration::from_millis(2).min(worker.interval());
    loop {
        // The status first: what was printed before the end is then in the log.
        let status = worker.status().await;
        pump(attempt, worker, log).await;
        match status {
            Ok(RunStatus::Exited(code)) => {
                log.flush(&mut |line| printed(attempt, line));
                return Ok(End::Exited(code));
            }
            Ok(RunStatus::Lost) => {
                return Ok(End::Lost("its process is gone without an exit code, or its outputs are".to_owned()));
            }
            Ok(RunStatus::Preempted) => return Ok(End::Preempted("its machine was taken away")),
            Ok(RunStatus::Expired) if lease.renewable => return Ok(End::Lost("its lease ended".to_owned())),
            Ok(RunStatus::Expired) => {
                return Ok(End::Unaffordable("its lease ended, and the budget allows no longer one".to_owned()));
            }
            Ok(RunStatus::NotStarted) => return Ok(End::Lost("its machine forgot the command".to_owned())),
            Ok(RunStatus::Running) => {}
            Ok(RunStatus::Leaving(left)) => {
                if !leaves {
                    leaves = true;
                    let (stage, saves) = (attempt.token.stage.clone(), every.is_some());
                    attempt.context.observer.notice(&Notice::Leaving { stage, left, saves });
                    every = every.map(|every| every.min(HURRY));
                    // At once.
                    save = every.map(|_| Instant::now());
                }
                let grace = attempt.context.settings.grace;
                if every.is_some() && left <= grace.saturating_add(LAST) {
                    // What it saves when it is asked to end is worth more than what it may do until then.
                    stop(attempt, worker, grace.min(left / 2), log).await?.ok();
                    attempt.save_progress(worker).await?;
                    return Ok(End::Preempted("its machine is being taken away"));
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(End::Lost(error.to_string())),
            // The connection may come back; the command goes on meanwhile, until its lease ends.
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => {
                if Instant::now() > lease.end + PATIENCE {
                    return Ok(End::Lost(format!("it was not heard of until its lease ended: {error}")));
                }
            }
            Err(error) => return Ok(End::Broken(error)),
        }
        if interrupt.borrow_and_update().is_some() {
            let stopped = stop(attempt, worker, attempt.context.settings.grace, log).await?;
            return Ok(stopped.map_or_else(End::Broken, |()| End::Interrupted));
        }
        if lease.renewable && Instant::now() + lease.early >= lease.end {
            renew(attempt, &mut lease).await?;
        }
        if let (Some(due), Some(every)) = (save, every)
            && Instant::now() >= due
        {
            attempt.save_progress(worker).await?;
            save = Some(Instant::now() + every);
        }
        if attempt.begun.elapsed() >= told {
            let elapsed = Duration::from_secs(attempt.begun.elapsed().as_secs());
            attempt.context.observer.notice(&Notice::Still { stage: attempt.token.stage.clone(), elapsed });
            told += STILL;
        }
        let wait = save.map_or(pause, |due| pause.min(due.saturating_duration_since(Instant::now())));
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => pause = (pause * 2).min(worker.interval()),
            _ = interrupt.changed() => {}
        }
    }
}

/// Ends the command, and tells what it printed until then.
async fn stop(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    grace: Duration,
    log: &mut Log,
) -> Result<Result<(), ProviderError>, Error> {
    let call_of = (attempt.token.stage.as_str(), attempt.token.id.as_str(), Call::Stop);
    let stopped = call(&attempt.context.recorder, call_of, Patience::Through, || worker.stop(grace)).await?;
    pump(attempt, worker, log).await;
    Ok(stopped)
}

/// Sets money aside for a longer lease, then asks for it. What the budget does not allow is not
/// asked for: the machine ends itself then.
async fn renew(attempt: &Attempt<'_>, lease: &mut Lease) -> Result<(), Error> {
    let age = millis(attempt.age());
    let left = millis(lease.end.saturating_duration_since(Instant::now()));
    let (stage, token) = (&attempt.token.stage, &attempt.token.id);
    let slack = match attempt.provider.bills() {
        true => budget::slack(attempt.planned),
        false => Duration::from_millis(budget::most(attempt.planned, false).0),
    };
    let most = Millis(age.saturating_add(millis(slack)).max(age.saturating_add(left)));
    let wanted = Wanted { meter: attempt.meter, least: Millis(age.saturating_add(left)), most, once: attempt.once };
    let given = attempt
        .context
        .recorder
        .decide(|state| {
            let given = attempt.context.purse().reserve(stage, state, &wanted)?;
            let (longer, held) = (given.lease.0.saturating_sub(age), state.stages.get(stage));
            let held = held.map_or(Money(0), |record| record.reserved_micro_usd);
            let reserved = Event::Reserved {
                stage: stage.clone(),
                token: token.clone(),
                // Never less than what the lease that is running may cost.
                micro_usd: given.amount.max(held),
                lease_end: clock::after(Duration::from_millis(longer)),
                anew: false,
            };
            Ok::<_, budget::Refused>((Duration::from_millis(longer), vec![reserved]))
        })
        .await?;
    let longer = match given {
        Ok(longer) if millis(longer) > left.saturating_add(1000) => longer,
        _ => {
            lease.renewable = false;
            let message = format!(
                "stage.{stage}: the budget allows no longer lease: its machine ends in {} s",
                left.div_ceil(1000)
            );
            attempt.context.observer.notice(&Notice::Warning { message });
            return Ok(());
        }
    };
    let asked = Instant::now();
    let renewed = patiently(attempt.patience(), || attempt.provider.renew(&attempt.token, longer)).await;
    match renewed {
        Ok(()) => {
            lease.end = asked + longer;
            lease.early = EARLY.min(longer / 4);
        }
        // The status tells what has become of it.
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => {
            // Tried again with half of what is left, so not at every look.
            lease.early /= 2;
            let message = format!("stage.{stage}: its lease could not be renewed: {error}");
            attempt.context.observer.notice(&Notice::Warning { message });
        }
    }
    Ok(())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Tells what was printed since the last look.
async fn pump(attempt: &Attempt<'_>, worker: &dyn Worker, log: &mut Log) {
    while let Ok(piece) = worker.log(log.offset()).await {
        if piece.is_empty() {
            break;
        }
        log.take(&piece, &mut |line| printed(attempt, line));
    }
}

fn printed(attempt: &Attempt<'_>, line: &str) {
    let (stage, line) = (attempt.token.stage.clone(), line.to_owned());
    attempt.context.observer.notice(&Notice::Log { stage, line });
}
