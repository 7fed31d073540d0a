//! Good placements, fast and deterministic, without a proof.

pub(super) mod allowed_choices;
pub(super) mod crashing_cuts;
pub(super) mod deadline_repair;
pub(super) mod incumbent;
pub(super) mod local_search;
pub(super) mod network_moves;
