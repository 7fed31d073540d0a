//! The exact figures of a finished placement: the only place where they are computed while
//! planning. Solvers' own floating-point figures are never used.

use super::instance::{Instance, Origin, Shape};
use std::collections::BTreeSet;

/// Cost and schedule of one placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    pub compute: i64,
    pub egress: i64,
    pub makespan: i64,
    /// By stage.
    pub start: Vec<i64>,
    pub end: Vec<i64>,
    /// Every paid or free copy to another site, by artifact, then by destination.
    pub copies: Vec<Copy>,
}

/// One artifact brought to one other site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub artifact: usize,
    pub from: usize,
    pub to: usize,
    pub start: i64,
    pub duration: i64,
    pub cost: i64,
}

impl Evaluation {
    /// Compute and egress.
    pub fn cost(&self) -> i64 {
        self.compute + self.egress
    }
}

/// Cost and schedule when stage `s` takes `instance.stages[s].choices[picks[s]]`. Every stage
/// starts as soon as all its inputs have arrived. `None` if a copy would use a forbidden way.
pub fn evaluate(instance: &Instance, shape: &Shape, picks: &[usize]) -> Option<Evaluation> {
    let site = |stage: usize| instance.stages[stage].choices[picks[stage]].site;
    let count = instance.stages.len();
    let (mut start, mut end) = (vec![0_i64; count], vec![0_i64; count]);
    for &stage in &shape.order {
        let choice = instance.stages[stage].choices[picks[stage]];
        for (origin, artifact) in &shape.inputs[stage] {
            let (from, ready) = match origin {
                Origin::Site(from) => (*from, 0),
                Origin::Stage(before) => (site(*before), end[*before]),
            };
            let travel = artifact
                .map_or(0, |artifact| instance.links.time(from, choice.site, instance.artifacts[artifact].bytes));
            start[stage] = start[stage].max(ready + travel);
        }
        end[stage] = start[stage] + choice.duration;
    }
    let mut copies = Vec::new();
    for (index, artifact) in instance.artifacts.iter().enumerate() {
        let (from, ready) = match artifact.origin {
            Origin::Site(from) => (from, 0),
            Origin::Stage(stage) => (site(stage), end[stage]),
        };
        let destinations: BTreeSet<usize> =
            artifact.readers.iter().map(|reader| site(*reader)).filter(|to| *to != from).collect();
        for to in destinations {
            let cost = instance.links.cost(from, to, artifact.bytes)?;
            let duration = instance.links.time(from, to, artifact.bytes);
            copies.push(Copy { artifact: index, from, to, start: ready, duration, cost });
        }
    }
    let compute = (0..count).map(|stage| instance.stages[stage].choices[picks[stage]].cost).sum();
    let egress = copies.iter().map(|copy| copy.cost).sum();
    let makespan = end.iter().copied().max().unwrap_or(0);
    Some(Evaluation { compute, egress, makespan, start, end, copies })
}

/// By stage: the artifacts that it makes or reads.
pub fn touched(instance: &Instance) -> Vec<Vec<usize>> {
    let mut touched = vec![Vec::new(); instance.stages.len()];
    for (index, artifact) in instance.artifacts.iter().enumerate() {
        if let Origin::Stage(stage) = artifact.origin {
            touched[stage].push(index);
        }
        artifact.readers.iter().for_each(|reader| touched[*reader].push(index));
    }
    touched
}

/// What a stage and all copies of the artifacts that touch it cost: the part of the total that
/// its choice decides. More than anything for a forbidden way.
pub fn local_cost(instance: &Instance, touched: &[usize], picks: &[usize], stage: usize) -> i64 {
    let site = |stage: usize| instance.stages[stage].choices[picks[stage]].site;
    let mut cost = instance.stages[stage].choices[picks[stage]].cost;
    let mut paid: Vec<usize> = Vec::new();
    for index in touched {
        let artifact = &instance.artifacts[*index];
        let from = match artifact.origin {
            Origin::Site(from) => from,
            Origin::Stage(stage) => site(stage),
        };
        paid.clear();
        for to in artifact.readers.iter().map(|reader| site(*reader)) {
            if to == from || paid.contains(&to) {
                continue;
            }
            paid.push(to);
            let Some(copy) = instance.links.cost(from, to, artifact.bytes) else { return i64::MAX };
            cost = cost.saturating_add(copy);
        }
    }
    cost
}
