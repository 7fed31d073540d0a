//! The `ssh` provider: one's own hosts, named in `hosts.toml` ([`crate::spec::hosts`]), are a
//! private cloud `ssh`. A machine is a place on a host, and a folder there:
//!
//! ```text
//! ROOT/machines/TOKEN/tags       whose it is; written before anything can run
//! ROOT/machines/TOKEN/lease_end  when its lease ends
//! ROOT/machines/TOKEN/box/       its disk, as of the provider `local`
//! ```
//!
//! A host takes as many machines at a time as it has slots, whoever's they are; one that is given
//! back, or whose lease is over while nothing of it runs, takes none. Who comes when all hosts of a
//! type are taken gets [`ErrorKind::Stockout`](super::ErrorKind::Stockout).
//!
//! Nothing is known of a host that does not answer. So `list`, and what looks for a machine that no
//! other host has, fail then, and name it; and nothing is created on another host of the same type,
//! lest the machine that a lost answer was about be there twice. A host that is gone for good is
//! taken out of the inventory.

mod provider;
pub(super) mod tags;

pub use provider::Ssh;
