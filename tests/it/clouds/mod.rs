//! Clouds whose machines are rented by an API: their providers, against counterparts on this machine.

mod discovery;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "gcp")]
pub mod google;
