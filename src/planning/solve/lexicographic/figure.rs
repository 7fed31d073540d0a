//! The figures of a placement that are minimised, and the limits on them.

use crate::planning::problem::{Evaluation, Instance, worth};
use crate::planning::solve::limits::Limits;

/// A figure of a placement.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Figure {
    Cost,
    /// Cost and what the makespan is worth.
    Score,
    Time,
}

impl Figure {
    pub(super) fn of(self, instance: &Instance, evaluation: &Evaluation) -> i64 {
        match self {
            Figure::Cost => evaluation.cost(),
            Figure::Score => evaluation
                .cost()
                .saturating_add(worth(instance, evaluation.makespan)),
            Figure::Time => evaluation.makespan,
        }
    }
}

impl Limits {
    pub(super) fn with(self, figure: Figure, value: i64) -> Self {
        match figure {
            Figure::Cost => Self {
                cost: Some(value),
                least: false,
                ..self
            },
            Figure::Score => Self {
                score: Some(value),
                ..self
            },
            Figure::Time => Self {
                time: Some(value),
                ..self
            },
        }
    }

    pub(super) fn hold(self, instance: &Instance, evaluation: &Evaluation) -> bool {
        let keeps = |figure: Figure, limit: Option<i64>| {
            limit.is_none_or(|limit| figure.of(instance, evaluation) <= limit)
        };
        keeps(Figure::Cost, self.cost)
            && keeps(Figure::Time, self.time)
            && keeps(Figure::Score, self.score)
            && instance.lateness(evaluation) == 0
    }
}
