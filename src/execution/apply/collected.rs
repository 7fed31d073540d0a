//! What was deleted with its bucket once all had read it, and whether anybody has to read it again.

use super::context::Context;
use super::stage_inputs::prepare_work;
use crate::execution::state::{Artifact, State, Status};
use crate::model::ArtifactRef;
use crate::plan::PlannedStage;
use std::collections::BTreeSet;

/// Whether it was deleted on purpose: all that read it were done.
pub(super) fn is_gone(artifact: &Artifact) -> bool {
    artifact.away && artifact.staged.is_empty()
}

/// The stages of the plan that stay as they are, as far as the state tells: needed only to know
/// whether somebody reads again what is gone.
pub(super) async fn settled_stages(context: &Context) -> BTreeSet<String> {
    if !context
        .recorder
        .read(|state| state.artifacts.values().any(is_gone))
    {
        return BTreeSet::new();
    }
    let mut settled_names = BTreeSet::new();
    for planned in &context.plan.stages {
        let record = context
            .recorder
            .read(|state| state.stages.get(&planned.name).cloned());
        let Some(record) = record.filter(|record| record.status == Status::Done) else {
            continue;
        };
        if prepare_work(context, planned)
            .await
            .is_ok_and(|work| work.content.is_of(&record))
        {
            settled_names.insert(planned.name.clone());
        }
    }
    loop {
        let stays_settled = |planned: &PlannedStage, state: &State| {
            let inputs_settled = planned.reads.iter().all(|read| match read {
                ArtifactRef::Output { stage, .. } => {
                    settled_names.contains(stage)
                        || context
                            .plan
                            .stages
                            .iter()
                            .all(|planned| planned.name != *stage)
                }
                ArtifactRef::Dataset(_) => true,
            });
            let output = |output: &String| {
                let output_read = ArtifactRef::Output {
                    stage: planned.name.clone(),
                    name: output.clone(),
                };
                let reads = |stage: &&PlannedStage| stage.reads.contains(&output_read);
                let still_needed = context
                    .plan
                    .stages
                    .iter()
                    .filter(reads)
                    .any(|stage| !settled_names.contains(&stage.name));
                state
                    .artifacts
                    .get(&output_read.to_string())
                    .is_some_and(|artifact| {
                        let is_held = context.objects.has(&artifact.digest, artifact.kind);
                        is_held
                            || !artifact.staged.is_empty()
                            || (is_gone(artifact) && !still_needed)
                    })
            };
            inputs_settled && planned.writes.keys().all(output)
        };
        let stages_left = context.recorder.read(|state| {
            let stages = context
                .plan
                .stages
                .iter()
                .filter(|planned| settled_names.contains(&planned.name));
            stages
                .filter(|planned| stays_settled(planned, state))
                .map(|planned| planned.name.clone())
                .collect::<BTreeSet<_>>()
        });
        if stages_left.len() == settled_names.len() {
            return settled_names;
        }
        settled_names = stages_left;
    }
}
