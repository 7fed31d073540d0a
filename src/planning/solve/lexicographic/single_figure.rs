//! One figure at its least within limits: bounds and moves first, a program for what they leave.

use super::figure::Figure;
use super::placement_search::{
    FoundPlacement, KnownPlacement, PlacementSearch, ResolvedPlacement, choice_positions,
    choice_tags, has_deadlines, lost_placement,
};
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::{ChoiceId, Instance, Origin, SiteId, StageId, routes, worth};
use crate::planning::solve::backend::solver::SolverError;
use crate::planning::solve::bound::closing_bounds::{
    close_gap, has_direct_transfers_only, separable,
};
use crate::planning::solve::bound::fastest_placement::fastest_placement;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use crate::planning::solve::heuristic::local_search::{improve_placement, local_search};
use crate::planning::solve::limits::Limits;
use crate::planning::solve::presolve::reduction::{least_cost, least_time, with_kept_choices};
use crate::planning::solve::time_expanded::by_deadline::by_deadline;
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// Choices looked at by these moves, at most.
const SHORTENING: usize = 10_000_000;
/// Above so many choices no program is built: its first linear relaxation alone would outlast every
/// patience, and no count of nodes limits that. The placement is then the search's, with the bound
/// of [`crate::planning::solve::bound::dual_messages`] or of the longest path, and the gap to it.
const PROGRAM_CHOICES: usize = 3_000;
/// Above so many choices that bounds have left, no limit is expected to leave few enough for a
/// program.
pub(super) const REDUCED_CHOICES: usize = 300_000;
/// The most pairs of a choice and a site that data may come from, for programs with time.
const PROGRAM_WAITS: usize = 40_000;

/// Later than any placement ends, and far from overflow in sums.
const NO_DEADLINE: i64 = 1 << 52;

