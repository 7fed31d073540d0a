//! The order of a job's stages, and what follows from it.

use crate::model::{ArtifactRef, Job};
use petgraph::algo::{tarjan_scc, toposort};
use petgraph::graphmap::DiGraphMap;
use std::collections::{BTreeMap, BTreeSet};

/// Stage names joined by "must end before".
pub fn graph(job: &Job) -> DiGraphMap<&str, ()> {
    let mut graph = DiGraphMap::new();
    for name in job.stages.keys() {
        graph.add_node(name.as_str());
    }
    for (name, stage) in &job.stages {
        for before in predecessors(stage) {
            if job.stages.contains_key(before) {
                graph.add_edge(before, name.as_str(), ());
            }
        }
    }
    graph
}

/// The stages that `stage` waits for, by data or by order; each once, sorted.
pub fn predecessors(stage: &crate::model::Stage) -> BTreeSet<&str> {
    let by_data = stage.reads.iter().filter_map(|read| match read {
        ArtifactRef::Output { stage, .. } => Some(stage.as_str()),
        ArtifactRef::Dataset(_) => None,
    });
    by_data
        .chain(stage.after.iter().map(String::as_str))
        .collect()
}

/// Stage names so that each comes after all it waits for; the names of one cycle if there is one.
pub fn order(job: &Job) -> Result<Vec<&str>, Vec<String>> {
    let graph = graph(job);
    match toposort(&graph, None) {
        Ok(order) => Ok(order),
        Err(_) => {
            let cycles = tarjan_scc(&graph);
            let in_cycle = |part: &Vec<&str>| {
                part.len() > 1 || part.iter().any(|name| graph.contains_edge(name, name))
            };
            Err(cycles
                .iter()
                .find(|part| in_cycle(part))
                .map(|part| walk_cycle(&graph, part))
                .unwrap_or_default())
        }
    }
}

/// A cycle through a strongly connected part, from its first name on, each name once.
fn walk_cycle(graph: &DiGraphMap<&str, ()>, part: &[&str]) -> Vec<String> {
    let member_names: BTreeSet<&str> = part.iter().copied().collect();
    let mut path: Vec<&str> = Vec::new();
    let mut next_stage = member_names.first().copied();
    while let Some(stage) = next_stage {
        if let Some(first_visit) = path.iter().position(|visited| *visited == stage) {
            path.drain(..first_visit);
            break;
        }
        path.push(stage);
        next_stage = graph
            .neighbors(stage)
            .filter(|next| member_names.contains(next))
            .min();
    }
    path.into_iter().map(str::to_owned).collect()
}

/// Labels of every artifact, and of what every stage reads. Labels stick to all that is derived
/// from labelled data until a stage declares that it removes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// By artifact.
    pub of_artifact: BTreeMap<ArtifactRef, BTreeSet<String>>,
    /// By stage: the union over what it reads.
    pub of_stage: BTreeMap<String, BTreeSet<String>>,
}

/// Follows the labels through the job. No label is lost in a job with a cycle, which is refused
/// when it is read: around a cycle labels are carried until none is new.
pub fn labels(job: &Job) -> Labels {
    match order(job) {
        Ok(order) => {
            let mut labels = labels_of_data(job);
            carry_labels(job, &order, &mut labels);
            labels
        }
        Err(_) => {
            let stages: Vec<&str> = job.stages.keys().map(String::as_str).collect();
            let mut labels = labels_of_data(job);
            loop {
                let labels_before = labels.clone();
                carry_labels(job, &stages, &mut labels);
                if labels == labels_before {
                    return labels;
                }
            }
        }
    }
}

/// Returns the labels of all that is there before any stage runs.
fn labels_of_data(job: &Job) -> Labels {
    let mut labels = Labels::default();
    for (name, dataset) in &job.datasets {
        labels
            .of_artifact
            .insert(ArtifactRef::Dataset(name.clone()), dataset.labels.clone());
    }
    labels.of_artifact.extend(
        job.made
            .iter()
            .map(|(artifact, made)| (artifact.clone(), made.labels.clone())),
    );
    labels
}

/// Carries the labels from what each stage reads to what it writes, in the order given.
fn carry_labels(job: &Job, order: &[&str], labels: &mut Labels) {
    for name in order {
        let Some(stage) = job.stages.get(*name) else {
            continue;
        };
        let labels_read: BTreeSet<String> = stage
            .reads
            .iter()
            .filter_map(|read| labels.of_artifact.get(&read.whole()))
            .flatten()
            .cloned()
            .collect();
        let labels_kept: BTreeSet<String> =
            labels_read.difference(&stage.removes).cloned().collect();
        for output in stage.writes.keys() {
            let artifact = ArtifactRef::Output {
                stage: (*name).to_owned(),
                name: output.clone(),
            };
            labels.of_artifact.insert(artifact, labels_kept.clone());
        }
        labels.of_stage.insert((*name).to_owned(), labels_read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, Dataset, Millis, Needs, PlaceName, Stage, Work};

    fn output(stage: &str) -> ArtifactRef {
        ArtifactRef::Output {
            stage: stage.to_owned(),
            name: "out".to_owned(),
        }
    }

    fn stage(reads: &[ArtifactRef]) -> Stage {
        Stage {
            reads: reads.iter().cloned().collect(),
            writes: BTreeMap::from([("out".to_owned(), Bytes(1))]),
            removes: BTreeSet::new(),
            needs: Needs::default(),
            work: Work::Duration(Millis(1)),
            run: None,
            files: BTreeSet::new(),
            nodes: 1,
            after: BTreeSet::new(),
            count: 1,
            deadline: None,
            allocation: None,
            checkpoint: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            retries: None,
            without: BTreeSet::new(),
        }
    }

    #[test]
    fn labels_go_around_a_cycle() {
        let people = ArtifactRef::Dataset("people".to_owned());
        let dataset = Dataset {
            at: PlaceName::here(),
            path: None,
            size: Bytes(1),
            labels: BTreeSet::from(["personal".to_owned()]),
        };
        // The label enters at `b`, and `a` comes first by name.
        let stages = [
            ("a".to_owned(), stage(&[output("b")])),
            ("b".to_owned(), stage(&[output("a"), people])),
        ];
        let job = Job {
            name: "cyclic".to_owned(),
            datasets: BTreeMap::from([("people".to_owned(), dataset)]),
            stages: BTreeMap::from(stages),
            spread: Vec::new(),
            made: BTreeMap::new(),
            outputs: BTreeMap::new(),
        };
        assert_eq!(order(&job), Err(vec!["a".to_owned(), "b".to_owned()]));
        let labels = labels(&job);
        assert!(labels.of_stage["a"].contains("personal"));
        assert!(labels.of_artifact[&output("a")].contains("personal"));
    }
}
