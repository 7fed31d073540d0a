//! Staying with a command until its end: its log is told, its progress brought to safety. Its lease
//! is renewed beside that ([`LeaseKeeper`](super::lease_keeper::LeaseKeeper)).

use super::Error;
use super::attempt::Attempt;
use super::calls::{Patience, call_and_record, status_when_answered};
use super::log::Log;
use super::notice::Notice;
use super::step_error::{Step, StepError};
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
pub(super) enum CommandEnd {
    Exited(i32),
    Lost(String),
    Preempted(&'static str),
    Interrupted,
    Broken(ProviderError),
    /// Its lease ended, and the budget allows no more of it.
    Unaffordable(String),
}

/// Watches a command until its end, and saves its progress on the way.
pub(super) async fn watch_command(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    checkpoint: Option<PlannedCheckpoint>,
    log: &mut Log,
) -> Result<CommandEnd, Error> {
    let mut interrupt = attempt.context.interrupt.clone();
    let mut watch = CommandWatch::new(attempt, worker, checkpoint);
    loop {
        // The status first: what was printed before the end is then in the log.
        let look_at_command = async {
            let worker_status = worker.status().await;
            (worker_status, tell_new_lines(attempt, worker, log).await)
        };
        let Some((status, more)) = attempt.unless_interrupted(look_at_command).await else {
            return watch.end_by_signal(log).await;
        };
        let watch_end = match status {
            Ok(status) => watch.end_by_status(status, log).await?,
            Err(error) => watch.end_by_failed_look(error),
        };
        if let Some(ended) = watch_end {
            return Ok(ended);
        }
        watch.save_progress_if_due().await?;
        watch.tell_that_it_still_runs();
        if more {
            // Others have their turn before the next piece of the log.
            tokio::task::yield_now().await;
            continue;
        }
        let wait = watch.time_to_next_look();
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => watch.look_less_often(),
            _ = interrupt.changed() => {}
        }
    }
}

/// A command that is watched.
struct CommandWatch<'w> {
    attempt: &'w Attempt<'w>,
    worker: &'w dyn Worker,
    /// None: it saves no progress.
    saving: Option<ProgressSaving>,
    /// At which age of the attempt the next word about it is due.
    next_word: Duration,
    /// Whether it is known that its machine is about to be taken away.
    leaves: bool,
    /// How long to wait before the next look.
    pause: Duration,
}

/// When a command's progress is brought to safety.
struct ProgressSaving {
    checkpoint: PlannedCheckpoint,
    every: Duration,
    due: Instant,
}

impl ProgressSaving {
    fn new(checkpoint: PlannedCheckpoint) -> Self {
        let save_interval = checkpoint
            .every_ms
            .map_or(SAVE, |every| Duration::from_millis(every.0));
        Self {
            checkpoint,
            every: save_interval,
            due: Instant::now() + save_interval,
        }
    }
}

impl<'w> CommandWatch<'w> {
    fn new(
        attempt: &'w Attempt<'w>,
        worker: &'w dyn Worker,
        checkpoint: Option<PlannedCheckpoint>,
    ) -> Self {
        Self {
            attempt,
            worker,
            saving: checkpoint.map(ProgressSaving::new),
            next_word: STILL,
            leaves: false,
            // Quick commands are not made to wait for a long interval.
            pause: Duration::from_millis(2).min(worker.interval()),
        }
    }

    /// Stops the command after a signal, unless it has ended by itself.
    async fn end_by_signal(&self, log: &mut Log) -> Result<CommandEnd, Error> {
        let (attempt, worker) = (self.attempt, self.worker);
        // Whoever walks the plan ends this when the grace is over.
        if let Some(ended) = ended_by_itself(attempt, worker, Duration::MAX, log).await {
            return Ok(ended);
        }
        let grace_left = attempt.context.deadlines.grace_left();
        match stop_command(attempt, worker, grace_left, log).await {
            Ok(()) => Ok(CommandEnd::Interrupted),
            Err(error) => Ok(CommandEnd::Broken(error.of_attempt()?)),
        }
    }

