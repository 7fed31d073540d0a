//! What has become of a pod that does not answer: the cluster is asked whether it is there at all,
//! and who has ended it.

use super::super::runner::{MachineFate, VanishingWorker};
use super::super::{ErrorKind, ProviderError, RunStatus, Token};
use super::machine::Machines;
use async_trait::async_trait;
use std::sync::Arc;

/// The inside of a pod.
pub(super) type PodWorker = VanishingWorker<PodFate>;

/// How the pod of a token is asked for at its cluster.
pub(super) struct PodFate {
    pub machines: Arc<Machines>,
    pub token: Token,
}

/// What is said when a pod does not answer that may not be there.
fn silent(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::Unreachable | ErrorKind::NotFound)
}

#[async_trait]
impl MachineFate for PodFate {
    async fn fate(&self) -> Result<Option<RunStatus>, ProviderError> {
        self.machines.fate(&self.token).await
    }

    async fn explain(&self, error: ProviderError) -> ProviderError {
        if !silent(&error) {
            return error;
        }
        match self.fate().await {
            Ok(Some(_)) => {
                let message = format!("kubernetes: the pod is gone ({})", error.message);
                ProviderError::new(ErrorKind::NotFound, message)
            }
            Err(why) if !silent(&why) => why,
            _ => error,
        }
    }

    fn uses_buckets(&self) -> bool {
        false
    }
}
