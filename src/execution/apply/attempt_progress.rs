//! The progress of an attempt, brought to safety and given to the next one.

use super::Error;
use super::attempt::Attempt;
use super::evidence;
use super::held_artifacts::is_whole;
use super::notice::Notice;
use crate::execution::provider::{Content, ErrorKind, Worker};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Artifact, State};
use crate::model::Bytes;
use crate::plan::{PlannedCheckpoint, PlannedStage};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

impl Attempt<'_> {
    /// The progress that an earlier attempt has brought to safety.
    pub(super) async fn saved_progress(&self) -> Result<Option<Content>, Error> {
        let record = |state: &State| state.stages.get(&self.token.stage).cloned();
        let Some(saved) = self
            .context
            .recorder
            .read(record)
            .and_then(|record| record.checkpoint)
        else {
            return Ok(None);
        };
        let name = format!("the progress of stage.{}", self.token.stage);
        let is_whole_copy = is_whole(self.context, &name, &saved).await?;
        Ok(is_whole_copy
            .then(|| Content::Stored(self.context.objects.path(&saved.digest, saved.kind))))
    }

    /// Brings the command's progress to safety, if it saves any and there is news.
    pub(super) async fn save_progress_if_any(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Result<(), Error> {
        let kept_away = planned.checkpoints_kept_from_home_by.is_some() && !self.rehearses();
        match planned.checkpoint {
            Some(checkpoint) if !kept_away => self.save_progress(worker, checkpoint).await,
            _ => Ok(()),
        }
    }

    /// Does what [`Attempt::save_progress_if_any`] does, for a stage that saves progress.
    pub(super) async fn save_progress(
        &self,
        worker: &dyn Worker,
        planned: PlannedCheckpoint,
    ) -> Result<(), Error> {
        tokio::select! {
            biased;
            // The machine is given back in time. Without its progress, more is done again.
            () = self.context.deadlines.saving_is_over() => Ok(()),
            saved = self.bring_progress(worker, planned) => saved,
        }
    }

    async fn bring_progress(
        &self,
        worker: &dyn Worker,
        planned: PlannedCheckpoint,
    ) -> Result<(), Error> {
        let warn = |why: &dyn fmt::Display| {
            if self.warned_of_progress.swap(true, Ordering::Relaxed) {
                return;
            }
            let message = format!(
                "stage.{}: its progress is not brought to safety: {why}",
                self.token.stage
            );
            self.context.observer.notice(&Notice::Warning { message });
        };
        let most_bytes =
            evidence::most_of_progress(self.context.settings.output_limit, planned.bytes);
        let content = match worker.checkpoint(most_bytes).await {
            Ok(Some(content)) => content,
            Err(error) if error.kind == ErrorKind::Output => {
                warn(&format_args!(
                    "{error}; declare its size in `checkpoint`, or raise the limit of {} with --output-limit",
                    Bytes(most_bytes)
                ));
                return Ok(());
            }
            // What cannot be read now may be later; without it, more is done again.
            _ => return Ok(()),
        };
        let measured_content = match self.store_content(content, None).await {
            Ok(measured) => measured,
            Err(error) => {
                warn(&error);
                return Ok(());
            }
        };
        let artifact = Artifact {
            digest: measured_content.digest,
            bytes: measured_content.bytes,
            kind: measured_content.kind,
            attempt: self.token.attempt,
            staged: BTreeMap::new(),
            away: false,
        };
        let stage = self.token.stage.clone();
        let known_progress = self.context.recorder.read(|state| {
            let known_content = state
                .stages
                .get(&stage)
                .and_then(|record| record.checkpoint.as_ref());
            known_content.is_some_and(|known| known.digest == artifact.digest)
        });
        if known_progress {
            return Ok(());
        }
        Ok(self
            .context
            .recorder
            .record(Event::Checkpointed { stage, artifact }, Durability::Now)
            .await?)
    }
}
