//! What the state of a place holds of a job that is planned.

use super::state::PlaceArgs;
use super::{Exit, Failure};
use crate::cli::working_folder::working_folder;
use crate::execution::state::{self, Artifact, Preview, State};
use crate::execution::storage::Objects;
use crate::model::Job;
use crate::plan::{Contents, FromState, Plan};

/// The state of a place as it is, and the store of outputs beside it.
pub(super) struct HeldState {
    state: Option<State>,
    objects: Objects,
}

impl HeldState {
    /// Reads the state; there is none if nothing was ever applied there.
    pub(super) fn read(place: &PlaceArgs) -> Result<Self, Failure> {
        let working_dir = working_folder()?;
        let store = place.store(&working_dir)?;
        let mut held_state = store
            .read()
            .map_err(|error| super::state::failure(error.into(), &store))?;
        if let Some(state) = held_state.as_mut().filter(|_| !place.is_named()) {
            // A rehearsal by an earlier sky was kept here too. Nothing of it is done.
            state
                .stages
                .retain(|_, record| record.rehearsed_with().is_none());
        }
        Ok(Self {
            state: held_state,
            objects: Objects::at(store.folder.objects()),
        })
    }

    /// What an apply of a plan would do.
    pub(super) fn preview(&self, plan: &Plan) -> Preview {
        let is_present = |artifact: &Artifact| self.objects.has(&artifact.digest, artifact.kind);
        state::preview(self.state.as_ref(), plan, &is_present)
    }

    /// What the state says of a job.
    pub(super) fn facts(&self, job: &Job, contents: &Contents) -> Result<FromState, Failure> {
        let held_state = self.state.as_ref().ok_or_else(|| {
            Failure::error("there is no state here to go on from")
                .hint("leave --from-state out to plan the whole job")
        })?;
        if let Some(other) = held_state.job.as_ref().filter(|held| **held != job.name) {
            let message = format!(
                "the state here is that of job `{other}`, not of `{}`",
                job.name
            );
            return Err(Failure::new(Exit::Stale, message)
                .hint("go to the folder where this job was applied"));
        }
        let is_present = |artifact: &Artifact| self.objects.has(&artifact.digest, artifact.kind);
        state::summary::facts(held_state, job, contents, &is_present).map_err(Failure::error)
    }
}
