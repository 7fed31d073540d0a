//! Clouds whose machines are rented by an API: their providers, against counterparts on this machine.

#[cfg(feature = "gcp")]
mod answers;
#[cfg(feature = "azure")]
mod arm;
#[cfg(feature = "azure")]
mod azure;
#[cfg(feature = "gcp")]
mod discovery;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "gcp")]
pub mod google;
#[cfg(feature = "azure")]
mod http;
#[cfg(feature = "azure")]
mod metal;
#[cfg(feature = "azure")]
pub mod microsoft;
#[cfg(feature = "azure")]
mod models;
#[cfg(feature = "azure")]
mod world;
