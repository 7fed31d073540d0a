//! Clouds whose machines are rented by an API: their providers, against counterparts on this machine.

#[cfg(feature = "gcp")]
mod answers;
#[cfg(feature = "gcp")]
mod client;
#[cfg(feature = "gcp")]
mod discovery;
#[cfg(all(feature = "aws", feature = "gcp"))]
mod failover;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "gcp")]
pub mod google;
#[cfg(feature = "gcp")]
mod project;
#[cfg(feature = "gcp")]
mod machine;
#[cfg(feature = "gcp")]
mod nodes;
#[cfg(feature = "gcp")]
mod tpu;
