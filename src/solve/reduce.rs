//! Dropping choices that no placement within the limits can take.
//!
//! For a choice `o` of stage `s`, `cost(o) + Σ over other stages of their least cost` is a lower
//! bound on the cost of every placement that takes it, and the longest path through `s` with all
//! other stages at their shortest is one on its makespan. A choice whose bound exceeds a limit
//! is out. Egress counts where it is certain: data that lies at a fixed site and is read by one
//! stage only.

use crate::problem::{Instance, Origin, Shape, StageChoices};

/// The instance without choices that cannot be in a placement of cost at most `cost_limit` and
/// makespan at most `time_limit`. `None`: some stage has no choice left.
pub fn reduce(
    instance: &Instance,
    shape: &Shape,
    cost_limit: Option<i64>,
    time_limit: Option<i64>,
) -> Option<Instance> {
    let mut reduced = instance.clone();
    loop {
        let before = reduced.size();
        if let Some(limit) = cost_limit {
            by_cost(&mut reduced, limit)?;
        }
        if let Some(limit) = time_limit {
            by_time(&mut reduced, shape, limit)?;
        }
        if reduced.size() == before {
            return Some(reduced);
        }
    }
}

/// Cost that is certain once a stage takes a choice at `site`; `None`: the way is forbidden.
fn certain(instance: &Instance, stage: usize, site: usize) -> Option<i64> {
    let fetched = instance.artifacts.iter().filter(|artifact| artifact.readers == [stage]);
    fetched
        .filter_map(|artifact| match artifact.origin {
            Origin::Site(from) => Some(instance.links.cost(from, site, artifact.bytes)),
            Origin::Stage(_) => None,
        })
        .sum()
}

fn by_cost(instance: &mut Instance, limit: i64) -> Option<()> {
    let costs: Vec<Vec<Option<i64>>> = instance
        .stages
        .iter()
        .enumerate()
        .map(|(index, stage)| {
            let cost = |choice: &crate::problem::Choice| Some(choice.cost + certain(instance, index, choice.site)?);
            stage.choices.iter().map(cost).collect()
        })
        .collect();
    let least: Option<Vec<i64>> = costs.iter().map(|costs| costs.iter().flatten().min().copied()).collect();
    let least = least?;
    let floor: i64 = least.iter().sum();
    for (index, stage) in instance.stages.iter_mut().enumerate() {
        let fits = |position: usize| costs[index][position].is_some_and(|cost| floor - least[index] + cost <= limit);
        keep(stage, fits)?;
    }
    Some(())
}

fn by_time(instance: &mut Instance, shape: &Shape, limit: i64) -> Option<()> {
    let count = instance.stages.len();
    let shortest: Vec<i64> = instance
        .stages
        .iter()
        .map(|stage| stage.choices.iter().map(|choice| choice.duration).min().unwrap_or(0))
        .collect();
    let mut head = vec![0_i64; count];
    let mut tail = vec![0_i64; count];
    for &stage in &shape.order {
        for (origin, _) in &shape.inputs[stage] {
            if let Origin::Stage(before) = origin {
                head[stage] = head[stage].max(head[*before] + shortest[*before]);
            }
        }
    }
    for &stage in shape.order.iter().rev() {
        for (origin, _) in &shape.inputs[stage] {
            if let Origin::Stage(before) = origin {
                tail[*before] = tail[*before].max(tail[stage] + shortest[stage]);
            }
        }
    }
    for stage in 0..count {
        let fetch: Vec<i64> =
            instance.stages[stage].choices.iter().map(|choice| fetched(instance, shape, stage, choice.site)).collect();
        let choices = instance.stages[stage].choices.clone();
        let fits =
            |position: usize| head[stage].max(fetch[position]) + choices[position].duration + tail[stage] <= limit;
        keep(&mut instance.stages[stage], fits)?;
    }
    Some(())
}

/// When data that lies at fixed sites has arrived at `site`.
fn fetched(instance: &Instance, shape: &Shape, stage: usize, site: usize) -> i64 {
    let times = shape.inputs[stage].iter().filter_map(|(origin, artifact)| match (origin, artifact) {
        (Origin::Site(from), Some(artifact)) => {
            Some(instance.links.time(*from, site, instance.artifacts[*artifact].bytes))
        }
        _ => None,
    });
    times.max().unwrap_or(0)
}

fn keep(stage: &mut StageChoices, fits: impl Fn(usize) -> bool) -> Option<()> {
    let mut position = 0;
    stage.choices.retain(|_| {
        position += 1;
        fits(position - 1)
    });
    (!stage.choices.is_empty()).then_some(())
}
