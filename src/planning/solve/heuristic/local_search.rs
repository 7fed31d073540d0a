//! Good placements, fast and deterministic, without a proof: starts for the solver and bounds
//! for [`crate::planning::solve::presolve::reduction`].

use crate::model::{Money, Objective};
use crate::planning::problem::concurrency::Usage;
use crate::planning::problem::{
    ArtifactId, Instance, Placement, Shape, SiteId, StageId, artifacts_by_stage, evaluate,
    local_cost,
};
use crate::planning::solve::bound::forest::forest;
use crate::planning::solve::effort::Effort;
use crate::util::id_vec::IdVec;

/// What makes one placement better than another: less over the limits first, then the
/// objective, then the other figure.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Milliseconds, micro-USD and units of caps over the limits, in sum.
    over: i64,
    objective: i64,
    other: i64,
}

impl Key {
    /// What is worse than every placement.
    const WORST: Self = Self {
        over: i64::MAX,
        objective: i64::MAX,
        other: i64::MAX,
    };
}

/// Work before the search gives up, in visits of a stage or an artifact (about 10 ns each).
const VISITS: usize = 20_000_000;
/// The same for breaking ties.
const IMPROVING: usize = 3_000_000;
/// Sites that are tried as the home of the whole job.
const HOMES: usize = 24;

/// Returns the best placement found by single-stage moves from several starts. `None`: none within
/// the limits was found.
pub(crate) fn local_search(
    instance: &Instance,
    shape: &Shape,
    effort: &Effort,
) -> Option<Placement> {
    let mut best_found: Option<(Key, Placement)> = None;
    let mut visits = VISITS;
    let mut moves = VISITS / (instance.stages.len() + instance.artifacts.len()).max(1);
    let stage_artifacts = artifacts_by_stage(instance);
    let only_money = instance.minimize == Objective::Cost
        && instance.hour == Money(0)
        && instance.deadline.is_none()
        && instance.caps.is_empty()
        && instance.stages.iter().all(|stage| stage.deadline.is_none());
    let cheapest = forest(instance, shape)?.placement;
    let usage = Usage::of(instance);
    for start in std::iter::once(cheapest).chain(first_placements(instance)) {
        if effort.should_stop() && best_found.as_ref().is_some_and(|(key, _)| key.over == 0) {
            break;
        }
        // Where only money counts, a move changes only what touches its stage.
        let (key, placement) = if only_money {
            let placement = cheapen_stages(instance, &stage_artifacts, start, &mut visits, effort);
            (
                placement_key(instance, shape, &usage, &placement),
                placement,
            )
        } else {
            descend_to_best(instance, shape, &usage, start, &mut moves, effort)
        };
        if best_found.as_ref().is_none_or(|(known, _)| key < *known) {
            best_found = Some((key, placement));
        }
    }
    let (key, placement) = best_found?;
    if key.over > 0 {
        return None;
    }
    Some(placement)
}

/// A placement after single-stage moves, never worse than before.
pub(crate) fn improve_placement(
    instance: &Instance,
    shape: &Shape,
    placement: Placement,
    effort: &Effort,
) -> Placement {
    let mut moves = IMPROVING / (instance.stages.len() + instance.artifacts.len()).max(1);
    descend_to_best(
        instance,
        shape,
        &Usage::of(instance),
        placement,
        &mut moves,
        effort,
    )
    .1
}

fn placement_key(
    instance: &Instance,
    shape: &Shape,
    usage: &Usage<'_>,
    placement: &Placement,
) -> Key {
    let Some(evaluation) = evaluate(instance, shape, placement) else {
        return Key::WORST;
    };
    let (cost, time) = (evaluation.cost().0, evaluation.makespan.signed());
    let over_time = instance
        .deadline
        .map_or(0, |deadline| (time - deadline.signed()).max(0));
    let over_cost = instance.budget.map_or(0, |budget| (cost - budget.0).max(0));
    let over_limits = over_time
        .saturating_add(over_cost)
        .saturating_add(instance.lateness(&evaluation).signed());
    let over_all = over_limits.saturating_add(usage.excess(placement));
    match instance.minimize {
        Objective::Cost => Key {
            over: over_all,
            objective: instance.score(&evaluation),
            other: time,
        },
        Objective::Time => Key {
            over: over_all,
            objective: time,
            other: cost,
        },
    }
}

