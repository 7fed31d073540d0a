//! An instance whose open stages are independent but for its limits.

use super::choice_effect::ChoiceEffect;
use super::ids::{GroupId, SharedTransferId};
use super::surroundings::Surroundings;
use crate::model::units::signed_count;
use crate::model::{Millis, Money};
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
    pub(super) groups: IdVec<GroupId, Group>,
    /// The choices of stages with only one.
    pub(super) fixed: Placement,
    /// The cost of those stages and of their transfers.
    pub(super) base_cost: Money,
    /// When the last of them ends that waits for no open stage.
    pub(super) base_time: Millis,
    /// What is left of each cap for the open stages.
    pub(super) room: IdVec<CapId, i64>,
    /// What a transfer of shared data costs, by artifact and site.
    pub(super) transfers: IdVec<SharedTransferId, Money>,
    /// No placement at all keeps the stages' own deadlines and the allowed links.
    pub(super) impossible: bool,
}

/// How many members of each group take each choice.
pub(super) type Counts = IdVec<GroupId, IdVec<ChoiceId, i64>>;

/// Returns what so many members cost together.
pub(super) fn times(cost: Money, members: i64) -> Money {
    Money(cost.0.saturating_mul(members))
}

impl Group {
    /// Forbids choices that are no better than another one in any respect and dearer, or later in
    /// the order that breaks ties. No best placement takes one of them.
    fn forbid_dominated_choices(&mut self) {
        let mut by_cost: Vec<ChoiceId> = self.choices.ids().collect();
        by_cost.sort_by_key(|choice| (self.choices[*choice].cost, *choice));
        let mut undominated: Vec<ChoiceId> = Vec::new();
        for choice in by_cost {
            let effect = &self.choices[choice];
            if !effect.allowed {
                continue;
            }
            let is_dominated = undominated
                .iter()
                .any(|other| self.choices[*other].is_as_good_as(effect));
            if is_dominated {
                self.choices[choice].allowed = false;
            } else {
                undominated.push(choice);
            }
        }
    }
}

impl Counted {
    /// `None`: the instance is of another kind, or has no caps, so that other methods prove it
    /// faster.
    pub(in crate::planning::solve::lexicographic) fn of(
        instance: &Instance,
        shape: &Shape,
    ) -> Option<Self> {
        let can_be_counted = !instance.caps.is_empty()
            && instance.links.pools.is_empty()
            && !routes::possible(instance);
        if !can_be_counted || instance.stages.iter().any(|stage| stage.choices.is_empty()) {
            return None;
        }
        let surroundings = Surroundings::of(instance, shape)?;
        let mut counted_stages = Self {
            groups: IdVec::new(),
            fixed: instance.stages.map(|_| ChoiceId::default()),
            base_cost: surroundings.base_cost,
            base_time: surroundings.base_time,
            room: surroundings.room.clone(),
            transfers: surroundings.shared_costs.clone(),
            impossible: surroundings.impossible,
        };
        let mut columns = 0;
        let mut last_group: Option<GroupId> = None;
        for stage in instance
            .stages
            .ids()
            .filter(|stage| surroundings.open[*stage])
        {
            let choices = surroundings.choices(instance, shape, stage);
            match last_group {
                Some(group) if counted_stages.groups[group].choices == choices => {
                    counted_stages.groups[group].stages.push(stage);
                }
                _ => {
                    columns += choices.len();
                    last_group = Some(counted_stages.groups.push(Group {
                        stages: vec![stage],
                        choices,
                    }));
                }
            }
            if columns > COLUMNS {
                return None;
            }
        }
        for group in counted_stages.groups.iter_mut() {
            group.forbid_dominated_choices();
        }
        Some(counted_stages)
    }

    /// Ends of the whole job that choices lead to, rising, up to a limit.
    pub(super) fn ends(&self, limit: Option<Millis>) -> Vec<Millis> {
        let choices = self
            .groups
            .iter()
            .flat_map(|group| &group.choices)
            .filter(|choice| choice.allowed);
        let all_ends = choices
            .map(|choice| choice.through.max(self.base_time))
            .chain([self.base_time]);
        let possible_ends: BTreeSet<Millis> = all_ends
            .filter(|end| limit.is_none_or(|limit| *end <= limit))
            .collect();
        possible_ends.into_iter().collect()
    }

    /// Returns when the whole job ends.
    pub(super) fn end(&self, counts: &Counts) -> Millis {
        let taken_ends = self.taken(counts).map(|(choice, _)| choice.through);
        taken_ends.fold(self.base_time, Ord::max)
    }

    /// Returns the choices that are taken, with the numbers of their members.
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

    /// Returns what the whole job costs.
    pub(super) fn cost(&self, counts: &Counts) -> Money {
        let own_cost: Money = self
            .taken(counts)
            .map(|(choice, count)| times(choice.cost, count))
            .sum();
        let shared_transfers: BTreeSet<SharedTransferId> = self
            .taken(counts)
            .flat_map(|(choice, _)| &choice.shared)
            .copied()
            .collect();
        let transfers = shared_transfers
            .into_iter()
            .map(|transfer| self.transfers[transfer]);
        self.base_cost + own_cost + transfers.sum()
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
            && limits.cost.is_none_or(|limit| self.cost(counts) <= limit)
            && limits.time.is_none_or(|limit| self.end(counts) <= limit)
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

    /// Returns how many members of each group take each choice.
    pub(super) fn counts(&self, placement: &Placement) -> Counts {
        let of_group = |group: &Group| {
            let mut group_counts = group.choices.map(|_| 0);
            group
                .stages
                .iter()
                .for_each(|stage| group_counts[placement[*stage]] += 1);
            group_counts
        };
        self.groups.map(of_group)
    }
}
