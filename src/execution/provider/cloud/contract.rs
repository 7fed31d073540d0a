//! What a cloud does whose machines are rented by an API: as little of that API as is needed.

use super::super::check::{Finding, Need};
use super::super::{MachineSpec, ProviderError, Token};
use crate::model::PlaceName;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// The instance that is asked of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The token of the instance: two calls with the same token give one instance. Each instance of
    /// a gang has a token of its own, and the tags have the one that they share.
    pub token: Token,
    /// The machine that the instance is to be.
    pub spec: MachineSpec,
    /// The only zone that will do: the others of a gang must be in that of the first. None: any
    /// zone of the place will do.
    pub zone: Option<String>,
    /// The tags that the instance gets in the call that creates it. Values are of up to 128
    /// letters, digits and `-_.:/+= @[]`; clouds that take less encode them.
    pub tags: BTreeMap<&'static str, String>,
    /// The user data for cloud-init, which differs from call to call as the tags do: leases begin
    /// when they are asked for.
    pub user_data: String,
    /// The script that does the same on machines without cloud-init, where root runs it whenever
    /// they boot.
    pub script: String,
    /// The public half of the key that sky logs in with; user data has it, too.
    pub key: String,
}

impl Wanted {
    /// Whether the instance may be made in a zone.
    pub fn may_be_in(&self, zone: &str) -> bool {
        self.zone.as_ref().is_none_or(|only| only == zone)
    }
}

/// How a machine learns that the cloud takes it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What `notice.sh` begins with: how the cloud is asked.
    pub ask: &'static str,
    /// The cloud has the machine shut down as soon as it says so: it is held up for a while, for
    /// its progress.
    pub hold: bool,
}

/// Whether an instance is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// The instance is coming up or running, or may do so again.
    Alive,
    /// The instance has come to its end and runs nothing any more, but costs something until it is
    /// deleted: a machine that has powered itself off at some clouds.
    Stopped,
    /// The instance costs nothing any more, or soon will not.
    Ended,
    /// The instance costs nothing any more, because the cloud has taken it away.
    Preempted,
}

/// An instance as the cloud sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The cloud's own name of the instance.
    pub id: String,
    /// The place that the instance is in.
    pub place: PlaceName,
    /// The type of the instance.
    pub instance_type: String,
    /// Whether the instance is there.
    pub life: Life,
    /// The address under which SSH reaches the instance, once it has one.
    pub address: Option<String>,
    /// The address under which the others of its gang reach the instance.
    pub inside: Option<String>,
    /// The zone that the instance is in, where the cloud tells one.
    pub zone: Option<String>,
    /// All tags of the instance, also other people's.
    pub tags: BTreeMap<String, String>,
}

/// A cloud's API, as little of it as is needed. Errors are told apart as
/// [`ErrorKind`](super::super::ErrorKind) says; an error that leaves open whether an instance was
/// made is `Unreachable`. Calls that were throttled or not answered are made again by the engine,
/// so implementations need not, and must not for long.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// The cloud's name in places, and as a provider.
    fn name(&self) -> &'static str;

    /// Whether the cloud can be asked for anything at all: see
    /// [`Provider::ready`](super::super::Provider::ready).
    async fn ready(&self) -> Result<(), ProviderError>;

    /// What is there and what is missing: see [`Provider::check`](super::super::Provider::check).
    async fn check(&self, needs: &[Need]) -> Vec<Finding>;

    /// Creates an instance, or returns the one that this token has already made at this place, even
    /// if lists do not have it yet. One call at a time for a token in this process; a former
    /// process may have made the same call with another lease.
    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError>;

    /// The instances that carry this token: at one place, or wherever they are. Those that ended
    /// may be left out.
    async fn find(
        &self,
        token: &str,
        at: Option<&PlaceName>,
    ) -> Result<Vec<Instance>, ProviderError>;

    /// All instances that carry a token, wherever they are; those that ended may be left out. What
    /// cannot be looked at is an error: nobody may take it for empty.
    async fn all(&self) -> Result<Vec<Instance>, ProviderError>;

    /// Any instance, by the cloud's own name of it.
    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError>;

    /// Adds tags or changes them.
    async fn tag(
        &self,
        instance: &Instance,
        tags: &BTreeMap<&'static str, String>,
    ) -> Result<(), ProviderError>;

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

    /// Removes what instances share and what costs nothing, as far as no instance needs it any
    /// more.
    async fn tidy(&self) -> Result<(), ProviderError> {
        Ok(())
    }
}
