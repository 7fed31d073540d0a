//! What one choice means for each member of a group of stages that are alike.

use super::ids::SharedTransferId;
use crate::model::{Millis, Money};
use crate::planning::problem::CapId;

/// The effect of one choice on cost, time and caps, the same for each member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChoiceEffect {
    /// What a member costs, with the transfers that no other stage shares.
    pub cost: Money,
    /// The longest path through the stage.
    pub through: Millis,
    /// By cap: what it uses.
    pub uses: Vec<(CapId, i64)>,
    /// Transfers that it shares with other stages.
    pub shared: Vec<SharedTransferId>,
    /// Every transfer is allowed and every stage's own deadline is kept.
    pub allowed: bool,
}

impl ChoiceEffect {
    /// Returns whether a member that takes this choice instead of another one is no later, uses no
    /// more of any cap and reads the same shared data.
    pub(super) fn is_as_good_as(&self, other: &Self) -> bool {
        let used_by_other = |cap: CapId| {
            let found = other.uses.iter().find(|(used_cap, _)| *used_cap == cap);
            found.map_or(0, |(_, used)| *used)
        };
        self.through <= other.through
            && self.shared == other.shared
            && self
                .uses
                .iter()
                .all(|(cap, used)| *used <= used_by_other(*cap))
    }
}
