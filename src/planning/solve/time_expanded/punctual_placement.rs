//! Placing stages one after the other so that each is likely to be in time, its inputs' travel
//! included.

use crate::model::Millis;
use crate::planning::problem::{
    ChoiceId, Instance, Origin, Placement, Routes, Shape, StageId, StageInput, ready,
};
use crate::planning::solve::bound::network::Network;
use crate::planning::solve::bound::time_prices::TimePrices;
use crate::util::id_vec::IdVec;

/// A placement that is built stage by stage, in the order of the DAG.
pub(super) struct PunctualPlacement<'a> {
    instance: &'a Instance,
    shape: &'a Shape,
    deadline: i64,
    /// By stage: how long the stages after it are expected to take.
    remaining: IdVec<StageId, i64>,
    /// By stage: when its choice ends.
    end: IdVec<StageId, Millis>,
    pub(super) placement: Placement,
}

impl<'a> PunctualPlacement<'a> {
    /// Begins a placement; `lengths` is, by stage, how long it is expected to take.
    pub(super) fn new(
        instance: &'a Instance,
        shape: &'a Shape,
        deadline: i64,
        lengths: &IdVec<StageId, i64>,
    ) -> Self {
        let mut remaining = lengths.map(|_| 0_i64);
        for &stage in shape.order.iter().rev() {
            for StageInput { origin, .. } in &shape.inputs[stage] {
                if let Origin::Stage(before) = origin {
                    remaining[*before] = remaining[*before].max(remaining[stage] + lengths[stage]);
                }
            }
        }
        let longest_path = remaining
            .iter()
            .zip(lengths)
            .map(|(remaining, length)| remaining + length)
            .fold(1, i64::max);
        // Expected to be late as a whole, all must be faster by the same part.
        let part_of_deadline = |remaining: i64| {
            i128::from(remaining) * i128::from(deadline.min(longest_path))
                / i128::from(longest_path)
        };
        remaining.iter_mut().for_each(|remaining| {
            *remaining = i64::try_from(part_of_deadline(*remaining)).unwrap_or(*remaining)
        });
        let (end, placement) = (
            lengths.map(|_| Millis(0)),
            lengths.map(|_| ChoiceId::default()),
        );
        Self {
            instance,
            shape,
            deadline,
            remaining,
            end,
            placement,
        }
    }

    /// Takes the cheapest choice that is likely in time, else the one that is least late, and
    /// returns the position of its site. `others`: by that position, what it costs besides.
    pub(super) fn place(
        &mut self,
        net: &Network,
        price: &TimePrices,
        stage: StageId,
        other_costs: &[i64],
    ) -> Option<usize> {
        let choices = &self.instance.stages[stage].choices;
        let mut best_choice: Option<((i64, i64, ChoiceId), usize, i64)> = None;
        for (position, (site, at)) in net.nodes[stage]
            .sites
            .iter()
            .zip(&net.nodes[stage].choices)
            .enumerate()
        {
            let ready_time = ready(
                self.instance,
                self.shape,
                &Routes::new(),
                &self.placement,
                &self.end,
                stage,
                *site,
            );
            for pick in at {
                let choice = &choices[*pick];
                let choice_end = (ready_time + choice.duration).signed();
                let late_by = (choice_end + self.remaining[stage] - self.deadline).max(0);
                let duration = choice.duration.signed();
                let own_cost =
                    choice.cost.0 * net.scale + TimePrices::worth(price.of[stage], duration);
                let rank_key = (late_by, own_cost + other_costs[position], *pick);
                if best_choice.is_none_or(|(known, _, _)| rank_key < known) {
                    best_choice = Some((rank_key, position, choice_end));
                }
            }
        }
        let ((_, _, pick), position, end) = best_choice?;
        (self.placement[stage], self.end[stage]) = (pick, Millis::from_signed(end));
        Some(position)
    }
}
