//! The outputs of an attempt whose command ended well, collected and paid for.

use super::Error;
use super::attempt::Attempt;
use super::bucket_transfer::deliver_home;
use super::calls::patiently;
use super::evidence;
use super::held_artifacts::publish_output;
use super::notice::Notice;
use super::outcome::StageOutcome;
use super::stage_inputs;
use super::staging;
use super::step_error::{Step, StepError};
use super::watch;
use crate::execution::provider::{ErrorKind, Evidence, ProviderError, Worker};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Artifact, Status};
use crate::model::PlaceName;
use crate::plan::PlannedStage;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

impl Attempt<'_> {
    /// Collects the outputs of a command that ended well. It is not run again as long as they can
    /// be had: while its machine does not answer it is asked again, until its lease is over.
    pub(super) async fn collect_patiently(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Step<bool> {
        let mut pause = Duration::from_secs(1);
        loop {
            let error = match self.collect_outputs(planned, worker).await {
                Ok(done) => return Ok(done),
                Err(error) => error.of_attempt()?,
            };
            let passes = matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled);
            if !passes || self.keeper.overdue() > watch::PATIENCE {
                return Err(StepError::Attempt(error));
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(30)),
                () = self.context.deadlines.grace_is_over() => return Ok(false),
            }
        }
    }

    /// Puts the outputs into the store and ends the attempt well; or says what is wrong with them.
    /// False: a signal came before all of them were there.
    pub(super) async fn collect_outputs(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Step<bool> {
        let context = self.context;
        self.record_status(Status::StagingOut).await?;
        let outputs = tokio::select! {
            biased;
            () = self.context.deadlines.grace_is_over() => return Ok(false),
            gathered = self.gather_outputs(planned, worker) => gathered?,
        };
        self.pay_for_homeward(planned, &outputs).await?;
        let stage = planned.name.clone();
        let done_event = Event::Done {
            stage,
            outputs: outputs.clone(),
            storage_micro_usd: self.once,
        };
        context.recorder.record(done_event, Durability::Now).await?;
        // The machine costs something, and what is left to do needs it no more.
        self.release_machine(Evidence::Drop).await?;
        let publishing = async {
            for (output, artifact) in &outputs {
                let homeward = artifact.away && stage_inputs::goes_home(planned, output);
                if homeward
                    && let Err(error) =
                        deliver_home(context, &format!("{}.{output}", planned.name)).await
                {
                    let error = error.of_attempt()?;
                    let message = format!(
                        "output `{output}` is not here yet, the next apply brings it: {error}"
                    );
                    context.observer.notice(&Notice::Warning { message });
                    continue;
                }
                if homeward || !artifact.away {
                    publish_output(context, &planned.name, output, artifact).await;
                }
            }
            Ok::<(), Error>(())
        };
        tokio::select! {
            biased;
            // The next apply does it.
            () = self.context.deadlines.grace_is_over() => {}
            published = publishing => published?,
        }
        context.observer.notice(&Notice::Done {
            stage: planned.name.clone(),
            elapsed: self.begun.elapsed(),
        });
        Ok(true)
    }

    /// Puts the outputs into the store, or into the bucket of their place.
    pub(super) async fn gather_outputs(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Step<BTreeMap<String, Artifact>> {
        let through = |name: &String| staging::goes_through(self, planned, name, worker);
        let (through, names): (Vec<String>, Vec<String>) =
            planned.writes.keys().cloned().partition(through);
        let written = patiently(self.patience(), || worker.written())
            .await
            .map_err(StepError::Attempt)?;
        if let Some(error) = evidence::check_sizes(self, planned, &written) {
            return Err(StepError::Attempt(error));
        }
        let mut outputs = staging::send_outputs(self, worker, &through).await?;
        let contents = patiently(self.patience(), || worker.collect(&names))
            .await
            .map_err(StepError::Attempt)?;
        for (name, content) in names.into_iter().zip(contents) {
            let declared = planned.writes.get(&name).ok_or_else(|| {
                Error::Bug(format!("stage.{} does not write `{name}`", planned.name))
            })?;
            let most_bytes =
                evidence::most_of_output(self.context.settings.output_limit, declared.0);
            match self.store_content(content, Some(most_bytes)).await {
                Ok(measured) => {
                    let (digest, bytes, kind) = (measured.digest, measured.bytes, measured.kind);
                    let (attempt, staged) = (self.token.attempt, BTreeMap::new());
                    outputs.insert(
                        name,
                        Artifact {
                            digest,
                            bytes,
                            kind,
                            attempt,
                            staged,
                            away: false,
                        },
                    );
                }
                Err(error) => {
                    let message = format!("output `{name}`: {error}");
                    return Err(StepError::Attempt(ProviderError::new(
                        ErrorKind::Output,
                        message,
                    )));
                }
            }
        }
        evidence::warn_of_undeclared(self, planned, &written);
        Ok(outputs)
    }

    /// Puts the way home of outputs on the account, as large as they are.
    pub(super) async fn pay_for_homeward(
        &self,
        planned: &PlannedStage,
        outputs: &BTreeMap<String, Artifact>,
    ) -> io::Result<()> {
        if !self.provider.bills() {
            return Ok(());
        }
        self.context
            .recorder
            .decide(|state| {
                let sizes = outputs
                    .iter()
                    .map(|(output, artifact)| (output.as_str(), artifact.bytes));
                let transfers = stage_inputs::unpaid_home_transfers(
                    self.context,
                    planned,
                    &self.stage_offer.place,
                    state,
                    sizes,
                )
                .into_iter();
                let events = transfers.map(|transfer| Event::Copied {
                    stage: self.token.stage.clone(),
                    token: self.token.id.clone(),
                    artifact: transfer.artifact,
                    to: PlaceName::here(),
                    bytes: transfer.bytes,
                    micro_usd: transfer.cost,
                });
                Ok(((), events.collect()))
            })
            .await
    }

    /// What is said when a signal came before all outputs were here: the attempt stays as it is,
    /// and the next apply goes on with what the command has written.
    pub(super) fn collecting_was_interrupted(&self) -> StageOutcome {
        let stage = self.token.stage.clone();
        let kept_words = match self.provider.bills() {
            true => {
                " Its machine is kept until the end of its lease, and costs what it costs; `sky destroy` gives it back"
            }
            false => "",
        };
        let message = format!(
            "stage.{stage} is done, but a signal came before its outputs were copied: the next apply copies them.{kept_words}"
        );
        self.context.observer.notice(&Notice::Warning { message });
        self.context.observer.notice(&Notice::Interrupted {
            stage,
            elapsed: self.begun.elapsed(),
        });
        StageOutcome::Interrupted
    }
}
