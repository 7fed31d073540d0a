//! Where an artifact is, and from when on.

use super::plan_check::PlanCheck;
use crate::model::{ArtifactRef, Destination, Millis, PlaceName};
use crate::plan::PlannedTransfer;

/// The place that an artifact lies at from the start or is made at.
pub(super) struct Origin<'a> {
    pub place: &'a PlaceName,
    /// When the artifact is there.
    pub ready: Millis,
}

impl<'a> PlanCheck<'a> {
    /// Returns where an artifact comes from; `None`: the plan has no such artifact.
    pub(super) fn origin(&self, artifact: &ArtifactRef) -> Option<Origin<'a>> {
        let from_the_start = |place| Origin {
            place,
            ready: Millis(0),
        };
        match artifact {
            ArtifactRef::Dataset(name) => {
                let dataset = self.plan.datasets.get(name)?;
                Some(from_the_start(&dataset.at))
            }
            ArtifactRef::Output { stage, .. } if self.job.made.contains_key(artifact) => {
                let done_stage = self.plan.from_state.as_ref()?.done.get(stage)?;
                Some(from_the_start(&done_stage.place))
            }
            ArtifactRef::Output { stage, .. } => {
                let stage = self.stages.get(stage.as_str())?;
                Some(Origin {
                    place: &stage.place,
                    ready: stage.end_ms,
                })
            }
        }
    }

    /// Returns when an artifact is at a place; `None`: the plan never has it there.
    pub(super) fn arrival(&self, artifact: &ArtifactRef, place: &PlaceName) -> Option<Millis> {
        let origin = self.origin(artifact)?;
        if origin.place == place {
            return Some(origin.ready);
        }
        let transfer = self
            .plan
            .transfers
            .iter()
            .find(|transfer| transfer.artifact == *artifact && transfer.to == *place)?;
        Some(transfer.start_ms + transfer.duration_ms)
    }

    /// Returns whether a transfer brings an output home.
    pub(super) fn brings_home(&self, transfer: &PlannedTransfer) -> bool {
        let ArtifactRef::Output { stage, name } = &transfer.artifact else {
            return false;
        };
        let goes = self
            .stages
            .get(stage.as_str())
            .and_then(|stage| stage.outputs.get(name));
        transfer.to == PlaceName::here() && goes == Some(&Destination::Home)
    }
}
