//! The cheapest placement of the whole DAG, time apart: bounds from messages and placements from
//! moves close in on each other.

use crate::model::Money;
use crate::planning::problem::{ChoiceId, Instance, Placement, Shape, StageId, routes};
use crate::planning::solve::bound::dual_messages::DualMessages;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::heuristic::network_moves::NetworkWalk;
use crate::planning::solve::monitor::SolveMonitor;
use crate::planning::solve::presolve::dominated_sites;
use crate::util::id_vec::IdVec;

/// By stage and choice: whether the choice may be in a placement that is looked for.
pub(crate) type KeptChoices = IdVec<StageId, IdVec<ChoiceId, bool>>;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct ClosedGap {
    pub placement: Placement,
    /// What they cost.
    pub value: i64,
    /// No placement costs less; `value` if that is proven to be the least.
    pub bound: i64,
    /// By stage and choice, where that was looked at: it may be in a placement that costs at most
    /// as much.
    pub keep: Option<KeptChoices>,
}

/// Sweeps there and back before the search gives up.
const SWEEPS: usize = 200;
/// Sweeps without a better bound or placement before it gives up.
const PATIENCE: usize = 20;
/// A better bound is one by this part of it.
const PROGRESS: i64 = 100_000;
/// Sweeps of single moves after each rounding.
const SETTLING: usize = 20;

/// Whether cost is nothing but choices and transfers, each priced on its own, and nothing binds
/// stages together: only then may all stages of a site move to another one.
pub(crate) fn separable(instance: &Instance) -> bool {
    instance.caps.is_empty()
        && instance.links.pools.is_empty()
        && instance.hour == Money(0)
        && instance.stages.iter().all(|stage| {
            stage.deadline.is_none() && stage.choices.iter().all(|choice| choice.rank == 0)
        })
}

/// Whether, besides, all transfers come straight from their origins.
pub(crate) fn has_direct_transfers_only(instance: &Instance) -> bool {
    separable(instance) && !routes::possible(instance)
}

/// The cheapest placement with all transfers straight from their origins, whatever its time.
/// `None`: the figures are too large, or some stage has no choice.
pub(crate) fn close_gap(instance: &Instance, shape: &Shape, effort: &Effort) -> Option<ClosedGap> {
    let mut dual = start_messages(instance, shape, false)?;
    let own_costs = own_costs_of(instance, &dual.net);
    let keep_choices = dominated_sites::enough(&dual.net, &instance.links, &own_costs);
    dual.retain(&keep_choices);
    let scale = dual.net.scale;
    let mut best_found: Option<(i64, Placement)> = None;
    let (mut idle, mut reached) = (0, i64::MIN);
    for _ in 0..SWEEPS {
        let known_value = best_found.as_ref().map_or(i64::MAX, |(value, _)| *value);
        let Swept { keep, placed } = sweep_choices(&mut dual, instance, known_value);
        for ScaledPlacement { value, placement } in placed {
            if best_found.as_ref().is_none_or(|(known, _)| value < *known) {
                best_found = Some((value, placement));
                idle = 0;
            }
        }
        let dual_bound = dual.bound();
        let known_value = best_found.as_ref().map_or(i64::MAX, |(value, _)| *value);
        let incumbent = best_found.as_ref().map(|(value, _)| value / scale);
        effort
            .monitor
            .report(incumbent, Some(dual.net.whole(dual_bound)));
        if dual_bound > known_value.saturating_sub(scale) {
            break;
        }
        idle = if dual_bound > reached.saturating_add(reached.max(0) / PROGRESS) {
            0
        } else {
            idle + 1
        };
        reached = reached.max(dual_bound);
        if idle >= PATIENCE || effort.should_stop() {
            break;
        }
        if keep.iter().flatten().any(|keep| !keep) {
            dual.retain(&keep);
        }
    }
    let (value, placement) = best_found?;
    if value >= dual.net.never {
        return None;
    }
    let whole_bound = dual.net.whole(dual.bound());
    let whole_value = value / scale;
    Some(ClosedGap {
        placement,
        value: whole_value,
        bound: whole_bound.min(whole_value),
        keep: None,
    })
}

