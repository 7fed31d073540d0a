//! Stages that nothing but limits tie together, such as the replicas of one stage under a spread.
//!
//! Where no stage that still has a choice waits for another one, what a choice costs and when it
//! ends do not depend on the other choices; only caps, the budget and copies of shared data join
//! them. Then replicas are interchangeable: a program needs to know how many of them take each
//! choice, not which. Its size is that of one replica, however many there are, and the symmetry
//! that makes a search over single replicas exponential is gone.
//!
//! Invariant: figures are exact integers; a solver's answer is rounded and then checked.

mod choice_effect;
mod surroundings;
#[cfg(test)]
mod tests;

use crate::model::Millis;
use crate::model::units::signed_count;
use crate::planning::problem::{
    CapId, ChoiceId, Instance, Placement, Program, Shape, StageId, routes,
};
use crate::planning::solve::backend::solver::{Answer, Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::IdVec;
use choice_effect::ChoiceEffect;
use std::collections::{BTreeMap, BTreeSet};
use surroundings::Surroundings;

/// More pairs of a group and a choice than this are left to the other methods.
const COLUMNS: usize = 20_000;

/// Stages that follow each other in the order of the instance and are alike in all that counts.
struct Group {
    stages: Vec<StageId>,
    choices: IdVec<ChoiceId, ChoiceEffect>,
}

/// Some choices of one group, by their positions.
struct GroupChoices {
    group: usize,
    range: std::ops::Range<usize>,
}

/// An instance whose open stages are independent but for its limits.
pub(super) struct Counted {
    groups: Vec<Group>,
    /// The choices of stages with only one.
    fixed: Placement,
    /// The cost of those stages and of their transfers.
    base_cost: i64,
    /// When the last of them ends that waits for no open stage.
    base_time: i64,
    /// What is left of each cap for the open stages.
    room: IdVec<CapId, i64>,
    /// What a copy of shared data costs, by artifact and site.
    copies: Vec<i64>,
    /// No placement at all keeps the stages' own deadlines and the allowed ways.
    impossible: bool,
}

/// How many members of each group take each choice.
type Counts = Vec<IdVec<ChoiceId, i64>>;

/// The outcome of a search.
pub(super) enum Found {
    /// No placement keeps the limits.
    Nothing,
    /// No placement within the limits is better.
    Best(Placement),
    /// The effort was used up, or the solver's answer did not stand up to exact figures.
    Unknown,
}

impl Counted {
    /// `None`: the instance is of another kind, or has no caps, so that other methods prove it
    /// faster.
    pub(super) fn of(instance: &Instance, shape: &Shape) -> Option<Self> {
        let counts = !instance.caps.is_empty()
            && instance.links.pools.is_empty()
            && !routes::possible(instance);
        if !counts || instance.stages.iter().any(|stage| stage.choices.is_empty()) {
            return None;
        }
        let surroundings = Surroundings::of(instance, shape)?;
        let mut counted = Self {
            groups: Vec::new(),
            fixed: instance.stages.map(|_| ChoiceId::default()),
            base_cost: surroundings.base_cost,
            base_time: surroundings.base_time,
            room: surroundings.room.clone(),
            copies: surroundings
                .shared
                .values()
                .map(|(_, cost)| *cost)
                .collect(),
            impossible: surroundings.impossible,
        };
        let mut columns = 0;
        for stage in instance
            .stages
            .ids()
            .filter(|stage| surroundings.open[*stage])
        {
            let choices = surroundings.choices(instance, shape, stage);
            match counted.groups.last_mut() {
                Some(group) if group.choices == choices => group.stages.push(stage),
                _ => {
                    columns += choices.len();
                    counted.groups.push(Group {
                        stages: vec![stage],
                        choices,
                    });
                }
            }
            if columns > COLUMNS {
                return None;
            }
        }
        Some(counted)
    }

    /// The cheapest placement within the limits.
    pub(super) fn cheapest(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Found, SolverError> {
        Ok(match self.least_cost(limits, solver, effort)? {
            Solved::Nothing => Found::Nothing,
            Solved::Unknown => Found::Unknown,
            Solved::Best(counts) => Found::Best(self.picks(&counts)),
        })
    }

    /// The placement within the limits that ends first, by bisection over the ends that choices
    /// have.
    pub(super) fn fastest(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Found, SolverError> {
        let ends = self.ends(limits.time.map(Millis::signed));
        let within = |end: &i64| Limits {
            time: Some(Millis::from_signed(*end)),
            ..limits
        };
        let mut best = match self.least_cost(limits, solver, effort)? {
            Solved::Best(counts) => counts,
            Solved::Nothing => return Ok(Found::Nothing),
            Solved::Unknown => return Ok(Found::Unknown),
        };
        let (mut below, mut above) = (0, ends.partition_point(|end| *end < self.end(&best)));
        // The earliest end of all is often possible.
        let mut middle = 0;
        while below < above {
            match self.least_cost(within(&ends[middle]), solver, effort)? {
                Solved::Best(counts) => {
                    above = ends.partition_point(|end| *end < self.end(&counts));
                    best = counts;
                }
                Solved::Nothing => below = middle + 1,
                Solved::Unknown => return Ok(Found::Unknown),
            }
            middle = usize::midpoint(below, above);
        }
        Ok(Found::Best(self.picks(&best)))
    }

    /// Of the placements within the limits, `picks` among them, the one whose choices come first,
    /// stage by stage. Members of a group are alike, so the first choices go to its first members.
    pub(super) fn first_in_order(
        &self,
        picks: &Placement,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Placement, SolverError> {
        let mut best = self.counts(picks);
        let mut lowered = self.lowered(limits);
        for group in 0..self.groups.len() {
            let mut next = 0;
            while next < self.groups[group].choices.len() {
                let taken = |position: &usize| best[group].as_slice()[*position] > 0;
                let Some(first) = (next..self.groups[group].choices.len()).find(taken) else {
                    break;
                };
                // Either some member can take an earlier choice, or none: then the next one is
                // fixed.
                if self.raise(
                    &mut lowered,
                    limits,
                    GroupChoices {
                        group,
                        range: next..first,
                    },
                    &mut best,
                    solver,
                    effort,
                )? {
                    continue;
                }
                self.raise(
                    &mut lowered,
                    limits,
                    GroupChoices {
                        group,
                        range: first..first + 1,
                    },
                    &mut best,
                    solver,
                    effort,
                )?;
                let fixed = best[group].iter_enumerated().take(first + 1).skip(next);
                fixed.for_each(|(choice, count)| lowered.fix(group, choice, *count));
                next = first + 1;
            }
        }
        Ok(self.picks(&best))
    }

    /// Has as many members of a group as can be take choices of a range. Whether there are more
    /// than before.
    fn raise(
        &self,
        lowered: &mut Lowered,
        limits: Limits,
        GroupChoices { group, range }: GroupChoices,
        best: &mut Counts,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<bool, SolverError> {
        let columns: Vec<usize> = range
            .clone()
            .filter_map(|position| lowered.columns[group].as_slice()[position])
            .collect();
        let before: i64 = best[group].as_slice()[range.clone()].iter().sum();
        let rest: i64 = best[group].as_slice()[range.start..].iter().sum();
        if columns.is_empty() || before == rest || effort.should_stop() {
            return Ok(false);
        }
        lowered
            .program
            .minimize(columns.into_iter().map(|column| (column, -1)).collect(), 0);
        let Answer::Found { values, .. } = solver.minimize(&lowered.program, &[], effort)? else {
            return Ok(false);
        };
        let counts = lowered.counts(&values);
        let more = counts[group].as_slice()[range].iter().sum::<i64>() > before;
        let sound = more && self.keeps(&counts, limits) && lowered.keeps_fixed(&counts);
        if sound {
            *best = counts;
        }
        Ok(sound)
    }

    /// Ends of the whole job that choices lead to, rising, up to a limit.
    fn ends(&self, limit: Option<i64>) -> Vec<i64> {
        let choices = self
            .groups
            .iter()
            .flat_map(|group| &group.choices)
            .filter(|choice| choice.allowed);
        let ends = choices
            .map(|choice| choice.through.max(self.base_time))
            .chain([self.base_time]);
        let ends: BTreeSet<i64> = ends
            .filter(|end| limit.is_none_or(|limit| *end <= limit))
            .collect();
        ends.into_iter().collect()
    }

    fn end(&self, counts: &Counts) -> i64 {
        let taken = self.taken(counts).map(|(choice, _)| choice.through);
        taken
            .chain([self.base_time])
            .max()
            .unwrap_or(self.base_time)
    }

    fn taken<'c>(&'c self, counts: &'c Counts) -> impl Iterator<Item = (&'c ChoiceEffect, i64)> {
        let groups = self.groups.iter().zip(counts);
        groups.flat_map(|(group, counts)| {
            group
                .choices
                .iter()
                .zip(counts)
                .filter(|(_, count)| **count > 0)
                .map(|(choice, count)| (choice, *count))
        })
    }

    fn cost(&self, counts: &Counts) -> i64 {
        let own: i64 = self
            .taken(counts)
            .map(|(choice, count)| choice.cost.saturating_mul(count))
            .sum();
        let shared: BTreeSet<usize> = self
            .taken(counts)
            .flat_map(|(choice, _)| &choice.shared)
            .copied()
            .collect();
        self.base_cost
            + own
            + shared
                .into_iter()
                .map(|copy| self.copies[copy])
                .sum::<i64>()
    }

    /// Whether a placement keeps every limit, exactly.
    fn keeps(&self, counts: &Counts, limits: Limits) -> bool {
        let mut room = self.room.clone();
        for (choice, count) in self.taken(counts) {
            choice.uses.iter().for_each(|(cap, used)| {
                room[*cap] = room[*cap].saturating_sub(used.saturating_mul(count))
            });
        }
        let complete =
            self.groups.iter().zip(counts).all(|(group, counts)| {
                counts.iter().sum::<i64>() == signed_count(group.stages.len())
            });
        complete
            && room.iter().all(|left| *left >= 0)
            && self.taken(counts).all(|(choice, _)| choice.allowed)
            && limits.cost.is_none_or(|limit| self.cost(counts) <= limit.0)
            && limits
                .time
                .is_none_or(|limit| self.end(counts) <= limit.signed())
    }

    fn least_cost(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Solved, SolverError> {
        let late = limits
            .time
            .is_some_and(|limit| self.base_time > limit.signed());
        if self.impossible || late || self.room.iter().any(|room| *room < 0) {
            return Ok(Solved::Nothing);
        }
        if self.groups.is_empty() {
            // Nothing is left to choose: a solver has no use for a program without variables.
            let counts = Counts::new();
            let keeps = self.keeps(&counts, limits);
            return Ok(if keeps {
                Solved::Best(counts)
            } else {
                Solved::Nothing
            });
        }
        let lowered = self.lowered(limits);
        if lowered
            .columns
            .iter()
            .any(|columns| columns.iter().all(Option::is_none))
        {
            return Ok(Solved::Nothing);
        }
        Ok(match solver.minimize(&lowered.program, &[], effort)? {
            Answer::Infeasible => Solved::Nothing,
            Answer::Found {
                values,
                bound,
                proven: true,
            } => {
                let counts = lowered.counts(&values);
                let proven =
                    self.keeps(&counts, limits) && self.cost(&counts) <= bound.round() as i64;
                if proven {
                    Solved::Best(counts)
                } else {
                    Solved::Unknown
                }
            }
            Answer::Found { .. } | Answer::Unknown => Solved::Unknown,
        })
    }

    /// The program of counts, with the least cost as its objective.
    fn lowered(&self, limits: Limits) -> Lowered {
        let mut program = Program {
            name: "counted".to_owned(),
            ..Program::default()
        };
        let (mut cost, mut constant) = (Vec::new(), self.base_cost);
        let mut caps: IdVec<CapId, Vec<(usize, i64)>> = self.room.map(|_| Vec::new());
        let mut readers: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        let mut columns = Vec::with_capacity(self.groups.len());
        for (number, group) in self.groups.iter().enumerate() {
            let members = signed_count(group.stages.len());
            let in_time = |choice: &ChoiceEffect| {
                choice.allowed
                    && limits
                        .time
                        .is_none_or(|limit| choice.through <= limit.signed())
            };
            let least = group
                .choices
                .iter()
                .filter(|choice| in_time(choice))
                .map(|choice| choice.cost)
                .min();
            let least = least.unwrap_or(0);
            constant += least.saturating_mul(members);
            let mut of_group = IdVec::with_capacity(group.choices.len());
            for (position, choice) in group.choices.iter_enumerated() {
                let column = in_time(choice).then(|| {
                    program.column(format!("count[{number},{position}]"), Some(members), true)
                });
                if let Some(column) = column {
                    cost.push((column, choice.cost - least));
                    choice
                        .uses
                        .iter()
                        .for_each(|(cap, used)| caps[*cap].push((column, *used)));
                    choice
                        .shared
                        .iter()
                        .for_each(|copy| readers.entry((*copy, number)).or_default().push(column));
                }
                of_group.push(column);
            }
            let all = of_group
                .iter()
                .flatten()
                .map(|column| (*column, 1))
                .collect();
            program.row(format!("all[{number}]"), Some(members), Some(members), all);
            columns.push(of_group);
        }
        self.shared_copies(&mut program, &mut cost, readers);
        for ((cap, terms), room) in caps.into_iter_enumerated().zip(&self.room) {
            program.row(format!("cap[{cap}]"), None, Some(*room), terms);
        }
        if let Some(limit) = limits.cost {
            program.row(
                "budget".to_owned(),
                None,
                Some(limit.0.saturating_sub(constant)),
                cost.clone(),
            );
        }
        program.minimize(cost, constant);
        Lowered { program, columns }
    }

    /// One variable for each copy that several stages share: it is made as soon as one of them
    /// reads it.
    fn shared_copies(
        &self,
        program: &mut Program,
        cost: &mut Vec<(usize, i64)>,
        readers: BTreeMap<(usize, usize), Vec<usize>>,
    ) {
        let mut made: BTreeMap<usize, usize> = BTreeMap::new();
        for ((copy, group), columns) in readers {
            let column = *made.entry(copy).or_insert_with(|| {
                let column = program.column(format!("copy[{copy}]"), Some(1), true);
                cost.push((column, self.copies[copy]));
                column
            });
            let members = signed_count(self.groups[group].stages.len());
            let terms = columns
                .into_iter()
                .map(|reader| (reader, -1))
                .chain([(column, members)])
                .collect();
            program.row(format!("made[{copy},{group}]"), Some(0), None, terms);
        }
    }

    /// Counts as positions of choices: the first members of a group take its first choices.
    fn picks(&self, counts: &Counts) -> Placement {
        let mut picks = self.fixed.clone();
        for (group, counts) in self.groups.iter().zip(counts) {
            // Counts that keep the limits are not negative.
            let of_choice =
                |(position, count): (ChoiceId, &i64)| (0..*count).map(move |_| position);
            let positions = counts.iter_enumerated().flat_map(of_choice);
            group
                .stages
                .iter()
                .zip(positions)
                .for_each(|(stage, position)| picks[*stage] = position);
        }
        picks
    }

    fn counts(&self, picks: &Placement) -> Counts {
        let of_group = |group: &Group| {
            let mut counts = group.choices.map(|_| 0);
            group
                .stages
                .iter()
                .for_each(|stage| counts[picks[*stage]] += 1);
            counts
        };
        self.groups.iter().map(of_group).collect()
    }
}

enum Solved {
    Nothing,
    Best(Counts),
    Unknown,
}

/// A program of counts, and the column of each choice that may be taken.
struct Lowered {
    program: Program,
    columns: Vec<IdVec<ChoiceId, Option<usize>>>,
}

impl Lowered {
    fn counts(&self, values: &[f64]) -> Counts {
        let value =
            |column: &Option<usize>| column.map_or(0, |column| values[column].round() as i64);
        self.columns
            .iter()
            .map(|columns| columns.map(value))
            .collect()
    }

    fn fix(&mut self, group: usize, position: ChoiceId, count: i64) {
        if let Some(column) = self.columns[group][position] {
            let column = &mut self.program.columns[column];
            (column.lower, column.upper) = (count, Some(count));
        }
    }

    fn keeps_fixed(&self, counts: &Counts) -> bool {
        self.columns
            .iter()
            .flatten()
            .zip(counts.iter().flatten())
            .all(|(column, count)| {
                column.is_none_or(|column| {
                    let column = &self.program.columns[column];
                    *count >= column.lower && column.upper.is_none_or(|upper| *count <= upper)
                })
            })
    }
}
