//! The best placement where caps bind stages that run at once.
//!
//! Without its concurrent caps an instance has a best placement and a bound. If the caps hold at
//! every moment of its schedule, that placement is the best one. Otherwise some stages that run at
//! one moment use too much together, and in every placement that keeps the caps either they use
//! less, or one of them ends before another one starts: intervals of which every two overlap have a
//! moment in common (Helly). So the search branches on that: one branch has a row for what these
//! stages use together, and one branch for every two of them has their order. Branches are searched
//! by their bounds, the lowest first (Bartusch, Möhring and Radermacher 1988).
//!
//! Every branch also gives a placement with a schedule that keeps the caps: some stages of its own
//! best placement start later ([`timetable::levelled`]).

use super::figure::Figure;
use super::interchangeable::Interchangeable;
use super::placement_search::{
    FoundPlacement, PlacementSearch, RankedPlacements, choice_positions, lost_placement,
};
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::concurrency::{ExceededCap, exceeded_cap};
use crate::planning::problem::timetable::{
    self, CapacityWait, START_RULES, StageTimes, capacity_waits, concurrent_uses, first_overload,
    with_waits,
};
use crate::planning::problem::{
    CandidateUse, Cap, Evaluation, Instance, Placement, Precedence, Shape, StageId,
};
use crate::planning::solve::backend::solver::SolverError;
use crate::planning::solve::bound::capacity_over_time::caps_over_time;
use crate::planning::solve::lexicographic::replica_counting::Counted;
use crate::planning::solve::limits::Limits;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The most branches that are solved for one search, for small instances.
const BRANCHES: usize = 300;
/// So many choices are looked at over all branches; fewer branches of larger instances are solved.
const CHOICES_OF_ALL_BRANCHES: usize = 600_000;
/// Caps over time are added to instances of so many choices at most, or to those whose stages are
/// counted. Others are not decided by programs, and what moves single stages is slow with caps.
const BOUNDED_CHOICES: usize = 20_000;
/// The fewest branches that are solved, however large the instance is.
const FEWEST_BRANCHES: usize = 12;
/// One branch of so many is solved for the second figure once the first one is proven.
const TIE_SHARE: usize = 10;
/// Rounds in which the time of the fastest known schedule becomes the limit of a new search.
const SHORTENING_ROUNDS: usize = 8;
/// Rounds of rows that forbid sets of stages which may run at once, for a first placement.
const ONE_WAVE_ROUNDS: usize = 30;

/// The best placement of an instance, with what the last passes need.
pub(super) struct Decided<'i> {
    /// The instance with the preferred choices, the rows and the waits of the placement, and without
    /// concurrent caps.
    pub instance: Cow<'i, Instance>,
    /// What each stage waits for, with these waits.
    pub shape: Shape,
    /// The placement.
    pub ranked: RankedPlacements,
    /// What stages wait for so that the concurrent caps hold.
    pub waits: Vec<CapacityWait>,
}

/// What makes one placement better than another, in this order: preference, first figure, second
/// figure.
type Key = (i64, i64, i64);

/// What a branch adds to the instance.
#[derive(Clone, Default)]
struct Branch {
    orders: Vec<Precedence>,
    rows: Vec<Cap>,
}

/// A branch that was solved and whose best placement exceeds a concurrent cap.
struct OpenBranch {
    branch: Branch,
    /// No placement of the branch has a lower first figure.
    bound: i64,
    overload: ExceededCap,
}

/// A placement with a schedule that keeps all caps and limits.
struct Incumbent {
    key: Key,
    instance: Instance,
    shape: Shape,
    ranked: RankedPlacements,
    waits: Vec<CapacityWait>,
}

/// The best placement of a branch, whose schedule may exceed concurrent caps.
struct SolvedBranch {
    instance: Instance,
    shape: Shape,
    ranked: RankedPlacements,
    placement: Placement,
    evaluation: Evaluation,
    key: Key,
}

/// One search over the branches of an instance.
struct CapacitySearch<'a> {
    search: &'a PlacementSearch<'a>,
    /// The instance as it is given.
    whole: &'a Instance,
    /// The instance without its concurrent caps, with what follows of them for the deadline.
    relaxed: Instance,
    interchangeable: Interchangeable<'a>,
    open: BTreeMap<(Key, usize), OpenBranch>,
    incumbent: Option<Incumbent>,
    /// The least bound of branches that were closed without a proof.
    closed_bound: i64,
    solved_count: usize,
}

