//! Microsoft Azure: virtual machines, by the SDK of that name, and the few routes of its Resource
//! Manager that the machines' client has not ([`api_client`]). Only with the cargo feature `azure`.
//!
//! All that a state has there is in one resource group ([`resource_group`]), and within it each
//! region in use has a network whose rules admit the caller's address at the SSH port and nobody
//! else ([`firewall`]). One call creates all there is of a machine: its interface, its public
//! address and its disk are made with it and deleted with it, so nothing is paid for that has no
//! tags. Its name is made of the token and the region, and the call says that nothing may be there
//! by that name: made again, it makes nothing. The SDK's own way of waiting would send the call
//! again and takes any answer for success, so what became of it is read from its operation
//! ([`errors`]).
//!
//! A machine has no identity at Azure, so there is no credential on it.
//!
//! What a type is, and whether this subscription can have it at a place, is asked before
//! ([`machine_type`]). Types whose memory is encrypted (SEV-SNP, TDX) become confidential machines,
//! with the image that is made for them; those of SGX need none of that.
//!
//! # Leases
//! A machine powers itself off when its lease is over, as everywhere; but one that is off is billed
//! on at Azure, until `sky` looks at it, in an apply, a destroy or a sweep, and deletes it
//! ([`Life::Stopped`](super::cloud::Life::Stopped)).
//!
//! Spot machines are deleted when Azure takes them back, without a trace in the lists. One that is
//! gone although nobody asked this process for its end is therefore held to be taken back; another
//! process, which has never seen it, holds it to be lost.
//!
//! # Settings
//! Credentials come from the SDK's standard chain: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and a
//! secret or a federated token of the environment, the identity of a machine at Azure, `az login`.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_AZURE_SUBSCRIPTION`, `AZURE_SUBSCRIPTION_ID` | the subscription; without them, the default one of `az` |
//! | `SKY_AZURE_IMAGE` | the image, as `PUBLISHER:OFFER:SKU:VERSION` or by its id; Ubuntu 24.04 by default. It needs cloud-init |
//! | `SKY_AZURE_ENDPOINT` | another address of the API; one without TLS must be of this machine, and is sent no credentials |
//! | `SKY_SSH_FROM` | the IPv4 addresses or networks that are let in, with commas; by default what the world sees this machine under |

mod account;
mod api_client;
mod api_versions;
mod check;
mod cloud;
mod errors;
mod firewall;
mod instances;
mod launch;
mod machine_type;
mod resource_group;

pub use account::Azure;
pub use api_client::Settings;
pub use cloud::{open, present};
