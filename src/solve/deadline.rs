//! The cheapest placement by a deadline, by bounds and moves: time gets a price
//! ([`super::flow`]), messages bound the cost with it ([`super::dual`]), and placements that are
//! late are repaired ([`super::timed`]).

use super::close::Closed;
use super::dual::Dual;
use super::flow::{Rates, rates};
use super::moves::Walk;
use super::net::{Net, Node};
use super::sites;
use super::solver::{Effort, Solver};
use super::timed::Timed;
use crate::problem::{Instance, Origin, Shape};
use std::collections::BTreeSet;

/// New prices of time at most.
const ROUNDS: usize = 16;
/// Rounds without a better bound or placement before it gives up.
const PATIENCE: usize = 3;
/// Sweeps at one price of time.
const SWEEPS: usize = 3;
/// Work on placements, in choices looked at.
const VISITS: usize = 20_000_000;
/// A better bound is one by this part of it.
const PROGRESS: i64 = 20_000;

/// The cheapest placement that ends by `deadline`, as far as it is found; `start` is a placement
/// to begin at, late or not. `None`: the figures are too large, or none was found.
pub fn by_deadline(
    instance: &Instance,
    shape: &Shape,
    deadline: i64,
    start: Option<Vec<usize>>,
    solver: &dyn Solver,
    effort: &Effort,
) -> Option<Closed> {
    if instance.stages.iter().any(|stage| stage.choices.is_empty()) {
        return None;
    }
    let full = Net::new(instance, shape, true)?;
    let scale = full.scale;
    let before = before(shape);
    let mut visits = VISITS;
    let mut best = Best { instance, shape, net: &full, deadline, tried: BTreeSet::new(), found: None };
    if let Some(start) = start {
        best.try_out(start, &mut visits);
    }
    let mut price = Rates { of: vec![0; instance.stages.len()], total: 0 };
    let mut dual = Dual::new(full.clone(), &instance.links, owned(instance, &full, &price));
    let instead = sites::enough_in_time(&full, &instance.links, instance);
    let needed = |node: &Node| node.sites.iter().map(|site| instead[*site] == *site).collect();
    dual.retain(&full.nodes.iter().map(needed).collect::<Vec<Vec<bool>>>());
    dual.hold();
    let mut bound = i64::MIN;
    let mut keep = all(instance);
    let mut idle = 0;
    for _ in 0..ROUNDS {
        let own = owned(instance, &dual.net, &price);
        dual.reprice(&own);
        let before_round = (bound, best.value());
        for _ in 0..SWEEPS {
            let limit = best.value().saturating_add(price.taken(deadline));
            dual.backward(&mut |dual, stage| {
                narrow(instance, dual, &instead, &price, limit, stage, &mut keep[stage]);
            });
            let net = dual.net.clone();
            let mut walk = Walk::new(&net, &instance.links, &own);
            dual.forward(&mut |dual, stage| {
                narrow(instance, dual, &instead, &price, limit, stage, &mut keep[stage]);
                let cost = |position: usize| walk.part(dual, stage, position) + dual.after(stage, position);
                let best = (0..own[stage].len()).min_by_key(|position| cost(*position));
                walk.put(stage, best);
            });
            bound = bound.max(dual.bound() - price.taken(deadline));
            if bound > best.value().saturating_sub(scale) {
                break;
            }
            walk.settle(SETTLING);
            let pick = |(stage, position): (usize, usize)| cheapest(instance, &net, &price, stage, position);
            let picks = walk.picks().into_iter().enumerate().map(pick).collect();
            best.try_out(picks, &mut visits);
        }
        if bound > best.value().saturating_sub(scale) {
            break;
        }
        let better =
            bound > before_round.0.saturating_add(before_round.0.max(0) / PROGRESS) || best.value() < before_round.1;
        idle = if better { 0 } else { idle + 1 };
        if idle >= PATIENCE {
            break;
        }
        let curves: Vec<Vec<(i64, i64)>> =
            (0..instance.stages.len()).map(|stage| curve(instance, &dual, &own, stage)).collect();
        let Some(next) = rates(&curves, &before, deadline, solver, effort) else { break };
        price = next;
    }
    let (value, picks) = best.found?;
    let bound = full.whole(bound);
    let value = value / scale;
    Some(Closed { picks, bound: bound.min(value), keep: Some(keep) })
}

