//! How an attempt ends: what is brought home of it, what is written down and said, and that its
//! machine is given back before anything else is tried.

use super::Error;
use super::attempt::Attempt;
use super::earlier_attempt::look_at_command;
use super::evidence;
use super::log::Log;
use super::notice::Notice;
use super::outcome::StageOutcome;
use super::watch::CommandEnd;
use crate::execution::provider::{ErrorKind, Evidence, ProviderError, Worker};
use crate::execution::state::Status;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::plan::PlannedStage;
use std::io;
use std::sync::PoisonError;

/// Why an offer has become unavailable: its cloud took the machine away.
pub(super) const PREEMPTED: &str = "preempted";

/// How an attempt ended.
pub(super) enum AttemptEnd {
    Outcome(StageOutcome),
    /// What it reads of this stage is damaged and cannot be had from elsewhere; nothing of the
    /// attempt is left.
    InputLost(String),
    /// The attempt was lost, and all of it is given back: another attempt may be made.
    Lost,
    /// Its command failed, all of it is given back, and the plan has it run again.
    Retried,
    /// The machine that the attempt wanted to rent is unavailable; nothing of the attempt is left.
    Unavailable {
        why: &'static str,
        message: String,
    },
}

impl Attempt<'_> {
    /// Ends an attempt that has no machine.
    pub(super) async fn end_without_machine(
        &self,
        error: ProviderError,
        log: Log,
    ) -> Result<AttemptEnd, Error> {
        let reason_word = match error.kind {
            ErrorKind::Stockout => "stockout",
            ErrorKind::Quota => "quota",
            ErrorKind::NotFound => return self.end_lost(&error.to_string()).await,
            _ if self.is_interrupted() => return self.end_interrupted_without_machine().await,
            _ => return self.end_failed(error.to_string(), log, None).await,
        };
        self.end_unavailable(reason_word, error.to_string()).await
    }

    /// Ends an attempt whose offer is unavailable, so that another one may be taken.
    async fn end_unavailable(
        &self,
        why: &'static str,
        message: String,
    ) -> Result<AttemptEnd, Error> {
        if !self
            .end_and_release(Status::Lost, &message, Evidence::Keep)
            .await?
        {
            return Ok(self.end_with_machine_left());
        }
        Ok(AttemptEnd::Unavailable { why, message })
    }

    /// Ends an attempt whose machine was taken away.
    pub(super) async fn end_preempted(&self, message: &str) -> Result<AttemptEnd, Error> {
        let ended_as = self.end_unavailable(PREEMPTED, message.to_owned()).await?;
        if matches!(ended_as, AttemptEnd::Unavailable { .. }) {
            self.tell_lost(message);
        }
        Ok(ended_as)
    }

    /// Ends an attempt for a signal that came before its machine was reached. One that an earlier
    /// `sky` began may be done: then it is left for the next apply.
    async fn end_interrupted_without_machine(&self) -> Result<AttemptEnd, Error> {
        let stage = &self.token.stage;
        let left_running = match &self.resumed {
            Some(former) => {
                let command_seen = look_at_command(self.context, stage, former).await;
                command_seen.left_as_it_is(stage)
            }
            None => None,
        };
        match left_running {
            Some(message) => self.context.observer.notice(&Notice::Warning { message }),
            None => {
                self.end_and_release(
                    Status::Lost,
                    "interrupted by a signal to sky",
                    Evidence::Keep,
                )
                .await?;
            }
        }
        Ok(AttemptEnd::Outcome(StageOutcome::Interrupted))
    }

    /// Ends an attempt whose command ended well: its outputs are collected.
    pub(super) async fn end_with_outputs(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        log: Log,
    ) -> Result<AttemptEnd, Error> {
        self.record_exit(0).await?;
        let error = match self.collect_patiently(planned, worker).await {
            Ok(true) => return Ok(AttemptEnd::Outcome(StageOutcome::Done)),
            Ok(false) => return Ok(AttemptEnd::Outcome(self.collecting_was_interrupted())),
            Err(error) => error.of_attempt()?,
        };
        match error.kind {
            ErrorKind::NotFound => self.end_lost(&error.to_string()).await,
            ErrorKind::Output => {
                let evidence = evidence::bring_evidence(self, planned, worker).await;
                let message = format!("{error}{}", evidence.shown_outputs());
                self.end_failed(message, log, evidence.log).await
            }
            _ => {
                self.end_failed_on_machine(planned, worker, error.to_string(), log)
                    .await
            }
        }
    }

    /// Ends an attempt whose command failed: the plan may have it run again.
    pub(super) async fn end_with_exit_code(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        code: i32,
        log: Log,
    ) -> Result<AttemptEnd, Error> {
        self.record_exit(code).await?;
        match &planned.retries {
            Some(retries)
                if retries.allow(code, self.failures.saturating_add(1))
                    && !self.is_interrupted() =>
            {
                self.end_for_retry(planned, worker, code, retries.times)
                    .await
            }
            _ => {
                self.end_failed_on_machine(planned, worker, exit_words(code), log)
                    .await
            }
        }
    }

    async fn record_exit(&self, code: i32) -> io::Result<()> {
        let exited = Event::Exited {
            stage: self.token.stage.clone(),
            code,
        };
        self.context
            .recorder
            .record(exited, Durability::Later)
            .await
    }

    /// Ends an attempt whose command failed, for another one.
    async fn end_for_retry(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        code: i32,
        times: u32,
    ) -> Result<AttemptEnd, Error> {
        self.bring_what_is_left(planned, worker).await?;
        let message = exit_words(code);
        if !self
            .end_and_release(Status::Failed, &message, Evidence::Keep)
            .await?
        {
            return Ok(self.end_with_machine_left());
        }
        self.context.observer.notice(&Notice::Retrying {
            stage: self.token.stage.clone(),
            attempt: self.token.attempt,
            message,
            retry: self.failures.saturating_add(1),
            times,
        });
        Ok(AttemptEnd::Retried)
    }

    /// Ends an attempt that cannot go on for trouble that does not pass: its own, or that of a stage
    /// whose output it reads.
    pub(super) async fn end_broken(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        error: ProviderError,
        log: Log,
    ) -> Result<AttemptEnd, Error> {
        let message = error.to_string();
        let lost_input = self
            .lost_input
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(producer) = lost_input else {
            return self
                .end_failed_on_machine(planned, worker, message, log)
                .await;
        };
        if !self
            .end_and_release(Status::Lost, &message, Evidence::Keep)
            .await?
        {
            return Ok(self.end_with_machine_left());
        }
        self.tell_lost(&message);
        Ok(AttemptEnd::InputLost(producer))
    }

    /// Ends an attempt whose command was stopped for a signal.
    pub(super) async fn end_interrupted(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Result<AttemptEnd, Error> {
        self.bring_what_is_left(planned, worker).await?;
        self.end_and_release(
            Status::Lost,
            "interrupted by a signal to sky",
            Evidence::Keep,
        )
        .await?;
        self.context.observer.notice(&Notice::Interrupted {
            stage: self.token.stage.clone(),
            elapsed: self.begun.elapsed(),
        });
        Ok(AttemptEnd::Outcome(StageOutcome::Interrupted))
    }

    /// Ends an attempt for which the budget allows no more.
    pub(super) async fn end_over_budget(&self, message: String) -> Result<AttemptEnd, Error> {
        self.end_and_release(Status::Lost, &message, Evidence::Keep)
            .await?;
        self.context.observer.notice(&Notice::Denied {
            stage: self.token.stage.clone(),
            message: message.clone(),
        });
        Ok(AttemptEnd::Outcome(StageOutcome::Denied { message }))
    }

    /// Ends an attempt that was lost, so that another one may be made.
    pub(super) async fn end_lost(&self, message: &str) -> Result<AttemptEnd, Error> {
        if !self
            .end_and_release(Status::Lost, message, Evidence::Keep)
            .await?
        {
            return Ok(self.end_with_machine_left());
        }
        self.tell_lost(message);
        Ok(AttemptEnd::Lost)
    }

    /// Ends an attempt that failed, after its log and what it wrote are brought home.
    async fn end_failed_on_machine(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        message: String,
        log: Log,
    ) -> Result<AttemptEnd, Error> {
        let evidence = evidence::bring_evidence(self, planned, worker).await;
        self.end_failed(message, log, evidence.log).await
    }

    /// Ends an attempt that failed. `shown`: where people find its log.
    async fn end_failed(
        &self,
        message: String,
        log: Log,
        shown: Option<String>,
    ) -> Result<AttemptEnd, Error> {
        let message = self.context.redact(&message);
        self.end_and_release(Status::Failed, &message, Evidence::Keep)
            .await?;
        let outcome = self.tell_failed(message, log.into_tail(), shown);
        Ok(AttemptEnd::Outcome(outcome))
    }

    /// The end of an attempt whose machine cannot be given back: it must not be forgotten over
    /// another attempt.
    fn end_with_machine_left(&self) -> AttemptEnd {
        let message =
            "its machine could not be given back; the next apply and `sky destroy` try again";
        AttemptEnd::Outcome(self.tell_failed(message.to_owned(), Vec::new(), None))
    }

    fn tell_failed(&self, message: String, tail: Vec<String>, log: Option<String>) -> StageOutcome {
        self.context.observer.notice(&Notice::Failed {
            stage: self.token.stage.clone(),
            message: message.clone(),
            elapsed: self.begun.elapsed(),
        });
        StageOutcome::Failed {
            message,
            tail,
            log,
            used_up: false,
        }
    }

    /// Brings the command's progress to safety, and its log and what it wrote home.
    pub(super) async fn bring_what_is_left(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Result<(), Error> {
        self.save_progress_if_any(planned, worker).await?;
        evidence::bring_evidence(self, planned, worker).await;
        Ok(())
    }

    /// What a call's failure means for the command: a signal, a machine that is gone, or trouble.
    pub(super) fn end_of_failed_call(&self, error: ProviderError) -> CommandEnd {
        match error.kind {
            _ if self.is_interrupted() => CommandEnd::Interrupted,
            ErrorKind::NotFound => CommandEnd::Lost(error.to_string()),
            _ => CommandEnd::Broken(error),
        }
    }
}

fn exit_words(code: i32) -> String {
    let signals = [
        (1, "HUP"),
        (2, "INT"),
        (6, "ABRT"),
        (9, "KILL"),
        (11, "SEGV"),
        (13, "PIPE"),
        (15, "TERM"),
    ];
    match signals.iter().find(|(number, _)| code == 128 + number) {
        Some((_, name)) => format!("its command ended with exit code {code} (signal {name})"),
        None => format!("its command ended with exit code {code}"),
    }
}
