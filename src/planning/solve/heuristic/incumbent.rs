//! The best placement by a deadline so far.

use crate::model::Millis;
use crate::planning::problem::{
    ChoiceId, Instance, Placement, Shape, SiteId, StageChoices, concurrency, evaluate,
};
use crate::planning::solve::bound::closing_bounds::has_direct_transfers_only;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use std::collections::BTreeSet;

/// Single moves are not expected to take more than this part off a placement.
const SETTLED: i64 = 10;

/// Ways to put a late placement in time.
#[derive(Clone, Copy)]
enum RepairMethod {
    /// By cheapest cuts, in so many steps.
    Cuts(i64),
    /// By single moves, each where a millisecond costs least. `stay`: stages stay at their sites;
    /// faster machines where they are keep data together.
    Moves { stay: bool },
}

impl RepairMethod {
    const ALL: [Self; 5] = [
        Self::Cuts(64),
        Self::Cuts(16),
        Self::Cuts(4),
        Self::Moves { stay: true },
        Self::Moves { stay: false },
    ];
}

/// Above so many choices only the method that is most often the best is tried.
pub(crate) const LARGE: usize = 1_000_000;
/// Only placements that are dearer than the best by less than this part of it swing.
const SWUNG: i64 = 20;
/// A placement is let be late by this part of the deadline at first, then by less.
const LATEST: i64 = 256;
/// Steps in which it is put in time again.
const SWINGS: i64 = 16;

/// The best placement in time so far.
pub(crate) struct Incumbent<'a> {
    pub instance: &'a Instance,
    pub shape: &'a Shape,
    pub net: &'a Network,
    pub deadline: i64,
    /// By stage: choices that moves may take.
    pub allowed: AllowedChoices,
    /// Placements that were begun at.
    pub tried: BTreeSet<Placement>,
    /// The scaled cost of a placement, and the placement.
    pub found: Option<(i64, Placement)>,
}

impl Incumbent<'_> {
    pub(crate) fn value(&self) -> i64 {
        self.found.as_ref().map_or(i64::MAX, |(value, _)| *value)
    }

    /// Makes a placement keep the deadline, then cheaper.
    pub(crate) fn try_out(&mut self, placement: Placement, visits: &mut usize) {
        if !self.tried.insert(placement.clone()) {
            return;
        }
        let late_placement = TimedPlacement::new(self.instance, self.shape, self.net, placement);
        // Repair makes it dearer, and moves seldom make up for much.
        let total_cost = late_placement.total();
        let hopeless = if late_placement.makespan() > self.deadline {
            total_cost
        } else {
            total_cost - total_cost / SETTLED
        };
        if hopeless >= self.value() {
            return;
        }
        let large = self.instance.size() > LARGE;
        let near_choices;
        let (methods, allowed) = if large {
            near_choices = self.near(&late_placement.placement);
            (&RepairMethod::ALL[..1], &near_choices)
        } else {
            (&RepairMethod::ALL[..], &self.allowed)
        };
        let known_value = self.value();
        let mut settled_placements: Vec<TimedPlacement<'_>> = Vec::new();
        for method in methods {
            let mut timed_placement = late_placement.clone();
            let in_time = match *method {
                RepairMethod::Cuts(steps) => {
                    timed_placement.crash(self.deadline, steps, allowed, visits)
                }
                RepairMethod::Moves { stay } => {
                    timed_placement.repair(self.deadline, allowed, stay, visits)
                }
            };
            if in_time {
                timed_placement.settle(self.deadline, allowed, visits);
                settled_placements.push(timed_placement);
            }
        }
        settled_placements.iter().for_each(|timed| self.take(timed));
        let Some(timed) = settled_placements
            .into_iter()
            .min_by_key(TimedPlacement::total)
        else {
            return;
        };
        let swings = !large && timed.total() < known_value.saturating_add(known_value / SWUNG);
        if swings {
            let better = self.swing(timed, visits);
            self.take(&better);
        }
    }

    /// Makes the best placement of a large job cheaper, where [`Self::try_out`] has no time for it.
    pub(crate) fn polish(&mut self, visits: &mut usize) {
        if self.instance.size() > LARGE
            && let Some((_, placement)) = &self.found
        {
            let timed_placement =
                TimedPlacement::new(self.instance, self.shape, self.net, placement.clone());
            let better = self.swing(timed_placement, visits);
            self.take(&better);
        }
    }

    /// Makes a placement the best if it is.
    fn take(&mut self, timed: &TimedPlacement<'_>) {
        let total_cost = timed.total();
        let known_value = self.value();
        if total_cost < known_value.min(self.net.never)
            && timed.makespan() <= self.deadline
            && let Some(value) = self.exact(&timed.placement, total_cost)
            && value < known_value
        {
            self.found = Some((value, timed.placement.clone()));
        }
    }

    /// Lets a placement be late by some time, which lets stages become cheaper, and puts it in time
    /// again, perhaps by others; as long as that helps.
    fn swing<'t>(&self, mut best: TimedPlacement<'t>, visits: &mut usize) -> TimedPlacement<'t> {
        let kept_visits = *visits / 2;
        let mut visits_left = *visits - kept_visits;
        let near_choices = self.near(&best.placement);
        let mut total_cost = best.total();
        let mut late_by = self.deadline / LATEST;
        while late_by > 0 && visits_left > 0 {
            let mut timed_placement = best.clone();
            timed_placement.settle(
                self.deadline.saturating_add(late_by),
                &near_choices,
                &mut visits_left,
            );
            let mut better = false;
            if timed_placement.crash(self.deadline, SWINGS, &near_choices, &mut visits_left) {
                timed_placement.settle(self.deadline, &near_choices, &mut visits_left);
                let swung = timed_placement.total();
                if swung < total_cost {
                    (best, total_cost, better) = (timed_placement, swung, true);
                }
            }
            if !better {
                late_by /= 2;
            }
        }
        *visits = kept_visits + visits_left;
        best
    }

    /// By stage: choices where any stage of a placement is.
    pub(crate) fn near(&self, placement: &Placement) -> AllowedChoices {
        let stages = &self.instance.stages;
        let used_sites: BTreeSet<SiteId> = stages
            .iter()
            .zip(placement)
            .map(|(stage, pick)| stage.choices[*pick].site)
            .collect();
        let near_of_stage = |(stage, allowed): (&StageChoices, &Vec<ChoiceId>)| {
            allowed
                .iter()
                .copied()
                .filter(|choice| used_sites.contains(&stage.choices[*choice].site))
                .collect()
        };
        stages
            .iter()
            .zip(&self.allowed)
            .map(near_of_stage)
            .collect()
    }

    /// What a placement in time really costs, scaled: the network knows the least that transfers
    /// cost when volumes are counted together. `None`: it breaks a limit that the network does not
    /// know.
    fn exact(&self, placement: &Placement, total: i64) -> Option<i64> {
        if has_direct_transfers_only(self.instance) {
            return Some(total);
        }
        let evaluation = evaluate(self.instance, self.shape, placement)?;
        let keeps = evaluation.makespan.signed() <= self.deadline
            && self.instance.lateness(&evaluation) == Millis(0)
            && concurrency::excess(self.instance, placement) == 0
            && concurrency::exceeded_cap(self.instance, self.shape, placement).is_none();
        keeps.then(|| evaluation.cost().0.saturating_mul(self.net.scale))
    }
}
