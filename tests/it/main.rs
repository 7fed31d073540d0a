//! Integration tests: the library and the binary from outside.

mod apply;
mod architecture;
#[cfg(feature = "aws")]
mod aws;
mod case;
mod check;
mod clouds;
mod conflicts;
mod determinism;
mod directory;
mod errors;
mod europe;
mod explain;
mod flags;
mod frontier;
mod gigabytes;
mod home;
mod import;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod lock;
mod machines;
mod mps;
mod names;
mod offline;
mod oracle;
mod plans;
mod policies;
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
mod update;
mod verify;
