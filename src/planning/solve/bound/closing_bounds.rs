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
    let mut dual = start(instance, shape, false)?;
    let own = own(instance, &dual.net);
    let keep = dominated_sites::enough(&dual.net, &instance.links, &own);
    dual.retain(&keep);
    let scale = dual.net.scale;
    let mut best: Option<(i64, Placement)> = None;
    let (mut idle, mut reached) = (0, i64::MIN);
    for _ in 0..SWEEPS {
        let known = best.as_ref().map_or(i64::MAX, |(value, _)| *value);
        let Swept { keep, placed } = sweep(&mut dual, instance, known);
        for ScaledPlacement { value, placement } in placed {
            if best.as_ref().is_none_or(|(known, _)| value < *known) {
                best = Some((value, placement));
                idle = 0;
            }
        }
        let bound = dual.bound();
        let known = best.as_ref().map_or(i64::MAX, |(value, _)| *value);
        let incumbent = best.as_ref().map(|(value, _)| value / scale);
        effort
            .monitor
            .report(incumbent, Some(dual.net.whole(bound)));
        if bound > known.saturating_sub(scale) {
            break;
        }
        idle = if bound > reached.saturating_add(reached.max(0) / PROGRESS) {
            0
        } else {
            idle + 1
        };
        reached = reached.max(bound);
        if idle >= PATIENCE || effort.should_stop() {
            break;
        }
        if keep.iter().flatten().any(|keep| !keep) {
            dual.retain(&keep);
        }
    }
    let (value, placement) = best?;
    if value >= dual.net.never {
        return None;
    }
    let bound = dual.net.whole(dual.bound());
    let value = value / scale;
    Some(ClosedGap {
        placement,
        value,
        bound: bound.min(value),
        keep: None,
    })
}

/// A bound on the cost of every placement, from a few sweeps; from one if planning is to end.
pub(crate) fn cost_bound(instance: &Instance, shape: &Shape, effort: &Effort) -> Option<i64> {
    let mut dual = start(instance, shape, true)?;
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
    let all = |instance: &Instance| {
        let stages = instance.stages.iter();
        ChoicesWithin::Some(stages.map(|stage| stage.choices.map(|_| true)).collect())
    };
    if effort.should_stop() {
        return all(instance);
    }
    let Some(mut dual) = start(instance, shape, true) else {
        return ChoicesWithin::Unknown;
    };
    let scale = dual.net.scale;
    if least {
        let keep =
            dominated_sites::worthwhile(&dual.net, &instance.links, &own(instance, &dual.net));
        dual.retain(&keep);
    }
    // Without forbidden links, all placements cost less than one of them.
    let limit = limit.saturating_mul(scale).min(dual.net.never - 1);
    let mut keep: KeptChoices = instance.stages.map(|stage| stage.choices.map(|_| false));
    let mut reached = i64::MIN;
    let size: usize = dual.level.iter().map(Vec::len).sum();
    for _ in 0..TRIMS.min(TRIMMED / size.max(1)).max(2) {
        let before: usize = dual.level.iter().map(Vec::len).sum();
        let kept = trim(&mut dual, limit);
        if effort.should_stop() {
            return all(instance);
        }
        if kept.iter().any(|keep| !keep.iter().any(|keep| *keep)) {
            return ChoicesWithin::Nothing;
        }
        dual.retain(&kept);
        let after: usize = dual.level.iter().map(Vec::len).sum();
        let bound = dual.bound();
        if after == before && bound <= reached.saturating_add(reached.max(0) / PROGRESS) {
            break;
        }
        reached = reached.max(bound);
    }
    // Once more for choices that share a site: each has its own cost.
    let own = own(instance, &dual.net);
    let mut mark = |dual: &DualMessages<'_>, stage: StageId| {
        let bound = dual.bound();
        for (position, choices) in dual.net.nodes[stage].choices.iter().enumerate() {
            let at = dual.bound_at(bound, stage, position) - own[stage][position];
            for choice in choices {
                keep[stage][*choice] =
                    at + instance.stages[stage].choices[*choice].cost.0 * scale <= limit;
            }
        }
    };
    dual.backward(&mut |_, _| {});
    dual.forward(&mut mark);
    if keep.iter().any(|keep| !keep.iter().any(|keep| *keep)) {
        ChoicesWithin::Nothing
    } else {
        ChoicesWithin::Some(keep)
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
fn start<'a>(instance: &'a Instance, shape: &Shape, certain: bool) -> Option<DualMessages<'a>> {
    if instance.stages.iter().any(|stage| stage.choices.is_empty()) {
        return None;
    }
    let net = Network::new(instance, shape, certain)?;
    let own = own(instance, &net);
    Some(DualMessages::new(net, &instance.links, own))
}

/// By stage and position of its site: the least that it costs there, scaled.
fn own(instance: &Instance, net: &Network) -> IdVec<StageId, Vec<i64>> {
    let stages = net.nodes.iter().zip(&instance.stages);
    stages
        .map(|(node, stage)| {
            let least = |choices: &Vec<ChoiceId>| {
                choices
                    .iter()
                    .map(|choice| stage.choices[*choice].cost.0)
                    .min()
            };
            node.choices
                .iter()
                .map(|choices| {
                    least(choices).expect("a stage has a choice at each of its sites") * net.scale
                })
                .collect()
        })
        .collect()
}

/// There and back; by stage and position of its site: a placement with it may cost at most
/// `limit`, scaled.
fn trim(dual: &mut DualMessages<'_>, limit: i64) -> IdVec<StageId, Vec<bool>> {
    let mut keep = dual.level.map(|level| vec![true; level.len()]);
    let mut drop = |dual: &DualMessages<'_>, stage: StageId| {
        let bound = dual.bound();
        for (position, keep) in keep[stage].iter_mut().enumerate() {
            *keep &= dual.bound_at(bound, stage, position) <= limit;
        }
    };
    dual.backward(&mut drop);
    dual.forward(&mut drop);
    keep
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
fn sweep(dual: &mut DualMessages<'_>, instance: &Instance, limit: i64) -> Swept {
    let mut keep = dual.level.map(|level| vec![true; level.len()]);
    let mut drop = |dual: &DualMessages<'_>, stage: StageId| {
        let bound = dual.bound();
        for (position, keep) in keep[stage].iter_mut().enumerate() {
            *keep &= dual.bound_at(bound, stage, position) <= limit;
        }
    };
    dual.backward(&mut drop);
    let own = own(instance, &dual.net);
    let net = dual.net.clone();
    // A transfer that is not there yet costs the first reader all of it in one, its part in the
    // other.
    let mut walks = [
        NetworkWalk::new(&net, &instance.links, &own),
        NetworkWalk::new(&net, &instance.links, &own),
    ];
    dual.forward(&mut |dual, stage| {
        drop(dual, stage);
        for (kind, walk) in walks.iter_mut().enumerate() {
            let cost = |position: usize| {
                let here = if kind == 0 {
                    walk.cost(stage, position)
                } else {
                    walk.part(dual, stage, position)
                };
                here + dual.after(stage, position)
            };
            let best = (0..own[stage].len()).min_by_key(|position| cost(*position));
            walk.put(stage, best);
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
    Swept { keep, placed }
}
