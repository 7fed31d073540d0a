//! One attempt at a stage: money set aside, machine, inputs, command, outputs, and all of it given
//! back.

use super::Error;
use super::acquire_machine::NoMachine;
use super::attempt::Attempt;
use super::calls::patiently;
use super::earlier_attempt::look;
use super::evidence;
use super::log::Log;
use super::notice::Notice;
use super::outcome::StageOutcome;
use super::reservation::usage;
use super::stage_inputs::{self, Work};
use super::staging;
use super::step_error::{Step, StepError, of_attempt};
use super::watch::{self, End};
use crate::execution::provider::{ErrorKind, Evidence, ProviderError, RunStatus, Task, Worker};
use crate::execution::state::Status;
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::plan::PlannedStage;
use std::io;
use std::sync::PoisonError;

/// Why an offer has become unavailable: its cloud took the machine away.
pub(super) const PREEMPTED: &str = "preempted";

/// How an attempt ended.
pub(super) enum Ended {
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
    /// Runs it to its end, and renews its machine's lease as long as that takes.
    pub(super) async fn run(&self, planned: &PlannedStage, work: &Work) -> Result<Ended, Error> {
        tokio::select! {
            biased;
            ended = self.live(planned, work) => ended,
            error = self.keeper.keep(self) => Err(error),
        }
    }

