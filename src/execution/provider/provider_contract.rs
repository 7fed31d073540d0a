//! What a provider does: see the contract at the head of [`provider`](super).

use super::check::{Finding, Need, Topic};
use super::{LeaseEnd, Machine, MachineSpec, Owner, ProviderError, Survey, Token, Worker};
use async_trait::async_trait;
use std::time::Duration;

/// What may stay when an attempt is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// All that is free of charge, so that a failure can be looked into.
    Keep,
    /// The log alone.
    Drop,
}

/// A source of machines.
#[async_trait]
pub trait Provider: Send + Sync {
    /// The provider's name, as in `--provider` and in the cloud part of places.
    fn name(&self) -> &'static str;

    /// Whether the provider can be asked for anything at all, as far as this machine knows:
    /// settings and credentials are there. An error is what to do about it.
    async fn ready(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    /// What is there and what is missing for the machines that `needs` lists, or, if the list is
    /// empty, for any. The call changes nothing, and answers without a network too.
    async fn check(&self, _needs: &[Need]) -> Vec<Finding> {
        vec![match self.ready().await {
            Ok(()) => Finding::there(Topic::Reach, self.name(), "needs nothing"),
            Err(error) => Finding::failed(Topic::Credentials, self.name(), &error),
        }]
    }

    /// Creates the machine of a token, tagged with the token and with the owner, or returns the
    /// machine that exists already.
    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError>;

    /// The machine of a token; none: there is none.
    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError>;

    /// All machines of an owner, or of all owners if none is given. The call fails if anything
    /// could not be looked at.
    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError>;

    /// All machines of an owner that can be found, for whoever deletes them: what cannot be looked
    /// at does not hide the rest, as it does in [`Provider::list`].
    async fn survey(&self, owner: Option<&Owner>) -> Survey {
        match self.list(owner).await {
            Ok(machines) => Survey {
                machines,
                failed: Vec::new(),
            },
            Err(error) => Survey {
                machines: Vec::new(),
                failed: vec![error],
            },
        }
    }

    /// Ends all of a machine that runs or costs money; traces that cost nothing may stay. A machine
    /// that is gone is not an error.
    async fn release(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError>;

    /// Ends a machine and removes every trace that it has at the provider, by the provider's own
    /// means: a machine that cannot be logged into, or that has powered itself off, is deleted like
    /// any other. A machine that is gone is not an error.
    async fn delete(&self, token: &Token) -> Result<(), ProviderError>;

    /// Lets the machine of a token live until the lease ends: its tag and its watchdog know. The
    /// error is of kind [`ErrorKind::NotFound`](super::ErrorKind::NotFound) if the machine is gone.
    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError>;

    /// Takes over the machine that exists under the provider's own name `id`: from now on it
    /// carries token and owner. A machine that carries them already is not an error.
    async fn adopt(&self, id: &str, token: &Token, owner: &Owner)
    -> Result<Machine, ProviderError>;

    /// How long a machine may be there, and be billed, after its lease has ended: until it has
    /// ended itself.
    fn overrun(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether the provider's machines, and data on its way to them, cost what the plan says; else
    /// they cost nothing.
    fn bills(&self) -> bool {
        true
    }

    /// The inside of the machine of a token, which must exist.
    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError>;
}
