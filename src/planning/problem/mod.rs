//! The problem as numbers: which option each stage takes.
//!
//! Two forms: the placement problem itself ([`Instance`], small and exact) and the mixed-integer
//! program made from it ([`Program`]).
//!
//! Invariant: nothing here knows a cloud, a file or a solver; all figures are integers.

pub mod concurrency;
pub mod evaluate;
pub mod ids;
pub mod instance;
pub mod lower;
pub mod mps;
mod price_groups;
pub mod program;
pub mod routes;
pub mod timetable;

pub use concurrency::cap_usage;
pub use evaluate::{
    Evaluation, Followers, ReadersAtSite, Transfer, artifacts_by_stage, caused, evaluate,
    evaluate_on, local_cost, ready, spread, worth,
};
pub use ids::{
    ArtifactId, CandidateId, CapId, ChoiceId, ColumnId, PlacedCandidates, Placement, PoolId,
    PriceId, SiteId, StageId,
};
pub use instance::{
    Artifact, CandidateUse, Cap, Choice, Instance, Links, Origin, Pool, Precedence, Price, Shape,
    StageChoices, StageInput,
};
pub use lower::{Goal, Lowered, Relay, StageWeight, Target, lower};
pub use program::{Column, Program, Row, SOLVER_SEED, Terms};
pub use routes::Routes;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
