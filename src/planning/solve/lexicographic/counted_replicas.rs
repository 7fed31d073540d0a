//! Instances whose stages are alike and independent, which are counted instead of placed one by
//! one.

use super::figure::Figure;
use super::placement_search::{
    FoundPlacement, KnownPlacement, PlacementSearch, RankedPlacements, choice_tags, lost_placement,
};
use crate::planning::problem::{Instance, Placement};
use crate::planning::solve::backend::solver::SolverError;
use crate::planning::solve::lexicographic::replica_counting::{self, Counted};
use crate::planning::solve::limits::Limits;

/// The outcome of counting replicas.
pub(super) enum CountedOutcome {
    Ranked(Box<RankedPlacements>),
    /// No placement keeps the limits.
    Nothing,
    /// The instance is of another kind, or counting did not end in a proof.
    Unknown,
}

/// A placement, and what it comes to.
struct PickedPlacement {
    placement: Placement,
    found: FoundPlacement,
}

impl PlacementSearch<'_> {
    /// All passes over an instance that can be counted.
    pub(super) fn count_replicas(
        &self,
        instance: &Instance,
        goal: Figure,
        other: Figure,
        limits: Limits,
    ) -> Result<CountedOutcome, SolverError> {
        let Some(counted) = self.counted(instance, goal) else {
            return Ok(CountedOutcome::Unknown);
        };
        let first_pass = match self.minimize_counted(&counted, instance, goal, limits)? {
            None => return Ok(CountedOutcome::Unknown),
            Some(None) => return Ok(CountedOutcome::Nothing),
            Some(Some(picked)) => picked.found,
        };
        let limits = limits.with(goal, first_pass.value);
        let Some(Some(PickedPlacement {
            placement,
            found: second,
        })) = self.minimize_counted(&counted, instance, other, limits)?
        else {
            return Ok(CountedOutcome::Unknown);
        };
        let limits = limits.with(other, second.value);
        let ordered = counted.first_in_order(&placement, limits, self.solver, self.effort)?;
        let second_pass = self
            .exact(instance, other, limits, &ordered)
            .filter(|found| found.value <= second.value);
        let second_pass = second_pass.ok_or_else(lost_placement)?;
        Ok(CountedOutcome::Ranked(Box::new(RankedPlacements {
            first: first_pass,
            second: second_pass,
            limits,
            left: Box::new(instance.clone()),
            ordered: true,
        })))
    }

    /// One figure at its least. `None`: the instance is of another kind, or counting did not end in
    /// a proof; `Some(None)`: no placement keeps the limits.
    pub(super) fn minimize_by_counting(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
    ) -> Result<Option<Option<FoundPlacement>>, SolverError> {
        let counted_replicas = self
            .counted(instance, goal)
            .filter(|_| limits.score.is_none());
        let Some(counted) = counted_replicas else {
            return Ok(None);
        };
        Ok(self
            .minimize_counted(&counted, instance, goal, limits)?
            .map(|found| found.map(|picked| picked.found)))
    }

    fn counted(&self, instance: &Instance, goal: Figure) -> Option<Counted> {
        // What the makespan is worth joins all stages in another way.
        if goal == Figure::Score {
            None
        } else {
            Counted::of(instance, self.shape)
        }
    }

    fn minimize_counted(
        &self,
        counted: &Counted,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
    ) -> Result<Option<Option<PickedPlacement>>, SolverError> {
        let found_counts = match goal {
            Figure::Time => counted.fastest(limits, self.solver, self.effort)?,
            Figure::Cost | Figure::Score => counted.cheapest(limits, self.solver, self.effort)?,
        };
        Ok(match found_counts {
            replica_counting::Found::Nothing => Some(None),
            replica_counting::Found::Unknown => None,
            replica_counting::Found::Best(placement) => self
                .exact(instance, goal, limits, &placement)
                .map(|found| Some(PickedPlacement { placement, found })),
        })
    }

    /// A placement that is proven to be the best, if exact figures keep the limits too.
    fn exact(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
        placement: &Placement,
    ) -> Option<FoundPlacement> {
        let known_placement = KnownPlacement {
            tags: choice_tags(instance, placement),
            routes: crate::planning::problem::Routes::new(),
        };
        let exact_value = self.value(instance, goal, limits, &known_placement)?;
        Some(FoundPlacement::proven(known_placement, exact_value))
    }
}
