//! Stages that are alike: two of them can change places in every placement and schedule.

use crate::model::Bytes;
use crate::planning::problem::{ArtifactId, Instance, Origin, Precedence, StageId};
use crate::util::id_vec::IdVec;

/// Tells which stages of an instance can change places.
pub(super) struct Interchangeable<'a> {
    instance: &'a Instance,
    surroundings: IdVec<StageId, Surroundings>,
}

/// What lies around a stage in the DAG.
#[derive(Clone, Default, PartialEq, Eq)]
struct Surroundings {
    reads: Vec<ArtifactId>,
    writes: Vec<WrittenArtifact>,
    before: Vec<StageId>,
    after: Vec<StageId>,
}

/// What an instance says of an artifact that a stage makes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct WrittenArtifact {
    bytes: Bytes,
    link_bytes: Bytes,
    readers: Vec<StageId>,
}

impl<'a> Interchangeable<'a> {
    /// Looks up what lies around every stage.
    pub(super) fn of(instance: &'a Instance) -> Self {
        let mut surroundings = instance.stages.map(|_| Surroundings::default());
        for (index, artifact) in instance.artifacts.iter_enumerated() {
            for reader in &artifact.readers {
                surroundings[*reader].reads.push(index);
            }
            if let Origin::Stage(maker) = artifact.origin {
                surroundings[maker].writes.push(WrittenArtifact {
                    bytes: artifact.bytes,
                    link_bytes: artifact.link_bytes,
                    readers: artifact.readers.clone(),
                });
            }
        }
        for Precedence { before, after } in &instance.precedence {
            surroundings[*after].before.push(*before);
            surroundings[*before].after.push(*after);
        }
        for stage in surroundings.iter_mut() {
            stage.writes.sort_unstable();
            stage.before.sort_unstable();
            stage.after.sort_unstable();
        }
        Self {
            instance,
            surroundings,
        }
    }

    /// Returns whether two stages can change places.
    pub(super) fn are(&self, one: StageId, other: StageId) -> bool {
        let (first, second) = (&self.instance.stages[one], &self.instance.stages[other]);
        first.deadline == second.deadline
            && self.surroundings[one] == self.surroundings[other]
            && self
                .instance
                .caps
                .iter()
                .all(|cap| cap.uses[one] == cap.uses[other])
            && first.choices == second.choices
    }
}
