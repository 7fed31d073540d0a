//! A lower bound by passing messages over a time-expanded network.
//!
//! As in [`crate::planning::solve::bound::dual_messages`], but what a stage pays or gets depends on
//! its slot as well: reader `i` of a star has `up[i](o, e)`, paid to the origin's stage at site `o`
//! in the slot `e` of its end, and `down[i](p, s)`, paid to the reader's at site `p` in the slot
//! `s` of its start. With `s` any slot that may follow `e` after the copy's travel, the messages of
//! a placement in time never sum up to more than its copies cost as long as
//!
//! ```text
//! Σ over i of max(0, max over s of up[i](o, e) + down[i](p, s))  <=  price(o, p)    for all o, e, p
//! ```

use super::grid::{Grid, Star};
use super::network_inputs::{NetworkInputs, Run};
use super::slots::{BySlot, Fate};
use crate::planning::problem::{Origin, StageId};
use crate::planning::solve::bound::closing_bounds::KeptChoices;
use crate::planning::solve::bound::network::{ReadStar, StarId};
use crate::util::id_vec::IdVec;

/// Messages of one star, by reader and slot.
#[derive(Clone, Debug)]
struct Mail {
    up: Vec<Vec<i64>>,
    down: Vec<Vec<i64>>,
}

/// The bound and what it is made of.
pub(super) struct Sweeper {
    pub grid: Grid,
    mail: IdVec<StarId, Mail>,
    /// By stage and slot of its start: what its inputs pay.
    into: IdVec<StageId, Vec<i64>>,
    /// By stage and slot of its end: what its readers pay.
    out: IdVec<StageId, Vec<i64>>,
    /// By stage: least of what it costs with its messages.
    least: IdVec<StageId, i64>,
    /// What fixed origins got.
    constant: i64,
    room: Vec<i64>,
    held: Vec<i64>,
    /// By how much a placement in a slot costs more than the bound at least, as last seen.
    regret: BySlot<i64>,
    /// Slots that cost more than the limit are marked.
    dead: BySlot<bool>,
    /// How much more the rest of the DAG costs after the next slot, as last seen.
    rise: BySlot<i64>,
}

/// What no placement pays.
const FAR: i64 = i64::MAX / 8;

impl Sweeper {
    /// Without messages.
    pub(super) fn new(grid: Grid) -> Self {
        let mail = grid.stars.iter().map(|star| Mail {
            up: vec![vec![0; grid.source(star).1.len()]; star.readers.len()],
            down: star
                .readers
                .iter()
                .map(|reader| vec![0; grid.nodes[*reader].start.len()])
                .collect(),
        });
        let mail = mail.collect();
        Self::of(grid, mail)
    }

    /// With the messages that each slot's coarser one has.
    pub(super) fn refined(&self, grid: Grid) -> Self {
        let taken = |values: &Vec<i64>, parents: &[usize]| {
            parents.iter().map(|slot| values[*slot]).collect()
        };
        let mail = grid.stars.iter().zip(&self.mail).map(|(star, old)| {
            let up = match star.origin {
                Origin::Site(_) => old.up.clone(),
                Origin::Stage(stage) => old
                    .up
                    .iter()
                    .map(|up| taken(up, &grid.nodes[stage].end.parent))
                    .collect(),
            };
            let down = star.readers.iter().zip(&old.down);
            Mail {
                up,
                down: down
                    .map(|(reader, down)| taken(down, &grid.nodes[*reader].start.parent))
                    .collect(),
            }
        });
        let mail = mail.collect();
        Self::of(grid, mail)
    }

    fn of(grid: Grid, mail: IdVec<StarId, Mail>) -> Self {
        let mut into = grid.nodes.map(|node| vec![0; node.start.len()]);
        let mut out = grid.nodes.map(|node| vec![0; node.end.len()]);
        let mut constant = 0;
        for (star, mail) in grid.stars.iter().zip(&mail) {
            for (reader, down) in star.readers.iter().zip(&mail.down) {
                into[*reader]
                    .iter_mut()
                    .zip(down)
                    .for_each(|(into, down)| *into += down);
            }
            for up in &mail.up {
                match star.origin {
                    Origin::Site(_) => constant += up[0],
                    Origin::Stage(stage) => out[stage]
                        .iter_mut()
                        .zip(up)
                        .for_each(|(out, up)| *out += up),
                }
            }
        }
        let least = grid.nodes.map(|_| 0);
        let (regret, dead, rise) = (grid.all(0), grid.all(false), grid.all(0));
        let (room, held) = (Vec::new(), Vec::new());
        let mut sweeper = Self {
            grid,
            mail,
            into,
            out,
            least,
            constant,
            room,
            held,
            regret,
            dead,
            rise,
        };
        for stage in sweeper.least.ids() {
            sweeper.least[stage] = sweeper.starts(stage).into_iter().min().unwrap_or(0);
        }
        sweeper
    }

