//! One attempt at a stage: money set aside, machine, inputs, command, outputs, and all of it given
//! back.

use super::Error;
use super::acquire_machine::NoMachine;
use super::attempt::Attempt;
use super::attempt_endings::AttemptEnd;
use super::calls::patiently;
use super::log::Log;
use super::reservation::service_cost;
use super::stage_inputs::{self, StageWork};
use super::staging;
use super::step_error::{Step, StepError};
use super::watch::{CommandEnd, watch_command};
use crate::execution::provider::{RunStatus, Task, Worker};
use crate::execution::state::Status;
use crate::execution::state::event::{Call, Event};
use crate::plan::PlannedStage;
use std::io;

impl Attempt<'_> {
    /// Runs the attempt to its end, and renews its machine's lease as long as that takes.
    pub(super) async fn run_with_lease(
        &self,
        planned: &PlannedStage,
        work: &StageWork,
    ) -> Result<AttemptEnd, Error> {
        tokio::select! {
            biased;
            ended = self.run_to_end(planned, work) => ended,
            error = self.keeper.keep_lease(self) => Err(error),
        }
    }

    /// Takes the steps of the attempt: its machine, its command, and what follows from how the
    /// command ended.
    async fn run_to_end(
        &self,
        planned: &PlannedStage,
        work: &StageWork,
    ) -> Result<AttemptEnd, Error> {
        let mut log = Log::new(self.context.redactor.clone());
        let worker = match self.find_or_create_machine(planned).await {
            Ok(worker) => worker,
            Err(NoMachine::Provider(error)) => return self.end_without_machine(error, log).await,
            Err(NoMachine::Budget(refused)) => {
                return self.end_over_budget(refused.to_string()).await;
            }
            Err(NoMachine::Apply(error)) => return Err(error),
        };
        let worker = worker.as_ref();
        match self
            .run_command(planned, worker, &work.task, &mut log)
            .await?
        {
            CommandEnd::Exited(0) => self.end_with_outputs(planned, worker, log).await,
            CommandEnd::Exited(code) => self.end_with_exit_code(planned, worker, code, log).await,
            CommandEnd::Broken(error) => self.end_broken(planned, worker, error, log).await,
            CommandEnd::Interrupted => self.end_interrupted(planned, worker).await,
            CommandEnd::Lost(message) => {
                self.bring_what_is_left(planned, worker).await?;
                self.end_lost(&message).await
            }
            CommandEnd::Preempted(why) => self.end_preempted(why).await,
            CommandEnd::Unaffordable(message) => {
                self.bring_what_is_left(planned, worker).await?;
                self.end_over_budget(message).await
            }
        }
    }

    /// Starts the command unless it was, and stays with it until its end.
    async fn run_command(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &Task,
        log: &mut Log,
    ) -> Result<CommandEnd, Error> {
        let first_status = match patiently(self.patience(), || worker.status()).await {
            Ok(status) => status,
            Err(error) => return Ok(self.end_of_failed_call(error)),
        };
        if first_status == RunStatus::NotStarted {
            if let Some(end) = self.start_command(planned, worker, task).await? {
                return Ok(end);
            }
        } else if let Ok(length) = worker.log_length().await {
            // Its former lines were told by the former sky; the last are read for a failure's sake.
            *log = Log::resumed(length, self.context.redactor.clone());
        }
        // A command that has ended is not said to run again.
        if !matches!(first_status, RunStatus::Exited(_)) {
            self.record_status(Status::Running).await?;
        }
        watch_command(self, worker, planned.checkpoint, log).await
    }

    /// Lays out what the command reads, and starts it; an end: it was not started.
    async fn start_command(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &Task,
    ) -> Result<Option<CommandEnd>, Error> {
        let (context, name, id) = (self.context, &self.token.stage, &self.token.id);
        let was_running = self
            .resumed
            .as_ref()
            .is_some_and(|former| former.status == Status::StagingOut);
        if was_running {
            return Ok(Some(CommandEnd::Lost("its folder was emptied".to_owned())));
        }
        self.record_status(Status::StagingIn).await?;
        self.pay_for_inputs(planned).await?;
        let mut task = Task {
            checkpoint: self.saved_progress().await?,
            ..task.clone()
        };
        let staged = tokio::select! {
            biased;
            // What is on its way may take hours, and is of no use without the rest.
            _ = self.context.deadlines.signalled() => return Ok(Some(CommandEnd::Interrupted)),
            staged = self.lay_out_inputs(planned, worker, &mut task) => staged,
        };
        if let Err(error) = staged {
            return Ok(Some(self.end_of_failed_call(error.of_attempt()?)));
        }
        if self.is_interrupted() {
            return Ok(Some(CommandEnd::Interrupted));
        }
        context
            .recorder
            .announce_call(name, id, Call::Start)
            .await?;
        let started = patiently(self.patience(), || worker.start(&task)).await;
        context
            .recorder
            .record_result(name, id, Call::Start, &started)
            .await?;
        Ok(started.err().map(|error| self.end_of_failed_call(error)))
    }

    /// Puts transfers of inputs to this place and what a service takes on the account: they are paid
    /// for whether or not they arrive.
    async fn pay_for_inputs(&self, planned: &PlannedStage) -> io::Result<()> {
        if !self.provider.bills() {
            return Ok(());
        }
        let (stage, token) = (&self.token.stage, &self.token.id);
        self.context
            .recorder
            .decide(|state| {
                let transfers = stage_inputs::unpaid_input_transfers(
                    self.context,
                    planned,
                    &self.stage_offer,
                    state,
                )
                .into_iter();
                let mut events: Vec<Event> = transfers
                    .map(|transfer| Event::Copied {
                        stage: stage.clone(),
                        token: token.clone(),
                        artifact: transfer.artifact,
                        to: self.stage_offer.place.clone(),
                        bytes: transfer.bytes,
                        micro_usd: transfer.cost,
                    })
                    .collect();
                let usage = service_cost(&self.stage_offer);
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
                Ok(((), events))
            })
            .await
    }

    /// Lays out on the machine what the command reads.
    async fn lay_out_inputs(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &mut Task,
    ) -> Step<()> {
        staging::bring_inputs(self, planned, worker, task).await?;
        patiently(self.patience(), || worker.stage_in(task))
            .await
            .map_err(StepError::Attempt)
    }
}
