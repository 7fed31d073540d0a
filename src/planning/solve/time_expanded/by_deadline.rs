//! The cheapest placement by a deadline, by bounds and moves: time gets a price
//! ([`crate::planning::solve::bound::time_prices`]), messages bound the cost with it
//! ([`crate::planning::solve::bound::dual_messages`]), and placements that are late are repaired
//! ([`crate::planning::solve::heuristic::deadline_repair`]). What that leaves open is searched on a
//! network that is expanded in time ([`super::refinement`]).

use super::network_inputs::NetworkInputs;
use super::priced_choices::{
    all_choices, cheapest_choice, cost_by_duration, drop_dear_choices, least_own_costs,
    placements_at_one_site, predecessors,
};
use super::punctual_placement::PunctualPlacement;
use super::refinement::{PAIRS, SearchWork, affordable_sweeps, raise_bound};
use crate::planning::problem::{Instance, Placement, Shape, SiteId, StageChoices, StageId};
use crate::planning::solve::backend::solver::Solver;
use crate::planning::solve::bound::closing_bounds::{ClosedGap, KeptChoices};
use crate::planning::solve::bound::dual_messages::DualMessages;
use crate::planning::solve::bound::network::{Network, Node};
use crate::planning::solve::bound::time_prices::{CurvePoint, TimePrices, time_prices};
use crate::planning::solve::effort::Effort;
use crate::planning::solve::heuristic::incumbent::{Incumbent, LARGE};
use crate::planning::solve::heuristic::network_moves::NetworkWalk;
use crate::planning::solve::monitor::SolveMonitor;
use crate::planning::solve::presolve::dominated_sites;
use crate::util::id_vec::IdVec;
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
/// Sweeps over a time-expanded network that are too few for it to be refined.
const FEW: usize = 40;
/// Sweeps of single moves after each rounding.
const SETTLING: usize = 20;

/// Sites of a time-expanded network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grouping {
    /// All as if they were one: for large DAGs in which transfers hardly count.
    One,
    /// Those that stand for others, whose travel is that of the nearest of them.
    Enough,
    /// Each on its own.
    Alone,
}

/// The cheapest placement that ends by `deadline`, as far as it is found; `start` is a placement
/// to begin at, late or not. `None`: the figures are too large, or none was found.
pub(crate) fn by_deadline(
    instance: &Instance,
    shape: &Shape,
    deadline: i64,
    start: Option<Placement>,
    solver: &dyn Solver,
    effort: &Effort,
) -> Option<ClosedGap> {
    if instance.stages.iter().any(|stage| stage.choices.is_empty()) {
        return None;
    }
    let network = Network::new(instance, shape, true)?;
    let representatives = dominated_sites::enough_in_time(&network, &instance.links, instance);
    let mut deadline_search = DeadlineSearch::new(
        instance,
        shape,
        deadline,
        &network,
        &representatives,
        solver,
        effort,
    );
    deadline_search.try_first_placements(start);
    deadline_search.price_time();
    deadline_search.polish();
    deadline_search.expand_time();
    deadline_search.polish();
    deadline_search.closed()
}

/// The search for the cheapest placement by a deadline.
struct DeadlineSearch<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    deadline: i64,
    network: &'a Network,
    /// By site: the one that is enough in its place, often itself.
    representatives: &'a IdVec<SiteId, SiteId>,
    solver: &'a dyn Solver,
    effort: &'a Effort,
    best: Incumbent<'a>,
    /// Choices looked at by moves that may still be made.
    visits: usize,
    /// No placement by the deadline costs less, scaled.
    bound: i64,
    /// By stage and choice: some placement that costs at most as much as the best may have it.
    keep: KeptChoices,
}

/// One round of message passing, at one price of time.
struct Round<'r> {
    price: &'r TimePrices,
    /// By stage and position of its site: the least that it costs there at this price, scaled.
    own: &'r IdVec<StageId, Vec<i64>>,
    /// The last sweep of the round, or one of a small instance, all of which are looked at closely.
    closely: bool,
}

/// What is left after a bound was raised.
struct Raised {
    /// Pairs of slots that may still be looked at.
    pairs_left: usize,
    /// Groups of sites were too loose to find out more.
    in_vain: bool,
}

impl<'a> DeadlineSearch<'a> {
    fn new(
        instance: &'a Instance,
        shape: &'a Shape,
        deadline: i64,
        network: &'a Network,
        representatives: &'a IdVec<SiteId, SiteId>,
        solver: &'a dyn Solver,
        effort: &'a Effort,
    ) -> Self {
        let stays_allowed = |stage: &StageChoices| {
            let choices = stage.choices.ids();
            choices
                .filter(|choice| {
                    representatives[stage.choices[*choice].site] == stage.choices[*choice].site
                })
                .collect()
        };
        let allowed_choices = instance.stages.iter().map(stays_allowed).collect();
        let best_incumbent = Incumbent {
            instance,
            shape,
            net: network,
            deadline,
            allowed: allowed_choices,
            tried: BTreeSet::new(),
            found: None,
        };
        Self {
            instance,
            shape,
            deadline,
            network,
            representatives,
            solver,
            effort,
            best: best_incumbent,
            visits: VISITS,
            bound: i64::MIN,
            keep: all_choices(instance),
        }
    }

