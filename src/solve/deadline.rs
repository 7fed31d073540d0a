//! The cheapest placement by a deadline, by bounds and moves: time gets a price
//! ([`super::flow`]), messages bound the cost with it ([`super::dual`]), and placements that are
//! late are repaired ([`super::timed`]). What that leaves open is searched on a network that is
//! expanded in time ([`super::expanded`]).

use super::close::Closed;
use super::dual::Dual;
use super::expanded::{Ground, PAIRS, Work, raise, sweeps};
use super::flow::{Rates, rates};
use super::incumbent::{Incumbent, LARGE};
use super::moves::Walk;
use super::net::{Net, Node};
use super::sites;
use super::solver::{Effort, Solver};
use crate::problem::{Instance, Origin, Routes, Shape, StageChoices, ready};
use std::collections::BTreeSet;

/// New prices of time at most.
const ROUNDS: usize = 16;
/// Rounds without a better bound or placement before it gives up.
const PATIENCE: usize = 3;
/// Sweeps at one price of time.
const SWEEPS: usize = 3;
/// With at most so many choices, every sweep is looked at closely, not only the last of a round.
const SMALL: usize = 10_000;
/// Work on placements, in choices looked at.
const VISITS: usize = 40_000_000;
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
    let enough = sites::enough_in_time(&full, &instance.links, instance);
    let needed = |node: &Node| node.sites.iter().map(|site| enough[*site] == *site).collect();
    let stays = |stage: &StageChoices| {
        (0..stage.choices.len())
            .filter(|choice| enough[stage.choices[*choice].site] == stage.choices[*choice].site)
            .collect()
    };
    let allowed = instance.stages.iter().map(stays).collect();
    let mut best = Incumbent { instance, shape, net: &full, deadline, allowed, tried: BTreeSet::new(), found: None };
    if let Some(start) = start {
        best.try_out(start, &mut visits);
    }
    // Large jobs have no time for all of them.
    let tried = if instance.size() > LARGE { 1 } else { usize::MAX };
    for home in homes(instance, &enough).into_iter().take(tried) {
        best.try_out(home, &mut visits);
    }
    let mut price = Rates { of: vec![0; instance.stages.len()], total: 0 };
    let mut dual = Dual::new(full.clone(), &instance.links, owned(instance, &full, &price));
    dual.retain(&full.nodes.iter().map(needed).collect::<Vec<Vec<bool>>>());
    dual.hold();
    let mut bound = i64::MIN;
    let mut keep = all(instance);
    // How long stages are expected to take.
    let shortest = |stage: &StageChoices| stage.choices.iter().map(|choice| choice.duration).min().unwrap_or(0);
    let mut lengths: Vec<i64> = instance.stages.iter().map(shortest).collect();
    let mut idle = 0;
    for _ in 0..ROUNDS {
        let own = owned(instance, &dual.net, &price);
        dual.reprice(&own);
        let before_round = (bound, best.value());
        for sweep in 0..SWEEPS {
            let last = sweep + 1 == SWEEPS || instance.size() <= SMALL;
            let limit = best.value().saturating_add(price.taken(deadline));
            dual.backward(&mut |dual, stage| {
                if last {
                    narrow(instance, dual, &enough, &price, limit, stage, &mut keep[stage]);
                }
            });
            let net = dual.net.clone();
            let mut walk = Walk::new(&net, &instance.links, &own);
            let mut punctual = Walk::new(&net, &instance.links, &own);
            let mut clock = Clock::new(instance, shape, deadline, &lengths);
            dual.forward(&mut |dual, stage| {
                if last {
                    narrow(instance, dual, &enough, &price, limit, stage, &mut keep[stage]);
                }
                let cost = |position: usize| walk.part(dual, stage, position) + dual.after(stage, position);
                let best = (0..own[stage].len()).min_by_key(|position| cost(*position));
                walk.put(stage, best);
                if last {
                    let cost = |position: usize| punctual.part(dual, stage, position) + dual.after(stage, position);
                    let rest = |position: usize| cost(position) - own[stage][position];
                    let rests: Vec<i64> = (0..own[stage].len()).map(rest).collect();
                    punctual.put(stage, clock.place(&net, &price, stage, &rests));
                }
            });
            bound = bound.max(dual.bound() - price.taken(deadline));
            if bound > best.value().saturating_sub(scale) || (effort.is_over() && best.found.is_some()) {
                break;
            }
            walk.settle(SETTLING);
            let pick = |(stage, position): (usize, usize)| cheapest(instance, &net, &price, stage, position);
            let picks: Vec<usize> = walk.picks().into_iter().enumerate().map(pick).collect();
            if last {
                lengths =
                    picks.iter().zip(&instance.stages).map(|(pick, stage)| stage.choices[*pick].duration).collect();
                best.try_out(picks, &mut visits);
                best.try_out(clock.picks, &mut visits);
            }
        }
        if bound > best.value().saturating_sub(scale) || effort.is_over() {
            break;
        }
        let better =
            bound > before_round.0.saturating_add(before_round.0.max(0) / PROGRESS) || best.value() < before_round.1;
        idle = if better { 0 } else { idle + 1 };
        if idle >= if instance.size() > LARGE { 1 } else { PATIENCE } {
            break;
        }
        let curves: Vec<Vec<(i64, i64)>> =
            (0..instance.stages.len()).map(|stage| curve(instance, &dual, &own, stage)).collect();
        let Some(next) = rates(&curves, &before, deadline, solver, effort) else { break };
        price = next;
    }
    if !effort.is_over() {
        best.polish(&mut visits);
    }
    let mut pairs = PAIRS;
    for grouping in [Grouping::One, Grouping::Enough, Grouping::Alone] {
        let (instead, least) = match grouping {
            Grouping::One => (&vec![0; instance.links.sites], 0),
            Grouping::Enough => (&enough, 0),
            Grouping::Alone => (&(0..instance.links.sites).collect(), PAIRS / 50),
        };
        if bound > best.value().saturating_sub(scale) || pairs < least || effort.is_over() {
            break;
        }
        let ground = |instead, loose| Ground::new(instance, shape, &full, deadline, instead, loose);
        if grouping == Grouping::One && sweeps(&ground(&enough, false), &keep) >= FEW {
            continue;
        }
        let ground = ground(instead, grouping == Grouping::One);
        let near = match &best.found {
            Some((_, picks)) if ground.loose => best.near(picks),
            _ => best.allowed.clone(),
        };
        let given = if ground.loose { pairs / 2 } else { pairs };
        let mut work =
            Work { best: &mut best, visits, pairs: given, near, floor: bound, given, in_vain: false, effort };
        bound = bound.max(raise(&ground, &mut keep, &mut work));
        visits = work.visits;
        if ground.loose && !work.in_vain {
            // The few sweeps that are left over the network of all sites would tell less.
            break;
        }
        pairs -= given - work.pairs;
    }
    if !effort.is_over() {
        best.polish(&mut visits);
    }
    let (value, picks) = best.found?;
    let bound = full.whole(bound);
    let value = value / scale;
    Some(Closed { picks, value, bound: bound.min(value), keep: Some(keep) })
}