    /// What a status says of the command's end; none: it goes on.
    async fn end_by_status(
        &mut self,
        status: RunStatus,
        log: &mut Log,
    ) -> Result<Option<CommandEnd>, Error> {
        let (attempt, worker) = (self.attempt, self.worker);
        let lost = |why: &str| Ok(Some(CommandEnd::Lost(why.to_owned())));
        match status {
            RunStatus::Exited(code) => {
                tell_rest_of_log(attempt, worker, log).await;
                Ok(Some(CommandEnd::Exited(code)))
            }
            RunStatus::Lost => lost("its process is gone without an exit code, or its outputs are"),
            RunStatus::Preempted => Ok(Some(CommandEnd::Preempted("its machine was taken away"))),
            RunStatus::Expired => Ok(Some(end_of_lease(attempt))),
            RunStatus::NotStarted => lost("its machine forgot the command"),
            // Its machine should have ended it. A command can do much to the machine that it runs
            // on; that its time is up is decided here.
            RunStatus::Running | RunStatus::Leaving(_) if attempt.keeper.overdue() > OVERSTAY => {
                if let Some(ended) = ended_by_itself(attempt, worker, LAST, log).await {
                    return Ok(Some(ended));
                }
                let grace = attempt.context.settings.grace.min(LAST);
                stop_if_possible(attempt, worker, grace, log).await?;
                Ok(Some(end_of_lease(attempt)))
            }
            RunStatus::Running => Ok(None),
            RunStatus::Leaving(left) => self.leave_machine(left, log).await,
        }
    }

    /// Saves progress often on a machine that is about to be taken away, and ends a command that
    /// saves any before its machine is gone.
    async fn leave_machine(
        &mut self,
        grace_left: Duration,
        log: &mut Log,
    ) -> Result<Option<CommandEnd>, Error> {
        let (attempt, worker) = (self.attempt, self.worker);
        let grace = attempt.context.settings.grace;
        if !self.leaves {
            self.leaves = true;
            attempt.context.observer.notice(&Notice::Leaving {
                stage: attempt.token.stage.clone(),
                left: grace_left,
                saves: self.saving.is_some(),
            });
            if let Some(saving) = &mut self.saving {
                saving.every = saving.every.min(HURRY);
                // At once.
                saving.due = Instant::now();
            }
        }
        let Some(saving) = &self.saving else {
            return Ok(None);
        };
        if grace_left > grace.saturating_add(LAST) {
            return Ok(None);
        }
        if let Some(ended) = ended_by_itself(attempt, worker, LAST, log).await {
            return Ok(Some(ended));
        }
        // What it saves when it is asked to end is worth more than what it may do until then.
        stop_if_possible(attempt, worker, grace.min(grace_left / 2), log).await?;
        attempt.save_progress(worker, saving.checkpoint).await?;
        Ok(Some(CommandEnd::Preempted(
            "its machine is being taken away",
        )))
    }

    /// What it means that the machine could not say how the command is; none: it may go on.
    fn end_by_failed_look(&self, error: ProviderError) -> Option<CommandEnd> {
        match error.kind {
            ErrorKind::NotFound => Some(CommandEnd::Lost(error.to_string())),
            // The connection may come back; the command goes on meanwhile, until its lease ends.
            ErrorKind::Unreachable | ErrorKind::Throttled => {
                (self.attempt.keeper.overdue() > PATIENCE).then(|| {
                    CommandEnd::Lost(format!(
                        "it was not heard of until its lease ended: {error}"
                    ))
                })
            }
            _ => Some(CommandEnd::Broken(error)),
        }
    }

    async fn save_progress_if_due(&mut self) -> Result<(), Error> {
        let Some(saving) = self
            .saving
            .as_mut()
            .filter(|saving| Instant::now() >= saving.due)
        else {
            return Ok(());
        };
        let save = self.attempt.save_progress(self.worker, saving.checkpoint);
        if let Some(saved) = self.attempt.unless_interrupted(save).await {
            saved?;
        }
        saving.due = Instant::now() + saving.every;
        Ok(())
    }

