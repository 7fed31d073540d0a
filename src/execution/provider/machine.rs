//! What is asked of a provider, and what it has.

use super::{ProviderError, Token};
use crate::model::{Bytes, PlaceName, Purchase, Rate, Tee};
use std::time::Duration;

/// Whose machines they are: the owner of machines is one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The job's name.
    pub job: String,
    /// The state's lineage.
    pub lineage: String,
}

/// What kind of machine is to be created, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    /// Whose machine it will be.
    pub owner: Owner,
    /// The digest of the plan that wants the machine.
    pub plan: String,
    /// How long the machine may live from now on, unless its lease is renewed.
    pub lease: Duration,
    /// Where the machine is to be.
    pub place: PlaceName,
    /// The type of the machine, as the catalog names it.
    pub instance_type: String,
    /// The name of the accelerators that the machine has; none: it has none.
    pub accelerator: Option<String>,
    /// How many machines work together as a gang; 1: there is only one.
    pub nodes: u32,
    /// Whether the machine is rented on demand or as a spot machine.
    pub purchase: Purchase,
    /// The trusted execution environment that the machine must run with; none: none is asked for. A
    /// provider that cannot give it makes no machine.
    pub tee: Option<Tee>,
    /// What one machine costs an hour by the plan, for providers that keep a bill of their own.
    pub rate: Rate,
    /// How much the stage is planned to write.
    pub disk: Bytes,
}

/// A machine that exists at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The attempt that the machine was made for.
    pub token: Token,
    /// The provider's own name of the machine.
    pub id: String,
    /// The name of the job whose machine it is.
    pub job: String,
    /// The lineage of the state whose machine it is.
    pub lineage: String,
    /// Where the machine is, as the provider sees it now; none: the provider does not say.
    pub place: Option<PlaceName>,
    /// The type of the machine, as the provider sees it now; none: the provider does not say.
    pub instance_type: Option<String>,
    /// When the lease ends, as an RFC 3339 timestamp: by the machine's tag, which was written by
    /// the clock of whoever renewed the lease.
    pub lease_end: Option<String>,
    /// Whether the lease is over by the clock that the machine itself goes by; none: the provider
    /// has no such clock.
    pub lease_over: Option<bool>,
    /// Whether nothing of the machine runs or costs anything any more: what is there is only
    /// traces.
    pub ended: bool,
}

/// What a provider has, as far as it could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The machines that could be seen.
    pub machines: Vec<Machine>,
    /// What could not be looked at, or not be understood: a host that does not answer, a damaged
    /// description of a machine. There may be machines behind each.
    pub failed: Vec<ProviderError>,
}

impl Machine {
    /// Whether the machine is this owner's; without an owner every machine is meant.
    pub(super) fn is_of(&self, owner: Option<&Owner>) -> bool {
        owner.is_none_or(|owner| self.lineage == owner.lineage && self.job == owner.job)
    }
}

impl Survey {
    /// The machines, or the first error if something could not be looked at.
    pub(super) fn into_machines(self) -> Result<Vec<Machine>, ProviderError> {
        match self.failed.into_iter().next() {
            None => Ok(self.machines),
            Some(error) => Err(error),
        }
    }

    /// Takes in the answer of one host: a line for each machine, as `read` understands it.
    pub(super) fn take(
        &mut self,
        answer: Result<Vec<String>, ProviderError>,
        owner: Option<&Owner>,
        read: impl Fn(&str) -> Result<Machine, ProviderError>,
    ) {
        let answer_lines = match answer {
            Ok(lines) => lines,
            Err(error) => return self.failed.push(error),
        };
        for line in answer_lines {
            match read(&line) {
                Ok(machine) if machine.is_of(owner) => self.machines.push(machine),
                Ok(_) => {}
                Err(error) => self.failed.push(error),
            }
        }
    }
}
