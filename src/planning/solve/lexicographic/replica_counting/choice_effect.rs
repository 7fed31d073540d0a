//! What one choice means for each member of a group of stages that are alike.

use crate::planning::problem::CapId;

/// The effect of one choice on cost, time and caps, the same for each member of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChoiceEffect {
    /// In micro-USD, with the transfers that no other stage shares.
    pub cost: i64,
    /// The longest path through the stage, in milliseconds.
    pub through: i64,
    /// By cap: what it uses.
    pub uses: Vec<(CapId, i64)>,
    /// Transfers that it shares with other stages, as indices into `Counted::transfers`.
    pub shared: Vec<usize>,
    /// Every transfer is allowed and every stage's own deadline is kept.
    pub allowed: bool,
}
