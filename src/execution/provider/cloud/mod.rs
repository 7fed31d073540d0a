//! What all clouds share whose machines are rented by an API and reached by SSH: a [`Cloud`] says
//! how instances are created, listed, tagged and deleted there, and [`Machines`] makes a provider
//! of it.
//!
//! An instance carries, from the call that creates it on, tags with all that a
//! [`Machine`](super::Machine) says, and the public half of its host key: whoever finds it can
//! reach it without trusting the network. It gets its keys, and the watchdog that ends it when its
//! lease is over, by cloud-init or by a script ([`user_data`]). Inside it the shared
//! [`runner`](super::runner) is at work, as on any host. No credential of a cloud is ever on it.
//!
//! Adding a cloud: a folder that implements [`Cloud`].
//!
//! ```text
//! STATE/keys/client, client.pub    the key that sky logs in with, made when it is first needed;
//!                                  $SKY_SSH_KEY names another
//! STATE/keys/hosts/TOKEN, .pub     the host key of a machine, until it is deleted
//! ```

mod contract;
mod gang;
pub mod instance_tags;
mod machine_fate;
mod machines;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub mod own_addresses;
#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub mod remembered_names;
mod ssh_keys;
mod user_data;

pub use contract::{Cloud, Instance, Life, Notice, Wanted};
pub use machines::Machines;
