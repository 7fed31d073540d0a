//! Dropping choices that no placement within the limits can take.
//!
//! Messages over the whole DAG ([`crate::planning::solve::bound::dual_messages`]) give a lower
//! bound on the cost of every placement that takes a choice, and the longest path through its stage
//! with all other stages at their shortest is one on the makespan. A choice whose bound exceeds a
//! limit is out.

use crate::model::Millis;
use crate::planning::problem::{
    Choice, ChoiceId, Instance, Origin, Shape, SiteId, StageChoices, StageId, StageInput, routes,
};
use crate::planning::solve::bound::closing_bounds::{
    ChoicesWithin, KeptChoices, choices_within, cost_bound,
};
use crate::planning::solve::bound::forest::forest;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::IdVec;
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
    let is_timed =
        limits.time.is_some() || instance.stages.iter().any(|stage| stage.deadline.is_some());
    // The first time, only what is kept is copied: there may be millions of choices.
    let mut reduced = match limits.cost {
        Some(limit) => with_kept_choices(instance, &by_cost(instance, limit.0)?)?,
        None => instance.clone(),
    };
    let mut size_before = instance.size();
    loop {
        if is_timed {
            by_time(&mut reduced, shape, limits.time)?;
        }
        if reduced.size() == size_before || !is_timed || size_before > LARGE {
            return Some(reduced);
        }
        size_before = reduced.size();
        if let Some(limit) = limits.cost {
            reduced = with_kept_choices(&reduced, &by_cost(&reduced, limit.0)?)?;
        }
    }
}

/// The instance with some of its choices. `None`: some stage has none.
pub(crate) fn with_kept_choices(instance: &Instance, keep: &KeptChoices) -> Option<Instance> {
    let stage = |(stage, keep): (&StageChoices, &IdVec<ChoiceId, bool>)| {
        let choices = stage.choices.iter().zip(keep).filter(|(_, keep)| **keep);
        let choices: IdVec<ChoiceId, Choice> = choices.map(|(choice, _)| *choice).collect();
        let kept_stage = StageChoices {
            label: stage.label.clone(),
            choices,
            deadline: stage.deadline,
        };
        (!kept_stage.choices.is_empty()).then_some(kept_stage)
    };
    Some(Instance {
        stages: instance
            .stages
            .iter()
            .zip(keep)
            .map(stage)
            .collect::<Option<IdVec<StageId, StageChoices>>>()?,
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
pub(crate) fn least_time(instance: &Instance, shape: &Shape) -> Millis {
    let paths = longest_paths(instance, shape, None);
    let path_ends = paths.head.iter().zip(&paths.shortest);
    let latest_end = path_ends.map(|(head, shortest)| head + shortest);
    Millis::from_signed(latest_end.fold(0, i64::max))
}

/// By stage and choice: it may be in a placement that costs at most `limit`. `None`: there is none.
fn by_cost(
    instance: &Instance,
    shape: &Shape,
    limit: i64,
    least: bool,
    effort: &Effort,
) -> Option<KeptChoices> {
    match choices_within(instance, shape, limit, least, effort) {
        ChoicesWithin::Nothing => None,
        ChoicesWithin::Some(kept) => Some(kept),
        ChoicesWithin::Unknown => {
            let with_choice = forest(instance, shape)?.with;
            Some(with_choice.map(|bounds| bounds.map(|bound| *bound <= limit)))
        }
    }
}

/// By stage, with every stage at its shortest: when it can start, its own time, and when it must
/// have ended.
struct Paths {
    head: IdVec<StageId, i64>,
    shortest: IdVec<StageId, i64>,
    latest: IdVec<StageId, i64>,
}

fn longest_paths(instance: &Instance, shape: &Shape, limit: Option<Millis>) -> Paths {
    let shortest = instance.stages.map(|stage| stage.shortest().signed());
    let mut head_times = instance.stages.map(|_| 0_i64);
    let own_deadline = |stage: &StageChoices| {
        stage
            .deadline
            .into_iter()
            .chain(limit)
            .min()
            .map_or(FOREVER, Millis::signed)
    };
    let mut latest_ends = instance.stages.map(own_deadline);
    for &stage in &shape.order {
        for StageInput { origin, .. } in &shape.inputs[stage] {
            if let Origin::Stage(before) = origin {
                head_times[stage] = head_times[stage].max(head_times[*before] + shortest[*before]);
            }
        }
    }
    for &stage in shape.order.iter().rev() {
        for StageInput { origin, .. } in &shape.inputs[stage] {
            if let Origin::Stage(before) = origin {
                latest_ends[*before] =
                    latest_ends[*before].min(latest_ends[stage] - shortest[stage]);
            }
        }
    }
    Paths {
        head: head_times,
        shortest,
        latest: latest_ends,
    }
}

fn by_time(instance: &mut Instance, shape: &Shape, limit: Option<Millis>) -> Option<()> {
    let Paths { head, latest, .. } = longest_paths(instance, shape, limit);
    for stage in instance.stages.ids() {
        let sites: BTreeSet<SiteId> = instance.stages[stage]
            .choices
            .iter()
            .map(|choice| choice.site)
            .collect();
        let fetched_times = arrival_times(instance, shape, stage, &sites);
        let choices = instance.stages[stage].choices.clone();
        let fits_time = |position: ChoiceId| {
            let choice: &Choice = &choices[position];
            head[stage].max(fetched_times[&choice.site]) + choice.duration.signed() <= latest[stage]
        };
        keep_choices(&mut instance.stages[stage], fits_time)?;
    }
    Some(())
}

/// By site: when data that lies at fixed sites has arrived there.
fn arrival_times(
    instance: &Instance,
    shape: &Shape,
    stage: StageId,
    sites: &BTreeSet<SiteId>,
) -> BTreeMap<SiteId, i64> {
    let mut arrivals: BTreeMap<SiteId, i64> = sites.iter().map(|site| (*site, 0)).collect();
    for StageInput { origin, artifact } in &shape.inputs[stage] {
        let (Origin::Site(from), Some(artifact)) = (origin, artifact) else {
            continue;
        };
        let artifact = &instance.artifacts[*artifact];
        let holders = routes::holders(instance, artifact);
        for (to, arrival) in &mut arrivals {
            let least_times = routes::least_time(instance, artifact, &holders, *from, *to);
            *arrival = (*arrival).max(least_times.signed());
        }
    }
    arrivals
}

fn keep_choices(stage: &mut StageChoices, fits: impl Fn(ChoiceId) -> bool) -> Option<()> {
    stage.choices.retain_by_id(|choice, _| fits(choice));
    (!stage.choices.is_empty()).then_some(())
}