    /// No placement in time costs less, scaled.
    pub(super) fn bound(&self) -> i64 {
        self.constant + self.least.iter().sum::<i64>()
    }

    /// By slot of its start: the least that a stage costs with its messages.
    fn starts(&self, stage: StageId) -> Vec<i64> {
        let node = &self.grid.nodes[stage];
        let out = &self.out[stage];
        let mut costs = vec![FAR; node.start.len()];
        for position in 0..node.sites.len() {
            node.each_run(position, |start, end, run| {
                costs[start] = costs[start].min(run.cost + out[end])
            });
        }
        costs
            .iter_mut()
            .zip(&self.into[stage])
            .for_each(|(cost, into)| *cost += into);
        costs
    }

    /// By slot of its end, likewise.
    fn ends(&self, stage: StageId) -> Vec<i64> {
        let node = &self.grid.nodes[stage];
        let into = &self.into[stage];
        let mut costs = vec![FAR; node.end.len()];
        for position in 0..node.sites.len() {
            node.each_run(position, |start, end, run| {
                costs[end] = costs[end].min(run.cost + into[start])
            });
        }
        costs
            .iter_mut()
            .zip(&self.out[stage])
            .for_each(|(cost, out)| *cost += out);
        costs
    }

    /// From the last stages to the first. What costs more than `limit` is marked as dead.
    pub(super) fn backward(&mut self, limit: i64) {
        for at in (0..self.grid.order.len()).rev() {
            let stage = self.grid.order[at];
            for index in 0..self.grid.nodes[stage].makes.len() {
                self.lift_origin(self.grid.nodes[stage].makes[index]);
            }
            let costs = self.starts(stage);
            self.note_rise(stage, &costs);
            let least = costs.iter().copied().min().unwrap_or(0);
            self.least[stage] = least;
            let spare = limit.saturating_sub(self.bound()).saturating_add(least);
            let seen = self.dead.start[stage]
                .iter_mut()
                .zip(&mut self.regret.start[stage]);
            seen.zip(&costs).for_each(|((dead, regret), cost)| {
                *regret = *cost - least;
                *dead |= *cost > spare;
            });
            let reads = &self.grid.nodes[stage].reads;
            let parts = reads.len().max(1) as i64;
            for (slot, cost) in costs.iter().enumerate() {
                let spare = ((*cost).min(FAR / 2) - least) / parts;
                for ReadStar { star, number } in reads {
                    self.mail[*star].down[*number][slot] -= spare;
                }
                self.into[stage][slot] -= spare * reads.len() as i64;
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
    pub(super) fn forward(&mut self, limit: i64, seen: &mut dyn FnMut(&Self, StageId)) {
        for star in self.grid.stars.ids() {
            if let Origin::Site(_) = self.grid.stars[star].origin {
                self.lift_readers(star);
            }
        }
        for at in 0..self.grid.order.len() {
            let stage = self.grid.order[at];
            let costs = self.ends(stage);
            let least = costs.iter().copied().min().unwrap_or(0);
            self.least[stage] = least;
            let spare = limit.saturating_sub(self.bound()).saturating_add(least);
            let noted = self.dead.end[stage]
                .iter_mut()
                .zip(&mut self.regret.end[stage]);
            noted.zip(&costs).for_each(|((dead, regret), cost)| {
                *regret = *cost - least;
                *dead |= *cost > spare;
            });
            seen(self, stage);
            let makes = &self.grid.nodes[stage].makes;
            let edges: usize = makes
                .iter()
                .map(|star| self.grid.stars[*star].readers.len())
                .sum();
            let parts = edges.max(1) as i64;
            for (slot, cost) in costs.iter().enumerate() {
                let spare = ((*cost).min(FAR / 2) - least) / parts;
                for star in makes {
                    for up in &mut self.mail[*star].up {
                        up[slot] -= spare;
                    }
                }
                self.out[stage][slot] -= spare * edges as i64;
            }
            for index in 0..self.grid.nodes[stage].makes.len() {
                self.lift_readers(self.grid.nodes[stage].makes[index]);
            }
        }
    }

    /// Fills `room`: by target and slot of the origin, what is left of the price.
    fn rooms(&mut self, index: StarId) {
        let Self {
            grid,
            mail,
            room,
            held,
            ..
        } = self;
        let star = &grid.stars[index];
        let (at, times) = grid.source(star);
        room.clear();
        for target in 0..star.targets.len() {
            for from in 0..at.len() - 1 {
                let price = star.price[from * star.targets.len() + target];
                room.extend(std::iter::repeat_n(price, at[from + 1] - at[from]));
            }
        }
        for (number, up) in mail[index].up.iter().enumerate() {
            most(grid, star, number, &mail[index].down[number], held);
            for (to, target) in star.slots[number].iter().enumerate() {
                let row = &mut room[target * times.len()..(target + 1) * times.len()];
                for from in 0..at.len() - 1 {
                    grid.each_pair(star, number, from, to, |end, slot| {
                        row[end] -= (up[end] + held[slot]).max(0)
                    });
                }
            }
        }
    }

    /// Raises what the readers pay to the origin.
    fn lift_origin(&mut self, index: StarId) {
        let readers = self.grid.stars[index].readers.len();
        if readers > 1 {
            self.rooms(index);
        }
        for number in 0..readers {
            self.lift_up(index, number, (readers - number) as i64);
        }
    }

    fn lift_up(&mut self, index: StarId, number: usize, share: i64) {
        let Self {
            grid,
            mail,
            room,
            held,
            out,
            constant,
            ..
        } = self;
        let star = &grid.stars[index];
        let (at, times) = grid.source(star);
        let Mail { up, down } = &mut mail[index];
        let up = &mut up[number];
        most(grid, star, number, &down[number], held);
        let mut raises = vec![FAR; times.len()];
        let lone = star.readers.len() == 1;
        for (to, target) in star.slots[number].iter().enumerate() {
            for from in 0..at.len() - 1 {
                if lone {
                    let price = star.price[from * star.targets.len() + target];
                    grid.each_pair(star, number, from, to, |end, slot| {
                        raises[end] = raises[end].min(price - held[slot])
                    });
                } else {
                    let row = &room[target * times.len()..(target + 1) * times.len()];
                    grid.each_pair(star, number, from, to, |end, slot| {
                        let part = up[end] + held[slot];
                        let left = if share == 1 {
                            row[end]
                        } else {
                            row[end] / share
                        };
                        raises[end] = raises[end].min(left - part.min(0));
                    });
                }
            }
        }
        for (raise, up) in raises.iter_mut().zip(up.iter()) {
            let raised = if lone { *raise - up } else { *raise };
            *raise = if *raise >= FAR / 2 { 0 } else { raised.max(0) };
        }
        if !lone {
            for (to, target) in star.slots[number].iter().enumerate() {
                let row = &mut room[target * times.len()..(target + 1) * times.len()];
                for from in 0..at.len() - 1 {
                    grid.each_pair(star, number, from, to, |end, slot| {
                        let part = up[end] + held[slot];
                        row[end] -= (part + raises[end]).max(0) - part.max(0);
                    });
                }
            }
        }
        up.iter_mut()
            .zip(&raises)
            .for_each(|(up, raise)| *up += raise);
        match star.origin {
            Origin::Site(_) => *constant += raises[0],
            Origin::Stage(stage) => out[stage]
                .iter_mut()
                .zip(&raises)
                .for_each(|(out, raise)| *out += raise),
        }
    }

    /// Raises what the readers get.
    fn lift_readers(&mut self, index: StarId) {
        let readers = self.grid.stars[index].readers.len();
        if readers > 1 {
            self.rooms(index);
        }
        for number in 0..readers {
            let Self {
                grid,
                mail,
                room,
                held,
                into,
                ..
            } = self;
            let star = &grid.stars[index];
            let (at, times) = grid.source(star);
            let share = (readers - number) as i64;
            let Mail { up, down } = &mut mail[index];
            let (up, down) = (&up[number], &mut down[number]);
            most(grid, star, number, down, held);
            let reader = star.readers[number];
            let starts = &grid.nodes[reader].start;
            // The most that a slot may get: no more than any slot before it.
            let mut raised = vec![FAR; down.len()];
            for (to, target) in star.slots[number].iter().enumerate() {
                for from in 0..at.len() - 1 {
                    if readers == 1 {
                        let price = star.price[from * star.targets.len() + target];
                        grid.each_pair(star, number, from, to, |end, slot| {
                            raised[slot] = raised[slot].min(price - up[end]);
                        });
                    } else {
                        let row = &room[target * times.len()..(target + 1) * times.len()];
                        grid.each_pair(star, number, from, to, |end, slot| {
                            let part = (up[end] + held[slot]).max(0);
                            let left = if share == 1 {
                                row[end]
                            } else {
                                row[end] / share
                            };
                            raised[slot] = raised[slot].min(part + left - up[end]);
                        });
                    }
                }
                let mut least = FAR;
                for slot in starts.range(to) {
                    least = least.min(raised[slot]);
                    raised[slot] = if least >= FAR / 2 {
                        down[slot]
                    } else {
                        least.max(down[slot])
                    };
                }
            }
            if readers > 1 {
                let mut more = std::mem::take(held);
                let before = more.clone();
                most(grid, star, number, &raised, &mut more);
                for (to, target) in star.slots[number].iter().enumerate() {
                    let row = &mut room[target * times.len()..(target + 1) * times.len()];
                    for from in 0..at.len() - 1 {
                        grid.each_pair(star, number, from, to, |end, slot| {
                            row[end] -=
                                (up[end] + more[slot]).max(0) - (up[end] + before[slot]).max(0);
                        });
                    }
                }
                *held = more;
            }
            for ((into, down), raised) in into[reader].iter_mut().zip(down).zip(raised) {
                *into += raised - *down;
                *down = raised;
            }
        }
    }

    /// Slots to halve: those in which a placement may cost less than the bound and `more`, and
    /// whose next slot costs the rest of the DAG more than `step`: where being later costs nothing,
    /// no finer slots are needed.
    pub(super) fn fates(&self, more: i64, step: i64) -> BySlot<Fate> {
        let fate = |((dead, regret), rise): ((&bool, &i64), &i64)| match (
            *dead,
            *rise > step && *regret <= more,
        ) {
            (true, _) => Fate::Dead,
            (_, true) => Fate::Halved,
            (_, false) => Fate::Whole,
        };
        let fates = |dead: &IdVec<StageId, Vec<bool>>,
                     regret: &IdVec<StageId, Vec<i64>>,
                     rise: &IdVec<StageId, Vec<i64>>| {
            let stages = dead.iter().zip(regret).zip(rise);
            stages
                .map(|((dead, regret), rise)| dead.iter().zip(regret).zip(rise).map(fate).collect())
                .collect()
        };
        let (dead, regret, rise) = (&self.dead, &self.regret, &self.rise);
        BySlot {
            start: fates(&dead.start, &regret.start, &rise.start),
            end: fates(&dead.end, &regret.end, &rise.end),
        }
    }

    /// The slots in two parts, split at the stage that most others depend on: at its best site, or
    /// not; when there is but one, early or late. `None`: no stage has two slots.
    pub(super) fn halves(&self) -> Option<[BySlot<Fate>; 2]> {
        let edges = |stage: StageId| {
            let node = &self.grid.nodes[stage];
            node.reads.len()
                + node
                    .makes
                    .iter()
                    .map(|star| self.grid.stars[*star].readers.len())
                    .sum::<usize>()
        };
        let alive = |stage: StageId| self.dead.end[stage].iter().filter(|dead| !**dead).count();
        let stage = self
            .grid
            .nodes
            .ids()
            .filter(|stage| alive(*stage) > 1)
            .max_by_key(|stage| (edges(*stage), std::cmp::Reverse(*stage)))?;
        let node = &self.grid.nodes[stage];
        let slots = |position: usize| {
            node.end
                .range(position)
                .filter(|slot| !self.dead.end[stage][*slot])
        };
        let least = |position: &usize| {
            slots(*position)
                .map(|slot| self.regret.end[stage][slot])
                .min()
        };
        let sites: Vec<usize> = (0..node.sites.len())
            .filter(|position| least(position).is_some())
            .collect();
        let best = sites.iter().copied().min_by_key(least)?;
        let first: Vec<bool> = if sites.len() > 1 {
            (0..node.end.len())
                .map(|slot| node.end.range(best).contains(&slot))
                .collect()
        } else {
            let times: Vec<usize> = slots(best).collect();
            let middle = times[times.len() / 2];
            (0..node.end.len()).map(|slot| slot < middle).collect()
        };
        let half = |side: bool| {
            let mut fates = self.fates(-1, 0);
            for (slot, fate) in fates.end[stage].iter_mut().enumerate() {
                if first[slot] != side {
                    *fate = Fate::Dead;
                }
            }
            fates
        };
        Some([half(true), half(false)])
    }

    /// Notes by how much the rest of the DAG after a stage costs more in the next slot.
    fn note_rise(&mut self, stage: StageId, costs: &[i64]) {
        let node = &self.grid.nodes[stage];
        let rest: Vec<i64> = costs
            .iter()
            .zip(&self.into[stage])
            .map(|(cost, into)| cost - into)
            .collect();
        let sides = [
            (&mut self.rise.start[stage], &node.start, &rest),
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

    /// Clears what no placement has that costs up to `limit`.
    pub(super) fn narrow(&self, ground: &NetworkInputs<'_>, limit: i64, keep: &mut KeptChoices) {
        let bound = self.bound();
        for (stage, keep) in keep.iter_enumerated_mut() {
            let node = &self.grid.nodes[stage];
            let spare = limit
                .saturating_sub(bound)
                .saturating_add(self.least[stage]);
            let with: Vec<Vec<i64>> = (0..node.sites.len())
                .map(|position| {
                    node.runs[position]
                        .iter()
                        .map(|run| self.with(stage, position, *run))
                        .collect()
                })
                .collect();
            for (choice, keep) in ground.instance.stages[stage]
                .choices
                .iter()
                .zip(keep)
                .filter(|(_, keep)| **keep)
            {
                let Ok(position) = node.sites.binary_search(&ground.site(choice)) else {
                    *keep = false;
                    continue;
                };
                // Slots are those of runs that no other beats: one of these is as short and no
                // dearer.
                let shorter = node.runs[position]
                    .partition_point(|run| run.duration <= choice.duration.signed());
                let Some(least) = with[position][..shorter].last() else {
                    *keep = false;
                    continue;
                };
                *keep = least.saturating_add(choice.cost.0 * ground.net.scale) <= spare;
            }
        }
    }

    /// What the rest of the DAG costs at least with a run.
    fn with(&self, stage: StageId, position: usize, run: Run) -> i64 {
        let mut least = FAR;
        self.grid.nodes[stage].each_of(position, run, &mut |start, end| {
            least = least.min(self.into[stage][start] + self.out[stage][end]);
        });
        least
    }

    /// By when a stage should start to cost least, as last seen. `None`: that makes no difference.
    pub(super) fn due(&self, stage: StageId) -> Option<i64> {
        let regret = &self.regret.start[stage];
        let slot = (0..regret.len()).min_by_key(|slot| (regret[*slot], *slot))?;
        (regret.len() > 1).then(|| self.grid.nodes[stage].start.last[slot])
    }

    /// What the rest of the DAG after a stage costs at least when it ends at that time at a site,
    /// as far as messages know. `None`: the rest is late then, or costs too much.
    pub(super) fn after(&self, stage: StageId, position: usize, end: i64) -> Option<i64> {
        let slot = self.grid.nodes[stage].end.not_over(position, end)?;
        Some(self.out[stage][slot])
    }

    /// A reader's part in the price of a copy from a slot of its origin to its own.
    pub(super) fn part(&self, star: StarId, number: usize, end: usize, start: usize) -> i64 {
        let Mail { up, down } = &self.mail[star];
        (up[number][end] + down[number][start]).max(0)
    }
}

/// By slot of a reader: the most that it or a later one there gets.
fn most(grid: &Grid, star: &Star, number: usize, down: &[i64], held: &mut Vec<i64>) {
    held.clear();
    held.extend_from_slice(down);
    let starts = &grid.nodes[star.readers[number]].start;
    for to in 0..star.slots[number].len() {
        let range = starts.range(to);
        for slot in range.start..range.end.saturating_sub(1).max(range.start) {
            let at = range.end - 2 - (slot - range.start);
            held[at] = held[at].max(held[at + 1]);
        }
    }
}
