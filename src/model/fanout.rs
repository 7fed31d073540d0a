//! Fan-out: a stage with `count` as so many stages of its own, `sweep[0]`, `sweep[1]`, ….

use super::{ArtifactRef, Job, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the name of one replica of a stage.
pub fn replica_name(stage: &str, index: u32) -> String {
    format!("{stage}[{index}]")
}

/// Returns the stage that a replica belongs to, and its number: `("sweep", 3)` for `sweep[3]`.
pub fn replica_of(name: &str) -> Option<(&str, u32)> {
    let (stage, index) = name.strip_suffix(']')?.split_once('[')?;
    Some((stage, index.parse().ok()?))
}

impl Job {
    /// Returns the job with every replica of its stages as a stage. A reader of a stage with
    /// replicas reads what all of them write, or, as `split.part[i]`, what the replica with its own
    /// number writes; to come after such a stage is to come after all its replicas.
    pub fn expanded(&self) -> Job {
        let count = |stage: &str| self.stages.get(stage).map_or(1, |stage| stage.count);
        let mut stages = BTreeMap::new();
        for (name, stage) in &self.stages {
            for index in 0..stage.count {
                let reads = stage
                    .reads
                    .iter()
                    .flat_map(|read| elements_read(read, index, &count))
                    .collect();
                let replicas_before = stage
                    .after
                    .iter()
                    .flat_map(|before| replica_names(before, count(before)))
                    .collect::<BTreeSet<_>>();
                let name = if stage.count == 1 {
                    name.clone()
                } else {
                    replica_name(name, index)
                };
                stages.insert(
                    name,
                    Stage {
                        reads,
                        after: replicas_before,
                        count: 1,
                        ..stage.clone()
                    },
                );
            }
        }
        let outputs = self.outputs.iter().flat_map(|(output, to)| {
            let stage = match output {
                ArtifactRef::Output { stage, .. } => stage.as_str(),
                ArtifactRef::Dataset(_) => "",
            };
            let of_replica = |replica| {
                (
                    ArtifactRef::Output {
                        stage: replica,
                        name: output.file_name().to_owned(),
                    },
                    *to,
                )
            };
            replica_names(stage, count(stage))
                .into_iter()
                .map(of_replica)
        });
        Job {
            stages,
            outputs: outputs.collect(),
            ..self.clone()
        }
    }
}

fn replica_names(stage: &str, count: u32) -> Vec<String> {
    match count {
        1 => vec![stage.to_owned()],
        count => (0..count).map(|index| replica_name(stage, index)).collect(),
    }
}

fn elements_read(read: &ArtifactRef, reader: u32, count: &dyn Fn(&str) -> u32) -> Vec<ArtifactRef> {
    let ArtifactRef::Output { stage, .. } = read else {
        return vec![read.clone()];
    };
    let output_of = |stage: String| ArtifactRef::Output {
        stage,
        name: read.file_name().to_owned(),
    };
    match count(stage) {
        1 => vec![read.whole()],
        _ if read.is_element() => vec![output_of(replica_name(stage, reader))],
        count => replica_names(stage, count)
            .into_iter()
            .map(output_of)
            .collect(),
    }
}
