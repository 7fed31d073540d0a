//! Amazon Web Services: instances of EC2, by its SDK. Only with the cargo feature `aws`.
//!
//! One call creates all there is of a machine: RunInstances, with the token as its ClientToken, the
//! tags on the instance, its volume and its network interface, and shutdown that terminates: what
//! powers itself off at the end of its lease costs nothing any more. The ClientToken makes that
//! call one instance however often it is made; that it is made again with a newer lease, which AWS
//! takes for a mistake, is answered by looking for the instance.
//!
//! An instance is in the default VPC of its region and has a public address. Its security group
//! admits the caller's address at the SSH port and nobody else; there is one for each region and
//! state ([`firewall`]). It has no role, so there is no credential on it.
//!
//! Credentials come from the SDK's standard chain: variables of the environment, `~/.aws` with SSO
//! and programs that give them, web identity, the role of a container or an instance.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_AWS_IMAGE` | the image: `ami-…`, or `OWNER/NAME` with `*` in the name; an Ubuntu with cloud-init by default ([`image`]) |
//! | `SKY_AWS_REGIONS` | the regions to look for machines in, with commas; those that the account has enabled by default |
//! | `SKY_SSH_FROM` | the addresses or networks that are let in, with commas; by default what AWS sees this machine under |

mod account;
mod check;
mod cloud;
mod errors;
mod firewall;
mod image;
mod instances;
mod launch;
mod machine_type;

pub use account::Aws;
pub use cloud::{open, present};
