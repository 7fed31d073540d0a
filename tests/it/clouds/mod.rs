//! Clouds whose machines are rented by an API: their providers, against counterparts on this machine.

#[cfg(feature = "gcp")]
mod answers;
#[cfg(feature = "gcp")]
mod client;
#[cfg(feature = "gcp")]
mod discovery;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "gcp")]
pub mod google;
#[cfg(feature = "gcp")]
mod machine;
#[cfg(feature = "gcp")]
mod nodes;
#[cfg(feature = "gcp")]
mod tpu;
