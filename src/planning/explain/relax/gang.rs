//! Relaxing a need for accelerators by spreading them over several machines.

use super::relax_case::RelaxCase;
use super::relaxation::{Relaxation, Relaxed};
use crate::model::{AcceleratorNeed, Work};
use crate::planning::build::optimum;
use crate::planning::solve::SolverError;
use std::collections::BTreeSet;

impl RelaxCase<'_> {
    /// The same cards spread over several machines, if no machine has so many of them.
    pub(super) fn relax_to_gang(&self, name: &str) -> Result<Option<Relaxation>, SolverError> {
        let Some(stage) = self.job.stages.get(name) else {
            return Ok(None);
        };
        for need in &stage.needs.accelerators {
            for each in self.counts_below(need) {
                let machines = need.thousandths.div_ceil(each);
                let cards_of_each = AcceleratorNeed {
                    name: need.name.clone(),
                    thousandths: each,
                };
                let (mut job, policy) = (self.job.clone(), self.policy.clone());
                let Some(spread) = job.stages.get_mut(name) else {
                    continue;
                };
                spread.nodes = spread.nodes.saturating_mul(machines);
                spread.needs.accelerators = BTreeSet::from([cards_of_each.clone()]);
                if let Work::DurationBy(times) = &mut spread.work
                    && let Some(time) = times.get(need).copied()
                {
                    times.insert(cards_of_each.clone(), time);
                }
                if let Some(found) = optimum(&job, &policy, self.catalog, self.effort)? {
                    let relaxed_gang =
                        Relaxed::Gang(cards_of_each, stage.nodes.saturating_mul(machines));
                    return Ok(Some(Relaxation {
                        to: relaxed_gang,
                        figures: Some(found.figures),
                        least: false,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// How many whole cards of this kind machines have, the most first, in thousandths; none if a
    /// machine has as many as are needed.
    fn counts_below(&self, need: &AcceleratorNeed) -> Vec<u32> {
        let cards = self
            .catalog
            .machines
            .iter()
            .filter_map(|machine| machine.accelerator.as_ref());
        let possible_counts: BTreeSet<u32> = cards
            .filter(|(card, _)| self.catalog.is_accelerator(card, &need.name))
            .map(|(_, count)| *count)
            .collect();
        if possible_counts
            .last()
            .is_some_and(|most| *most >= need.thousandths)
        {
            return Vec::new();
        }
        let whole_counts = possible_counts
            .into_iter()
            .rev()
            .filter(|count| *count >= 1000);
        whole_counts.collect()
    }
}
