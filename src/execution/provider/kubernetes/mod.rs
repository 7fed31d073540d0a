//! The `kubernetes` provider: clusters of one's own, named in `hosts.toml`
//! ([`crate::spec::hosts`]), are a private cloud `kubernetes`. Only with the cargo feature
//! `kubernetes`.
//!
//! A machine is a Job with one pod, whose only process waits. What is to run comes later, through
//! `exec` and the agent of the shared [`runner`](super::runner), as on any host: so neither the Job
//! nor anything else that the cluster keeps holds a command, a file or a secret. A pod has no
//! credential of the cluster.
//!
//! - A Job is named after its token and made by server-side apply, so making it again makes
//!   nothing. Labels and annotations say whose it is ([`job`]).
//! - The machine is the pod that was first seen to run, whose uid is then written on the Job. A pod
//!   that the cluster puts in its place is empty, and no machine: the first is taken for preempted.
//! - A lease is watched in the pod, to the second, and by the cluster, which ends the Job a minute
//!   later (`activeDeadlineSeconds`, moved when the lease is renewed) and forgets it after a day.
//! - What [`Provider::create`](super::Provider::create) makes may have to wait for a node;
//!   [`Provider::worker`](super::Provider::worker) waits with it, for as long as the inventory
//!   says, and then tells why there is none: [`ErrorKind::Stockout`](super::ErrorKind::Stockout) in
//!   the scheduler's words, or [`ErrorKind::Quota`](super::ErrorKind::Quota).
//! - Deletion goes from the Job to its pod, and is waited for.
//!
//! Credentials are those that `kubectl` would use. They must allow to get, list, create, patch and
//! delete Jobs, to get, list and delete pods, and to get and create `pods/exec`; who may list
//! events is told of quotas.

mod access;
mod check;
mod errors;
mod exec;
mod job;
mod machine;
mod machine_fate;
mod pod;
mod provider;

pub use provider::Kubernetes;