    pub(super) async fn live(&self, planned: &PlannedStage, work: &Work) -> Result<Ended, Error> {
        let name = &planned.name;
        let mut log = Log::new(self.context.redactor.clone());
        let worker = match self.machine(planned).await? {
            Ok(found) => found,
            Err(NoMachine::Provider(error)) => return self.no_machine(error, log).await,
            Err(NoMachine::Budget(refused)) => {
                let message = refused.to_string();
                self.finish(Status::Lost, &message, Evidence::Keep).await?;
                self.context.observer.notice(&Notice::Denied {
                    stage: name.clone(),
                    message: message.clone(),
                });
                return Ok(Ended::Outcome(StageOutcome::Denied { message }));
            }
        };
        let worker_ref = worker.as_ref();
        let fail = |message: String, log: Log| async move {
            let evidence = evidence::bring(self, planned, worker_ref).await;
            self.fail(message, log, evidence.log)
                .await
                .map(Ended::Outcome)
        };
        match self
            .command(planned, worker.as_ref(), &work.task, &mut log)
            .await?
        {
            End::Exited(0) => {
                self.context
                    .recorder
                    .record(
                        Event::Exited {
                            stage: name.clone(),
                            code: 0,
                        },
                        Durability::Later,
                    )
                    .await?;
                match of_attempt(self.collect_patiently(planned, worker.as_ref()).await)? {
                    Ok(true) => Ok(Ended::Outcome(StageOutcome::Done)),
                    Ok(false) => Ok(Ended::Outcome(self.collecting_was_interrupted())),
                    Err(error) if error.kind == ErrorKind::NotFound => {
                        self.lost(&error.to_string()).await
                    }
                    Err(error) if error.kind == ErrorKind::Output => {
                        let evidence = evidence::bring(self, planned, worker_ref).await;
                        let message = format!("{error}{}", evidence.words());
                        self.fail(message, log, evidence.log)
                            .await
                            .map(Ended::Outcome)
                    }
                    Err(error) => fail(error.to_string(), log).await,
                }
            }
            End::Exited(code) => {
                self.context
                    .recorder
                    .record(
                        Event::Exited {
                            stage: name.clone(),
                            code,
                        },
                        Durability::Later,
                    )
                    .await?;
                match &planned.retries {
                    Some(retries)
                        if retries.allow(code, self.failures.saturating_add(1))
                            && !self.interrupted() =>
                    {
                        self.retry(planned, worker.as_ref(), (code, retries.times))
                            .await
                    }
                    _ => fail(exit_words(code), log).await,
                }
            }
            End::Broken(error) => {
                let lost = self
                    .lost_input
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                let Some(producer) = lost else {
                    return fail(error.to_string(), log).await;
                };
                if !self
                    .finish(Status::Lost, &error.to_string(), Evidence::Keep)
                    .await?
                {
                    return Ok(self.stuck());
                }
                self.tell_lost(&error.to_string());
                Ok(Ended::InputLost(producer))
            }
            End::Interrupted => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.finish(
                    Status::Lost,
                    "interrupted by a signal to sky",
                    Evidence::Keep,
                )
                .await?;
                let elapsed = self.begun.elapsed();
                self.context.observer.notice(&Notice::Interrupted {
                    stage: name.clone(),
                    elapsed,
                });
                Ok(Ended::Outcome(StageOutcome::Interrupted))
            }
            End::Lost(message) => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.lost(&message).await
            }
            End::Preempted(why) => {
                let message = why.to_owned();
                if !self.finish(Status::Lost, &message, Evidence::Keep).await? {
                    return Ok(self.stuck());
                }
                self.tell_lost(&message);
                Ok(Ended::Unavailable {
                    why: PREEMPTED,
                    message,
                })
            }
            End::Unaffordable(message) => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.finish(Status::Lost, &message, Evidence::Keep).await?;
                let stage = name.clone();
                self.context.observer.notice(&Notice::Denied {
                    stage,
                    message: message.clone(),
                });
                Ok(Ended::Outcome(StageOutcome::Denied { message }))
            }
        }
    }

    /// What follows when there is no machine.
    pub(super) async fn no_machine(&self, error: ProviderError, log: Log) -> Result<Ended, Error> {
        let why = match error.kind {
            ErrorKind::Stockout => "stockout",
            ErrorKind::Quota => "quota",
            ErrorKind::NotFound => return self.lost(&error.to_string()).await,
            _ if self.interrupted() => return self.interrupted_without_machine().await,
            _ => {
                return self
                    .fail(error.to_string(), log, None)
                    .await
                    .map(Ended::Outcome);
            }
        };
        let message = error.to_string();
        if !self.finish(Status::Lost, &message, Evidence::Keep).await? {
            return Ok(self.stuck());
        }
        Ok(Ended::Unavailable { why, message })
    }

    /// Ends an attempt for a signal that came before its machine was reached. One that an earlier
    /// `sky` began may be done: then it is left for the next apply.
    pub(super) async fn interrupted_without_machine(&self) -> Result<Ended, Error> {
        let stage = &self.token.stage;
        let left = match &self.resumed {
            Some(former) => look(self.context, stage, former).await.left_as_it_is(stage),
            None => None,
        };
        match left {
            Some(message) => self.context.observer.notice(&Notice::Warning { message }),
            None => {
                self.finish(
                    Status::Lost,
                    "interrupted by a signal to sky",
                    Evidence::Keep,
                )
                .await?;
            }
        }
        Ok(Ended::Outcome(StageOutcome::Interrupted))
    }

    /// Ends an attempt whose command failed, for another one.
    pub(super) async fn retry(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        (code, times): (i32, u32),
    ) -> Result<Ended, Error> {
        self.save(planned, worker).await?;
        evidence::bring(self, planned, worker).await;
        let message = exit_words(code);
        if !self
            .finish(Status::Failed, &message, Evidence::Keep)
            .await?
        {
            return Ok(self.stuck());
        }
        let (stage, attempt) = (self.token.stage.clone(), self.token.attempt);
        let retry = self.failures.saturating_add(1);
        self.context.observer.notice(&Notice::Retrying {
            stage,
            attempt,
            message,
            retry,
            times,
        });
        Ok(Ended::Retried)
    }

    /// Starts the command unless it was, and stays with it until its end.
    pub(super) async fn command(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &Task,
        log: &mut Log,
    ) -> Result<End, Error> {
        let (context, name, id) = (self.context, &self.token.stage, &self.token.id);
        let status = match patiently(self.patience(), || worker.status()).await {
            Ok(status) => status,
            Err(error) => return Ok(self.broken(error)),
        };
        if status == RunStatus::NotStarted {
            let was_running = self
                .resumed
                .as_ref()
                .is_some_and(|former| former.status == Status::StagingOut);
            if was_running {
                return Ok(End::Lost("its folder was emptied".to_owned()));
            }
            self.moved(Status::StagingIn).await?;
            self.pay_for_inputs(planned).await?;
            let mut task = Task {
                checkpoint: self.checkpoint().await?,
                ..task.clone()
            };
            let staged = tokio::select! {
                biased;
                // What is on its way may take hours, and is of no use without the rest.
                _ = self.context.deadlines.signalled() => return Ok(End::Interrupted),
                staged = self.stage_in(planned, worker, &mut task) => of_attempt(staged)?,
            };
            if let Err(error) = staged {
                return Ok(self.broken(error));
            }
            if self.interrupted() {
                return Ok(End::Interrupted);
            }
            context.recorder.intend(name, id, Call::Start).await?;
            let started = patiently(self.patience(), || worker.start(&task)).await;
            context
                .recorder
                .result(name, id, Call::Start, &started)
                .await?;
            if let Err(error) = started {
                return Ok(self.broken(error));
            }
        } else if let Ok(length) = worker.log_length().await {
            // Its former lines were told by the former sky; the last are read for a failure's sake.
            *log = Log::resumed(length, self.context.redactor.clone());
        }
        // A command that has ended is not said to run again.
        if !matches!(status, RunStatus::Exited(_)) {
            self.moved(Status::Running).await?;
        }
        watch::watch(self, worker, planned.checkpoint, log).await
    }

    /// What a call's failure means: a signal, a machine that is gone, or trouble.
    pub(super) fn broken(&self, error: ProviderError) -> End {
        match error.kind {
            _ if self.interrupted() => End::Interrupted,
            ErrorKind::NotFound => End::Lost(error.to_string()),
            _ => End::Broken(error),
        }
    }

    /// Puts copies of inputs at this place and what a service takes on the account: they are paid
    /// for whether or not they arrive.
    pub(super) async fn pay_for_inputs(&self, planned: &PlannedStage) -> io::Result<()> {
        if !self.provider.bills() {
            return Ok(());
        }
        let (stage, token) = (&self.token.stage, &self.token.id);
        let paid = self
            .context
            .recorder
            .decide(|state| {
                let copies = stage_inputs::copies(self.context, planned, &self.stage_offer, state)
                    .into_iter();
                let mut events: Vec<Event> = copies
                    .map(|copy| Event::Copied {
                        stage: stage.clone(),
                        token: token.clone(),
                        artifact: copy.artifact,
                        to: self.stage_offer.place.clone(),
                        bytes: copy.bytes,
                        micro_usd: copy.cost,
                    })
                    .collect();
                let usage = usage(&self.stage_offer);
                let paid = state
                    .stages
                    .get(stage)
                    .is_some_and(|record| record.usage_paid);
                if usage.0 > 0 && !paid {
                    events.push(Event::Charged {
                        stage: stage.clone(),
                        token: token.clone(),
                        micro_usd: usage,
                    });
                }
                Ok::<_, ()>(((), events))
            })
            .await?;
        paid.map_err(|()| io::Error::other("nothing was decided"))
    }

    /// Lays out on the machine what the command reads.
    pub(super) async fn stage_in(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &mut Task,
    ) -> Step<()> {
        staging::inputs(self, planned, worker, task).await?;
        patiently(self.patience(), || worker.stage_in(task))
            .await
            .map_err(StepError::Attempt)
    }

    pub(super) async fn fail(
        &self,
        message: String,
        log: Log,
        shown: Option<String>,
    ) -> Result<StageOutcome, Error> {
        let message = self.context.redact(&message);
        self.finish(Status::Failed, &message, Evidence::Keep)
            .await?;
        let (stage, elapsed) = (self.token.stage.clone(), self.begun.elapsed());
        self.context.observer.notice(&Notice::Failed {
            stage,
            message: message.clone(),
            elapsed,
        });
        let tail = log.into_tail();
        Ok(StageOutcome::Failed {
            message,
            tail,
            log: shown,
            used_up: false,
        })
    }

    pub(super) async fn lost(&self, message: &str) -> Result<Ended, Error> {
        if !self.finish(Status::Lost, message, Evidence::Keep).await? {
            return Ok(self.stuck());
        }
        self.tell_lost(message);
        Ok(Ended::Lost)
    }

    /// A machine that cannot be given back must not be forgotten over another attempt.
    pub(super) fn stuck(&self) -> Ended {
        let message =
            "its machine could not be given back; the next apply and `sky destroy` try again"
                .to_owned();
        let (stage, elapsed) = (self.token.stage.clone(), self.begun.elapsed());
        self.context.observer.notice(&Notice::Failed {
            stage,
            message: message.clone(),
            elapsed,
        });
        Ended::Outcome(StageOutcome::Failed {
            message,
            tail: Vec::new(),
            log: None,
            used_up: false,
        })
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