impl PlacementSearch<'_> {
    /// Minimises one figure within limits. `known` keeps the limits already.
    pub(super) fn minimize_figure(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        known: Option<KnownPlacement>,
    ) -> Result<Option<FoundPlacement>, SolverError> {
        if let Some(decided) = self.minimize_by_counting(instance, goal, limits)? {
            return Ok(decided);
        }
        let closed = match known {
            None if goal == Figure::Cost && separable(instance) => {
                close_gap(instance, self.shape, self.effort)
            }
            _ => None,
        };
        // What it bounds are placements whose copies come straight from their origins.
        let floor = closed
            .as_ref()
            .filter(|_| has_direct_transfers_only(instance))
            .map_or(i64::MIN, |closed| closed.bound);
        let mut start = known;
        if let Some(closed) = closed {
            match self.resolved(instance, goal, limits, choice_tags(instance, &closed.picks)) {
                Some(ResolvedPlacement { known, value }) if value == floor => {
                    return Ok(Some(FoundPlacement::proven(known, value)));
                }
                Some(resolved) => start = Some(resolved.known),
                None if limits.cost.is_some_and(|limit| floor > limit.0) => return Ok(None),
                None => {}
            }
        }
        let found = self.minimize_on_reduced(instance, goal, limits, start)?;
        Ok(found.map(|found| {
            let bound = found.bound.max(floor).min(found.value);
            FoundPlacement {
                bound,
                proven: found.proven || bound == found.value,
                ..found
            }
        }))
    }

    /// Minimises one figure as [`Self::minimize_figure`] does, on the choices that the limits
    /// leave.
    fn minimize_on_reduced(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        known: Option<KnownPlacement>,
    ) -> Result<Option<FoundPlacement>, SolverError> {
        let Some(mut instance) = self.reduced(instance, limits) else {
            return Ok(None);
        };
        let mut floor = i64::MIN;
        let mut start = known;
        let straight = !routes::possible(&instance);
        if let (Figure::Time, None, true, None) = (goal, &start, straight, limits.cost)
            && let Some(found) = fastest_placement(&instance, self.shape)
            && let Some(ResolvedPlacement { known, value }) = self.resolved(
                &instance,
                goal,
                limits,
                choice_tags(&instance, &found.picks),
            )
        {
            floor = floor.max(found.bound);
            if value == floor {
                return Ok(Some(FoundPlacement::proven(known, value)));
            }
            for (stage, with) in instance.stages.iter_mut().zip(found.with) {
                let mut with = with.into_iter();
                stage
                    .choices
                    .retain(|_| with.next().is_none_or(|with| with <= value));
            }
            start = Some(known);
        }
        // Where copies or quotas tie stages together, sites are searched in the same way without
        // one.
        let deadline = limits
            .time
            .map(Millis::signed)
            .or_else(|| (!has_direct_transfers_only(&instance)).then_some(NO_DEADLINE));
        if let (Figure::Cost, true, Some(deadline), None) = (goal, straight, deadline, limits.score)
        {
            let asked = instance_to_ask(&instance, goal, limits);
            let begin = start
                .as_ref()
                .and_then(|known| choice_positions(&instance, &known.tags));
            if let Some(closed) = by_deadline(
                &asked,
                self.shape,
                deadline,
                begin,
                self.solver,
                self.effort,
            ) {
                floor = floor.max(closed.bound);
                if let Some(ResolvedPlacement { known, value }) = self.resolved(
                    &instance,
                    goal,
                    limits,
                    choice_tags(&instance, &closed.picks),
                ) {
                    if value == floor {
                        let left = closed
                            .keep
                            .and_then(|keep| with_kept_choices(&instance, &keep));
                        let left =
                            left.filter(|left| choice_positions(left, &known.tags).is_some());
                        return Ok(Some(FoundPlacement {
                            left: left.map(Box::new),
                            ..FoundPlacement::proven(known, value)
                        }));
                    }
                    // What is dropped costs more than the value that the bounds reckoned with.
                    let keep = closed.keep.filter(|_| value <= closed.value);
                    for (stage, keep) in instance.stages.iter_mut().zip(keep.into_iter().flatten())
                    {
                        let mut keep = keep.into_iter();
                        stage.choices.retain(|_| keep.next().unwrap_or(true));
                    }
                    start = Some(known);
                }
            }
        }
        if start.is_none() {
            start = local_search(
                &instance_to_ask(&instance, goal, limits),
                self.shape,
                self.effort,
            )
            .and_then(|picks| {
                self.resolved(&instance, goal, limits, choice_tags(&instance, &picks))
            })
            .map(|resolved| resolved.known);
        }
        let Some(start) = start else {
            return self.program(&instance, goal, limits, None);
        };
        let found = self.minimize_from(&instance, goal, limits, start, floor)?;
        let bound = found.bound.max(floor).min(found.value);
        Ok(Some(FoundPlacement {
            bound,
            proven: found.proven || bound == found.value,
            ..found
        }))
    }

    /// Minimises one figure as [`Self::minimize_figure`] does, from a placement within the limits.
    /// No figure is below `floor`.
    fn minimize_from(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        start: KnownPlacement,
        floor: i64,
    ) -> Result<FoundPlacement, SolverError> {
        let value = self
            .value(instance, goal, limits, &start)
            .ok_or_else(lost_placement)?;
        let found = |bound: i64, proven: bool| {
            let KnownPlacement { tags, routes } = start.clone();
            FoundPlacement {
                tags,
                routes,
                value,
                bound,
                proven,
                left: None,
            }
        };
        if floor > i64::MIN && instance.size() > REDUCED_CHOICES {
            return Ok(found(floor.min(value), floor >= value));
        }
        let instance = self
            .reduced(instance, limits.with(goal, value))
            .ok_or_else(lost_placement)?;
        let bound = floor.max(self.floor(&instance, goal)).min(value);
        let fixed = instance.stages.iter().all(|stage| stage.choices.len() == 1);
        if bound == value || (fixed && self.straightforward(&instance, goal, limits)) {
            // All other choices are proven to exceed a limit or to be worse.
            return Ok(found(value, true));
        }
        if self.effort.should_stop() {
            return Ok(found(bound, false));
        }
        if instance.size() > PROGRAM_CHOICES
            || (limits.time.is_some() && self.waits(&instance) > PROGRAM_WAITS)
        {
            return Ok(found(bound, false));
        }
        let program = self.program(&instance, goal, limits, Some(&start))?;
        Ok(match program {
            Some(program) if program.value <= value => FoundPlacement {
                bound: program.bound.min(program.value),
                ..program
            },
            Some(program) if !program.proven => found(program.bound.min(value), false),
            // A solver that calls the program infeasible, or proves an optimum that the start
            // beats, contradicts a placement that is there: its word is no proof.
            _ => found(bound, false),
        })
    }

    /// Pairs of sites over all edges: the size of what a program says about time.
    fn waits(&self, instance: &Instance) -> usize {
        let sites = |stage: StageId| {
            instance.stages[stage]
                .choices
                .iter()
                .map(|choice| choice.site)
                .collect::<BTreeSet<SiteId>>()
                .len()
        };
        let sites: IdVec<StageId, usize> = instance.stages.ids().map(sites).collect();
        let inputs = self
            .shape
            .inputs
            .iter_enumerated()
            .flat_map(|(stage, inputs)| inputs.iter().map(move |input| (stage, &input.origin)));
        inputs
            .map(|(stage, origin)| match origin {
                Origin::Stage(before) => sites[*before] * instance.stages[stage].choices.len(),
                Origin::Site(_) => instance.stages[stage].choices.len(),
            })
            .sum()
    }

    /// Whether the ways of [`evaluate`] are the best for the only picks that are left: they are the
    /// cheapest, which may not be the fastest, and count every copy on its own.
    fn straightforward(&self, instance: &Instance, goal: Figure, limits: Limits) -> bool {
        let only_cost = goal == Figure::Cost && limits.time.is_none() && !has_deadlines(instance);
        (only_cost && instance.links.pools.is_empty())
            || routes::cheapest(instance, &instance.stages.map(|_| ChoiceId::default())).is_empty()
    }

    /// A bound without a solver.
    pub(super) fn floor(&self, instance: &Instance, goal: Figure) -> i64 {
        let cost = || least_cost(instance, self.shape, self.effort);
        match goal {
            Figure::Cost => cost(),
            Figure::Score => {
                let worth = worth(instance, least_time(instance, self.shape));
                cost().saturating_add(worth.0)
            }
            Figure::Time => least_time(instance, self.shape).signed(),
        }
    }

    /// A placement within limits, made better by single-stage moves, without a proof.
    pub(super) fn improved(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        known: &KnownPlacement,
    ) -> Option<FoundPlacement> {
        let value = self.value(instance, goal, limits, known)?;
        let bound = self.floor(instance, goal);
        let KnownPlacement { tags: kept, routes } = known.clone();
        let unmoved = FoundPlacement {
            tags: kept,
            routes,
            value,
            bound,
            proven: false,
            left: None,
        };
        // The score's own limit is none that moves know.
        if limits.score.is_some() || self.effort.should_stop() {
            return Some(unmoved);
        }
        let start = choice_positions(instance, &known.tags)?;
        let picks = match (goal, limits.cost, Network::new(instance, self.shape, true)) {
            (Figure::Time, Some(limit), Some(net)) if has_direct_transfers_only(instance) => {
                let mut timed = TimedPlacement::new(instance, self.shape, &net, start);
                let allowed = instance.stages.map(|stage| stage.choices.ids().collect());
                let mut visits = SHORTENING;
                timed.shorten(limit.0.saturating_mul(net.scale), &allowed, &mut visits);
                timed.picks
            }
            _ => {
                let minimize = if goal == Figure::Time {
                    Objective::Time
                } else {
                    Objective::Cost
                };
                let searched = Instance {
                    minimize,
                    budget: limits.cost,
                    deadline: limits.time,
                    ..instance.clone()
                };
                improve_placement(&searched, self.shape, start, self.effort)
            }
        };
        Some(
            match self.resolved(instance, goal, limits, choice_tags(instance, &picks)) {
                Some(better) if better.value <= value => FoundPlacement {
                    tags: better.known.tags,
                    routes: better.known.routes,
                    value: better.value,
                    bound,
                    proven: false,
                    left: None,
                },
                _ => unmoved,
            },
        )
    }
}

/// The instance as the search and the bounds are asked about it.
fn instance_to_ask(instance: &Instance, goal: Figure, limits: Limits) -> Instance {
    Instance {
        minimize: if goal == Figure::Time {
            Objective::Time
        } else {
            Objective::Cost
        },
        budget: limits.cost,
        deadline: limits.time,
        hour: if goal == Figure::Score {
            instance.hour
        } else {
            Money(0)
        },
        ..instance.clone()
    }
}
