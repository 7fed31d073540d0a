//! Outputs that a rule of the policy keeps from this machine.

use crate::model::{ArtifactRef, Destination, Job, Policy, dag};
use crate::planning::compile::base_name;
use crate::planning::rule::forbids_home;
use std::collections::BTreeSet;

/// Returns the job with those outputs left where they are made that a rule of the policy keeps from
/// this machine. Without that rule they would be brought home, which costs time and money; what is
/// compared must be the same work.
pub(super) fn leave_forbidden_outputs(job: &Job, policy: &Policy) -> Job {
    let expanded = job.expanded();
    let labels = dag::labels(&expanded);
    let artifacts_read: BTreeSet<&ArtifactRef> = expanded
        .stages
        .values()
        .flat_map(|stage| &stage.reads)
        .collect();
    let mut pinned = job.clone();
    for (stage, body) in &expanded.stages {
        for name in body.writes.keys() {
            let artifact = ArtifactRef::Output {
                stage: stage.clone(),
                name: name.clone(),
            };
            let carried = &labels.of_artifact[&artifact];
            if !artifacts_read.contains(&artifact) && forbids_home(policy, carried).is_some() {
                let output = ArtifactRef::Output {
                    stage: base_name(stage).to_owned(),
                    name: name.clone(),
                };
                pinned.outputs.entry(output).or_insert(Destination::There);
            }
        }
    }
    pinned
}
