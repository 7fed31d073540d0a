//! One run over an instance: what all passes share, and the placements that they find.

use super::figure::Figure;
use crate::model::{Millis, Money};
use crate::planning::problem::{
    CandidateId, Evaluation, Instance, PlacedCandidates, Placement, Routes, Shape, StageChoices,
    concurrency, evaluate_on, routes, worth,
};
use crate::planning::solve::backend::solver::{Solver, SolverError};
use crate::planning::solve::bound::forest::forest;
use crate::planning::solve::effort::Effort;
use crate::planning::solve::limits::Limits;
use crate::planning::solve::presolve::reduction::{least_time, reduce};

/// Returns the error that a placement which was found cannot be evaluated, which cannot happen.
pub(super) fn lost_placement() -> SolverError {
    SolverError("a placement that was found does not fit its own instance".to_owned())
}

/// A placement by the tags of its choices, which outlive reduction, with the value of what was
/// minimised.
#[derive(Clone)]
pub(super) struct FoundPlacement {
    /// The candidate that each stage takes.
    pub tags: PlacedCandidates,
    /// The holders that transfers come from, where these are not their origins.
    pub routes: Routes,
    /// The figure that was minimised, in micro-USD, milliseconds or ranks.
    pub value: i64,
    /// A value that no placement within the limits is below.
    pub bound: i64,
    /// Whether no placement within the limits has a lower value.
    pub proven: bool,
    /// Without choices that no placement within the limits has whose value is as good, if known.
    pub left: Option<Box<Instance>>,
}

/// The choices and the routes of a placement that is there already.
#[derive(Clone)]
pub(super) struct KnownPlacement {
    /// The candidate that each stage takes.
    pub tags: PlacedCandidates,
    /// The holders that transfers come from, where these are not their origins.
    pub routes: Routes,
}

/// A placement that keeps all limits, and its figure.
pub(super) struct ResolvedPlacement {
    /// The placement.
    pub known: KnownPlacement,
    /// The figure of the placement that is minimised.
    pub value: i64,
}

impl FoundPlacement {
    /// A placement whose figure is as good as its bound.
    pub(super) fn proven(known_placement: KnownPlacement, value: i64) -> Self {
        let KnownPlacement { tags, routes } = known_placement;
        Self {
            tags,
            routes,
            value,
            bound: value,
            proven: true,
            left: None,
        }
    }

    pub(super) fn known(&self) -> KnownPlacement {
        KnownPlacement {
            tags: self.tags.clone(),
            routes: self.routes.clone(),
        }
    }
}

/// What all passes over an instance share.
#[derive(Clone, Copy)]
pub(super) struct PlacementSearch<'a> {
    /// What each stage waits for.
    pub shape: &'a Shape,
    /// The solver of the mixed-integer programs.
    pub solver: &'a dyn Solver,
    /// How long to search.
    pub effort: &'a Effort,
}

/// The optimum of the objective, that of the other figure among its optima, and both as limits.
#[derive(Clone)]
pub(super) struct RankedPlacements {
    /// The optimum of the objective.
    pub first: FoundPlacement,
    /// The optimum of the other figure among the optima of the objective.
    pub second: FoundPlacement,
    /// Both optimal figures as limits.
    pub limits: Limits,
    /// Without choices that no placement has whose first figure is as good.
    pub left: Box<Instance>,
    /// `second` has the first choices in order already.
    pub ordered: bool,
}

/// Returns whether some stage has a deadline of its own.
pub(super) fn has_deadlines(instance: &Instance) -> bool {
    instance.stages.iter().any(|stage| stage.deadline.is_some())
}

/// Returns the tags of the choices at some positions, which outlive reduction.
pub(super) fn choice_tags(instance: &Instance, placement: &Placement) -> PlacedCandidates {
    instance
        .stages
        .iter()
        .zip(placement)
        .map(|(stage, position)| stage.choices[*position].tag)
        .collect()
}

/// Returns the positions of the choices with some tags; `None`: one of them was dropped.
pub(super) fn choice_positions(instance: &Instance, tags: &PlacedCandidates) -> Option<Placement> {
    let position = |(stage, tag): (&StageChoices, &CandidateId)| {
        stage
            .choices
            .binary_search_by_key(tag, |choice| choice.tag)
            .ok()
    };
    instance.stages.iter().zip(tags).map(position).collect()
}

impl PlacementSearch<'_> {
    /// Without choices that no placement within the limits can take.
    pub(super) fn reduced(&self, instance: &Instance, limits: Limits) -> Option<Instance> {
        let Some(score) = limits.score else {
            return reduce(instance, self.shape, limits, self.effort);
        };
        // What the time is worth at least is not there for costs, and the other way round.
        let cost = score - worth(instance, least_time(instance, self.shape));
        let spare_score = i128::from(
            score
                .0
                .saturating_sub(forest(instance, self.shape)?.least)
                .max(0),
        ) + 1;
        let time = match instance.hour {
            Money(0) => None,
            Money(hour) => {
                let time = spare_score * crate::model::units::MS_PER_HOUR / i128::from(hour) + 1;
                i64::try_from(time).ok().map(Millis::from_signed)
            }
        };
        let cost = limits.cost.into_iter().chain([cost]).min();
        let time = limits.time.into_iter().chain(time).min();
        reduce(
            instance,
            self.shape,
            Limits {
                cost,
                time,
                ..limits
            },
            self.effort,
        )
    }

    /// The figure of a placement; `None`: it breaks a limit.
    pub(super) fn value(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        known_placement: &KnownPlacement,
    ) -> Option<i64> {
        let placement = choice_positions(instance, &known_placement.tags)?;
        if concurrency::excess(instance, &placement) > 0 {
            return None;
        }
        let evaluation = evaluate_on(instance, self.shape, &placement, &known_placement.routes)?;
        limits
            .hold(instance, &evaluation)
            .then(|| goal.of(instance, &evaluation))
    }

    /// The better of two sets of routes for given choices, and the figure: the cheapest routes,
    /// or all transfers straight from their origins. `None`: both break a limit.
    pub(super) fn resolved(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        tags: PlacedCandidates,
    ) -> Option<ResolvedPlacement> {
        let cheapest = routes::cheapest(instance, &choice_positions(instance, &tags)?);
        let straight = (!cheapest.is_empty()).then(Routes::new);
        let routed = std::iter::once(cheapest)
            .chain(straight)
            .filter_map(|routes| {
                let known_placement = KnownPlacement {
                    tags: tags.clone(),
                    routes,
                };
                let exact_value = self.value(instance, goal, limits, &known_placement)?;
                Some(ResolvedPlacement {
                    known: known_placement,
                    value: exact_value,
                })
            });
        // Of equals the first.
        routed.min_by_key(|resolved| resolved.value)
    }

    /// All figures of a placement that was found for the instance.
    pub(super) fn evaluation(
        &self,
        instance: &Instance,
        found_placement: &FoundPlacement,
    ) -> Option<Evaluation> {
        evaluate_on(
            instance,
            self.shape,
            &choice_positions(instance, &found_placement.tags)?,
            &found_placement.routes,
        )
    }
}