    /// Whether no placement can be cheaper than the best.
    fn is_proven(&self) -> bool {
        self.bound > self.best.value().saturating_sub(self.network.scale)
    }

    /// Tells the monitor how far the search is.
    fn report(&self) {
        let incumbent = self
            .best
            .found
            .as_ref()
            .map(|(value, _)| value / self.network.scale);
        let whole_bound = (self.bound > i64::MIN).then(|| self.network.whole(self.bound));
        self.effort.monitor.report(incumbent, whole_bound);
    }

    fn try_first_placements(&mut self, start: Option<Placement>) {
        if let Some(start) = start {
            self.best.try_out(start, &mut self.visits);
        }
        // Large jobs have no time for all of them.
        let placements_tried = if self.instance.size() > LARGE {
            1
        } else {
            usize::MAX
        };
        for placement in placements_at_one_site(self.instance, self.representatives)
            .into_iter()
            .take(placements_tried)
        {
            self.best.try_out(placement, &mut self.visits);
        }
    }

    /// Rounds of message passing, each at better prices of time.
    fn price_time(&mut self) {
        let instance = self.instance;
        let predecessors = predecessors(self.shape);
        let mut price = TimePrices {
            of: instance.stages.map(|_| 0),
            total: 0,
        };
        let own_costs = least_own_costs(instance, self.network, &price);
        let mut dual = DualMessages::new(self.network.clone(), &instance.links, own_costs);
        let is_needed = |node: &Node| {
            node.sites
                .iter()
                .map(|site| self.representatives[*site] == *site)
                .collect()
        };
        dual.retain(&self.network.nodes.map(is_needed));
        dual.hold();
        let mut expected_durations = instance.stages.map(|stage| stage.shortest().signed());
        let mut idle = 0;
        for _ in 0..ROUNDS {
            let own_costs = least_own_costs(instance, &dual.net, &price);
            dual.reprice(&own_costs);
            let before_round = (self.bound, self.best.value());
            for sweep in 0..SWEEPS {
                let closely = sweep + 1 == SWEEPS || instance.size() <= SMALL;
                let round = Round {
                    price: &price,
                    own: &own_costs,
                    closely,
                };
                let ended_early = self.sweep(&mut dual, &round, &mut expected_durations);
                if ended_early || (self.effort.should_stop() && self.best.found.is_some()) {
                    break;
                }
            }
            self.report();
            if self.is_proven() || self.effort.should_stop() {
                break;
            }
            let better = self.bound
                > before_round
                    .0
                    .saturating_add(before_round.0.max(0) / PROGRESS)
                || self.best.value() < before_round.1;
            idle = if better { 0 } else { idle + 1 };
            if idle >= if instance.size() > LARGE { 1 } else { PATIENCE } {
                break;
            }
            let curves: IdVec<StageId, Vec<CurvePoint>> = instance
                .stages
                .ids()
                .map(|stage| cost_by_duration(instance, &dual, &own_costs, stage))
                .collect();
            let next_prices = time_prices(
                &curves,
                &predecessors,
                self.deadline,
                self.solver,
                self.effort,
            );
            let Some(next) = next_prices else { break };
            price = next;
        }
    }

    /// Passes messages there and back, drops choices, and tries out the placements that messages
    /// lead to. Returns whether the round is over.
    fn sweep(
        &mut self,
        dual: &mut DualMessages<'_>,
        round: &Round<'_>,
        expected_durations: &mut IdVec<StageId, i64>,
    ) -> bool {
        let (instance, price) = (self.instance, round.price);
        let limit = self.best.value().saturating_add(price.taken(self.deadline));
        dual.backward(&mut |dual, stage| self.drop_choices(dual, round, limit, stage));
        let net = dual.net.clone();
        let mut walk = NetworkWalk::new(&net, &instance.links, round.own);
        let punctual = self.pass_forward(dual, &net, round, limit, &mut walk, expected_durations);
        self.bound = self.bound.max(dual.bound() - price.taken(self.deadline));
        if self.is_proven() || (self.effort.should_stop() && self.best.found.is_some()) {
            return true;
        }
        walk.settle(SETTLING);
        let pick = |(stage, position): (StageId, usize)| {
            cheapest_choice(instance, &net, price, stage, position)
        };
        let placement: Placement = walk.positions().into_iter_enumerated().map(pick).collect();
        if round.closely {
            *expected_durations = placement
                .iter()
                .zip(&instance.stages)
                .map(|(pick, stage)| stage.choices[*pick].duration.signed())
                .collect();
            self.best.try_out(placement, &mut self.visits);
            self.best.try_out(punctual, &mut self.visits);
        }
        false
    }

