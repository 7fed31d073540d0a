//! Integration tests: the library and the binary from outside.

#![allow(
    clippy::disallowed_methods,
    reason = "tests prepare files and variables by themselves"
)]

mod apply;
mod architecture;
#[cfg(feature = "aws")]
mod aws;
mod card_requests;
mod case;
mod check;
mod clouds;
mod conflicts;
mod determinism;
mod directory;
mod door;
mod errors;
mod europe;
mod explain;
mod flags;
mod frontier;
mod gigabytes;
mod home;
mod hostile;
mod import;
mod json_answers;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod lock;
mod machines;
mod max_price;
mod missing_providers;
mod mps;
mod names;
mod nearest_names;
mod offline;
mod oracle;
mod own_hosts;
mod pinned_plans;
mod plans;
mod policies;
mod preview;
mod proof;
mod properties;
mod relations;
mod rich;
mod rules;
mod safety;
mod sandbox;
mod services;
mod simulation;
mod slurm;
mod slurmd;
mod ssh;
mod sshd;
mod staging;
mod stores;
mod tee;
mod time_limit;
mod update;
mod verify;
