//! Programs, one solve each, and what their answers mean exactly.

use super::figure::Figure;
use super::placement_search::{
    FoundPlacement, KnownPlacement, PlacementSearch, ResolvedPlacement, choice_positions,
    choice_tags, has_deadlines,
};
use crate::planning::problem::{Goal, Instance, Lowered, Placement, Target, lower};
use crate::planning::solve::backend::solver::{Answer, SolverError};
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::Id;

/// Programs charge what the makespan is worth, and pieces of tariffs, without rounding.
const ROUNDED: i64 = 1;

impl PlacementSearch<'_> {
    /// The program's optimum. A cost without the rows of time is tried first: when its optimum
    /// is in time anyway, time costs nothing.
    pub(super) fn program(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        start: Option<&KnownPlacement>,
    ) -> Result<Option<FoundPlacement>, SolverError> {
        if goal == Figure::Cost
            && limits.score.is_none()
            && (limits.time.is_some() || has_deadlines(instance))
        {
            let target = target(
                instance,
                Goal::Cost,
                Limits {
                    time: None,
                    ..limits
                },
                false,
            );
            match self.minimize(instance, goal, &target, limits, start)? {
                Tried::Infeasible => return Ok(None),
                Tried::Found(found) if found.proven => return Ok(Some(found)),
                Tried::Found(_) | Tried::Unfit => {}
            }
        }
        let objective = match goal {
            Figure::Cost => Goal::Cost,
            Figure::Score => Goal::Score,
            Figure::Time => Goal::Makespan,
        };
        match self.minimize(
            instance,
            goal,
            &target(instance, objective, limits, true),
            limits,
            start,
        )? {
            Tried::Infeasible => Ok(None),
            Tried::Found(found) => Ok(Some(found)),
            Tried::Unfit => self.unimproved(instance, goal, limits, start).map(Some),
        }
    }

    /// One program, one solve.
    pub(super) fn minimize(
        &self,
        instance: &Instance,
        measured: Figure,
        target: &Target<'_>,
        limits: Limits,
        start: Option<&KnownPlacement>,
    ) -> Result<Tried, SolverError> {
        let lowered = lower(instance, target);
        let begin = start
            .and_then(|known| choice_positions(instance, &known.tags))
            .map_or_else(Vec::new, |placement| start_point(&lowered, &placement));
        let (values, bound, proven) =
            match self
                .solver
                .minimize(&lowered.program, &begin, self.effort)?
            {
                Answer::Infeasible => return Ok(Tried::Infeasible),
                Answer::Unknown => return Ok(Tried::Unfit),
                Answer::Found {
                    values,
                    bound,
                    proven,
                } => (values, bound, proven),
            };
        let tags = choice_tags(instance, &lowered.placement(&values));
        let plain_solution = self.resolved(instance, measured, limits, tags.clone());
        let routed = KnownPlacement {
            tags,
            routes: lowered.routes(&values),
        };
        let routed = self
            .value(instance, measured, limits, &routed)
            .map(|value| ResolvedPlacement {
                known: routed,
                value,
            });
        // Within its tolerances a solver may miss a limit by a hair; what counts is exact.
        let ResolvedPlacement { known, value } = match (plain_solution, routed) {
            (Some(plain), Some(routed)) => {
                if plain.value <= routed.value {
                    plain
                } else {
                    routed
                }
            }
            (Some(found), None) | (None, Some(found)) => found,
            (None, None) => return Ok(Tried::Unfit),
        };
        // The program may know a cheaper route than the placement could take within all limits.
        let integer_bound = if proven {
            bound.round() as i64
        } else {
            whole_bound(bound)
        }
        .min(value);
        let is_proven = proven && value.saturating_sub(integer_bound) <= ROUNDED;
        let proven_bound = if is_proven { value } else { integer_bound };
        Ok(Tried::Found(FoundPlacement {
            tags: known.tags,
            routes: known.routes,
            value,
            bound: proven_bound,
            proven: is_proven,
            left: None,
        }))
    }

    /// The start, when the solver found nothing better.
    pub(super) fn unimproved(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        start: Option<&KnownPlacement>,
    ) -> Result<FoundPlacement, SolverError> {
        let known_start = start
            .and_then(|known| Some((known.clone(), self.value(instance, goal, limits, known)?)));
        let (KnownPlacement { tags, routes }, value) = known_start.ok_or_else(|| {
            SolverError(
                "no plan was found within the effort allowed; raise --max-nodes or --time-limit"
                    .to_owned(),
            )
        })?;
        let value_bound = self.floor(instance, goal).min(value);
        Ok(FoundPlacement {
            tags,
            routes,
            value,
            bound: value_bound,
            proven: false,
            left: None,
        })
    }
}

/// The outcome of one program.
pub(super) enum Tried {
    Infeasible,
    Found(FoundPlacement),
    /// The solver found nothing, or nothing that keeps the limits.
    Unfit,
}

/// Returns the objective and the limits of a program.
pub(super) fn target<'a>(
    instance: &Instance,
    objective: Goal<'a>,
    limits: Limits,
    timed: bool,
) -> Target<'a> {
    Target {
        objective,
        cost_limit: limits.cost,
        time_limit: limits.time,
        score_limit: limits.score,
        stage_deadlines: timed && has_deadlines(instance),
    }
}

/// A start for the solver: the choices alone; it completes the rest.
fn start_point(lowered: &Lowered, placement: &Placement) -> Vec<f64> {
    let mut values = vec![0.0; lowered.program.columns.len()];
    for (columns, position) in lowered.choice.iter().zip(placement) {
        values[columns[*position].index()] = 1.0;
    }
    values
}

/// A solver's bound as an integer that is surely one too.
fn whole_bound(bound: f64) -> i64 {
    // A saturating cast: minus infinity becomes the least integer. One unit covers rounding.
    (bound.floor() as i64).saturating_sub(1)
}
