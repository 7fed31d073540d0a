//! One figure at its least within limits: bounds and moves first, a program for what they leave.

use super::figure::Figure;
use super::placement_search::{
    FoundPlacement, KnownPlacement, PlacementSearch, ResolvedPlacement, choice_positions,
    choice_tags, has_deadlines, lost_placement,
};
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::{
    ChoiceId, Instance, Origin, Placement, SiteId, StageId, routes, worth,
};
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

/// One figure that is being minimised within limits.
struct OpenFigure {
    /// Without choices that no placement within the limits has whose value is as good.
    instance: Instance,
    /// Whether every transfer comes straight from the origin of its artifact.
    has_direct_routes: bool,
    goal: Figure,
    limits: Limits,
    /// No placement within the limits has a lower value.
    floor: i64,
    /// A placement within the limits to begin at.
    start: Option<KnownPlacement>,
}

impl OpenFigure {
    fn instance_to_ask(&self) -> Instance {
        instance_to_ask(&self.instance, self.goal, self.limits)
    }
}

impl PlacementSearch<'_> {
    /// Minimises one figure within limits. `known` keeps the limits already.
    pub(super) fn minimize_figure(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        known_placement: Option<KnownPlacement>,
    ) -> Result<Option<FoundPlacement>, SolverError> {
        if let Some(decided) = self.minimize_by_counting(instance, goal, limits)? {
            return Ok(decided);
        }
        let closed_figure = match known_placement {
            None if goal == Figure::Cost && separable(instance) => {
                close_gap(instance, self.shape, self.effort)
            }
            _ => None,
        };
        // What it bounds are placements whose transfers come straight from their origins.
        let floor = closed_figure
            .as_ref()
            .filter(|_| has_direct_transfers_only(instance))
            .map_or(i64::MIN, |closed| closed.bound);
        let mut start = known_placement;
        if let Some(closed) = closed_figure {
            match self.resolved(
                instance,
                goal,
                limits,
                choice_tags(instance, &closed.placement),
            ) {
                Some(ResolvedPlacement { known, value }) if value == floor => {
                    return Ok(Some(FoundPlacement::proven(known, value)));
                }
                Some(resolved) => start = Some(resolved.known),
                None if limits.cost.is_some_and(|limit| floor > limit.0) => return Ok(None),
                None => {}
            }
        }
        let found_figure = self.minimize_on_reduced(instance, goal, limits, start)?;
        Ok(found_figure.map(|found| {
            let best_bound = found.bound.max(floor).min(found.value);
            FoundPlacement {
                bound: best_bound,
                proven: found.proven || best_bound == found.value,
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
        known_placement: Option<KnownPlacement>,
    ) -> Result<Option<FoundPlacement>, SolverError> {
        let Some(instance) = self.reduced(instance, limits) else {
            return Ok(None);
        };
        let mut open_figure = OpenFigure {
            has_direct_routes: !routes::possible(&instance),
            instance,
            goal,
            limits,
            floor: i64::MIN,
            start: known_placement,
        };
        let decided = self
            .try_fastest_placement(&mut open_figure)
            .or_else(|| self.try_deadline_search(&mut open_figure));
        if decided.is_some() {
            return Ok(decided);
        }
        self.start_by_local_search(&mut open_figure);
        let Some(start) = open_figure.start else {
            return self.program(&open_figure.instance, goal, limits, None);
        };
        let found_figure = self.minimize_from(
            &open_figure.instance,
            goal,
            limits,
            start,
            open_figure.floor,
        )?;
        let best_bound = found_figure
            .bound
            .max(open_figure.floor)
            .min(found_figure.value);
        Ok(Some(FoundPlacement {
            bound: best_bound,
            proven: found_figure.proven || best_bound == found_figure.value,
            ..found_figure
        }))
    }

    /// Looks for the fastest placement without a program, if that is what is asked for and nothing
    /// but time restricts it. Returns the placement if it is proven to be the fastest.
    fn try_fastest_placement(&self, open: &mut OpenFigure) -> Option<FoundPlacement> {
        let is_asked_for = open.goal == Figure::Time
            && open.start.is_none()
            && open.has_direct_routes
            && open.limits.cost.is_none();
        if !is_asked_for {
            return None;
        }
        let fastest_found = fastest_placement(&open.instance, self.shape)?;
        let ResolvedPlacement { known, value } =
            self.resolved_in(open, &fastest_found.placement)?;
        open.floor = open.floor.max(fastest_found.bound);
        if value == open.floor {
            return Some(FoundPlacement::proven(known, value));
        }
        for (stage, with) in open.instance.stages.iter_mut().zip(&fastest_found.with) {
            stage
                .choices
                .retain_by_id(|choice, _| with.get(choice).is_none_or(|with| *with <= value));
        }
        open.start = Some(known);
        None
    }

    /// Looks for the cheapest placement by a deadline by bounds and moves. Where transfers or
    /// quotas tie stages together, sites are searched in the same way without a deadline. Returns
    /// the placement if it is proven to be the cheapest.
    fn try_deadline_search(&self, open: &mut OpenFigure) -> Option<FoundPlacement> {
        let no_deadline = || (!has_direct_transfers_only(&open.instance)).then_some(NO_DEADLINE);
        let deadline = open.limits.time.map(Millis::signed).or_else(no_deadline)?;
        let is_asked_for =
            open.goal == Figure::Cost && open.has_direct_routes && open.limits.score.is_none();
        if !is_asked_for {
            return None;
        }
        let begin = open
            .start
            .as_ref()
            .and_then(|known| choice_positions(&open.instance, &known.tags));
        let closed_search = by_deadline(
            &open.instance_to_ask(),
            self.shape,
            deadline,
            begin,
            self.solver,
            self.effort,
        )?;
        open.floor = open.floor.max(closed_search.bound);
        let ResolvedPlacement { known, value } =
            self.resolved_in(open, &closed_search.placement)?;
        if value == open.floor {
            let choices_left = closed_search
                .keep
                .and_then(|keep| with_kept_choices(&open.instance, &keep))
                .filter(|left| choice_positions(left, &known.tags).is_some());
            return Some(FoundPlacement {
                left: choices_left.map(Box::new),
                ..FoundPlacement::proven(known, value)
            });
        }
        // What is dropped costs more than the value that the bounds reckoned with.
        let kept_choices = closed_search.keep.filter(|_| value <= closed_search.value);
        for (stage, keep) in open
            .instance
            .stages
            .iter_mut()
            .zip(kept_choices.iter().flatten())
        {
            stage
                .choices
                .retain_by_id(|choice, _| keep.get(choice).is_none_or(|keep| *keep));
        }
        open.start = Some(known);
        None
    }

    /// Looks for a placement to begin at, if there is none yet.
    fn start_by_local_search(&self, open: &mut OpenFigure) {
        if open.start.is_some() {
            return;
        }
        let placement = local_search(&open.instance_to_ask(), self.shape, self.effort);
        let resolved = placement.and_then(|placement| self.resolved_in(open, &placement));
        open.start = resolved.map(|resolved| resolved.known);
    }

    /// A placement that keeps all limits, made from one that may not.
    fn resolved_in(&self, open: &OpenFigure, placement: &Placement) -> Option<ResolvedPlacement> {
        let tags = choice_tags(&open.instance, placement);
        self.resolved(&open.instance, open.goal, open.limits, tags)
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
        let start_value = self
            .value(instance, goal, limits, &start)
            .ok_or_else(lost_placement)?;
        let start_figure = |bound: i64, proven: bool| {
            let KnownPlacement { tags, routes } = start.clone();
            FoundPlacement {
                tags,
                routes,
                value: start_value,
                bound,
                proven,
                left: None,
            }
        };
        if floor > i64::MIN && instance.size() > REDUCED_CHOICES {
            return Ok(start_figure(floor.min(start_value), floor >= start_value));
        }
        let instance = self
            .reduced(instance, limits.with(goal, start_value))
            .ok_or_else(lost_placement)?;
        let best_bound = floor.max(self.floor(&instance, goal)).min(start_value);
        let fixed = instance.stages.iter().all(|stage| stage.choices.len() == 1);
        if best_bound == start_value || (fixed && self.straightforward(&instance, goal, limits)) {
            // All other choices are proven to exceed a limit or to be worse.
            return Ok(start_figure(start_value, true));
        }
        if self.effort.should_stop() {
            return Ok(start_figure(best_bound, false));
        }
        if instance.size() > PROGRAM_CHOICES
            || (limits.time.is_some() && self.waits(&instance) > PROGRAM_WAITS)
        {
            return Ok(start_figure(best_bound, false));
        }
        let program = self.program(&instance, goal, limits, Some(&start))?;
        Ok(match program {
            Some(program) if program.value <= start_value => FoundPlacement {
                bound: program.bound.min(program.value),
                ..program
            },
            Some(program) if !program.proven => start_figure(program.bound.min(start_value), false),
            // A solver that calls the program infeasible, or proves an optimum that the start
            // beats, contradicts a placement that is there: its word is no proof.
            _ => start_figure(best_bound, false),
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

    /// Whether the routes of [`evaluate`] are the best for the only placement that is left: they
    /// are the cheapest, which may not be the fastest, and count every transfer on its own.
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
                let time_worth = worth(instance, least_time(instance, self.shape));
                cost().saturating_add(time_worth.0)
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
        known_placement: &KnownPlacement,
    ) -> Option<FoundPlacement> {
        let known_value = self.value(instance, goal, limits, known_placement)?;
        let floor_bound = self.floor(instance, goal);
        let KnownPlacement { tags: kept, routes } = known_placement.clone();
        let unmoved = FoundPlacement {
            tags: kept,
            routes,
            value: known_value,
            bound: floor_bound,
            proven: false,
            left: None,
        };
        // The score's own limit is none that moves know.
        if limits.score.is_some() || self.effort.should_stop() {
            return Some(unmoved);
        }
        let start = choice_positions(instance, &known_placement.tags)?;
        let placement = match (goal, limits.cost, Network::new(instance, self.shape, true)) {
            (Figure::Time, Some(limit), Some(net)) if has_direct_transfers_only(instance) => {
                let mut timed_placement = TimedPlacement::new(instance, self.shape, &net, start);
                let allowed_choices = instance.stages.map(|stage| stage.choices.ids().collect());
                let mut visits = SHORTENING;
                timed_placement.shorten(
                    limit.0.saturating_mul(net.scale),
                    &allowed_choices,
                    &mut visits,
                );
                timed_placement.placement
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
            match self.resolved(instance, goal, limits, choice_tags(instance, &placement)) {
                Some(better) if better.value <= known_value => FoundPlacement {
                    tags: better.known.tags,
                    routes: better.known.routes,
                    value: better.value,
                    bound: floor_bound,
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
