//! Every placement, one after the other: the reference for small instances.

use crate::model::Objective;
use crate::problem::{Evaluation, Instance, evaluate};

/// The best placement within the limits: least objective, then least other figure, then the
/// first in the order of choices. `None`: there is none. The work is the product of all numbers
/// of choices.
pub fn best(instance: &Instance) -> Option<(Vec<usize>, Evaluation)> {
    let shape = instance.shape();
    let mut picks = vec![0; instance.stages.len()];
    let mut best: Option<((i64, i64), Vec<usize>, Evaluation)> = None;
    loop {
        if let Some(evaluation) = evaluate(instance, &shape, &picks) {
            let (cost, time) = (evaluation.cost(), evaluation.makespan);
            let within = instance.budget.is_none_or(|budget| cost <= budget)
                && instance.deadline.is_none_or(|deadline| time <= deadline);
            let key = match instance.minimize {
                Objective::Cost => (cost, time),
                Objective::Time => (time, cost),
            };
            // Placements come in lexicographic order, so the first of equals stays.
            if within && best.as_ref().is_none_or(|(known, _, _)| key < *known) {
                best = Some((key, picks.clone(), evaluation));
            }
        }
        // Count up, last stage fastest.
        let Some(stage) =
            (0..picks.len()).rev().find(|stage| picks[*stage] + 1 < instance.stages[*stage].choices.len())
        else {
            return best.map(|(_, picks, evaluation)| (picks, evaluation));
        };
        picks[stage] += 1;
        picks[stage + 1..].fill(0);
    }
}
