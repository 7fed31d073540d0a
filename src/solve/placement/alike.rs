//! Instances whose stages are alike and independent, which are counted instead of placed one by one.

use super::{Figure, Found, Known, Limits, Ranked, Run, lost, tags};
use crate::problem::Instance;
use crate::solve::counted::{self, Counted};
use crate::solve::solver::SolverError;

/// What counting came to.
pub(super) enum Alike {
    Ranked(Box<Ranked>),
    /// No placement keeps the limits.
    Nothing,
    /// The instance is of another kind, or counting did not end in a proof.
    Unknown,
}

/// Positions of choices, and what they come to.
type Picked = (Vec<usize>, Found);

impl Run<'_> {
    /// All passes over an instance that can be counted.
    pub(super) fn alike(
        &self,
        instance: &Instance,
        (goal, other): (Figure, Figure),
        limits: Limits,
    ) -> Result<Alike, SolverError> {
        let Some(counted) = self.counted(instance, goal) else { return Ok(Alike::Unknown) };
        let first = match self.least(&counted, instance, goal, limits)? {
            None => return Ok(Alike::Unknown),
            Some(None) => return Ok(Alike::Nothing),
            Some(Some((_, first))) => first,
        };
        let limits = limits.with(goal, first.value);
        let Some(Some((picks, second))) = self.least(&counted, instance, other, limits)? else {
            return Ok(Alike::Unknown);
        };
        let limits = limits.with(other, second.value);
        let ordered = counted.first_in_order(&picks, limits, self.solver, self.effort)?;
        let second = self.exact(instance, other, limits, &ordered).filter(|found| found.value <= second.value);
        let second = second.ok_or_else(lost)?;
        Ok(Alike::Ranked(Box::new(Ranked { first, second, limits, left: Box::new(instance.clone()), ordered: true })))
    }

    /// One figure at its least. `None`: the instance is of another kind, or counting did not end in
    /// a proof; `Some(None)`: no placement keeps the limits.
    pub(super) fn best_alike(
        &self,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
    ) -> Result<Option<Option<Found>>, SolverError> {
        let counted = self.counted(instance, goal).filter(|_| limits.score.is_none());
        let Some(counted) = counted else { return Ok(None) };
        Ok(self.least(&counted, instance, goal, limits)?.map(|found| found.map(|(_, found)| found)))
    }

    fn counted(&self, instance: &Instance, goal: Figure) -> Option<Counted> {
        // What the makespan is worth joins all stages in another way.
        if goal == Figure::Score { None } else { Counted::of(instance, self.shape) }
    }

    fn least(
        &self,
        counted: &Counted,
        instance: &Instance,
        goal: Figure,
        limits: Limits,
    ) -> Result<Option<Option<Picked>>, SolverError> {
        let found = match goal {
            Figure::Time => counted.fastest(limits, self.solver, self.effort)?,
            Figure::Cost | Figure::Score => counted.cheapest(limits, self.solver, self.effort)?,
        };
        Ok(match found {
            counted::Found::Nothing => Some(None),
            counted::Found::Unknown => None,
            counted::Found::Best(picks) => self.exact(instance, goal, limits, &picks).map(|found| Some((picks, found))),
        })
    }

    /// A placement that is proven to be the best, if exact figures keep the limits too.
    fn exact(&self, instance: &Instance, goal: Figure, limits: Limits, picks: &[usize]) -> Option<Found> {
        let known = Known { tags: tags(instance, picks), routes: crate::problem::Routes::new() };
        let value = self.value(instance, goal, limits, &known)?;
        Some(Found::proven(known, value))
    }
}
