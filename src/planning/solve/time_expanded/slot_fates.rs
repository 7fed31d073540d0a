//! What becomes of slots and choices when the messages are known.

use super::network_inputs::NetworkInputs;
use super::slots::{BySlot, Fate};
use super::sweeper::Sweeper;
use crate::planning::problem::StageId;
use crate::planning::solve::bound::closing_bounds::KeptChoices;
use crate::util::id_vec::IdVec;

impl Sweeper {
    /// Slots to halve: those in which a placement may cost less than the bound and `more`, and
    /// whose next slot costs the rest of the DAG more than `step`: where being later costs nothing,
    /// no finer slots are needed.
    pub(super) fn fates(&self, extra_bound: i64, step: i64) -> BySlot<Fate> {
        let fate = |((dead, regret), rise): ((&bool, &i64), &i64)| match (
            *dead,
            *rise > step && *regret <= extra_bound,
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
        let least_of_site = |position: &usize| {
            slots(*position)
                .map(|slot| self.regret.end[stage][slot])
                .min()
        };
        let sites: Vec<usize> = (0..node.sites.len())
            .filter(|position| least_of_site(position).is_some())
            .collect();
        let best_position = sites.iter().copied().min_by_key(least_of_site)?;
        let first_half: Vec<bool> = if sites.len() > 1 {
            (0..node.end.len())
                .map(|slot| node.end.range(best_position).contains(&slot))
                .collect()
        } else {
            let times: Vec<usize> = slots(best_position).collect();
            let middle_time = times[times.len() / 2];
            (0..node.end.len()).map(|slot| slot < middle_time).collect()
        };
        let half = |side: bool| {
            let mut fates = self.fates(-1, 0);
            for (slot, fate) in fates.end[stage].iter_mut().enumerate() {
                if first_half[slot] != side {
                    *fate = Fate::Dead;
                }
            }
            fates
        };
        Some([half(true), half(false)])
    }

    /// Clears what no placement has that costs up to `limit`.
    pub(super) fn narrow(&self, ground: &NetworkInputs<'_>, limit: i64, keep: &mut KeptChoices) {
        let dual_bound = self.bound();
        for (stage, keep) in keep.iter_enumerated_mut() {
            let node = &self.grid.nodes[stage];
            let spare_bound = limit
                .saturating_sub(dual_bound)
                .saturating_add(self.least[stage]);
            let costs_with: Vec<Vec<i64>> = (0..node.sites.len())
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
                let Some(least) = costs_with[position][..shorter].last() else {
                    *keep = false;
                    continue;
                };
                *keep = least.saturating_add(choice.cost.0 * ground.net.scale) <= spare_bound;
            }
        }
    }
}