impl PlacementSearch<'_> {
    /// All passes but the last. `None`: no placement and no schedule keep all limits.
    pub(super) fn decided<'i>(
        &self,
        instance: &'i Instance,
    ) -> Result<Option<Decided<'i>>, SolverError> {
        if instance.caps.iter().all(|cap| !cap.concurrent) {
            let decided = self.preferred(Cow::Borrowed(instance))?;
            return Ok(decided.map(|(instance, ranked)| Decided {
                instance,
                shape: self.shape.clone(),
                ranked,
                waits: Vec::new(),
            }));
        }
        let is_by_time = instance.minimize == Objective::Time;
        match CapacitySearch::new(self, instance).best(is_by_time)? {
            Ended::Best(decided) => Ok(Some(*decided)),
            Ended::Nothing => Ok(None),
            Ended::Fastest(fastest) => self.cheapest_of_fastest(instance, *fastest).map(Some),
        }
    }

    /// Of the schedules that take no longer than the fastest one that is known, the cheapest.
    fn cheapest_of_fastest<'i>(
        &self,
        instance: &Instance,
        fastest: Decided<'i>,
    ) -> Result<Decided<'i>, SolverError> {
        let FoundPlacement {
            value,
            bound,
            proven,
            ..
        } = fastest.ranked.first;
        let by_cost = Instance {
            minimize: Objective::Cost,
            hour: Money(0),
            deadline: Some(Millis::from_signed(value)),
            ..instance.clone()
        };
        // Within the effort allowed there may be nothing better than what is known.
        let Ok(Ended::Best(cheapest)) = CapacitySearch::new(self, &by_cost).best(false) else {
            // Its cost was proven for one branch only.
            let mut fastest = fastest;
            let least = self.floor(instance, Figure::Cost);
            let second = &mut fastest.ranked.second;
            (second.bound, second.proven) = (least.min(second.value), false);
            return Ok(fastest);
        };
        let mut decided = *cheapest;
        let RankedPlacements { first, second, .. } = decided.ranked;
        decided.ranked = RankedPlacements {
            first: FoundPlacement {
                value,
                bound,
                proven,
                ..second.clone()
            },
            second: FoundPlacement {
                value: first.value,
                bound: first.bound,
                proven: first.proven && proven,
                ..second
            },
            ..decided.ranked
        };
        decided.instance.to_mut().minimize = Objective::Time;
        Ok(decided)
    }
}

