//! Good placements, fast and deterministic, without a proof.

pub mod crashing_cuts;
pub mod deadline_repair;
pub mod incumbent;
pub mod local_search;
pub mod network_moves;
