//! Executing a plan: walking its stages, watching them, and leaving a true state behind.
//!
//! - [`check`](check::check) finds everything that stands in the way before anything starts, with
//!   `plan_shape` and `found_inputs`; `preflight` asks the providers whether they are ready.
//! - [`apply_plan`] walks the DAG: `walk` begins stages in the order of `schedule`, with what all
//!   of them share in `context`; `wind_down` ends what it did not come to.
//! - `stage` is the life of one stage, `attempt_life` that of one attempt at it: `acquire_machine`,
//!   `watch`, `attempt_progress`, `attempt_outputs`, `attempt_endings`. Beside an attempt,
//!   `lease_renewal` renews the lease of its machine. `finished_outputs` looks for what a stage has
//!   made that was done before.
//! - [`budget`] and `reservation` set money aside before it can be spent; [`failover`] says which
//!   alternatives still fit when an offer is unavailable, and `offer_search` takes the next.
//! - [`staging`] moves data between stages through buckets, pack by pack in `bucket_transfer`;
//!   `buckets` opens and deletes them. `held_artifacts` are those in the store of this machine;
//!   `evidence` brings home what is worth keeping of an attempt that failed.
//! - [`destroy`] deletes everything, [`sweep`] finds what is in no state, [`refresh`] what was
//!   changed outside; [`take_over`] makes a machine that the state does not know its own.
//!
//! Invariants: every provider call is announced in the journal first. A stage that is done with
//! the same content is never run again; one that may be running is looked up by its token before
//! anything is decided about it. Nothing here prints: what happens is told to an [`Observer`].

mod abandon;
mod acquire_machine;
mod attempt;
mod attempt_endings;
mod attempt_life;
mod attempt_outputs;
mod attempt_progress;
mod bucket_transfer;
mod buckets;
pub mod budget;
mod calls;
pub mod check;
mod collected;
pub mod contents;
mod context;
pub mod destroy;
mod earlier_attempt;
pub mod engine;
mod evidence;
pub mod failover;
mod finished_outputs;
mod found_inputs;
mod held_artifacts;
mod lease_keeper;
mod lease_renewal;
mod log;
pub mod notice;
mod offer_search;
mod open_buckets;
mod outcome;
mod plan_shape;
pub mod preflight;
mod recorder;
pub mod refresh;
mod reservation;
mod schedule;
mod settings;
pub mod signal_deadlines;
mod stage;
mod stage_inputs;
pub mod staging;
mod step_error;
pub mod stray;
pub mod stray_buckets;
pub mod sweep;
pub mod take_over;
mod walk;
mod watch;
mod wind_down;

pub use check::check;
pub use engine::apply_plan;
pub use notice::{Interrupt, Notice, Observer};
pub use outcome::{Balance, Outcome, StageOutcome};
pub use recorder::Recorder;
pub use settings::{Checked, OnFailure, Settings};

use crate::execution::provider::ProviderError;
use crate::execution::state::{LockError, StateError};
use std::io;

/// Why an operation could not be done at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The state could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The lock of the state could not be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A provider could not do what was asked.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A file could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// All that stands in the way, a line each.
    #[error("the plan cannot be applied:\n{}", .0.iter().map(|line| format!("  - {line}")).collect::<Vec<_>>().join("\n"))]
    NotReady(Vec<String>),
    /// The state belongs to another job.
    #[error("this folder holds the state of job `{held}`; the plan is of job `{planned}`")]
    OtherJob {
        /// The job of the state.
        held: String,
        /// The job of the plan.
        planned: String,
    },
    /// The state is of another kind than the apply: a rehearsal, or one with another provider, or
    /// none.
    #[error(
        "the state here is not of this {}: stage.{stage} was run by the provider `{provider}`{}",
        if now.is_some() { "rehearsal" } else { "job, but of a rehearsal of it" },
        if now.is_some() { "" } else { " in place of its cloud" }
    )]
    Rehearsal {
        /// The stage that was begun otherwise.
        stage: String,
        /// The provider that the stage was begun with.
        provider: String,
        /// The provider of this rehearsal; `None`: this is not a rehearsal.
        now: Option<String>,
    },
    /// The plan goes on from a state that is not like that any more.
    #[error("{0}")]
    Stale(String),
    /// Something happened that the code rules out.
    #[error("this is a bug in sky: {0}")]
    Bug(String),
}
