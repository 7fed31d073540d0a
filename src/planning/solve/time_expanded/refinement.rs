//! Raising a bound by halving slots of the time-expanded network where no bound excludes them.

use super::grid::Grid;
use super::network_inputs::NetworkInputs;
use super::sweeper::Sweeper;
use super::walk::Walk;
use crate::model::units::signed_count;
use crate::planning::solve::bound::closing_bounds::KeptChoices;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::heuristic::allowed_choices::AllowedChoices;
use crate::planning::solve::heuristic::incumbent::Incumbent;

/// Sweeps there and back on one grid.
const SWEEPS: usize = 12;
/// A better bound is one by this part of it.
const PROGRESS: i64 = 1_000;
/// Walks: quarters of a slot that every stage is taken to lose, and whether hubs' starts are
/// decided before.
const WALKS: [(i64, bool); 6] = [
    (0, false),
    (1, false),
    (2, false),
    (4, false),
    (0, true),
    (2, true),
];
/// Slots are halved where a placement may cost less than the bound and this part of the gap,
const NEAR: i64 = 4;
/// and where being later by one slot costs more than this part of the gap, shared by all stages.
const STEEP: i64 = 10;
/// Grids that raise the bound by less than this part of the gap are too coarse in the wrong places.
const STALLED: i64 = 20;
/// Such grids in a row before a search is split in two.
const PATIENCE: usize = 2;
/// Pairs of slots that all sweeps for one placement may look at.
pub(super) const PAIRS: usize = 400_000_000;

/// What a search may use, and what it found.
pub(in crate::planning::solve) struct SearchWork<'a, 'i> {
    pub best: &'a mut Incumbent<'i>,
    /// Choices looked at by moves that it may still make.
    pub visits: usize,
    /// Pairs of slots that it may still look at.
    pub pairs: usize,
    /// By stage: choices that walks may take where groups of sites are loose.
    pub near: AllowedChoices,
    /// The bound that is known before, and the pairs that there are then.
    pub floor: i64,
    pub given: usize,
    /// Groups of sites are too loose to find out more.
    pub in_vain: bool,
    /// All of the planning may take no longer than this says.
    pub effort: &'a Effort,
}

impl SearchWork<'_, '_> {
    fn over(&self) -> bool {
        self.pairs == 0 || self.in_vain || self.effort.should_stop()
    }

    /// After some work, the bound is hardly above what was known before.
    fn hardly(&self, bound: i64) -> bool {
        self.given - self.pairs > PAIRS / 16
            && bound
                < self
                    .floor
                    .saturating_add(self.best.value().saturating_sub(self.floor) / 8)
    }
}

/// A search for placements that are in the slots of a grid.
struct Search {
    sweeper: Sweeper,
    bound: i64,
    keep: KeptChoices,
}

/// How many sweeps there and back over the first grid are all that may be made.
pub(super) fn affordable_sweeps(ground: &NetworkInputs<'_>, keep: &KeptChoices) -> usize {
    Grid::new(ground, keep).map_or(usize::MAX, |grid| PAIRS / (grid.work().max(1) * 2))
}

/// Raises a scaled lower bound on the cost of placements by the deadline, finds cheaper ones, and
/// clears `keep` for choices that no placement has that costs at most as much as the best.
pub(in crate::planning::solve) fn raise_bound(
    ground: &NetworkInputs<'_>,
    keep: &mut KeptChoices,
    work: &mut SearchWork<'_, '_>,
) -> i64 {
    let Some(grid) = Grid::new(ground, keep) else {
        return work.best.value();
    };
    let mut first_search = Search {
        sweeper: Sweeper::new(grid),
        bound: i64::MIN,
        keep: keep.clone(),
    };
    keep.iter_mut().for_each(|keep| keep.fill(false));
    if !first_search.close(ground, work, keep) {
        return work.best.value();
    }
    let mut open_searches = vec![first_search];
    // One slot for each stage, and still less than the best: sites that stand for others, or
    // volumes that are counted together, hide that much.
    let mut unsplittable: Vec<Search> = Vec::new();
    // Down to placements first: the newest half is looked into before the one of the least bound.
    let mut newest: Option<usize> = None;
    while !work.over() {
        let least_index =
            (0..open_searches.len()).min_by_key(|index| (open_searches[*index].bound, *index));
        let Some(least) = least_index else { break };
        // No search can raise the bound above what cannot be split.
        if unsplittable
            .iter()
            .any(|search| search.bound <= open_searches[least].bound)
        {
            break;
        }
        let next_search = open_searches.swap_remove(newest.take().unwrap_or(least));
        if !next_search.open(ground, work, keep) {
            continue;
        }
        let Some(halves) = next_search.split(ground) else {
            unsplittable.push(next_search);
            continue;
        };
        let old_count = open_searches.len();
        for mut half in halves.into_iter().flatten() {
            if half.close(ground, work, keep) {
                open_searches.push(half);
            }
        }
        newest = (old_count..open_searches.len()).min_by_key(|index| open_searches[*index].bound);
    }
    open_searches.append(&mut unsplittable);
    open_searches.retain(|search| search.open(ground, work, keep));
    open_searches.iter().for_each(|search| search.may_tie(keep));
    open_searches
        .iter()
        .map(|search| search.bound)
        .min()
        .unwrap_or(i64::MAX)
        .min(work.best.value())
}

