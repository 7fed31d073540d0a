//! An instance whose open stages are independent but for its limits.

use super::choice_effect::ChoiceEffect;
use super::surroundings::Surroundings;
use crate::model::Millis;
use crate::model::units::signed_count;
use crate::planning::problem::{CapId, ChoiceId, Instance, Placement, Shape, StageId, routes};
use crate::planning::solve::limits::Limits;
use crate::util::id_vec::IdVec;
use std::collections::BTreeSet;

/// More pairs of a group and a choice than this are left to the other methods.
const COLUMNS: usize = 20_000;

/// Stages that follow each other in the order of the instance and are alike in all that counts.
pub(super) struct Group {
    pub stages: Vec<StageId>,
    pub choices: IdVec<ChoiceId, ChoiceEffect>,
}

/// An instance whose open stages are independent but for its limits.
pub(in crate::planning::solve::lexicographic) struct Counted {
    pub groups: Vec<Group>,
    /// The choices of stages with only one.
    pub fixed: Placement,
    /// The cost of those stages and of their transfers.
    pub base_cost: i64,
    /// When the last of them ends that waits for no open stage.
    pub base_time: i64,
    /// What is left of each cap for the open stages.
    pub room: IdVec<CapId, i64>,
    /// What a transfer of shared data costs, by artifact and site.
    pub transfers: Vec<i64>,
    /// No placement at all keeps the stages' own deadlines and the allowed links.
    pub impossible: bool,
}

/// How many members of each group take each choice.
pub(super) type Counts = Vec<IdVec<ChoiceId, i64>>;

impl Counted {
    /// `None`: the instance is of another kind, or has no caps, so that other methods prove it
    /// faster.
    pub(in crate::planning::solve::lexicographic) fn of(
        instance: &Instance,
        shape: &Shape,
    ) -> Option<Self> {
        let counts = !instance.caps.is_empty()
            && instance.links.pools.is_empty()
            && !routes::possible(instance);
        if !counts || instance.stages.iter().any(|stage| stage.choices.is_empty()) {
            return None;
        }
        let surroundings = Surroundings::of(instance, shape)?;
        let mut counted = Self {
            groups: Vec::new(),
            fixed: instance.stages.map(|_| ChoiceId::default()),
            base_cost: surroundings.base_cost,
            base_time: surroundings.base_time,
            room: surroundings.room.clone(),
            transfers: surroundings
                .shared
                .values()
                .map(|(_, cost)| *cost)
                .collect(),
            impossible: surroundings.impossible,
        };
        let mut columns = 0;
        for stage in instance
            .stages
            .ids()
            .filter(|stage| surroundings.open[*stage])
        {
            let choices = surroundings.choices(instance, shape, stage);
            match counted.groups.last_mut() {
                Some(group) if group.choices == choices => group.stages.push(stage),
                _ => {
                    columns += choices.len();
                    counted.groups.push(Group {
                        stages: vec![stage],
                        choices,
                    });
                }
            }
            if columns > COLUMNS {
                return None;
            }
        }
        Some(counted)
    }

    /// Ends of the whole job that choices lead to, rising, up to a limit.
    pub(super) fn ends(&self, limit: Option<i64>) -> Vec<i64> {
        let choices = self
            .groups
            .iter()
            .flat_map(|group| &group.choices)
            .filter(|choice| choice.allowed);
        let ends = choices
            .map(|choice| choice.through.max(self.base_time))
            .chain([self.base_time]);
        let ends: BTreeSet<i64> = ends
            .filter(|end| limit.is_none_or(|limit| *end <= limit))
            .collect();
        ends.into_iter().collect()
    }

    pub(super) fn end(&self, counts: &Counts) -> i64 {
        let taken = self.taken(counts).map(|(choice, _)| choice.through);
        taken
            .chain([self.base_time])
            .max()
            .unwrap_or(self.base_time)
    }

    fn taken<'c>(&'c self, counts: &'c Counts) -> impl Iterator<Item = (&'c ChoiceEffect, i64)> {
        let groups = self.groups.iter().zip(counts);
        groups.flat_map(|(group, counts)| {
            group
                .choices
                .iter()
                .zip(counts)
                .filter(|(_, count)| **count > 0)
                .map(|(choice, count)| (choice, *count))
        })
    }

    pub(super) fn cost(&self, counts: &Counts) -> i64 {
        let own: i64 = self
            .taken(counts)
            .map(|(choice, count)| choice.cost.saturating_mul(count))
            .sum();
        let shared: BTreeSet<usize> = self
            .taken(counts)
            .flat_map(|(choice, _)| &choice.shared)
            .copied()
            .collect();
        self.base_cost
            + own
            + shared
                .into_iter()
                .map(|transfer| self.transfers[transfer])
                .sum::<i64>()
    }

    /// Whether a placement keeps every limit, exactly.
    pub(super) fn keeps(&self, counts: &Counts, limits: Limits) -> bool {
        let mut room = self.room.clone();
        for (choice, count) in self.taken(counts) {
            choice.uses.iter().for_each(|(cap, used)| {
                room[*cap] = room[*cap].saturating_sub(used.saturating_mul(count))
            });
        }
        let complete =
            self.groups.iter().zip(counts).all(|(group, counts)| {
                counts.iter().sum::<i64>() == signed_count(group.stages.len())
            });
        complete
            && room.iter().all(|left| *left >= 0)
            && self.taken(counts).all(|(choice, _)| choice.allowed)
            && limits.cost.is_none_or(|limit| self.cost(counts) <= limit.0)
            && limits
                .time
                .is_none_or(|limit| self.end(counts) <= limit.signed())
    }

    /// Counts as positions of choices: the first members of a group take its first choices.
    pub(super) fn placement(&self, counts: &Counts) -> Placement {
        let mut placement = self.fixed.clone();
        for (group, counts) in self.groups.iter().zip(counts) {
            // Counts that keep the limits are not negative.
            let of_choice =
                |(position, count): (ChoiceId, &i64)| (0..*count).map(move |_| position);
            let positions = counts.iter_enumerated().flat_map(of_choice);
            group
                .stages
                .iter()
                .zip(positions)
                .for_each(|(stage, position)| placement[*stage] = position);
        }
        placement
    }

    pub(super) fn counts(&self, placement: &Placement) -> Counts {
        let of_group = |group: &Group| {
            let mut counts = group.choices.map(|_| 0);
            group
                .stages
                .iter()
                .for_each(|stage| counts[placement[*stage]] += 1);
            counts
        };
        self.groups.iter().map(of_group).collect()
    }
}
