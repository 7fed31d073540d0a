//! The passes over an instance: preferences first, then both figures, then the order of choices.

use super::capacity_search::{Decided, goals, limits_of};
use super::counted_replicas::CountedOutcome;
use super::figure::Figure;
use super::integer_programs::target;
use super::outcome::{Outcome, PlacementFigures, Proof, Solved};
use super::placement_search::{
    FoundPlacement, KnownPlacement, PlacementSearch, RankedPlacements, choice_positions,
    choice_tags, lost_placement,
};
use super::single_figure::REDUCED_CHOICES;
use super::tie_breaking::TIED_CHOICES;
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::{
    CandidateUse, Cap, Goal, Instance, StageChoices, concurrency, lower,
};
use crate::planning::solve::backend::solver::{Answer, Solver, SolverError};
use crate::planning::solve::bound::closing_bounds::has_direct_transfers_only;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;
use crate::planning::solve::monitor::SolveMonitor;
use crate::planning::solve::presolve::reduction::reduce;
use std::borrow::Cow;

/// The best placement of `instance`, or why there is none.
pub fn solve(
    instance: &Instance,
    solver: &dyn Solver,
    effort: &Effort,
) -> Result<Outcome, SolverError> {
    let shape = instance.shape();
    let run = PlacementSearch {
        shape: &shape,
        solver,
        effort,
    };
    match run.decided(instance)? {
        None => Ok(Outcome::Infeasible(run.unmet_limits(instance)?)),
        Some(decided) => {
            let left = decided.instance.clone();
            let solved = run.finished(instance, decided)?;
            // The choices that are left keep their tags.
            let placement = choice_positions(instance, &choice_tags(&left, &solved.placement))
                .ok_or_else(lost_placement)?;
            Ok(Outcome::Solved(Box::new(Solved {
                placement,
                ..solved
            })))
        }
    }
}

/// The figures of the best placement, without telling equals apart. `None`: there is none.
pub fn figures(
    instance: &Instance,
    solver: &dyn Solver,
    effort: &Effort,
) -> Result<Option<PlacementFigures>, SolverError> {
    let shape = instance.shape();
    let run = PlacementSearch {
        shape: &shape,
        solver,
        effort,
    };
    let Some(decided) = run.decided(instance)? else {
        return Ok(None);
    };
    let run = PlacementSearch {
        shape: &decided.shape,
        ..run
    };
    let evaluation = run
        .evaluation(&decided.instance, &decided.ranked.second)
        .ok_or_else(lost_placement)?;
    Ok(Some(PlacementFigures::of(&evaluation)))
}

/// The instance with the rows that its preferences and its concurrent caps need at its optimum,
/// for other solvers.
pub fn with_rows(
    instance: &Instance,
    solver: &dyn Solver,
    effort: &Effort,
) -> Result<Instance, SolverError> {
    let ranked = || {
        instance
            .stages
            .iter()
            .any(|stage| stage.choices.iter().any(|choice| choice.rank > 0))
    };
    if !ranked() && instance.caps.iter().all(|cap| !cap.concurrent) {
        return Ok(instance.clone());
    }
    let shape = instance.shape();
    let run = PlacementSearch {
        shape: &shape,
        solver,
        effort,
    };
    let decided = run.decided(instance)?;
    Ok(decided.map_or_else(|| instance.clone(), |decided| decided.instance.into_owned()))
}

