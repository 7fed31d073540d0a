//! What has become of a cloud's machine that does not answer: the cloud is asked whether it is
//! there at all, and who has ended it.

use super::super::runner::{MachineFate, VanishingWorker};
use super::super::{ErrorKind, ProviderError, RunStatus, Token};
use super::{Cloud, Life, instance_tags};
use crate::model::PlaceName;
use crate::util::clock;
use async_trait::async_trait;
use std::sync::Arc;

/// The inside of a cloud's machine.
pub(super) type CloudWorker<C> = VanishingWorker<CloudFate<C>>;

/// How the machine of a token is asked for at its cloud.
pub(super) struct CloudFate<C> {
    pub cloud: Arc<C>,
    pub token: Token,
    /// Which of a gang it is.
    pub node: u32,
    /// Where its instance is.
    pub place: Option<PlaceName>,
}

#[async_trait]
impl<C: Cloud> MachineFate for CloudFate<C> {
    async fn fate(&self) -> Result<Option<RunStatus>, ProviderError> {
        let mut found_instances = self.cloud.find(&self.token.id, self.place.as_ref()).await?;
        found_instances.retain(|instance| instance_tags::node(instance) == self.node);
        found_instances.sort_by_key(|instance| instance.life != Life::Alive);
        let Some(instance) = found_instances.first() else {
            return Ok(Some(RunStatus::Lost));
        };
        let lease_end = instance.tags.get(instance_tags::LEASE_END);
        Ok(match instance.life {
            Life::Alive => None,
            Life::Preempted => Some(RunStatus::Preempted),
            // Nothing but its own watchdog waits for that.
            Life::Stopped | Life::Ended
                if lease_end.is_some_and(|end| clock::between(end, &clock::timestamp()) > 0) =>
            {
                Some(RunStatus::Expired)
            }
            Life::Stopped | Life::Ended => Some(RunStatus::Lost),
        })
    }

    async fn explain(&self, error: ProviderError) -> ProviderError {
        if error.kind != ErrorKind::Unreachable || !matches!(self.fate().await, Ok(Some(_))) {
            return error;
        }
        let message = format!(
            "{}: the machine is gone ({})",
            self.cloud.name(),
            error.message
        );
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn uses_buckets(&self) -> bool {
        true
    }
}
