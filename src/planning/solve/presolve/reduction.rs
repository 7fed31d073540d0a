//! Dropping choices that no placement within the limits can take.
//!
//! Messages over the whole DAG ([`crate::planning::solve::bound::dual_messages`]) give a lower
//! bound on the cost of every placement that takes a choice, and the longest path through its stage
//! with all other stages at their shortest is one on the makespan. A choice whose bound exceeds a
//! limit is out.

use crate::planning::problem::routes;
use crate::planning::problem::{Choice, Instance, Origin, Shape, StageChoices};
use crate::planning::solve::bound::closing_bounds::{ChoicesWithin, choices_within, cost_bound};
use crate::planning::solve::bound::forest::forest;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;
use std::collections::{BTreeMap, BTreeSet};

/// Later than every deadline.
const FOREVER: i64 = i64::MAX / 4;
/// With more choices than this, one round is enough: another one takes long and drops few.
const LARGE: usize = 20_000;

/// The instance without choices that cannot be in a placement within the limits on cost and on
/// time, whose stages keep their own deadlines. `None`: some stage has no choice left.
pub(crate) fn reduce(
    instance: &Instance,
    shape: &Shape,
    limits: Limits,
    effort: &Effort,
) -> Option<Instance> {
    let by_cost =
        |instance: &Instance, limit| by_cost(instance, shape, limit, limits.least, effort);
    let timed =
        limits.time.is_some() || instance.stages.iter().any(|stage| stage.deadline.is_some());
    // The first time, only what is kept is copied: there may be millions of choices.
    let mut reduced = match limits.cost {
        Some(limit) => with_kept_choices(instance, &by_cost(instance, limit)?)?,
        None => instance.clone(),
    };
    let mut before = instance.size();
    loop {
        if timed {
            by_time(&mut reduced, shape, limits.time)?;
        }
        if reduced.size() == before || !timed || before > LARGE {
            return Some(reduced);
        }
        before = reduced.size();
        if let Some(limit) = limits.cost {
            reduced = with_kept_choices(&reduced, &by_cost(&reduced, limit)?)?;
        }
    }
}

/// The instance with some of its choices. `None`: some stage has none.
pub(crate) fn with_kept_choices(instance: &Instance, keep: &[Vec<bool>]) -> Option<Instance> {
    let stage = |(stage, keep): (&StageChoices, &Vec<bool>)| {
        let choices = stage.choices.iter().zip(keep).filter(|(_, keep)| **keep);
        let choices: Vec<Choice> = choices.map(|(choice, _)| *choice).collect();
        let kept = StageChoices {
            label: stage.label.clone(),
            choices,
            deadline: stage.deadline,
        };
        (!kept.choices.is_empty()).then_some(kept)
    };
    Some(Instance {
        stages: instance
            .stages
            .iter()
            .zip(keep)
            .map(stage)
            .collect::<Option<Vec<StageChoices>>>()?,
        artifacts: instance.artifacts.clone(),
        precedence: instance.precedence.clone(),
        links: instance.links.clone(),
        caps: instance.caps.clone(),
        ..*instance
    })
}

/// A lower bound on the cost of every placement.
pub(crate) fn least_cost(instance: &Instance, shape: &Shape, effort: &Effort) -> i64 {
    cost_bound(instance, shape, effort)
        .unwrap_or_else(|| forest(instance, shape).map_or(0, |forest| forest.least))
}

/// A lower bound on the makespan of every placement: the longest path with every stage at its
/// shortest.
pub(crate) fn least_time(instance: &Instance, shape: &Shape) -> i64 {
    let paths = paths(instance, shape, None);
    (0..instance.stages.len())
        .map(|stage| paths.head[stage] + paths.shortest[stage])
        .max()
        .unwrap_or(0)
}

/// By stage and choice: it may be in a placement that costs at most `limit`. `None`: there is none.
fn by_cost(
    instance: &Instance,
    shape: &Shape,
    limit: i64,
    least: bool,
    effort: &Effort,
) -> Option<Vec<Vec<bool>>> {
    match choices_within(instance, shape, limit, least, effort) {
        ChoicesWithin::Nothing => None,
        ChoicesWithin::Some(kept) => Some(kept),
        ChoicesWithin::Unknown => {
            let with = forest(instance, shape)?.with;
            let within =
                |bounds: Vec<i64>| bounds.into_iter().map(|bound| bound <= limit).collect();
            Some(with.into_iter().map(within).collect())
        }
    }
}

/// By stage, with every stage at its shortest: when it can start, its own time, and when it must
/// have ended.
struct Paths {
    head: Vec<i64>,
    shortest: Vec<i64>,
    latest: Vec<i64>,
}

fn paths(instance: &Instance, shape: &Shape, limit: Option<i64>) -> Paths {
    let count = instance.stages.len();
    let shortest: Vec<i64> = instance
        .stages
        .iter()
        .map(|stage| {
            stage
                .choices
                .iter()
                .map(|choice| choice.duration)
                .min()
                .unwrap_or(0)
        })
        .collect();
    let mut head = vec![0_i64; count];
    let own = |stage: &StageChoices| {
        stage
            .deadline
            .into_iter()
            .chain(limit)
            .min()
            .unwrap_or(FOREVER)
    };
    let mut latest: Vec<i64> = instance.stages.iter().map(own).collect();
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
                latest[*before] = latest[*before].min(latest[stage] - shortest[stage]);
            }
        }
    }
    Paths {
        head,
        shortest,
        latest,
    }
}

fn by_time(instance: &mut Instance, shape: &Shape, limit: Option<i64>) -> Option<()> {
    let Paths { head, latest, .. } = paths(instance, shape, limit);
    for stage in 0..instance.stages.len() {
        let sites: BTreeSet<usize> = instance.stages[stage]
            .choices
            .iter()
            .map(|choice| choice.site)
            .collect();
        let fetched = fetched(instance, shape, stage, &sites);
        let choices = instance.stages[stage].choices.clone();
        let fits = |position: usize| {
            let choice: &Choice = &choices[position];
            head[stage].max(fetched[&choice.site]) + choice.duration <= latest[stage]
        };
        keep(&mut instance.stages[stage], fits)?;
    }
    Some(())
}

/// By site: when data that lies at fixed sites has arrived there.
fn fetched(
    instance: &Instance,
    shape: &Shape,
    stage: usize,
    sites: &BTreeSet<usize>,
) -> BTreeMap<usize, i64> {
    let mut arrivals: BTreeMap<usize, i64> = sites.iter().map(|site| (*site, 0)).collect();
    for (origin, artifact) in &shape.inputs[stage] {
        let (Origin::Site(from), Some(artifact)) = (origin, artifact) else {
            continue;
        };
        let artifact = &instance.artifacts[*artifact];
        let holders = routes::holders(instance, artifact);
        for (to, arrival) in &mut arrivals {
            *arrival = (*arrival).max(routes::least_time(instance, artifact, &holders, *from, *to));
        }
    }
    arrivals
}

fn keep(stage: &mut StageChoices, fits: impl Fn(usize) -> bool) -> Option<()> {
    let mut position = 0;
    stage.choices.retain(|_| {
        position += 1;
        fits(position - 1)
    });
    (!stage.choices.is_empty()).then_some(())
}