/// Sweeps of single moves after each rounding.
const SETTLING: usize = 20;

/// By stage: the stages that it waits for.
fn before(shape: &Shape) -> Vec<Vec<usize>> {
    let stages = |inputs: &Vec<(Origin, Option<usize>)>| {
        let stages = inputs.iter().filter_map(|(origin, _)| match origin {
            Origin::Stage(stage) => Some(*stage),
            Origin::Site(_) => None,
        });
        stages.collect::<BTreeSet<usize>>().into_iter().collect()
    };
    shape.inputs.iter().map(stages).collect()
}

fn all(instance: &Instance) -> Vec<Vec<bool>> {
    instance.stages.iter().map(|stage| vec![true; stage.choices.len()]).collect()
}

/// The best placement in time so far.
struct Best<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    net: &'a Net,
    deadline: i64,
    /// Placements that were begun at.
    tried: BTreeSet<Vec<usize>>,
    /// Scaled cost and picks.
    found: Option<(i64, Vec<usize>)>,
}

impl Best<'_> {
    fn value(&self) -> i64 {
        self.found.as_ref().map_or(i64::MAX, |(value, _)| *value)
    }

    /// Makes a placement keep the deadline, then cheaper.
    fn try_out(&mut self, picks: Vec<usize>, visits: &mut usize) {
        if !self.tried.insert(picks.clone()) {
            return;
        }
        let mut timed = Timed::new(self.instance, self.shape, self.net, picks);
        if timed.repair(self.deadline, visits) {
            timed.settle(self.deadline, visits);
            let total = timed.total();
            if total < self.value() && total < self.net.never {
                self.found = Some((total, timed.picks));
            }
        }
    }
}

/// Drops choices of a stage that no placement of scaled cost up to `limit`, time included, can
/// have. A site that is not in the network has what replaces it as its bound.
fn narrow(
    instance: &Instance,
    dual: &Dual<'_>,
    instead: &[usize],
    price: &Rates,
    limit: i64,
    stage: usize,
    keep: &mut [bool],
) {
    let node = &dual.net.nodes[stage];
    let bound = dual.bound();
    for (choice, keep) in instance.stages[stage].choices.iter().zip(keep) {
        if let Ok(position) = node.sites.binary_search(&instead[choice.site]) {
            let own = choice.cost * dual.net.scale + Rates::worth(price.of[stage], choice.duration);
            *keep &= dual.bound_at(bound, stage, position) - dual.own(stage, position) + own <= limit;
        }
    }
}

/// What a stage costs to run for how long, with the messages that it has.
fn curve(instance: &Instance, dual: &Dual<'_>, own: &[Vec<i64>], stage: usize) -> Vec<(i64, i64)> {
    let node = &dual.net.nodes[stage];
    let mut curve = Vec::new();
    for (position, choices) in node.choices.iter().enumerate() {
        let messages = dual.level[stage][position] - own[stage][position];
        for choice in choices {
            let choice = &instance.stages[stage].choices[*choice];
            curve.push((choice.duration, choice.cost * dual.net.scale + messages));
        }
    }
    curve
}

fn cheapest(instance: &Instance, net: &Net, price: &Rates, stage: usize, position: usize) -> usize {
    let cost = |choice: &usize| {
        let choice = &instance.stages[stage].choices[*choice];
        choice.cost * net.scale + Rates::worth(price.of[stage], choice.duration)
    };
    net.nodes[stage].choices[position].iter().copied().min_by_key(|choice| (cost(choice), *choice)).unwrap_or(0)
}

/// By stage and position of its site: the least that it costs there, its time included, scaled.
fn owned(instance: &Instance, net: &Net, price: &Rates) -> Vec<Vec<i64>> {
    let stages = net.nodes.iter().zip(&instance.stages).zip(&price.of);
    stages
        .map(|((node, stage), rate)| {
            let cost = |choice: &usize| {
                let choice = &stage.choices[*choice];
                choice.cost * net.scale + Rates::worth(*rate, choice.duration)
            };
            node.choices.iter().map(|choices| choices.iter().map(cost).min().unwrap_or(0)).collect()
        })
        .collect()
}
