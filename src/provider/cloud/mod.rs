//! What all clouds share whose machines are rented by an API and reached by SSH: a [`Cloud`] says how
//! instances are created, listed, tagged and deleted there, and [`Machines`] makes a provider of it.
//!
//! An instance carries, from the call that creates it on, tags with all that a
//! [`Machine`](super::Machine) says, and the public half of its host key: whoever finds it can reach
//! it without trusting the network. It gets its keys, and the watchdog that ends it when its lease
//! is over, by cloud-init or by a script ([`user_data`]). Inside it the shared [`runner`](super::runner) is at
//! work, as on any host. No credential of a cloud is ever on it.
//!
//! Adding a cloud: a folder that implements [`Cloud`].
//!
//! ```text
//! STATE/keys/client, client.pub    the key that sky logs in with, made when it is first needed;
//!                                  $SKY_SSH_KEY names another
//! STATE/keys/hosts/TOKEN, .pub     the host key of a machine, until it is deleted
//! ```

#[cfg(any(feature = "aws", feature = "azure", feature = "gcp"))]
pub mod caller;
mod gang;
mod keys;
mod machines;
pub mod tag;
mod user_data;
mod worker;

use super::check::{Finding, Need};
use super::{MachineSpec, ProviderError, Token};
use crate::model::PlaceName;
use async_trait::async_trait;
pub use machines::Machines;
use std::collections::BTreeMap;

/// What is asked of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Idempotency: two calls with the same give one instance. Of a gang each has its own, and the tags
    /// have the one that they share.
    pub token: Token,
    pub spec: MachineSpec,
    /// Of the others of a gang: the zone that the first is in, and no other will do. None: any zone of the place.
    pub zone: Option<String>,
    /// For the instance, in the call that creates it. Values are of up to 128 letters, digits and
    /// `-_.:/+= @[]`; clouds that take less encode them.
    pub tags: BTreeMap<&'static str, String>,
    /// For cloud-init. It differs from call to call, as do the tags: leases begin when they are
    /// asked for.
    pub user_data: String,
    /// The same for machines without cloud-init, on which this script is run by root whenever they boot.
    pub script: String,
    /// The public half of the key that sky logs in with; user data has it, too.
    pub key: String,
}

impl Wanted {
    /// Whether it may be made in a zone.
    pub fn may_be_in(&self, zone: &str) -> bool {
        self.zone.as_ref().is_none_or(|only| only == zone)
    }
}

/// How a machine learns that the cloud takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What `notice.sh` begins with: how the cloud is asked.
    pub ask: &'static str,
    /// The cloud has the machine shut down as soon as it says so: it is held up for a while, for its progress.
    pub hold: bool,
}

/// Whether an instance is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is coming up or running, or may do so again.
    Alive,
    /// It has come to its end and runs nothing any more, but costs something until it is deleted: a
    /// machine that has powered itself off at some clouds.
    Stopped,
    /// It costs nothing any more, or is on its way there.
    Ended,
    /// The same, and the cloud has taken it away.
    Preempted,
}

/// An instance as the cloud sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The cloud's own name of it.
    pub id: String,
    pub place: PlaceName,
    pub instance_type: String,
    pub life: Life,
    /// Where SSH reaches it, once it has an address.
    pub address: Option<String>,
    /// Where the others of its gang reach it.
    pub inside: Option<String>,
    /// The zone of the place that it is in, where the cloud tells one.
    pub zone: Option<String>,
    /// All of them, also other people's.
    pub tags: BTreeMap<String, String>,
}

/// A cloud's API, as little of it as is needed. Errors are told apart as
/// [`ErrorKind`](super::ErrorKind) says; an error that leaves open whether an instance was made is
/// `Unreachable`. Calls that were throttled or not answered are made again by the engine, so
/// implementations need not, and must not for long.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Its name in places, and as a provider.
    fn name(&self) -> &'static str;

    /// See [`Provider::ready`](super::Provider::ready).
    async fn ready(&self) -> Result<(), ProviderError>;

    /// See [`Provider::check`](super::Provider::check).
    async fn check(&self, needs: &[Need]) -> Vec<Finding>;

    /// Creates an instance, or returns the one that this token has already made at this place, even
    /// if lists do not have it yet. One call at a time for a token in this process; a former process
    /// may have made the same call with another lease.
    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError>;

    /// The instances that carry this token: at one place, or wherever they are. Those that ended may
    /// be left out.
    async fn find(&self, token: &str, at: Option<&PlaceName>) -> Result<Vec<Instance>, ProviderError>;

    /// All instances that carry a token, wherever they are; those that ended may be left out. What
    /// cannot be looked at is an error: nobody may take it for empty.
    async fn all(&self) -> Result<Vec<Instance>, ProviderError>;

    /// Any instance, by the cloud's own name of it.
    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError>;

    /// Adds tags or changes them.
    async fn tag(&self, instance: &Instance, tags: &BTreeMap<&'static str, String>) -> Result<(), ProviderError>;

    /// Lets this machine in at the instance's SSH port, and nobody else. Called before it is first
    /// talked to by each `sky`: people move.
    async fn admit(&self, _instance: &Instance) -> Result<(), ProviderError> {
        Ok(())
    }

    /// How a machine that the cloud may take away learns that it does; none: it does not.
    fn notice(&self) -> Option<Notice> {
        None
    }

    /// Ends an instance and all that came with it; fine if it is gone.
    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError>;

    /// Removes what instances share and what costs nothing, as far as no instance needs it any more.
    async fn tidy(&self) -> Result<(), ProviderError> {
        Ok(())
    }
}
