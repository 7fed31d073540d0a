//! Google Cloud: instances of Compute Engine, by Google's SDK, and TPU VMs ([`tpu`]). Only with the
//! cargo feature `gcp`.
//!
//! One call creates all there is of a machine: `instances.insert`, with the tags as labels
//! ([`labels`]) on the instance and its disk, and user data in its metadata. Its name is made of
//! the token and so is the request's id: made again in the same zone, it makes nothing. Zones of a
//! region are tried in their order, and one that has nothing left is followed by the next; before
//! that all of them are asked for an instance of that name, which an earlier process may have come
//! to make in any. A call that is answered well is only begun: what became of it is read from its
//! operation ([`errors`]).
//!
//! An instance has an external address in the default network, and a firewall rule that admits the
//! caller's address at the SSH port and nobody else; there is one for each state ([`firewall`]). It
//! has no service account, so there is no credential on it.
//!
//! # Leases
//! A machine powers itself off when its lease is over, as everywhere; Google then bills its disk
//! on, until `sky` looks at it, in an apply, a destroy or a sweep, and deletes it
//! ([`Life::Stopped`](super::cloud::Life::Stopped)). Beneath that lies a bound that Google itself
//! keeps, should a machine never come to run its watchdog, or should it hang: `maxRunDuration`, at
//! whose end the machine is deleted with its disk. It cannot be changed while a machine runs, and
//! leases are renewed; it is therefore no lease but the first lease and 7 days, or what
//! `SKY_GCP_MAX_DAYS` says. A stage whose leases were renewed for longer loses its machine, and its
//! next attempt goes on from what it has saved. A budget is kept by leases, not by this bound.
//!
//! Spot machines are deleted when Google takes them back. That it was Google is then read from the
//! project's operations.
//!
//! # Trusted execution environments
//! A stage that demands SEV, SEV-SNP or TDX gets a Confidential VM. Google makes no machine at all
//! of a type, in a zone or with an image that cannot be one.
//!
//! # Settings
//! Credentials come from the SDK's standard chain (Application Default Credentials): the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names, that of `gcloud auth application-default login`, or the
//! service account of a machine at Google.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_GCP_PROJECT`, `GOOGLE_CLOUD_PROJECT` | the project; without them, the one of the credentials |
//! | `SKY_GCP_IMAGE` | the image, as `projects/P/global/images/family/F`; Ubuntu 24.04 by default. It needs cloud-init |
//! | `SKY_GCP_NETWORK`, `SKY_GCP_SUBNETWORK` | the network, `default` by default, and for one without automatic subnetworks the subnetwork |
//! | `SKY_GCP_TPU_VERSION` | the software of TPU VMs; the one of their generation by default |
//! | `SKY_GCP_MAX_DAYS` | see above; from 1 to 120 |
//! | `SKY_GCP_ENDPOINT` | another address of the APIs; one without TLS is sent no credentials |
//! | `SKY_SSH_FROM` | the IPv4 addresses or networks that are let in, with commas; by default what the world sees this machine under |

mod account;
mod api_client;
mod check;
mod cloud;
mod errors;
mod firewall;
mod instances;
mod labels;
mod launch;
mod machine_type;
mod rest_client;
mod tpu;
mod tpu_node;
mod tpu_slice;

pub use account::Gcp;
pub use api_client::Settings;
pub use cloud::{open, present};
