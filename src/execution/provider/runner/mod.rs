//! The shared runner: the inside of a machine that is reached by a shell, over SSH. Whoever has
//! such machines says how one is reached ([`SshTarget`](crate::model::hosts::SshTarget)) and gets a
//! [`Link`] to it and, for an attempt on it, a [`RemoteWorker`].
//!
//! On the machine works one shell script, `agent.sh` with `staging.sh` and the loop in
//! `requests.sh`, that is sent whenever a connection begins and leaves nothing behind when it ends:
//! it answers requests over the connection's input and output. A request that is made a hundred
//! times is then a line to and fro each time, not a process here and a session there. Commands run
//! under the supervisor of the provider `local`, in a session of their own: neither a lost
//! connection nor the end of `sky` reaches them, and their lease is watched on the machine.
//!
//! Connections are the system's `ssh`, so that `~/.ssh/config`, agents, jump hosts and keys in
//! hardware work as they do by hand; `$SKY_SSH_CONFIG` names another file of that kind. A
//! connection is a child of `sky` that ends with its input, so none is left when `sky` is killed;
//! there is no master process, and no socket that needs a home.
//!
//! A machine that does not run the commands itself, such as the log-in node of a cluster, gets an
//! agent in which some functions are others; and if it is this very machine, the agent is a child
//! of `sky` without a connection ([`HostTrust::Here`](crate::model::hosts::HostTrust::Here)). What
//! `ssh` does not lead to is reached by a `ShellAccess`, which gives three streams of a shell
//! there: the pods of `kubernetes`.
//!
//! Everything that people write (commands, names, values, contents) travels as data on that input:
//! nothing of it is in a command line, here or there. That input is also the only way of secrets.

mod agent;
mod archives;
mod known_host_file;
mod link;
mod request_format;
mod session;
mod shell_access;
mod ssh_target;
mod staging;
mod vanishing_worker;
mod worker;

pub(super) use agent::Agent;
pub use link::Link;
#[cfg(feature = "kubernetes")]
pub(super) use shell_access::{RunningShell, ShellAccess, ShellStreams};
pub(super) use vanishing_worker::{MachineFate, VanishingWorker};
pub use worker::RemoteWorker;
pub(super) use worker::is_variable;