/// Each stage at its cheapest; at its fastest; and everything as near as can be to one site.
fn first_placements(instance: &Instance) -> Vec<Placement> {
    let each_by =
        |rank: &dyn Fn(&crate::planning::problem::Choice) -> (i64, i64, i64)| -> Placement {
            let position = |stage: &crate::planning::problem::StageChoices| {
                let choices = stage.choices.ids();
                choices
                    .min_by_key(|choice| rank(&stage.choices[*choice]))
                    .unwrap_or_default()
            };
            instance.stages.map(position)
        };
    let mut start_placements = vec![
        each_by(&|choice| (0, choice.cost.0, choice.duration.signed())),
        each_by(&|choice| (0, choice.duration.signed(), choice.cost.0)),
    ];
    for home in home_sites(instance) {
        start_placements.push(each_by(&|choice| {
            (
                i64::from(choice.site != home),
                choice.cost.0,
                choice.duration.signed(),
            )
        }));
    }
    start_placements
}

/// Sites where most stages can run, the cheaper first.
fn home_sites(instance: &Instance) -> Vec<SiteId> {
    let mut sites: Vec<(usize, i64, SiteId)> = Vec::new();
    for site in instance.links.site_ids() {
        let home_choices = instance.stages.iter().map(|stage| {
            stage
                .choices
                .iter()
                .filter(|c| c.site == site)
                .map(|c| c.cost.0)
                .min()
        });
        let (mut absent, mut cost) = (0, 0);
        for least in home_choices {
            match least {
                Some(least) => cost += least,
                None => absent += 1,
            }
        }
        if absent < instance.stages.len() {
            sites.push((absent, cost, site));
        }
    }
    sites.sort_unstable();
    sites
        .into_iter()
        .take(HOMES)
        .map(|(_, _, site)| site)
        .collect()
}

/// Moves one stage at a time to where it and what touches it cost least, until no move helps or
/// `visits` are used up.
fn cheapen_stages(
    instance: &Instance,
    stage_artifacts: &IdVec<StageId, Vec<ArtifactId>>,
    mut placement: Placement,
    visits: &mut usize,
    effort: &Effort,
) -> Placement {
    let mut improved = true;
    while improved {
        improved = false;
        for stage in placement.ids() {
            let work = instance.stages[stage].choices.len() * (1 + stage_artifacts[stage].len());
            if *visits < work || effort.should_stop() {
                return placement;
            }
            *visits -= work;
            let mut best_cost = (
                local_cost(instance, &stage_artifacts[stage], &placement, stage),
                placement[stage],
            );
            for position in instance.stages[stage].choices.ids() {
                placement[stage] = position;
                let cost = local_cost(instance, &stage_artifacts[stage], &placement, stage);
                if cost < best_cost.0 {
                    best_cost = (cost, position);
                    improved = true;
                }
            }
            placement[stage] = best_cost.1;
        }
    }
    placement
}

/// Moves one stage at a time to its best choice until no move helps or `moves` are used up.
fn descend_to_best(
    instance: &Instance,
    shape: &Shape,
    usage: &Usage<'_>,
    mut placement: Placement,
    moves: &mut usize,
    effort: &Effort,
) -> (Key, Placement) {
    let mut best_key = placement_key(instance, shape, usage, &placement);
    loop {
        let key_before = best_key;
        for stage in placement.ids() {
            let mut chosen_before = placement[stage];
            let positions = instance.stages[stage].choices.ids();
            if *moves < positions.len() || effort.should_stop() {
                return (best_key, placement);
            }
            *moves -= positions.len();
            for position in positions {
                placement[stage] = position;
                let moved_key = placement_key(instance, shape, usage, &placement);
                if moved_key < best_key {
                    best_key = moved_key;
                    chosen_before = position;
                }
            }
            placement[stage] = chosen_before;
        }
        if best_key == key_before {
            return (best_key, placement);
        }
    }
}
