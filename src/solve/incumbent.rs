//! The best placement by a deadline so far.

use super::close::plain;
use super::net::Net;
use super::timed::Timed;
use crate::problem::{Instance, Shape, evaluate, together};
use std::collections::BTreeSet;

/// Single moves are not expected to take more than this part off a placement.
const SETTLED: i64 = 10;

/// The best placement in time so far.
pub struct Incumbent<'a> {
    pub instance: &'a Instance,
    pub shape: &'a Shape,
    pub net: &'a Net,
    pub deadline: i64,
    /// By stage: choices that moves may take.
    pub allowed: Vec<Vec<usize>>,
    /// Placements that were begun at.
    pub tried: BTreeSet<Vec<usize>>,
    /// Scaled cost and picks.
    pub found: Option<(i64, Vec<usize>)>,
}

impl Incumbent<'_> {
    pub fn value(&self) -> i64 {
        self.found.as_ref().map_or(i64::MAX, |(value, _)| *value)
    }

    /// Makes a placement keep the deadline, then cheaper.
    pub fn try_out(&mut self, picks: Vec<usize>, visits: &mut usize) {
        if !self.tried.insert(picks.clone()) {
            return;
        }
        let late = Timed::new(self.instance, self.shape, self.net, picks);
        // Repair makes it dearer, and moves seldom make up for much.
        let total = late.total();
        let hopeless = if late.makespan() > self.deadline { total } else { total - total / SETTLED };
        if hopeless >= self.value() {
            return;
        }
        // Faster machines where the stages are keep data together; moves reach more.
        for stay in [true, false] {
            let mut timed = late.clone();
            if timed.repair(self.deadline, &self.allowed, stay, visits) {
                timed.settle(self.deadline, &self.allowed, visits);
                let total = timed.total();
                if total < self.value().min(self.net.never)
                    && let Some(value) = self.exact(&timed.picks, total)
                    && value < self.value()
                {
                    self.found = Some((value, timed.picks));
                }
            }
        }
    }

    /// What a placement in time really costs, scaled: the network knows the least that copies cost
    /// when volumes are counted together. `None`: it breaks a limit that the network does not know.
    fn exact(&self, picks: &[usize], total: i64) -> Option<i64> {
        if plain(self.instance) {
            return Some(total);
        }
        let evaluation = evaluate(self.instance, self.shape, picks)?;
        let keeps = evaluation.makespan <= self.deadline
            && self.instance.lateness(&evaluation) == 0
            && together::over(self.instance, picks) == 0
            && together::clash(self.instance, self.shape, picks).is_none();
        keeps.then(|| evaluation.cost().saturating_mul(self.net.scale))
    }
}
