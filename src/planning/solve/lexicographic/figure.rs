//! The figures of a placement that are minimised, and the limits on them.

use crate::model::{Millis, Money};
use crate::planning::problem::{Evaluation, Instance, worth};
use crate::planning::solve::limits::Limits;

/// A figure of a placement. Its values are plain numbers: micro-USD or milliseconds.
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
            Figure::Cost => evaluation.cost().0,
            Figure::Score => (evaluation.cost() + worth(instance, evaluation.makespan)).0,
            Figure::Time => evaluation.makespan.signed(),
        }
    }
}

impl Limits {
    pub(super) fn with(self, figure: Figure, value: i64) -> Self {
        match figure {
            Figure::Cost => Self {
                cost: Some(Money(value)),
                least: false,
                ..self
            },
            Figure::Score => Self {
                score: Some(Money(value)),
                ..self
            },
            Figure::Time => Self {
                time: Some(Millis::from_signed(value)),
                ..self
            },
        }
    }

    pub(super) fn hold(self, instance: &Instance, evaluation: &Evaluation) -> bool {
        let score = || evaluation.cost() + worth(instance, evaluation.makespan);
        self.cost.is_none_or(|limit| evaluation.cost() <= limit)
            && self.time.is_none_or(|limit| evaluation.makespan <= limit)
            && self.score.is_none_or(|limit| score() <= limit)
            && instance.lateness(evaluation) == Millis(0)
    }
}
