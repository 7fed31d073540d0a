//! A lower bound by passing messages over a time-expanded network.
//!
//! As in [`crate::planning::solve::bound::dual_messages`], but what a stage pays or gets depends on
//! its slot as well: reader `i` of a star has `up[i](o, e)`, paid to the origin's stage at site `o`
//! in the slot `e` of its end, and `down[i](p, s)`, paid to the reader's at site `p` in the slot
//! `s` of its start. With `s` any slot that may follow `e` after the transfer's travel, the
//! messages of a placement in time never sum up to more than its transfers cost as long as
//!
//! ```text
//! Σ over i of max(0, max over s of up[i](o, e) + down[i](p, s))  <=  price(o, p)    for all o, e, p
//! ```

use super::grid::Grid;
use super::network_inputs::Run;
use super::slots::BySlot;
use crate::planning::problem::{Origin, StageId};
use crate::planning::solve::bound::network::StarId;
use crate::util::id_vec::IdVec;

/// Messages of one star, by reader and slot.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    /// By reader: what it pays to each slot of the origin.
    pub up: Vec<Vec<i64>>,
    /// By reader: what each of its slots gets.
    pub down: Vec<Vec<i64>>,
}

/// The bound and what it is made of.
pub(super) struct Sweeper {
    /// The slots of all stages.
    pub grid: Grid,
    /// The messages of every star.
    pub mail: IdVec<StarId, Mail>,
    /// By stage and slot of its start: what its inputs pay.
    pub into: IdVec<StageId, Vec<i64>>,
    /// By stage and slot of its end: what its readers pay.
    pub out: IdVec<StageId, Vec<i64>>,
    /// By stage: least of what it costs with its messages.
    pub least: IdVec<StageId, i64>,
    /// What fixed origins got.
    pub constant: i64,
    /// Room for work: what is left of the prices of a star.
    pub room: Vec<i64>,
    /// Room for work: the most that each slot of a reader gets.
    pub held: Vec<i64>,
    /// By how much a placement in a slot costs more than the bound at least, as last seen.
    pub regret: BySlot<i64>,
    /// Slots that cost more than the limit are marked.
    pub dead: BySlot<bool>,
    /// How much more the rest of the DAG costs after the next slot, as last seen.
    pub rise: BySlot<i64>,
}

/// What no placement pays.
pub(super) const FAR: i64 = i64::MAX / 8;

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
        let taken_from_parents = |values: &Vec<i64>, parents: &[usize]| {
            parents.iter().map(|slot| values[*slot]).collect()
        };
        let mail = grid.stars.iter().zip(&self.mail).map(|(star, old)| {
            let mail_up = match star.origin {
                Origin::Site(_) => old.up.clone(),
                Origin::Stage(stage) => old
                    .up
                    .iter()
                    .map(|up| taken_from_parents(up, &grid.nodes[stage].end.parent))
                    .collect(),
            };
            let down = star.readers.iter().zip(&old.down);
            Mail {
                up: mail_up,
                down: down
                    .map(|(reader, down)| {
                        taken_from_parents(down, &grid.nodes[*reader].start.parent)
                    })
                    .collect(),
            }
        });
        let mail = mail.collect();
        Self::of(grid, mail)
    }

    fn of(grid: Grid, mail: IdVec<StarId, Mail>) -> Self {
        let mut costs_into = grid.nodes.map(|node| vec![0; node.start.len()]);
        let mut out = grid.nodes.map(|node| vec![0; node.end.len()]);
        let mut constant = 0;
        for (star, mail) in grid.stars.iter().zip(&mail) {
            for (reader, down) in star.readers.iter().zip(&mail.down) {
                costs_into[*reader]
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
        let least_costs = grid.nodes.map(|_| 0);
        let (regret, dead, rise) = (grid.all(0), grid.all(false), grid.all(0));
        let (room, held) = (Vec::new(), Vec::new());
        let mut sweeper = Self {
            grid,
            mail,
            into: costs_into,
            out,
            least: least_costs,
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
    pub(super) fn starts(&self, stage: StageId) -> Vec<i64> {
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
    pub(super) fn ends(&self, stage: StageId) -> Vec<i64> {
        let node = &self.grid.nodes[stage];
        let costs_into = &self.into[stage];
        let mut costs = vec![FAR; node.end.len()];
        for position in 0..node.sites.len() {
            node.each_run(position, |start, end, run| {
                costs[end] = costs[end].min(run.cost + costs_into[start])
            });
        }
        costs
            .iter_mut()
            .zip(&self.out[stage])
            .for_each(|(cost, out)| *cost += out);
        costs
    }

    /// What the rest of the DAG costs at least with a run.
    pub(super) fn with(&self, stage: StageId, position: usize, run: Run) -> i64 {
        let mut least_sum = FAR;
        self.grid.nodes[stage].each_of(position, run, &mut |start, end| {
            least_sum = least_sum.min(self.into[stage][start] + self.out[stage][end]);
        });
        least_sum
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

    /// A reader's part in the price of a transfer from a slot of its origin to its own.
    pub(super) fn part(&self, star: StarId, number: usize, end: usize, start: usize) -> i64 {
        let Mail { up, down } = &self.mail[star];
        (up[number][end] + down[number][start]).max(0)
    }
}
