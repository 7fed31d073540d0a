//! The search for the best counts, by a solver whose answers are checked exactly.

use super::count_program::CountProgram;
use super::counted::{Counted, Counts};
use super::ids::GroupId;
use crate::model::{Millis, Money};
use crate::planning::problem::{ColumnId, Placement};
use crate::planning::solve::backend::solver::{Answer, Solver, SolverError};
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;

/// The outcome of a search.
pub(in crate::planning::solve::lexicographic) enum Found {
    /// No placement keeps the limits.
    Nothing,
    /// No placement within the limits is better.
    Best(Placement),
    /// The effort was used up, or the solver's answer did not stand up to exact figures.
    Unknown,
}

/// Some choices of one group, by their positions.
struct GroupChoices {
    group: GroupId,
    range: std::ops::Range<usize>,
}

/// The outcome of one program.
enum Solved {
    Nothing,
    Best(Counts),
    Unknown,
}

impl Counted {
    /// The cheapest placement within the limits.
    pub(in crate::planning::solve::lexicographic) fn cheapest(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Found, SolverError> {
        Ok(match self.least_cost(limits, solver, effort)? {
            Solved::Nothing => Found::Nothing,
            Solved::Unknown => Found::Unknown,
            Solved::Best(counts) => Found::Best(self.placement(&counts)),
        })
    }

    /// The placement within the limits that ends first, by bisection over the ends that choices
    /// have.
    pub(in crate::planning::solve::lexicographic) fn fastest(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Found, SolverError> {
        let possible_ends = self.ends(limits.time);
        let within_end = |end: Millis| Limits {
            time: Some(end),
            ..limits
        };
        let mut best_counts = match self.least_cost(limits, solver, effort)? {
            Solved::Best(counts) => counts,
            Solved::Nothing => return Ok(Found::Nothing),
            Solved::Unknown => return Ok(Found::Unknown),
        };
        let (mut below, mut above) = (
            0,
            possible_ends.partition_point(|end| *end < self.end(&best_counts)),
        );
        // The earliest end of all is often possible.
        let mut middle_end = 0;
        while below < above {
            match self.least_cost(within_end(possible_ends[middle_end]), solver, effort)? {
                Solved::Best(counts) => {
                    above = possible_ends.partition_point(|end| *end < self.end(&counts));
                    best_counts = counts;
                }
                Solved::Nothing => below = middle_end + 1,
                Solved::Unknown => return Ok(Found::Unknown),
            }
            middle_end = usize::midpoint(below, above);
        }
        Ok(Found::Best(self.placement(&best_counts)))
    }

    /// Of the placements within the limits, `placement` among them, the one whose choices come
    /// first, stage by stage. Members of a group are alike, so the first choices go to its first
    /// members.
    pub(in crate::planning::solve::lexicographic) fn first_in_order(
        &self,
        placement: &Placement,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Placement, SolverError> {
        let mut best_counts = self.counts(placement);
        let mut program = self.program(limits);
        for group in self.groups.ids() {
            let mut next_position = 0;
            while next_position < self.groups[group].choices.len() {
                let is_taken = |position: &usize| best_counts[group].as_slice()[*position] > 0;
                let Some(first) = (next_position..self.groups[group].choices.len()).find(is_taken)
                else {
                    break;
                };
                // Either some member can take an earlier choice, or none: then the next one is
                // fixed.
                if self.raise(
                    &mut program,
                    limits,
                    GroupChoices {
                        group,
                        range: next_position..first,
                    },
                    &mut best_counts,
                    solver,
                    effort,
                )? {
                    continue;
                }
                self.raise(
                    &mut program,
                    limits,
                    GroupChoices {
                        group,
                        range: first..first + 1,
                    },
                    &mut best_counts,
                    solver,
                    effort,
                )?;
                let fixed = best_counts[group]
                    .iter_enumerated()
                    .take(first + 1)
                    .skip(next_position);
                fixed.for_each(|(choice, count)| program.fix(group, choice, *count));
                next_position = first + 1;
            }
        }
        Ok(self.placement(&best_counts))
    }

    /// Has as many members of a group as can be take choices of a range. Whether there are more
    /// than before.
    fn raise(
        &self,
        program: &mut CountProgram,
        limits: Limits,
        GroupChoices { group, range }: GroupChoices,
        best: &mut Counts,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<bool, SolverError> {
        let columns: Vec<ColumnId> = range
            .clone()
            .filter_map(|position| program.columns[group].as_slice()[position])
            .collect();
        let taken_before: i64 = best[group].as_slice()[range.clone()].iter().sum();
        let taken_rest: i64 = best[group].as_slice()[range.start..].iter().sum();
        if columns.is_empty() || taken_before == taken_rest || effort.should_stop() {
            return Ok(false);
        }
        program
            .program
            .minimize(columns.into_iter().map(|column| (column, -1)).collect(), 0);
        let Answer::Found { values, .. } = solver.minimize(&program.program, &[], effort)? else {
            return Ok(false);
        };
        let new_counts = program.counts(&values);
        let takes_more = new_counts[group].as_slice()[range].iter().sum::<i64>() > taken_before;
        let sound =
            takes_more && self.keeps(&new_counts, limits) && program.keeps_fixed(&new_counts);
        if sound {
            *best = new_counts;
        }
        Ok(sound)
    }

    fn least_cost(
        &self,
        limits: Limits,
        solver: &dyn Solver,
        effort: &Effort,
    ) -> Result<Solved, SolverError> {
        let is_late = limits.time.is_some_and(|limit| self.base_time > limit);
        if self.impossible || is_late || self.room.iter().any(|room| *room < 0) {
            return Ok(Solved::Nothing);
        }
        if self.groups.is_empty() {
            // Nothing is left to choose: a solver has no use for a program without variables.
            let chosen_counts = Counts::new();
            let keeps = self.keeps(&chosen_counts, limits);
            return Ok(if keeps {
                Solved::Best(chosen_counts)
            } else {
                Solved::Nothing
            });
        }
        let program = self.program(limits);
        if program
            .columns
            .iter()
            .any(|columns| columns.iter().all(Option::is_none))
        {
            return Ok(Solved::Nothing);
        }
        Ok(match solver.minimize(&program.program, &[], effort)? {
            Answer::Infeasible => Solved::Nothing,
            Answer::Found {
                values,
                bound,
                proven: true,
            } => {
                let found_counts = program.counts(&values);
                let is_proven = self.keeps(&found_counts, limits)
                    && self.cost(&found_counts) <= Money(bound.round() as i64);
                if is_proven {
                    Solved::Best(found_counts)
                } else {
                    Solved::Unknown
                }
            }
            Answer::Found { .. } | Answer::Unknown => Solved::Unknown,
        })
    }
}
