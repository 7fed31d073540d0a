//! From a job, a policy and a catalog to a plan, its proof and its explanation.

pub(crate) mod card_requests;
pub(crate) mod conflicts;
pub(crate) mod determinism;
pub(crate) mod europe;
pub(crate) mod explain;
pub(crate) mod frontier;
pub(crate) mod gigabytes;
pub(crate) mod machines;
pub(crate) mod max_price;
pub(crate) mod mps;
pub(crate) mod oracle;
pub(crate) mod pinned_plans;
pub(crate) mod plans;
pub(crate) mod policies;
pub(crate) mod properties;
pub(crate) mod relations;
pub(crate) mod rules;
pub(crate) mod services;
pub(crate) mod tee;
pub(crate) mod time_limit;
pub(crate) mod verify;
pub(crate) mod waves;
