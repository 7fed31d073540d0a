//! The last tie-break: the choices that come first in canonical order.

use super::figure::Figure;
use super::integer_programs::{Tried, target};
use super::placement_search::{
    KnownPlacement, PlacementSearch, choice_positions, choice_tags, lost_placement,
};
use crate::model::Millis;
use crate::model::units::signed_count;
use crate::planning::problem::{Goal, Instance, StageId, StageWeight};
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
        known_placement: KnownPlacement,
    ) -> Result<KnownPlacement, SolverError> {
        let mut instance = self.reduced(instance, limits).ok_or_else(lost_placement)?;
        let mut best_known = known_placement;
        if instance.size() > TIED_CHOICES {
            return Ok(self.nudge(&instance, limits, best_known));
        }
        let mut stages_left: Vec<StageId> = instance.stages.ids().rev().collect();
        while !stages_left.is_empty() {
            let group = take_group(&instance, &mut stages_left);
            let first_choice = |entry: &StageWeight| {
                let choices = &instance.stages[entry.stage].choices;
                choices.iter().next().map(|choice| choice.tag) == Some(best_known.tags[entry.stage])
            };
            if !group.iter().all(first_choice) {
                let target = target(&instance, Goal::Ranks(&group), limits, true);
                if let Tried::Found(found) =
                    self.minimize(&instance, Figure::Cost, &target, limits, Some(&best_known))?
                {
                    best_known = found.known();
                }
            }
            for StageWeight { stage, .. } in &group {
                let kept_choice = best_known.tags[*stage];
                let choices = &mut instance.stages[*stage].choices;
                choices.retain(|choice| choice.tag == kept_choice);
            }
            instance = self.reduced(&instance, limits).ok_or_else(lost_placement)?;
        }
        Ok(best_known)
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
        for stage in best.tags.ids() {
            let kept_placement = best.clone();
            for choice in instance.stages[stage]
                .choices
                .iter()
                .take_while(|choice| choice.tag < kept_placement.tags[stage])
            {
                best.tags[stage] = choice.tag;
                if let Some(moved) =
                    self.resolved(instance, Figure::Cost, limits, best.tags.clone())
                {
                    best = moved.known;
                    break;
                }
                best = kept_placement.clone();
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
        let mut timed_placement = TimedPlacement::new(
            instance,
            self.shape,
            &net,
            choice_positions(instance, &best.tags)?,
        );
        let cost = limits
            .cost
            .map_or(i64::MAX / 4, |limit| limit.0.saturating_mul(net.scale));
        timed_placement.nudge(cost, limits.time.map_or(i64::MAX / 4, Millis::signed));
        self.resolved(
            instance,
            Figure::Cost,
            limits,
            choice_tags(instance, &timed_placement.placement),
        )
        .map(|resolved| resolved.known)
    }
}

/// Takes stages off the end of `left` as long as their ranks fit into one number, with weights so
/// that an earlier stage counts more than all later ones.
fn take_group(instance: &Instance, stages_left: &mut Vec<StageId>) -> Vec<StageWeight> {
    let count = |stage: StageId| signed_count(instance.stages[stage].choices.len());
    let mut product = 1_i64;
    let mut stages = Vec::new();
    while let Some(stage) = stages_left.last().copied() {
        if !stages.is_empty() && product.saturating_mul(count(stage)) > RANKS {
            break;
        }
        product = product.saturating_mul(count(stage));
        stages.push(stage);
        stages_left.pop();
    }
    let mut weight = 1_i64;
    let mut weights = Vec::with_capacity(stages.len());
    for stage in stages.into_iter().rev() {
        weights.push(StageWeight { stage, weight });
        weight = weight.saturating_mul(count(stage));
    }
    weights.reverse();
    weights
}
