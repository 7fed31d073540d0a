//! Without a placement: how far the limits are from what is possible.

use super::figure::Figure;
use super::outcome::{PlacementFigures, UnmetLimits};
use super::passes::figures;
use super::placement_search::PlacementSearch;
use crate::model::{Millis, Money, Objective};
use crate::planning::problem::{Artifact, Instance, Origin, SiteId, StageId};
use crate::planning::solve::backend::solver::SolverError;
use crate::planning::solve::limits::Limits;
use std::collections::BTreeSet;

impl PlacementSearch<'_> {
    /// Returns what each limit would have to be for a placement to exist.
    pub(super) fn unmet_limits(&self, instance: &Instance) -> Result<UnmetLimits, SolverError> {
        let (cost, time) = (instance.budget, instance.deadline);
        let has_concurrent_caps = instance.caps.iter().any(|cap| cap.concurrent);
        let figures_of =
            |goal: Figure, limits: Limits| -> Result<Option<PlacementFigures>, SolverError> {
                if has_concurrent_caps {
                    return self.figures_within(instance, goal, limits);
                }
                let found_figure = self.minimize_figure(instance, goal, limits, None)?;
                let evaluation = found_figure.and_then(|found| self.evaluation(instance, &found));
                Ok(evaluation.map(|evaluation| PlacementFigures::of(&evaluation)))
            };
        let limits = |cost: Option<Money>, time: Option<Millis>| Limits {
            cost,
            time,
            ..Limits::default()
        };
        Ok(UnmetLimits {
            fastest: if time.is_some() {
                figures_of(Figure::Time, limits(cost, None))?
            } else {
                None
            },
            cheapest: if cost.is_some() {
                figures_of(Figure::Cost, limits(None, time))?
            } else {
                None
            },
            unlimited: figures_of(Figure::Cost, limits(None, None))?,
            unreachable: unreachable_artifacts(instance),
        })
    }
}

impl PlacementSearch<'_> {
    /// The figures of the best placement and schedule within other limits than those of the
    /// instance.
    fn figures_within(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
    ) -> Result<Option<PlacementFigures>, SolverError> {
        let asked = Instance {
            minimize: if goal == Figure::Time {
                Objective::Time
            } else {
                Objective::Cost
            },
            hour: Money(0),
            budget: limits.cost,
            deadline: limits.time,
            ..instance.clone()
        };
        figures(&asked, self.solver, self.effort)
    }
}

/// Labels of artifacts that have no allowed link to some reader.
fn unreachable_artifacts(instance: &Instance) -> Vec<String> {
    let sites = |stage: StageId| {
        instance.stages[stage]
            .choices
            .iter()
            .map(|choice| choice.site)
            .collect::<BTreeSet<SiteId>>()
    };
    let is_cut_off = |artifact: &&Artifact| {
        let from_sites = match artifact.origin {
            Origin::Site(site) => BTreeSet::from([site]),
            Origin::Stage(stage) => sites(stage),
        };
        let reaches = |to: &SiteId| {
            from_sites
                .iter()
                .any(|from| instance.links.cost(*from, *to, artifact.bytes).is_some())
        };
        artifact
            .readers
            .iter()
            .any(|reader| !sites(*reader).iter().any(reaches))
    };
    instance
        .artifacts
        .iter()
        .filter(is_cut_off)
        .map(|artifact| artifact.label.clone())
        .collect()
}
