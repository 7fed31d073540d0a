//! Staying with a command until its end: its log is told, its progress brought to safety. Its lease
//! is renewed beside that ([`LeaseKeeper`](super::lease_keeper::LeaseKeeper)).

use super::Error;
use super::attempt::Attempt;
use super::calls::{Patience, answered, call};
use super::log::Log;
use super::notice::Notice;
use crate::execution::provider::{ErrorKind, ProviderError, RunStatus, Worker};
use crate::execution::state::event::Call;
use crate::plan::PlannedCheckpoint;
use std::time::Duration;
use tokio::time::Instant;

/// Between two words about a stage that runs.
const STILL: Duration = Duration::from_secs(10);
/// How often progress is brought to safety where the plan leaves that to the stage.
const SAVE: Duration = Duration::from_secs(600);
/// How often progress is brought to safety, at most, on a machine that is about to be taken away.
const HURRY: Duration = Duration::from_secs(10);
/// What is left of such a machine's time, besides the grace, when its command is asked to end.
const LAST: Duration = Duration::from_secs(5);
/// After the end of a lease, how long a machine may go unheard before it is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// After the end of a lease, how long a command may run on before it is ended from here.
const OVERSTAY: Duration = Duration::from_secs(15);
/// The most pieces of a log that are read in one round.
const PIECES: usize = 16;

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

/// Watches a command until its end, and saves its progress on the way.
pub(super) async fn watch(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    checkpoint: Option<PlannedCheckpoint>,
    log: &mut Log,
) -> Result<End, Error> {
    let mut interrupt = attempt.context.interrupt.clone();
    let grace = attempt.context.settings.grace;
    let mut every = checkpoint.map(|checkpoint| {
        checkpoint
            .every_ms
            .map_or(SAVE, |every| Duration::from_millis(every.0))
    });
    let mut save = every.map(|every| Instant::now() + every);
    let mut told = STILL;
    let mut leaves = false;
    // Quick commands are not made to wait for a long interval.
    let mut pause = Duration::from_millis(2).min(worker.interval());
    loop {
        // The status first: what was printed before the end is then in the log.
        let look = async {
            let status = worker.status().await;
            (status, pump(attempt, worker, log).await)
        };
        let Some((status, more)) = attempt.unless_interrupted(look).await else {
            // Whoever walks the plan ends this when the grace is over.
            if let Some(ended) = ended_by_itself(attempt, worker, Duration::MAX, log).await {
                return Ok(ended);
            }
            let left = attempt.context.deadlines.grace_left();
            let stopped = stop(attempt, worker, left, log).await?;
            return Ok(stopped.map_or_else(End::Broken, |()| End::Interrupted));
        };
        match status {
            Ok(RunStatus::Exited(code)) => {
                drain(attempt, worker, log).await;
                return Ok(End::Exited(code));
            }
            Ok(RunStatus::Lost) => {
                return Ok(End::Lost(
                    "its process is gone without an exit code, or its outputs are".to_owned(),
                ));
            }
            Ok(RunStatus::Preempted) => return Ok(End::Preempted("its machine was taken away")),
            Ok(RunStatus::Expired) => return Ok(expired(attempt)),
            Ok(RunStatus::NotStarted) => {
                return Ok(End::Lost("its machine forgot the command".to_owned()));
            }
            // Its machine should have ended it. A command can do much to the machine that it runs
            // on; that its time is up is decided here.
            Ok(RunStatus::Running | RunStatus::Leaving(_))
                if attempt.keeper.overdue() > OVERSTAY =>
            {
                if let Some(ended) = ended_by_itself(attempt, worker, LAST, log).await {
                    return Ok(ended);
                }
                stop(attempt, worker, grace.min(LAST), log).await?.ok();
                return Ok(expired(attempt));
            }
            Ok(RunStatus::Running) => {}
            Ok(RunStatus::Leaving(left)) => {
                if !leaves {
                    leaves = true;
                    let (stage, saves) = (attempt.token.stage.clone(), every.is_some());
                    attempt
                        .context
                        .observer
                        .notice(&Notice::Leaving { stage, left, saves });
                    every = every.map(|every| every.min(HURRY));
                    // At once.
                    save = every.map(|_| Instant::now());
                }
                if let Some(checkpoint) = checkpoint
                    && left <= grace.saturating_add(LAST)
                {
                    if let Some(ended) = ended_by_itself(attempt, worker, LAST, log).await {
                        return Ok(ended);
                    }
                    // What it saves when it is asked to end is worth more than what it may do until
                    // then.
                    stop(attempt, worker, grace.min(left / 2), log).await?.ok();
                    attempt.save_progress(worker, checkpoint).await?;
                    return Ok(End::Preempted("its machine is being taken away"));
                }
            }
            Err(error) if error.kind == ErrorKind::NotFound => {
                return Ok(End::Lost(error.to_string()));
            }
            // The connection may come back; the command goes on meanwhile, until its lease ends.
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => {
                if attempt.keeper.overdue() > PATIENCE {
                    return Ok(End::Lost(format!(
                        "it was not heard of until its lease ended: {error}"
                    )));
                }
            }
            Err(error) => return Ok(End::Broken(error)),
        }
        if let (Some(due), Some(every)) = (save, every)
            && Instant::now() >= due
        {
            if let Some(checkpoint) = checkpoint
                && let Some(saved) = attempt
                    .unless_interrupted(attempt.save_progress(worker, checkpoint))
                    .await
            {
                saved?;
            }
            save = Some(Instant::now() + every);
        }
        if attempt.begun.elapsed() >= told {
            let elapsed = Duration::from_secs(attempt.begun.elapsed().as_secs());
            attempt.context.observer.notice(&Notice::Still {
                stage: attempt.token.stage.clone(),
                elapsed,
            });
            told += STILL;
        }
        if more {
            // Others have their turn before the next piece of the log.
            tokio::task::yield_now().await;
            continue;
        }
        let wait = save.map_or(pause, |due| {
            pause.min(due.saturating_duration_since(Instant::now()))
        });
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => pause = (pause * 2).min(worker.interval()),
            _ = interrupt.changed() => {}
        }
    }
}