/// By site that all stages can be at, among those that stand for others: the cheapest of each stage
/// there. The cheapest first.
fn homes(instance: &Instance, instead: &[usize]) -> Vec<Vec<usize>> {
    let home = |site: usize| {
        let cheapest = |stage: &StageChoices| {
            let here = (0..stage.choices.len()).filter(|choice| stage.choices[*choice].site == site);
            here.min_by_key(|choice| stage.choices[*choice].cost)
        };
        instance.stages.iter().map(cheapest).collect::<Option<Vec<usize>>>()
    };
    let mut homes: Vec<Vec<usize>> =
        (0..instead.len()).filter(|site| instead[*site] == *site).filter_map(home).collect();
    let cost = |home: &Vec<usize>| -> i64 {
        home.iter().zip(&instance.stages).map(|(pick, stage)| stage.choices[*pick].cost).sum()
    };
    homes.sort_by_cached_key(cost);
    homes
}

/// Sites of a time-expanded network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grouping {
    /// All as if they were one: for large DAGs in which copies hardly count.
    One,
    /// Those that stand for others, whose travel is that of the nearest of them.
    Enough,
    /// Each on its own.
    Alone,
}

/// Sweeps over a time-expanded network that are too few for it to be refined.
const FEW: usize = 40;
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

/// Places stages in their order so that each is likely to be in time, its inputs' travel included.
struct Clock<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    deadline: i64,
    /// By stage: how long the stages after it are expected to take.
    rest: Vec<i64>,
    end: Vec<i64>,
    picks: Vec<usize>,
}

impl<'a> Clock<'a> {
    fn new(instance: &'a Instance, shape: &'a Shape, deadline: i64, lengths: &[i64]) -> Self {
        let mut rest = vec![0_i64; lengths.len()];
        for &stage in shape.order.iter().rev() {
            for (origin, _) in &shape.inputs[stage] {
                if let Origin::Stage(before) = origin {
                    rest[*before] = rest[*before].max(rest[stage] + lengths[stage]);
                }
            }
        }
        let longest = rest.iter().zip(lengths).map(|(rest, length)| rest + length).max().unwrap_or(0).max(1);
        // Expected to be late as a whole, all must be faster by the same part.
        let part = |rest: i64| i128::from(rest) * i128::from(deadline.min(longest)) / i128::from(longest);
        rest.iter_mut().for_each(|rest| *rest = i64::try_from(part(*rest)).unwrap_or(*rest));
        let (end, picks) = (vec![0; lengths.len()], vec![0; lengths.len()]);
        Self { instance, shape, deadline, rest, end, picks }
    }

    /// Takes the cheapest choice that is likely in time, else the one that is least late, and
    /// returns the position of its site. `others`: by that position, what it costs besides.
    fn place(&mut self, net: &Net, price: &Rates, stage: usize, others: &[i64]) -> Option<usize> {
        let choices = &self.instance.stages[stage].choices;
        let mut best: Option<((i64, i64, usize), usize, i64)> = None;
        for (position, (site, at)) in net.nodes[stage].sites.iter().zip(&net.nodes[stage].choices).enumerate() {
            let ready = ready(self.instance, self.shape, &Routes::new(), &self.picks, &self.end, stage, *site);
            for pick in at {
                let choice = &choices[*pick];
                let end = ready + choice.duration;
                let late = (end + self.rest[stage] - self.deadline).max(0);
                let own = choice.cost * net.scale + Rates::worth(price.of[stage], choice.duration);
                let key = (late, own + others[position], *pick);
                if best.is_none_or(|(known, _, _)| key < known) {
                    best = Some((key, position, end));
                }
            }
        }
        let ((_, _, pick), position, end) = best?;
        (self.picks[stage], self.end[stage]) = (pick, end);
        Some(position)
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