impl PlacementSearch<'_> {
    /// The passes over both figures among placements of the least sum of ranks.
    pub(super) fn preferred<'i>(
        &self,
        instance: Cow<'i, Instance>,
    ) -> Result<Option<(Cow<'i, Instance>, RankedPlacements)>, SolverError> {
        let ranks = || {
            instance
                .stages
                .iter()
                .flat_map(|stage| stage.choices.iter().map(|choice| choice.rank))
        };
        if ranks().all(|rank| rank == 0) {
            return Ok(self.ranked(&instance)?.map(|ranked| (instance, ranked)));
        }
        let mut first_instance = instance.clone().into_owned();
        first_instance
            .stages
            .iter_mut()
            .for_each(|stage| stage.choices.retain(|choice| choice.rank == 0));
        if first_instance
            .stages
            .iter()
            .all(|stage| !stage.choices.is_empty())
            && let Some(ranked) = self.ranked(&first_instance)?
        {
            return Ok(Some((Cow::Owned(first_instance), ranked)));
        }
        let limits = limits_of(&instance);
        let Some(instance) = reduce(&instance, self.shape, limits, self.effort) else {
            return Ok(None);
        };
        let Some(least) = self.least_ranks(&instance, limits)? else {
            return Ok(None);
        };
        let uses = |stage: &StageChoices| {
            stage
                .choices
                .iter()
                .filter(|choice| choice.rank > 0)
                .map(|choice| CandidateUse {
                    candidate: choice.tag,
                    used: choice.rank,
                })
                .collect()
        };
        let cap = Cap {
            label: "preference".to_owned(),
            limit: least,
            concurrent: false,
            uses: instance.stages.map(uses),
        };
        let mut instance = instance;
        instance.caps.push(cap);
        Ok(self
            .ranked(&instance)?
            .map(|ranked| (Cow::Owned(instance), ranked)))
    }

    /// The least sum of ranks within limits.
    fn least_ranks(&self, instance: &Instance, limits: Limits) -> Result<Option<i64>, SolverError> {
        let lowered = lower(instance, &target(instance, Goal::Preference, limits, true));
        match self.solver.minimize(&lowered.program, &[], self.effort)? {
            Answer::Infeasible => Ok(None),
            Answer::Found { values, proven: true, .. } => {
                let placement = lowered.placement(&values);
                Ok(Some(instance.stages.iter().zip(placement).map(|(stage, pick)| stage.choices[pick].rank).sum()))
            }
            _ => Err(SolverError(
                "preferences were not decided within the effort allowed; raise --max-nodes or --time-limit".to_owned(),
            )),
        }
    }

    /// The last pass, and the figures. `whole`: the instance with its concurrent caps.
    fn finished(&self, whole: &Instance, decided: Decided<'_>) -> Result<Solved, SolverError> {
        let Decided {
            instance,
            shape,
            ranked,
            waits,
        } = decided;
        let run = PlacementSearch {
            shape: &shape,
            ..*self
        };
        let RankedPlacements {
            first,
            second,
            limits,
            left,
            ordered,
        } = ranked;
        let mut last_pass = second.clone();
        if first.proven && !ordered && !self.effort.should_stop() {
            let KnownPlacement { tags, routes } =
                run.first_in_order(&left, limits, second.known())?;
            let placement = choice_positions(whole, &tags).ok_or_else(lost_placement)?;
            let found = choice_positions(whole, &second.tags).ok_or_else(lost_placement)?;
            // The order of choices is the last tie-break: stages wait for no others because of it.
            let is_kept = concurrency::uses_no_more(whole, &placement, &found)
                || concurrency::is_known_to_fit(whole, &shape, &placement);
            if is_kept {
                last_pass = FoundPlacement {
                    tags,
                    routes,
                    ..last_pass
                };
            }
        }
        let evaluation = run
            .evaluation(&instance, &last_pass)
            .ok_or_else(lost_placement)?;
        let proof = match instance.minimize {
            Objective::Cost => Proof {
                optimal: first.proven,
                cost_bound: Money(first.bound),
                time_bound: None,
            },
            Objective::Time => {
                let optimal = first.proven && second.proven;
                Proof {
                    optimal,
                    cost_bound: Money(second.bound),
                    time_bound: Some(Millis::from_signed(first.bound)),
                }
            }
        };
        let placement = choice_positions(&instance, &last_pass.tags).ok_or_else(lost_placement)?;
        Ok(Solved {
            placement,
            evaluation,
            proof,
            waits,
        })
    }

    /// The passes over both figures. `None`: no placement keeps the limits.
    fn ranked(&self, instance: &Instance) -> Result<Option<RankedPlacements>, SolverError> {
        let (goal, other) = goals(instance);
        let limits = limits_of(instance);
        match self.count_replicas(instance, goal, other, limits)? {
            CountedOutcome::Ranked(ranked) => return Ok(Some(*ranked)),
            CountedOutcome::Nothing => return Ok(None),
            CountedOutcome::Unknown => {}
        }
        let Some(mut first) = self.minimize_figure(instance, goal, limits, None)? else {
            return Ok(None);
        };
        self.effort
            .monitor
            .report(Some(first.value), Some(first.bound));
        let least_first = goal == Figure::Cost
            && limits.time.is_none()
            && first.proven
            && has_direct_transfers_only(instance);
        let limits = Limits {
            least: least_first,
            ..limits.with(goal, first.value)
        };
        let choices_left = match first.left.take() {
            Some(left) => *left,
            None if !first.proven && instance.size() > REDUCED_CHOICES => instance.clone(),
            None => self.reduced(instance, limits).ok_or_else(lost_placement)?,
        };
        let second_pass = if (other == Figure::Time && choices_left.size() > TIED_CHOICES)
            || self.effort.should_stop()
        {
            self.improved(&choices_left, other, limits, &first.known())
        } else {
            self.minimize_figure(&choices_left, other, limits, Some(first.known()))?
        };
        let second_pass = second_pass.ok_or_else(lost_placement)?;
        let limits = limits.with(other, second_pass.value);
        Ok(Some(RankedPlacements {
            first,
            second: second_pass,
            limits,
            left: Box::new(choices_left),
            ordered: false,
        }))
    }
}
