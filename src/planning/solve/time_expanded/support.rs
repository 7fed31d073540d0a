//! Dropping slots that no placement has: those that nothing can come before, or after.

use super::grid::Grid;
use super::slots::{BySlot, Times};
use crate::planning::problem::{Origin, StageId};
use crate::planning::solve::bound::network::ReadStar;

impl Grid {
    /// Drops slots that nothing can come before or after, again and again. `false`: none are left.
    pub(super) fn supported(&mut self) -> bool {
        loop {
            let mut alive = self.all(true);
            for at in (0..self.order.len()).rev() {
                self.followed(self.order[at], &mut alive);
            }
            for at in 0..self.order.len() {
                self.preceded(self.order[at], &mut alive);
            }
            let all_alive = alive
                .start
                .iter()
                .chain(&alive.end)
                .all(|alive| alive.iter().all(|alive| *alive));
            if all_alive {
                return true;
            }
            for (stage, node) in self.nodes.iter_enumerated_mut() {
                retain_slots(&mut node.start, &alive.start[stage]);
                retain_slots(&mut node.end, &alive.end[stage]);
                if node.start.len() == 0 || node.end.len() == 0 {
                    return false;
                }
            }
        }
    }

    /// Keeps ends of a stage that all its readers can follow, and starts with such an end.
    fn followed(&self, stage: StageId, alive: &mut BySlot<bool>) {
        let node = &self.nodes[stage];
        for star in &node.makes {
            let star = &self.stars[*star];
            for (number, reader) in star.readers.iter().enumerate() {
                let next_starts = &self.nodes[*reader].start;
                let latest_arrivals: Vec<i64> = (0..star.slots[number].len())
                    .map(|to| {
                        let slot = next_starts
                            .range(to)
                            .rev()
                            .find(|slot| alive.start[*reader][*slot]);
                        slot.map_or(-1, |slot| next_starts.last[slot])
                    })
                    .collect();
                for from in 0..node.sites.len() {
                    let travel_row = &star.travel[from * star.targets.len()..];
                    let times_left = latest_arrivals
                        .iter()
                        .zip(&star.slots[number])
                        .map(|(latest, target)| latest - travel_row[*target]);
                    let most_left = times_left.max().unwrap_or(-1);
                    for end in node.end.range(from) {
                        alive.end[stage][end] &= node.end.first[end] <= most_left;
                    }
                }
            }
        }
        let mut alive_ends = vec![false; node.start.len()];
        for position in 0..node.sites.len() {
            node.each_run(position, |start, end, _| {
                alive_ends[start] |= alive.end[stage][end]
            });
        }
        alive.start[stage]
            .iter_mut()
            .zip(alive_ends)
            .for_each(|(alive, ends)| *alive &= ends);
    }

    /// Keeps starts of a stage that all its inputs can come before, and ends with such a start.
    fn preceded(&self, stage: StageId, alive: &mut BySlot<bool>) {
        let node = &self.nodes[stage];
        for ReadStar { star, number } in &node.reads {
            let star = &self.stars[*star];
            let (at, times) = self.source(star);
            let earliest: Vec<i64> = (0..at.len() - 1)
                .map(|from| {
                    let living = |end: &usize| match star.origin {
                        Origin::Site(_) => true,
                        Origin::Stage(before) => alive.end[before][*end],
                    };
                    (at[from]..at[from + 1])
                        .find(living)
                        .map_or(i64::MAX / 2, |end| times[end])
                })
                .collect();
            for to in 0..node.sites.len() {
                let target = star.slots[*number][to];
                let arrival = |(from, time): (usize, &i64)| {
                    time + star.travel[from * star.targets.len() + target]
                };
                let first_arrival = earliest.iter().enumerate().map(arrival).min().unwrap_or(0);
                for start in node.start.range(to) {
                    alive.start[stage][start] &= node.start.last[start] >= first_arrival;
                }
            }
        }
        let mut alive_starts = vec![false; node.end.len()];
        for position in 0..node.sites.len() {
            node.each_run(position, |start, end, _| {
                alive_starts[end] |= alive.start[stage][start]
            });
        }
        alive.end[stage]
            .iter_mut()
            .zip(alive_starts)
            .for_each(|(alive, starts)| *alive &= starts);
    }
}

fn retain_slots(times: &mut Times, keep: &[bool]) {
    let mut new_starts = vec![0];
    let mut kept_slots = Vec::new();
    for position in 0..times.at.len() - 1 {
        kept_slots.extend(times.range(position).filter(|slot| keep[*slot]));
        new_starts.push(kept_slots.len());
    }
    let take_kept = |values: &[i64]| {
        kept_slots
            .iter()
            .map(|slot| values[*slot])
            .collect::<Vec<i64>>()
    };
    (times.first, times.last) = (take_kept(&times.first), take_kept(&times.last));
    times.parent = kept_slots.iter().map(|slot| times.parent[*slot]).collect();
    times.at = new_starts;
}
