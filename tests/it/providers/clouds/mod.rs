//! Clouds whose machines are rented by an API: their providers, against counterparts on this
//! machine.

#[cfg(feature = "gcp")]
mod answers;
#[cfg(feature = "azure")]
mod arm;
#[cfg(feature = "azure")]
mod azure;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod bert;
#[cfg(all(feature = "azure", feature = "gcp"))]
mod check;
#[cfg(feature = "gcp")]
mod client;
#[cfg(feature = "gcp")]
mod discovery;
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod failover;
#[cfg(feature = "gcp")]
mod gcp;
#[cfg(feature = "gcp")]
pub(crate) mod google;
#[cfg(feature = "azure")]
mod http;
#[cfg(feature = "gcp")]
mod machine;
#[cfg(any(feature = "azure", feature = "gcp"))]
mod metal;
#[cfg(feature = "azure")]
pub(crate) mod microsoft;
#[cfg(feature = "azure")]
mod models;
#[cfg(feature = "gcp")]
mod nodes;
#[cfg(all(feature = "azure", feature = "gcp"))]
mod notice;
#[cfg(feature = "gcp")]
mod tpu;
#[cfg(feature = "azure")]
mod world;
