//! Fan-out: a stage with `count` as so many stages of its own, `sweep[0]`, `sweep[1]`, ….

use super::{ArtifactRef, Job, Stage};
use std::collections::{BTreeMap, BTreeSet};

/// The name of one copy of a stage.
pub fn copy_name(stage: &str, index: u32) -> String {
    format!("{stage}[{index}]")
}

/// The stage that a copy belongs to, and its number: `("sweep", 3)` for `sweep[3]`.
pub fn copy_of(name: &str) -> Option<(&str, u32)> {
    let (stage, index) = name.strip_suffix(']')?.split_once('[')?;
    Some((stage, index.parse().ok()?))
}

impl Job {
    /// The job with every copy of its stages as a stage. A reader of a stage with copies reads what
    /// all of them write, or, as `split.part[i]`, what the copy with its own number writes; to
    /// come after such a stage is to come after all its copies.
    pub fn expanded(&self) -> Job {
        let count = |stage: &str| self.stages.get(stage).map_or(1, |stage| stage.count);
        let mut stages = BTreeMap::new();
        for (name, stage) in &self.stages {
            for index in 0..stage.count {
                let reads = stage.reads.iter().flat_map(|read| copies_read(read, index, &count)).collect();
                let after =
                    stage.after.iter().flat_map(|before| copies(before, count(before))).collect::<BTreeSet<_>>();
                let name = if stage.count == 1 { name.clone() } else { copy_name(name, index) };
                stages.insert(name, Stage { reads, after, count: 1, ..stage.clone() });
            }
        }
        let outputs = self.outputs.iter().flat_map(|(output, to)| {
            let stage = match output {
                ArtifactRef::Output { stage, .. } => stage.as_str(),
                ArtifactRef::Dataset(_) => "",
            };
            let of_copy = |copy| (ArtifactRef::Output { stage: copy, name: output.file_name().to_owned() }, *to);
            copies(stage, count(stage)).into_iter().map(of_copy)
        });
        Job { stages, outputs: outputs.collect(), ..self.clone() }
    }
}

fn copies(stage: &str, count: u32) -> Vec<String> {
    match count {
        1 => vec![stage.to_owned()],
        count => (0..count).map(|index| copy_name(stage, index)).collect(),
    }
}

fn copies_read(read: &ArtifactRef, reader: u32, count: &dyn Fn(&str) -> u32) -> Vec<ArtifactRef> {
    let ArtifactRef::Output { stage, .. } = read else { return vec![read.clone()] };
    let of = |stage: String| ArtifactRef::Output { stage, name: read.file_name().to_owned() };
    match count(stage) {
        1 => vec![read.whole()],
        _ if read.is_element() => vec![of(copy_name(stage, reader))],
        count => copies(stage, count).into_iter().map(of).collect(),
    }
}
