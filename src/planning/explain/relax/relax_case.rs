//! A line that is to be relaxed, what it is part of, and the best without it.

use super::relaxation::{Relaxation, Relaxed};
use crate::catalog::Catalog;
use crate::model::{Job, Needs, Policy};
use crate::planning::build::Optimum;
use crate::planning::explain::constraint::Constraint;
use crate::planning::explain::need::Need;
use crate::planning::solve::Effort;

/// A line, what it is part of, and the best without it.
pub(super) struct RelaxCase<'a> {
    pub constraint: &'a Constraint,
    pub job: &'a Job,
    pub policy: &'a Policy,
    pub catalog: &'a Catalog,
    pub effort: &'a Effort,
    pub free: &'a Optimum,
}

impl RelaxCase<'_> {
    /// The line goes altogether.
    pub(super) fn dropped(&self) -> Relaxation {
        Relaxation {
            to: Relaxed::Drop,
            figures: Some(self.free.figures),
            least: true,
        }
    }
}

/// Changes a need of a stage, also where it was copied into alternatives.
pub(super) fn change_need(job: &mut Job, name: &str, need: Need, set: impl Fn(&mut Needs)) {
    let Some(stage) = job.stages.get_mut(name) else {
        return;
    };
    let common_needs = stage.needs.clone();
    stage
        .needs
        .any_of
        .iter_mut()
        .filter(|other| need.same(other, &common_needs))
        .for_each(&set);
    set(&mut stage.needs);
}