/// A bound on the cost of every placement, from a few sweeps; from one if planning is to end.
pub(crate) fn cost_bound(instance: &Instance, shape: &Shape, effort: &Effort) -> Option<i64> {
    let mut dual = start_messages(instance, shape, true)?;
    for _ in 0..BOUNDS {
        dual.backward(&mut |_, _| {});
        dual.forward(&mut |_, _| {});
        if effort.should_stop() {
            break;
        }
    }
    Some(dual.net.whole(dual.bound()))
}

/// Sweeps of [`cost_bound`].
const BOUNDS: usize = 3;

/// By stage and choice: it may be in a placement that costs at most `limit`. `least`: no placement
/// costs less than the limit. `None`: there is no such placement, or the figures are too large.
pub(crate) fn choices_within(
    instance: &Instance,
    shape: &Shape,
    limit: i64,
    least: bool,
    effort: &Effort,
) -> ChoicesWithin {
    // Where planning is to end, no time goes into choices that nobody will look at.
    let all_choices = |instance: &Instance| {
        let stages = instance.stages.iter();
        ChoicesWithin::Some(stages.map(|stage| stage.choices.map(|_| true)).collect())
    };
    if effort.should_stop() {
        return all_choices(instance);
    }
    let Some(mut dual) = start_messages(instance, shape, true) else {
        return ChoicesWithin::Unknown;
    };
    let scale = dual.net.scale;
    if least {
        let keep_choices = dominated_sites::worthwhile(
            &dual.net,
            &instance.links,
            &own_costs_of(instance, &dual.net),
        );
        dual.retain(&keep_choices);
    }
    // Without forbidden links, all placements cost less than one of them.
    let limit = limit.saturating_mul(scale).min(dual.net.never - 1);
    let mut kept_choices: KeptChoices = instance.stages.map(|stage| stage.choices.map(|_| false));
    let mut bound_reached = i64::MIN;
    let size_at_first: usize = dual.level.iter().map(Vec::len).sum();
    for _ in 0..TRIMS.min(TRIMMED / size_at_first.max(1)).max(2) {
        let size_before: usize = dual.level.iter().map(Vec::len).sum();
        let kept_any = trim_choices(&mut dual, limit);
        if effort.should_stop() {
            return all_choices(instance);
        }
        if kept_any.iter().any(|keep| !keep.iter().any(|keep| *keep)) {
            return ChoicesWithin::Nothing;
        }
        dual.retain(&kept_any);
        let size_after: usize = dual.level.iter().map(Vec::len).sum();
        let bound_after = dual.bound();
        if size_after == size_before
            && bound_after <= bound_reached.saturating_add(bound_reached.max(0) / PROGRESS)
        {
            break;
        }
        bound_reached = bound_reached.max(bound_after);
    }
    // Once more for choices that share a site: each has its own cost.
    let own_costs = own_costs_of(instance, &dual.net);
    let mut mark_choices = |dual: &DualMessages<'_>, stage: StageId| {
        let dual_bound = dual.bound();
        for (position, choices) in dual.net.nodes[stage].choices.iter().enumerate() {
            let bound_at = dual.bound_at(dual_bound, stage, position) - own_costs[stage][position];
            for choice in choices {
                kept_choices[stage][*choice] =
                    bound_at + instance.stages[stage].choices[*choice].cost.0 * scale <= limit;
            }
        }
    };
    dual.backward(&mut |_, _| {});
    dual.forward(&mut mark_choices);
    if kept_choices
        .iter()
        .any(|keep| !keep.iter().any(|keep| *keep))
    {
        ChoicesWithin::Nothing
    } else {
        ChoicesWithin::Some(kept_choices)
    }
}

/// Sweeps of [`choices_within`].
const TRIMS: usize = 30;
/// The same in sites of stages looked at.
const TRIMMED: usize = 60_000;

/// The outcome of [`choices_within`].
pub(crate) enum ChoicesWithin {
    Some(KeptChoices),
    Nothing,
    Unknown,
}