/// Looks once more, for so long at most, before a command is asked to end: what it printed since
/// the last look may have taken a while to read. A command that has ended by itself meanwhile is
/// not stopped, and what it has written is brought home. As long as its machine does not answer
/// nobody knows, and it is asked again.
async fn ended_by_itself(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    most: Duration,
    log: &mut Log,
) -> Option<End> {
    let answer = tokio::time::timeout(most, answered(worker)).await.ok()?;
    let Ok(RunStatus::Exited(code)) = answer else {
        return None;
    };
    pump(attempt, worker, log).await;
    log.flush(&mut |line| printed(attempt, line));
    Some(End::Exited(code))
}

/// What the end of a lease means.
fn expired(attempt: &Attempt<'_>) -> End {
    match attempt.keeper.is_renewable() {
        true => End::Lost("its lease ended".to_owned()),
        false => {
            End::Unaffordable("its lease ended, and the budget allows no longer one".to_owned())
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
    let call_of = (
        attempt.token.stage.as_str(),
        attempt.token.id.as_str(),
        Call::Stop,
    );
    let stopped = call(
        &attempt.context.recorder,
        call_of,
        Patience::Through,
        || worker.stop(grace),
    )
    .await?;
    // A signal has been answered already; what a flood of output has left is in the log on the
    // machine.
    pump(attempt, worker, log).await;
    log.flush(&mut |line| printed(attempt, line));
    Ok(stopped)
}

/// Tells what was printed since the last look, up to a bound: whatever a command prints, its
/// machine's lease, its progress and signals are seen to in between. Whether there is more.
async fn pump(attempt: &Attempt<'_>, worker: &dyn Worker, log: &mut Log) -> bool {
    for _ in 0..PIECES {
        match worker.log(log.offset()).await {
            Ok(piece) if !piece.is_empty() => log.take(&piece, &mut |line| printed(attempt, line)),
            _ => return false,
        }
    }
    true
}

/// Tells all that is left to tell, unless a signal comes.
async fn drain(attempt: &Attempt<'_>, worker: &dyn Worker, log: &mut Log) {
    while attempt.unless_interrupted(pump(attempt, worker, log)).await == Some(true) {}
    log.flush(&mut |line| printed(attempt, line));
}

fn printed(attempt: &Attempt<'_>, line: &str) {
    let (stage, line) = (attempt.token.stage.clone(), line.to_owned());
    attempt
        .context
        .observer
        .notice(&Notice::Log { stage, line });
}
