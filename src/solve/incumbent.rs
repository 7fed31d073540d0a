//! The best placement by a deadline so far.

use super::net::Net;
use super::timed::Timed;
use crate::problem::{Instance, Shape};
use std::collections::BTreeSet;

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
        // Faster machines where the stages are keep data together; moves reach more.
        for stay in [true, false] {
            let mut timed = late.clone();
            if timed.repair(self.deadline, &self.allowed, stay, visits) {
                timed.settle(self.deadline, &self.allowed, visits);
                let total = timed.total();
                if total < self.value() && total < self.net.never {
                    self.found = Some((total, timed.picks));
                }
            }
        }
    }
}
