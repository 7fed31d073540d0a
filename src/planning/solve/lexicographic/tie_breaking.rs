//! The last tie-break: the choices that come first in canonical order.

use super::figure::Figure;
use super::integer_programs::{Tried, target};
use super::placement_search::{
    KnownPlacement, PlacementSearch, choice_positions, choice_tags, lost_placement,
};
use crate::planning::problem::{Goal, Instance};
use crate::planning::solve::backend::solver::SolverError;
use crate::planning::solve::bound::closing_bounds::has_direct_transfers_only;
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::heuristic::deadline_repair::TimedPlacement;
use crate::planning::solve::limits::Limits;

/// Ties in cost between more choices than this are broken by single-stage moves, which is as
/// deterministic, instead of by programs: the cost is proven, the makespan at that cost is not.
pub(super) const TIED_CHOICES: usize = 300;
/// Ranks of a group of stages are one number below this, well inside a double's integers.
const RANKS: i64 = 1_000_000;

impl PlacementSearch<'_> {
    /// Among placements within the limits, the one whose choices come first, stage by stage.
    pub(super) fn first_in_order(
        &self,
        instance: &Instance,
        limits: Limits,
        known: KnownPlacement,
    ) -> Result<KnownPlacement, SolverError> {
        let mut instance = self.reduced(instance, limits).ok_or_else(lost_placement)?;
        let mut best = known;
        if instance.size() > TIED_CHOICES {
            return Ok(self.nudge(&instance, limits, best));
        }
        let mut next = 0;
        while next < instance.stages.len() {
            let (group, end) = group(&instance, next);
            let first = |stage: usize| instance.stages[stage].choices[0].tag == best.tags[stage];
            if !(next..end).all(first) {
                let target = target(&instance, Goal::Ranks(&group), limits, true);
                if let Tried::Found(found) =
                    self.minimize(&instance, Figure::Cost, &target, limits, Some(&best))?
                {
                    best = found.known();
                }
            }
            for (stage, tag) in instance
                .stages
                .iter_mut()
                .zip(&best.tags)
                .take(end)
                .skip(next)
            {
                stage.choices.retain(|choice| choice.tag == *tag);
            }
            instance = self.reduced(&instance, limits).ok_or_else(lost_placement)?;
            next = end;
        }
        Ok(best)
    }

    /// Moves single stages to earlier choices while the limits hold.
    pub(super) fn nudge(
        &self,
        instance: &Instance,
        limits: Limits,
        mut best: KnownPlacement,
    ) -> KnownPlacement {
        if has_direct_transfers_only(instance) && limits.score.is_none() {
            return self.nudged(instance, limits, &best).unwrap_or(best);
        }
        for stage in 0..best.tags.len() {
            let kept = best.clone();
            for choice in instance.stages[stage]
                .choices
                .iter()
                .take_while(|choice| choice.tag < kept.tags[stage])
            {
                best.tags[stage] = choice.tag;
                if let Some((moved, _)) =
                    self.resolved(instance, Figure::Cost, limits, best.tags.clone())
                {
                    best = moved;
                    break;
                }
                best = kept.clone();
            }
        }
        best
    }

    /// Does as [`Self::nudge`], where a move changes nothing but the stage's own artifacts.
    fn nudged(
        &self,
        instance: &Instance,
        limits: Limits,
        best: &KnownPlacement,
    ) -> Option<KnownPlacement> {
        let net = Network::new(instance, self.shape, true)?;
        let mut timed = TimedPlacement::new(
            instance,
            self.shape,
            &net,
            choice_positions(instance, &best.tags)?,
        );
        let cost = limits
            .cost
            .map_or(i64::MAX / 4, |limit| limit.saturating_mul(net.scale));
        timed.nudge(cost, limits.time.unwrap_or(i64::MAX / 4));
        self.resolved(
            instance,
            Figure::Cost,
            limits,
            choice_tags(instance, &timed.picks),
        )
        .map(|(known, _)| known)
    }
}

/// The stages from `next` on whose ranks fit into one number, with weights so that an earlier
/// stage counts more than all later ones; and the first stage after them.
fn group(instance: &Instance, next: usize) -> (Vec<(usize, i64)>, usize) {
    let mut product = 1_i64;
    let mut end = next;
    while end < instance.stages.len() {
        let count = i64::try_from(instance.stages[end].choices.len()).unwrap_or(i64::MAX);
        if end > next && product.saturating_mul(count) > RANKS {
            break;
        }
        product = product.saturating_mul(count);
        end += 1;
    }
    let mut weight = 1_i64;
    let mut weights = Vec::with_capacity(end - next);
    for stage in (next..end).rev() {
        weights.push((stage, weight));
        weight = weight.saturating_mul(
            i64::try_from(instance.stages[stage].choices.len()).unwrap_or(i64::MAX),
        );
    }
    weights.reverse();
    (weights, end)
}
