//! Sweeps over the time-expanded network: messages from the last stages to the first, and back.

use super::sweeper::{FAR, Sweeper};
use crate::planning::problem::{Origin, StageId};
use crate::planning::solve::bound::network::ReadStar;

impl Sweeper {
    /// From the last stages to the first. What costs more than `limit` is marked as dead.
    pub(super) fn backward(&mut self, limit: i64) {
        for at in (0..self.grid.order.len()).rev() {
            let stage = self.grid.order[at];
            for index in 0..self.grid.nodes[stage].makes.len() {
                self.lift_origin(self.grid.nodes[stage].makes[index]);
            }
            let costs = self.starts(stage);
            self.note_rise(stage, &costs);
            let least_cost = costs.iter().copied().min().unwrap_or(0);
            self.least[stage] = least_cost;
            let spare_bound = limit
                .saturating_sub(self.bound())
                .saturating_add(least_cost);
            let seen_slots = self.dead.start[stage]
                .iter_mut()
                .zip(&mut self.regret.start[stage]);
            seen_slots.zip(&costs).for_each(|((dead, regret), cost)| {
                *regret = *cost - least_cost;
                *dead |= *cost > spare_bound;
            });
            let reads = &self.grid.nodes[stage].reads;
            let part_count = reads.len().max(1) as i64;
            for (slot, cost) in costs.iter().enumerate() {
                let spare_part = ((*cost).min(FAR / 2) - least_cost) / part_count;
                for ReadStar { star, number } in reads {
                    self.mail[*star].down[*number][slot] -= spare_part;
                }
                self.into[stage][slot] -= spare_part * reads.len() as i64;
            }
        }
        for star in self.grid.stars.ids() {
            if let Origin::Site(_) = self.grid.stars[star].origin {
                self.lift_origin(star);
            }
        }
    }

    /// From the first stages to the last; likewise. `seen` is called for every stage when it has
    /// heard from all before it.
    pub(super) fn forward(&mut self, limit: i64, visit: &mut dyn FnMut(&Self, StageId)) {
        for star in self.grid.stars.ids() {
            if let Origin::Site(_) = self.grid.stars[star].origin {
                self.lift_readers(star);
            }
        }
        for at in 0..self.grid.order.len() {
            let stage = self.grid.order[at];
            let costs = self.ends(stage);
            let least_cost = costs.iter().copied().min().unwrap_or(0);
            self.least[stage] = least_cost;
            let spare_bound = limit
                .saturating_sub(self.bound())
                .saturating_add(least_cost);
            let noted = self.dead.end[stage]
                .iter_mut()
                .zip(&mut self.regret.end[stage]);
            noted.zip(&costs).for_each(|((dead, regret), cost)| {
                *regret = *cost - least_cost;
                *dead |= *cost > spare_bound;
            });
            visit(self, stage);
            let makes = &self.grid.nodes[stage].makes;
            let edges: usize = makes
                .iter()
                .map(|star| self.grid.stars[*star].readers.len())
                .sum();
            let part_count = edges.max(1) as i64;
            for (slot, cost) in costs.iter().enumerate() {
                let spare_part = ((*cost).min(FAR / 2) - least_cost) / part_count;
                for star in makes {
                    for up in &mut self.mail[*star].up {
                        up[slot] -= spare_part;
                    }
                }
                self.out[stage][slot] -= spare_part * edges as i64;
            }
            for index in 0..self.grid.nodes[stage].makes.len() {
                self.lift_readers(self.grid.nodes[stage].makes[index]);
            }
        }
    }

    /// Notes by how much the rest of the DAG after a stage costs more in the next slot.
    fn note_rise(&mut self, stage: StageId, costs: &[i64]) {
        let node = &self.grid.nodes[stage];
        let costs_without: Vec<i64> = costs
            .iter()
            .zip(&self.into[stage])
            .map(|(cost, into)| cost - into)
            .collect();
        let sides = [
            (&mut self.rise.start[stage], &node.start, &costs_without),
            (&mut self.rise.end[stage], &node.end, &self.out[stage]),
        ];
        for (rise, times, rest) in sides {
            for position in 0..node.sites.len() {
                let range = times.range(position);
                for slot in range.clone() {
                    rise[slot] = if slot + 1 == range.end {
                        FAR
                    } else {
                        rest[slot + 1] - rest[slot]
                    };
                }
            }
        }
    }
}