    /// Drops choices of a stage that cost more than `limit`, when a round looks closely.
    fn drop_choices(
        &mut self,
        dual: &DualMessages<'_>,
        round: &Round<'_>,
        limit: i64,
        stage: StageId,
    ) {
        if round.closely {
            drop_dear_choices(
                self.instance,
                dual,
                self.representatives,
                round.price,
                limit,
                stage,
                &mut self.keep[stage],
            );
        }
    }

    /// Passes messages from the first stages to the last, and puts every stage of `walk` at its
    /// best site as soon as it has heard from all stages before it. Returns a placement that is
    /// likely to be in time, if the round looks closely.
    fn pass_forward(
        &mut self,
        dual: &mut DualMessages<'_>,
        net: &Network,
        round: &Round<'_>,
        limit: i64,
        walk: &mut NetworkWalk<'_>,
        expected_durations: &IdVec<StageId, i64>,
    ) -> Placement {
        let (instance, own) = (self.instance, round.own);
        let mut punctual_walk = NetworkWalk::new(net, &instance.links, own);
        let mut punctual =
            PunctualPlacement::new(instance, self.shape, self.deadline, expected_durations);
        dual.forward(&mut |dual, stage| {
            self.drop_choices(dual, round, limit, stage);
            let cost =
                |position: usize| walk.part(dual, stage, position) + dual.after(stage, position);
            let best_position = (0..own[stage].len()).min_by_key(|position| cost(*position));
            walk.put(stage, best_position);
            if round.closely {
                let cost = |position: usize| {
                    punctual_walk.part(dual, stage, position) + dual.after(stage, position)
                };
                let other_costs: Vec<i64> = (0..own[stage].len())
                    .map(|position| cost(position) - own[stage][position])
                    .collect();
                let placed = punctual.place(net, round.price, stage, &other_costs);
                punctual_walk.put(stage, placed);
            }
        });
        punctual.placement
    }

    /// Makes the best placement of a large job cheaper by moves, unless the planning is to stop.
    fn polish(&mut self) {
        if !self.effort.should_stop() {
            self.best.polish(&mut self.visits);
        }
    }

    /// Raises the bound on networks that are expanded in time, from coarse groups of sites to fine
    /// ones.
    fn expand_time(&mut self) {
        let mut pairs = PAIRS;
        for grouping in [Grouping::One, Grouping::Enough, Grouping::Alone] {
            let least_pairs = if grouping == Grouping::Alone {
                PAIRS / 50
            } else {
                0
            };
            if self.is_proven() || pairs < least_pairs || self.effort.should_stop() {
                break;
            }
            let loose = grouping == Grouping::One;
            if loose
                && affordable_sweeps(&self.ground(self.representatives, false), &self.keep) >= FEW
            {
                continue;
            }
            let groups = self.groups(grouping);
            let ground = self.ground(&groups, loose);
            let given_pairs = if ground.loose { pairs / 2 } else { pairs };
            let raised = self.raise_bound(&ground, given_pairs);
            if ground.loose && !raised.in_vain {
                // The few sweeps that are left over the network of all sites would tell less.
                break;
            }
            pairs -= given_pairs - raised.pairs_left;
        }
    }

    /// By site: the group that it is in.
    fn groups(&self, grouping: Grouping) -> IdVec<SiteId, SiteId> {
        match grouping {
            Grouping::One => IdVec::filled(SiteId::default(), self.instance.links.sites),
            Grouping::Enough => self.representatives.clone(),
            Grouping::Alone => self.instance.links.site_ids().collect(),
        }
    }

    fn ground<'g>(&self, groups: &'g IdVec<SiteId, SiteId>, loose: bool) -> NetworkInputs<'g>
    where
        'a: 'g,
    {
        NetworkInputs::new(
            self.instance,
            self.shape,
            self.network,
            self.deadline,
            groups,
            loose,
        )
    }

    /// Raises the bound within so many pairs of slots.
    fn raise_bound(&mut self, ground: &NetworkInputs<'_>, given_pairs: usize) -> Raised {
        let near_placement = match &self.best.found {
            Some((_, placement)) if ground.loose => self.best.near(placement),
            _ => self.best.allowed.clone(),
        };
        let mut work = SearchWork {
            best: &mut self.best,
            visits: self.visits,
            pairs: given_pairs,
            near: near_placement,
            floor: self.bound,
            given: given_pairs,
            in_vain: false,
            effort: self.effort,
        };
        let raised = raise_bound(ground, &mut self.keep, &mut work);
        let (visits, left, in_vain) = (work.visits, work.pairs, work.in_vain);
        self.visits = visits;
        self.bound = self.bound.max(raised);
        self.report();
        Raised {
            pairs_left: left,
            in_vain,
        }
    }

    /// The best placement that was found, and the bound.
    fn closed(self) -> Option<ClosedGap> {
        let (value, placement) = self.best.found?;
        let whole_bound = self.network.whole(self.bound);
        let whole_value = value / self.network.scale;
        Some(ClosedGap {
            placement,
            value: whole_value,
            bound: whole_bound.min(whole_value),
            keep: Some(self.keep),
        })
    }
}