/// `certain`: prices are the least that any way to share transfers can have.
fn start_messages<'a>(
    instance: &'a Instance,
    shape: &Shape,
    certain: bool,
) -> Option<DualMessages<'a>> {
    if instance.stages.iter().any(|stage| stage.choices.is_empty()) {
        return None;
    }
    let net = Network::new(instance, shape, certain)?;
    let own_costs = own_costs_of(instance, &net);
    Some(DualMessages::new(net, &instance.links, own_costs))
}

/// By stage and position of its site: the least that it costs there, scaled.
fn own_costs_of(instance: &Instance, net: &Network) -> IdVec<StageId, Vec<i64>> {
    let stages = net.nodes.iter().zip(&instance.stages);
    stages
        .map(|(node, stage)| {
            let least_own = |choices: &Vec<ChoiceId>| {
                choices
                    .iter()
                    .map(|choice| stage.choices[*choice].cost.0)
                    .min()
            };
            node.choices
                .iter()
                .map(|choices| {
                    least_own(choices).expect("a stage has a choice at each of its sites")
                        * net.scale
                })
                .collect()
        })
        .collect()
}

/// There and back; by stage and position of its site: a placement with it may cost at most
/// `limit`, scaled.
fn trim_choices(dual: &mut DualMessages<'_>, limit: i64) -> IdVec<StageId, Vec<bool>> {
    let mut keep_marks = dual.level.map(|level| vec![true; level.len()]);
    let mut drop = |dual: &DualMessages<'_>, stage: StageId| {
        let dual_bound = dual.bound();
        for (position, keep) in keep_marks[stage].iter_mut().enumerate() {
            *keep &= dual.bound_at(dual_bound, stage, position) <= limit;
        }
    };
    dual.backward(&mut drop);
    dual.forward(&mut drop);
    keep_marks
}

/// A placement and its scaled cost.
struct ScaledPlacement {
    value: i64,
    placement: Placement,
}

/// The outcome of one sweep there and back.
struct Swept {
    /// By stage and position of its site: a placement with it may cost at most the limit.
    keep: IdVec<StageId, Vec<bool>>,
    placed: Vec<ScaledPlacement>,
}

/// As [`trim`], and placements on the way forward, each stage where the messages want it.
fn sweep_choices(dual: &mut DualMessages<'_>, instance: &Instance, limit: i64) -> Swept {
    let mut keep_marks = dual.level.map(|level| vec![true; level.len()]);
    let mut drop = |dual: &DualMessages<'_>, stage: StageId| {
        let dual_bound = dual.bound();
        for (position, keep) in keep_marks[stage].iter_mut().enumerate() {
            *keep &= dual.bound_at(dual_bound, stage, position) <= limit;
        }
    };
    dual.backward(&mut drop);
    let own_costs = own_costs_of(instance, &dual.net);
    let net = dual.net.clone();
    // A transfer that is not there yet costs the first reader all of it in one, its part in the
    // other.
    let mut walks = [
        NetworkWalk::new(&net, &instance.links, &own_costs),
        NetworkWalk::new(&net, &instance.links, &own_costs),
    ];
    dual.forward(&mut |dual, stage| {
        drop(dual, stage);
        for (kind, walk) in walks.iter_mut().enumerate() {
            let cost = |position: usize| {
                let cost_here = if kind == 0 {
                    walk.cost(stage, position)
                } else {
                    walk.part(dual, stage, position)
                };
                cost_here + dual.after(stage, position)
            };
            let best_position = (0..own_costs[stage].len()).min_by_key(|position| cost(*position));
            walk.put(stage, best_position);
        }
    });
    let placed = walks.into_iter().map(|mut walk| {
        walk.settle(SETTLING);
        let choice = |(stage, position): (StageId, usize)| {
            let choices = net.nodes[stage].choices[position].iter().copied();
            choices
                .min_by_key(|choice| (instance.stages[stage].choices[*choice].cost, *choice))
                .expect("a stage has a choice at each of its sites")
        };
        ScaledPlacement {
            value: walk.total(),
            placement: walk
                .positions()
                .into_iter_enumerated()
                .map(choice)
                .collect(),
        }
    });
    let placed = placed.collect();
    Swept {
        keep: keep_marks,
        placed,
    }
}