impl Search {
    /// A cheaper placement than the best may be in it. Else, what may cost as much goes to `tied`.
    fn open(
        &self,
        ground: &NetworkInputs<'_>,
        work: &SearchWork<'_, '_>,
        tied: &mut KeptChoices,
    ) -> bool {
        let best_value = work.best.value();
        let is_open = self.bound <= best_value.saturating_sub(ground.net.scale);
        if !is_open && self.bound <= best_value {
            self.may_tie(tied);
        }
        is_open
    }

    fn may_tie(&self, tied: &mut KeptChoices) {
        let choices = tied.iter_mut().flatten().zip(self.keep.iter().flatten());
        choices.for_each(|(tied, keep)| *tied |= keep);
    }

    /// Raises the bound as far as finer slots do. `false`: no placement is cheaper than the best.
    fn close(
        &mut self,
        ground: &NetworkInputs<'_>,
        work: &mut SearchWork<'_, '_>,
        tied: &mut KeptChoices,
    ) -> bool {
        let stages = signed_count(self.keep.len());
        let (mut near, mut steep) = (NEAR, STEEP);
        let mut stalled = 0;
        loop {
            let bound_at_start = self.bound;
            self.sweep(ground, work);
            self.sweeper
                .narrow(ground, work.best.value(), &mut self.keep);
            if !self.open(ground, work, tied) {
                return false;
            }
            let gap = work.best.value().saturating_sub(self.bound);
            if self.bound.saturating_sub(bound_at_start) < gap / STALLED {
                stalled += 1;
                (near, steep) = (1, steep * 4);
            } else {
                stalled = 0;
            }
            work.in_vain |= ground.loose && work.hardly(self.bound);
            if work.over() || stalled > PATIENCE || self.sweeper.grid.exact() {
                return true;
            }
            let fates = self.sweeper.fates(gap / near, gap / steep / stages);
            let Some(grid) = self.sweeper.grid.refined(ground, &self.keep, &fates) else {
                return false;
            };
            self.sweeper = self.sweeper.refined(grid);
        }
    }

    /// Sweeps until the bound rises no more, and tries out the placements that messages lead to.
    fn sweep(&mut self, ground: &NetworkInputs<'_>, work: &mut SearchWork<'_, '_>) {
        let pairs = self.sweeper.grid.work().max(1) * 2;
        let slot = self.sweeper.grid.slot_length();
        for sweep in 0..SWEEPS {
            if work.pairs < pairs {
                work.pairs = 0;
                return;
            }
            work.pairs -= pairs;
            let bound_before = self.bound;
            let limit = work.best.value();
            self.sweeper.backward(limit);
            let near_marks = ground.loose.then_some(&work.near);
            let mut walks = WALKS
                .map(|(part, punctual)| Walk::new(ground, slot * part / 4, punctual, near_marks));
            self.sweeper.forward(limit, &mut |sweeper, stage| {
                walks
                    .iter_mut()
                    .for_each(|walk| walk.place(ground, sweeper, stage));
            });
            self.bound = self.bound.max(self.sweeper.bound());
            let placement = walks.map(|walk| walk.placement);
            placement
                .into_iter()
                .for_each(|placement| work.best.try_out(placement, &mut work.visits));
            let is_done = self.bound <= bound_before.saturating_add(bound_before.max(0) / PROGRESS)
                && sweep > 0;
            if is_done || self.bound > work.best.value().saturating_sub(ground.net.scale) {
                return;
            }
        }
    }

    /// Two searches that have all placements of this one. `None`: there is but one slot for each
    /// stage.
    fn split(&self, ground: &NetworkInputs<'_>) -> Option<[Option<Self>; 2]> {
        let halves = self.sweeper.halves()?;
        Some(halves.map(|fates| {
            let grid = self.sweeper.grid.refined(ground, &self.keep, &fates)?;
            Some(Self {
                sweeper: self.sweeper.refined(grid),
                bound: self.bound,
                keep: self.keep.clone(),
            })
        }))
    }
}
