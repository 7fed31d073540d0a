//! Where stages run: code that can create, run and delete at a cloud.
//!
//! A [`Provider`] rents and returns machines; a [`Worker`] is the inside of one machine, for one
//! attempt of one stage; [`Staging`] is what a worker does with buckets, if it can use them. A
//! cloud implements the first and shares the second with all others whose machines are reached the
//! same way. `local` implements both with processes on this machine, and is the reference: what it
//! does is what the contract means. The inside of machines that are reached by SSH is in
//! [`runner`], which `ssh`, one's own hosts, `slurm`, one's own clusters, and all of [`cloud`]
//! share: what is rented by an API; and `kubernetes`, one's own clusters of that kind, for its
//! pods. `aws`, `azure`, `gcp` and `kubernetes` are there only with the cargo features of these
//! names.
//!
//! Adding a provider: one folder here that implements the two traits, and one line in [`open`].
//!
//! The contract, which the engine builds on:
//! - Every call may be made again with the same arguments after a crash, and then changes nothing
//!   that the first has changed already. This includes calls of which no answer ever came.
//! - A token stands for one machine, for good: creating twice gives one machine, and starting
//!   twice runs the command once.
//! - What a call makes carries the token and the owner before it costs anything, so that
//!   [`Provider::list`] finds it even if its maker dies at once.
//! - A command does not end because `sky` does, or loses its connection.
//! - Calls are level-triggered: the engine asks for the status, and nothing is lost if it was
//!   not listening when something happened.
//! - What a call makes has a lease: past its end the machine ends itself, whatever became of
//!   `sky`. A lease counts the machine's own time that is left, so that clocks that differ or
//!   jump do no harm.
//! - A stage that demands a trusted execution environment ([`MachineSpec::tee`]) gets a machine
//!   that runs with it, or none. Only `local` and `sim` do without: what they run stays on this
//!   machine.
//! - A secret reaches the command's environment and nothing else: no file, no log, no argument.
//!
//! Invariant: providers print nothing, journal nothing, and know no plan and no state.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod check;
pub mod cloud;
mod error;
#[cfg(feature = "gcp")]
pub mod gcp;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod lease_end;
pub mod local;
mod machine;
mod names;
mod pauses;
mod provider_contract;
mod registry;
pub mod runner;
pub mod sim;
pub mod slurm;
pub mod ssh;
mod staging_contract;
mod task;
mod token;
mod worker_contract;

#[cfg(any(feature = "azure", feature = "gcp"))]
use error::created_and_gone;
pub use error::{ErrorKind, ProviderError};
use error::{ended_or_gone, without_tee};
pub use lease_end::LeaseEnd;
pub use machine::{Machine, MachineSpec, Owner, Survey};
pub use names::{AWS, AZURE, GCP, KUBERNETES, LOCAL, NAMES, SIM, SLURM, SSH, unknown};
pub use provider_contract::{Evidence, Provider};
pub use registry::{Access, Registry, is_built_in, of_cloud, open, present};
pub use staging_contract::Staging;
pub use task::{Content, Delivery, Fetch, Item, Moved, Nodes, Parcel, Source, Task, Written};
pub use token::Token;
pub use worker_contract::{RunStatus, Worker};