/// How a search ended.
enum Ended<'i> {
    Best(Box<Decided<'i>>),
    Nothing,
    /// The fastest placement that is known, whose cost may not be the least.
    Fastest(Box<Decided<'i>>),
}

impl<'a> CapacitySearch<'a> {
    fn new(search: &'a PlacementSearch<'a>, whole: &'a Instance) -> Self {
        Self {
            search,
            whole,
            relaxed: without_concurrent_caps(whole, whole.deadline),
            interchangeable: Interchangeable::of(whole),
            open: BTreeMap::new(),
            incumbent: None,
            closed_bound: i64::MAX,
            solved_count: 0,
        }
    }

    /// Searches all branches. With `is_by_time` only the first figure counts.
    fn best(mut self, is_by_time: bool) -> Result<Ended<'static>, SolverError> {
        let Some(root_bound) = self.begin()? else {
            return Ok(Ended::Nothing);
        };
        let is_root_best = self.open.is_empty();
        let is_fastest = is_by_time && !is_root_best && self.shorten()?;
        if !is_root_best && !is_fastest {
            self.search_branches(is_by_time)?;
        }
        let bound = self.bound().max(root_bound);
        let Some(incumbent) = self.incumbent else {
            return if self.open.is_empty() {
                Ok(Ended::Nothing)
            } else {
                Err(SolverError(
                    "no plan was found within the effort allowed; raise --max-nodes or --time-limit, or loosen a quota"
                        .to_owned(),
                ))
            };
        };
        let decided = Box::new(decided(incumbent, bound));
        Ok(if is_by_time && !is_root_best {
            Ended::Fastest(decided)
        } else {
            Ended::Best(decided)
        })
    }

    /// Solves the instance without its concurrent caps and returns the bound on its first figure.
    /// `None`: there is nothing even without them.
    fn begin(&mut self) -> Result<Option<i64>, SolverError> {
        let Some(root) = self.solve_branch(&Branch::default())? else {
            return Ok(None);
        };
        let bound = root.ranked.first.bound;
        let root_value = root.key.1;
        self.take_in(root, Branch::default());
        let known_value = self.incumbent_value();
        if !self.open.is_empty() && known_value > root_value {
            self.try_one_wave()?;
        }
        Ok(Some(bound))
    }

    /// The first figure of the best known placement; more than any without one.
    fn incumbent_value(&self) -> i64 {
        let known = self.incumbent.as_ref();
        known.map_or(i64::MAX, |known| known.key.1)
    }

    /// A value that no first figure is below, of what was searched and of what was not.
    fn bound(&self) -> i64 {
        let of_open = self.open.values().map(|open| open.bound).min();
        of_open
            .into_iter()
            .chain([self.closed_bound, self.incumbent_value()])
            .fold(i64::MAX, i64::min)
    }

    /// The most branches that are solved.
    fn most_branches(&self) -> usize {
        let choices = self.whole.size().max(1);
        (CHOICES_OF_ALL_BRANCHES / choices).clamp(FEWEST_BRANCHES, BRANCHES)
    }

    /// Asks again and again for less time than the fastest known schedule takes. Returns whether
    /// there is proof that it is the fastest.
    fn shorten(&mut self) -> Result<bool, SolverError> {
        let is_ranked = self
            .whole
            .stages
            .iter()
            .any(|stage| stage.choices.iter().any(|choice| choice.rank > 0));
        if is_ranked {
            return Ok(false);
        }
        for _ in 0..SHORTENING_ROUNDS {
            let known_value = self.incumbent_value();
            if known_value == i64::MAX || self.search.effort.should_stop() {
                return Ok(false);
            }
            let less = Millis::from_signed(known_value - 1);
            self.relaxed = without_concurrent_caps(self.whole, Some(less));
            let Some(root) = self.solve_branch(&Branch::default())? else {
                self.open.clear();
                return Ok(true);
            };
            self.open.clear();
            self.take_in(root, Branch::default());
            if self.open.is_empty() {
                return Ok(true);
            }
            if self.incumbent_value() == known_value {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// Solves branches, the one with the lowest bound first, until the best known placement is
    /// proven or the effort is used up.
    fn search_branches(&mut self, is_by_time: bool) -> Result<(), SolverError> {
        let mut tie_count = 0;
        while let Some((key, open)) = self.open.pop_first() {
            let is_beaten = |known: &Incumbent| {
                let (rank, first, _) = key.0;
                if is_by_time {
                    (known.key.0, known.key.1) <= (rank, first)
                } else {
                    known.key <= key.0
                }
            };
            if self.incumbent.as_ref().is_some_and(is_beaten) {
                self.open.clear();
                return Ok(());
            }
            for branch in self.branches_of(&open) {
                tie_count += usize::from(self.incumbent_value() <= key.0.1);
                let is_used_up = self.solved_count >= self.most_branches()
                    || tie_count > self.most_branches_for_ties()
                    || self.search.effort.should_stop();
                if is_used_up {
                    // What was searched of the branch may be better than what is known of it.
                    self.open.insert(key, open);
                    return Ok(());
                }
                if let Some(solved) = self.solve_branch(&branch)? {
                    self.take_in(solved, branch);
                }
            }
        }
        Ok(())
    }

    /// The most branches that are solved for the second figure once the first one is proven.
    fn most_branches_for_ties(&self) -> usize {
        (self.most_branches() / TIE_SHARE).max(1)
    }

    /// The ways out of an overload: less use, or an order of two of its stages.
    fn branches_of(&self, open: &OpenBranch) -> Vec<Branch> {
        let stages = &open.overload.stages;
        let mut with_row = open.branch.clone();
        with_row
            .rows
            .push(cap_row(&self.whole.caps[open.overload.cap], stages));
        let mut branches = vec![with_row];
        // Of stages that are alike, the first starts first. So whatever ends before one of them
        // starts also ends before the last of them starts.
        let is_last = |stage: &&StageId| {
            let mut later = stages.iter().filter(|other| other > stage);
            !later.any(|other| self.interchangeable.are(**stage, *other))
        };
        for &after in stages.iter().filter(is_last) {
            for &before in stages.iter().filter(|before| **before != after) {
                let mut ordered = open.branch.clone();
                ordered.orders.push(Precedence { before, after });
                branches.push(ordered);
            }
        }
        branches
    }

    /// The best placement of a branch. `None`: it has none.
    fn solve_branch(&mut self, branch: &Branch) -> Result<Option<SolvedBranch>, SolverError> {
        self.solved_count += 1;
        let mut instance = self.relaxed.clone();
        instance.precedence.extend(&branch.orders);
        for row in &branch.rows {
            instance.caps.push(row.clone());
        }
        let shape = instance.shape();
        let search = PlacementSearch {
            shape: &shape,
            ..*self.search
        };
        let Some((instance, ranked)) = search.preferred(Cow::Owned(instance))? else {
            return Ok(None);
        };
        let instance = instance.into_owned();
        let placement =
            choice_positions(&instance, &ranked.second.tags).ok_or_else(lost_placement)?;
        let evaluation = search
            .evaluation(&instance, &ranked.second)
            .ok_or_else(lost_placement)?;
        let key = (
            rank_sum(&instance, &placement),
            ranked.first.bound,
            ranked.second.value,
        );
        Ok(Some(SolvedBranch {
            instance,
            shape,
            ranked,
            placement,
            evaluation,
            key,
        }))
    }

    /// Keeps what a solved branch says: a placement with a schedule, and what is left to search.
    fn take_in(&mut self, solved: SolvedBranch, branch: Branch) {
        let uses = concurrent_uses(&self.whole.caps, &solved.instance, &solved.placement);
        let Evaluation { start, end, .. } = &solved.evaluation;
        let overload = first_overload(&self.whole.caps, &uses, start, end);
        let schedules: Vec<StageTimes> = match &overload {
            None => vec![StageTimes {
                start: start.clone(),
                end: end.clone(),
            }],
            Some(_) => self.levelled_schedules(&solved),
        };
        for times in &schedules {
            self.offer(&solved, times);
        }
        let SolvedBranch { key, ranked, .. } = solved;
        match overload {
            Some(overload) => {
                let number = self.solved_count;
                let bound = ranked.first.bound;
                let open = OpenBranch {
                    branch,
                    bound,
                    overload,
                };
                self.open.insert((key, number), open);
            }
            None if !ranked.first.proven => {
                self.closed_bound = self.closed_bound.min(ranked.first.bound);
            }
            None => {}
        }
    }

    /// Schedules of a branch's placement that keep the concurrent caps, one for each rule.
    fn levelled_schedules(&self, solved: &SolvedBranch) -> Vec<StageTimes> {
        let levelled = |rule| {
            timetable::levelled(
                &solved.instance,
                &self.whole.caps,
                &solved.shape,
                &solved.placement,
                &solved.ranked.second.routes,
                rule,
            )
        };
        START_RULES.into_iter().map(levelled).collect()
    }

    /// Takes a placement with a schedule as the best known one if it is.
    fn offer(&mut self, solved: &SolvedBranch, times: &StageTimes) {
        let uses = concurrent_uses(&self.whole.caps, &solved.instance, &solved.placement);
        let waits = capacity_waits(&self.whole.caps, &uses, self.search.shape, times);
        let precedence = || with_waits(&self.whole.precedence, &waits);
        let instance = Instance {
            precedence: precedence(),
            deadline: self.whole.deadline,
            ..solved.instance.clone()
        };
        let shape = instance.shape();
        let search = PlacementSearch {
            shape: &shape,
            ..*self.search
        };
        let limits = limits_of(&instance);
        let (goal, other) = goals(&instance);
        let known = solved.ranked.second.known();
        let Some(value) = search.value(&instance, goal, limits, &known) else {
            return;
        };
        let Some(other_value) = search.value(&instance, other, limits, &known) else {
            return;
        };
        let Some(evaluation) = search.evaluation(&instance, &solved.ranked.second) else {
            return;
        };
        // Only a stage that alone uses too much exceeds a cap in spite of the waits.
        let Evaluation { start, end, .. } = &evaluation;
        let is_kept = first_overload(&self.whole.caps, &uses, start, end).is_none();
        let key = (solved.key.0, value, other_value);
        let is_better = self.incumbent.as_ref().is_none_or(|best| key < best.key);
        if !is_kept || !is_better {
            return;
        }
        let RankedPlacements {
            first,
            second,
            left,
            ..
        } = solved.ranked.clone();
        let left = Instance {
            precedence: precedence(),
            ..*left
        };
        let ranked = RankedPlacements {
            first: FoundPlacement {
                value,
                left: None,
                ..first
            },
            second: FoundPlacement {
                value: other_value,
                ..second
            },
            limits: limits.with(goal, value).with(other, other_value),
            left: Box::new(left),
            ordered: waits.is_empty() && solved.ranked.ordered,
        };
        self.incumbent = Some(Incumbent {
            key,
            instance,
            shape,
            ranked,
            waits,
        });
    }

    /// Looks for a placement in which whatever may run at once keeps the caps.
    fn try_one_wave(&mut self) -> Result<(), SolverError> {
        let mut branch = Branch::default();
        for _ in 0..self.most_branches().min(ONE_WAVE_ROUNDS) {
            if self.search.effort.should_stop() {
                return Ok(());
            }
            let Some(solved) = self.solve_branch(&branch)? else {
                return Ok(());
            };
            let with_caps = Instance {
                caps: self.whole.caps.clone(),
                ..solved.instance.clone()
            };
            let Some(exceeded) = exceeded_cap(&with_caps, self.search.shape, &solved.placement)
            else {
                let Evaluation { start, end, .. } = solved.evaluation.clone();
                self.offer(&solved, &StageTimes { start, end });
                return Ok(());
            };
            let row = cap_row(&self.whole.caps[exceeded.cap], &exceeded.stages);
            branch.rows.push(row);
        }
        Ok(())
    }
}

/// What a search has found, with the bound on its first figure.
fn decided(incumbent: Incumbent, bound: i64) -> Decided<'static> {
    let Incumbent { ranked, .. } = incumbent;
    let bound = bound.min(ranked.first.value);
    let first = FoundPlacement {
        bound,
        proven: bound == ranked.first.value,
        ..ranked.first
    };
    Decided {
        instance: Cow::Owned(incumbent.instance),
        shape: incumbent.shape,
        ranked: RankedPlacements { first, ..ranked },
        waits: incumbent.waits,
    }
}

/// The instance without its concurrent caps, with what follows of them for a deadline.
fn without_concurrent_caps(instance: &Instance, deadline: Option<Millis>) -> Instance {
    let own_caps = instance.caps.iter().filter(|cap| !cap.concurrent).cloned();
    let mut relaxed = Instance {
        caps: own_caps.collect(),
        deadline,
        ..instance.clone()
    };
    let is_worth_it =
        || instance.size() <= BOUNDED_CHOICES || Counted::of(instance, &instance.shape()).is_some();
    if let Some(deadline) = deadline.filter(|_| is_worth_it()) {
        for cap in caps_over_time(instance, &instance.caps, deadline) {
            relaxed.caps.push(cap);
        }
    }
    relaxed
}

/// The limits of an instance.
pub(super) fn limits_of(instance: &Instance) -> Limits {
    Limits {
        cost: instance.budget,
        time: instance.deadline,
        ..Limits::default()
    }
}

/// The figure of an instance that is minimised first, and the other one.
pub(super) fn goals(instance: &Instance) -> (Figure, Figure) {
    match instance.minimize {
        Objective::Cost if instance.hour != Money(0) => (Figure::Score, Figure::Time),
        Objective::Cost => (Figure::Cost, Figure::Time),
        Objective::Time => (Figure::Time, Figure::Cost),
    }
}

/// The sum of the ranks of a placement.
fn rank_sum(instance: &Instance, placement: &Placement) -> i64 {
    let stages = instance.stages.iter().zip(placement);
    stages
        .map(|(stage, choice)| stage.choices[*choice].rank)
        .sum()
}

/// A concurrent cap as one on some stages together, whenever they run.
fn cap_row(cap: &Cap, stages: &[StageId]) -> Cap {
    let uses = |(stage, uses): (StageId, &Vec<CandidateUse>)| {
        if stages.contains(&stage) {
            uses.clone()
        } else {
            Vec::new()
        }
    };
    Cap {
        concurrent: false,
        uses: cap.uses.iter_enumerated().map(uses).collect(),
        ..cap.clone()
    }
}