    fn tell_that_it_still_runs(&mut self) {
        let age = self.attempt.begun.elapsed();
        if age >= self.next_word {
            self.attempt.context.observer.notice(&Notice::Still {
                stage: self.attempt.token.stage.clone(),
                elapsed: Duration::from_secs(age.as_secs()),
            });
            self.next_word += STILL;
        }
    }

    fn time_to_next_look(&self) -> Duration {
        let wait = match &self.saving {
            Some(saving) => {
                let to_saving = saving.due.saturating_duration_since(Instant::now());
                self.pause.min(to_saving)
            }
            None => self.pause,
        };
        wait.max(Duration::from_millis(1))
    }

    fn look_less_often(&mut self) {
        self.pause = (self.pause * 2).min(self.worker.interval());
    }
}

/// Looks once more, for so long at most, before a command is asked to end: what it printed since
/// the last look may have taken a while to read. A command that has ended by itself meanwhile is
/// not stopped, and what it has written is brought home. As long as its machine does not answer
/// nobody knows, and it is asked again.
async fn ended_by_itself(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    most_time: Duration,
    log: &mut Log,
) -> Option<CommandEnd> {
    let last_answer = tokio::time::timeout(most_time, status_when_answered(worker))
        .await
        .ok()?;
    let Ok(RunStatus::Exited(code)) = last_answer else {
        return None;
    };
    tell_new_lines(attempt, worker, log).await;
    log.flush(&mut |line| tell_line(attempt, line));
    Some(CommandEnd::Exited(code))
}

/// What the end of a lease means.
fn end_of_lease(attempt: &Attempt<'_>) -> CommandEnd {
    match attempt.keeper.is_renewable() {
        true => CommandEnd::Lost("its lease ended".to_owned()),
        false => CommandEnd::Unaffordable(
            "its lease ended, and the budget allows no longer one".to_owned(),
        ),
    }
}

/// Asks the command to end, and tells what it printed until then.
async fn stop_command(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    grace: Duration,
    log: &mut Log,
) -> Step<()> {
    let call_of = (
        attempt.token.stage.as_str(),
        attempt.token.id.as_str(),
        Call::Stop,
    );
    let recorder = &attempt.context.recorder;
    let stopped =
        call_and_record(recorder, call_of, Patience::Through, || worker.stop(grace)).await;
    if let Err(StepError::Apply(_)) = stopped {
        return stopped;
    }
    // A signal has been answered already; what a flood of output has left is in the log on the
    // machine.
    tell_new_lines(attempt, worker, log).await;
    log.flush(&mut |line| tell_line(attempt, line));
    stopped
}

/// Asks a command to end whose machine is of no more use, whether or not it does so.
async fn stop_if_possible(
    attempt: &Attempt<'_>,
    worker: &dyn Worker,
    grace: Duration,
    log: &mut Log,
) -> Result<(), Error> {
    match stop_command(attempt, worker, grace, log).await {
        Ok(()) | Err(StepError::Attempt(_)) => Ok(()),
        Err(StepError::Apply(error)) => Err(error),
    }
}

/// Tells what was printed since the last look, up to a bound: whatever a command prints, its
/// machine's lease, its progress and signals are seen to in between. Whether there is more.
async fn tell_new_lines(attempt: &Attempt<'_>, worker: &dyn Worker, log: &mut Log) -> bool {
    for _ in 0..PIECES {
        match worker.log(log.offset()).await {
            Ok(piece) if !piece.is_empty() => {
                log.take(&piece, &mut |line| tell_line(attempt, line))
            }
            _ => return false,
        }
    }
    true
}

/// Tells all that is left to tell, unless a signal comes.
async fn tell_rest_of_log(attempt: &Attempt<'_>, worker: &dyn Worker, log: &mut Log) {
    while attempt
        .unless_interrupted(tell_new_lines(attempt, worker, log))
        .await
        == Some(true)
    {}
    log.flush(&mut |line| tell_line(attempt, line));
}

fn tell_line(attempt: &Attempt<'_>, line: &str) {
    let (stage, line) = (attempt.token.stage.clone(), line.to_owned());
    attempt
        .context
        .observer
        .notice(&Notice::Log { stage, line });
}
