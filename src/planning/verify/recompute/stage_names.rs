//! How differences name a member of a planned stage.

use crate::plan::PlannedStage;

/// Returns the name of a member: `stages.train.cost_micro_usd`.
pub(super) fn member(planned: &PlannedStage, name: &str) -> String {
    format!("stages.{}.{name}", planned.name)
}
