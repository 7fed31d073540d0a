//! The simulated clouds: a provider that rents, bills and takes away.

use super::case::Trouble;
use super::inside::Inside;
use super::machine::Machine;
use super::world::World;
use async_trait::async_trait;
use sky::execution::provider::{
    self, ErrorKind, Evidence, LeaseEnd, MachineSpec, Owner, Provider, ProviderError, Registry,
    Token, Worker,
};
use sky::model::Purchase;
use sky::plan::Billing;
use sky::util::{clock, simulation};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

const NAMES: [&str; 3] = ["aws", "gcp", "local"];
/// The longest that a machine takes to come up.
const BOOT: Duration = Duration::from_secs(3600);
/// Between a cloud's notice and the end of the machine.
const NOTICE: u64 = 120_000;

/// All simulated clouds of one world.
#[derive(Clone)]
pub(super) struct Clouds(pub Arc<World>);

impl fmt::Debug for Clouds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("simulated clouds")
    }
}

impl Registry for Clouds {
    fn names(&self) -> Vec<&'static str> {
        NAMES.to_vec()
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
        let name = NAMES.into_iter().find(|known| *known == name);
        Ok(name.map(|name| -> Arc<dyn Provider> {
            Arc::new(Cloud {
                name,
                world: self.0.clone(),
            })
        }))
    }
}

struct Cloud {
    name: &'static str,
    world: Arc<World>,
}

/// The name of the user's machine that this code runs on.
pub(super) fn here() -> String {
    simulation::current().map_or(String::new(), |process| process.machine.name.clone())
}

pub(super) fn gone(token: &Token) -> ProviderError {
    let message = format!(
        "the machine of attempt {} of stage.{} is gone",
        token.attempt, token.stage
    );
    ProviderError::new(ErrorKind::NotFound, message)
}

impl World {
    /// Does something with the living machine of a token, if there is one.
    pub(super) fn with<T>(
        &self,
        token: &Token,
        work: impl FnOnce(&mut Machine, u64) -> T,
    ) -> Option<T> {
        let now = self.now();
        let mut machines = self.machines();
        machines.iter_mut().for_each(|machine| machine.settle(now));
        let found = machines
            .iter_mut()
            .rev()
            .find(|machine| machine.token.id == token.id && machine.lives())?;
        // What is on a user's own machine can be seen from there alone.
        (found.provider != provider::LOCAL || found.made_by == here()).then(|| work(found, now))
    }

    /// `sky` sets out to end a command. Whatever comes of it after that is of no use to anybody,
    /// also when the call is lost on its way, or refused.
    pub(super) fn give_up(&self, token: &Token) {
        self.with(token, |machine, now| {
            machine.given_up = true;
            if let Some(command) = machine.command.as_mut() {
                command.given_up |= command.ends > now;
            }
        });
    }

    fn create(
        &self,
        name: &'static str,
        token: &Token,
        spec: &MachineSpec,
        orphan: bool,
    ) -> Result<provider::Machine, ProviderError> {
        if let Some(there) = self.with(token, |machine, _| machine.seen()) {
            return Ok(there);
        }
        let named = |kind, what: &str| {
            Err(ProviderError::new(
                kind,
                format!("stage.{}: {what}", token.stage),
            ))
        };
        if self.trouble(Trouble::Stockouts, 25) {
            return named(ErrorKind::Stockout, "no capacity of this kind now");
        }
        if self.trouble(Trouble::Quotas, 15) {
            return named(ErrorKind::Quota, "the account's limit is reached");
        }
        let now = self.now();
        let boot = self.delay(Trouble::SlowBoots, BOOT);
        let spot = spec.purchase == Purchase::Spot;
        let lease = u64::try_from(spec.lease.as_millis()).unwrap();
        let after = self.chance().below(7_200_000);
        let notice = self.chance().percent(50);
        let taken = (spot && self.trouble(Trouble::Preemptions, 50)).then_some((
            now + after,
            (now + after).saturating_sub(if notice { NOTICE } else { 0 }),
        ));
        let others = self.machines().len();
        let locked = self.case.has(Trouble::LockedOut) && token.stage == "s0" && !self.is_calm();
        let machine = Machine {
            token: token.clone(),
            id: format!("{name}-{others}"),
            provider: name,
            job: spec.owner.job.clone(),
            lineage: spec.owner.lineage.clone(),
            place: spec.place.clone(),
            instance_type: spec.instance_type.clone(),
            rate: spec.rate,
            nodes: spec.nodes,
            billing: self
                .case
                .stage(&token.stage)
                .map_or(Billing::default(), |stage| stage.billing),
            made_by: here(),
            orphan,
            given_up: false,
            created: now,
            ready: now + u64::try_from(boot.as_millis()).unwrap(),
            lease_end: now + lease,
            lease_tag: clock::after(spec.lease),
            ended: None,
            taken,
            kept_until: None,
            kept_from: None,
            fetched: Default::default(),
            inputs: None,
            ahead_ms: 0,
            command: None,
            collected_by: Vec::new(),
            locked_from: locked.then(|| now + self.chance().below(3_600_000)),
        };
        let twin = self.machines().iter().any(|other| {
            other.lives()
                && !other.orphan
                && !machine.orphan
                && other.token.stage == token.stage
                && other.lineage == machine.lineage
                && other.provider == name
        });
        if twin {
            self.wrong(format!("two machines of stage.{} at one time", token.stage));
        }
        let seen = machine.seen();
        self.machines().push(machine);
        Ok(seen)
    }

    fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        let stuck = self.case.has(Trouble::DeletionsFail) && token.stage == "s0" && !self.is_calm();
        if stuck {
            return Err(ProviderError::new(
                ErrorKind::Denied,
                format!("stage.{}: deletion is not allowed now", token.stage),
            ));
        }
        let robbed = self.with(token, |machine, now| {
            machine.end(now);
            machine.kept_until.is_some() && machine.lease_end > now
        });
        if robbed == Some(true) {
            self.wrong("somebody else's machine was deleted while its lease went on".to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Cloud {
    fn name(&self) -> &'static str {
        self.name
    }

    fn bills(&self) -> bool {
        self.name != provider::LOCAL
    }

    async fn create(
        &self,
        token: &Token,
        spec: &MachineSpec,
    ) -> Result<provider::Machine, ProviderError> {
        let name = self.name;
        let lease = spec.lease.as_secs();
        let what = || {
            format!(
                "create {} #{} at {} for {lease} s",
                token.stage, token.attempt, spec.place
            )
        };
        let (token, spec, asker) = (token.clone(), spec.clone(), simulation::current());
        let create = move |world: &World| {
            let orphan = asker.is_some_and(|process| !process.machine.lives(process.pid));
            world.create(name, &token, &spec, orphan)
        };
        self.world.call(what, create).await
    }

    async fn get(&self, token: &Token) -> Result<Option<provider::Machine>, ProviderError> {
        let what = || format!("get {} #{}", token.stage, token.attempt);
        let token = token.clone();
        self.world
            .call(what, move |world| {
                Ok(world.with(&token, |machine, _| machine.seen()))
            })
            .await
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<provider::Machine>, ProviderError> {
        let (name, owner) = (self.name, owner.cloned());
        let list = move |world: &World| {
            let now = world.now();
            let mut machines = world.machines();
            machines.iter_mut().for_each(|machine| machine.settle(now));
            let owned = |machine: &&Machine| {
                owner.as_ref().is_none_or(|owner| {
                    machine.job == owner.job && machine.lineage == owner.lineage
                })
            };
            let here = |machine: &&Machine| name != provider::LOCAL || machine.made_by == here();
            let of_cloud = machines
                .iter()
                .filter(|machine| machine.provider == name && machine.lives());
            Ok(of_cloud
                .filter(owned)
                .filter(here)
                .map(Machine::seen)
                .collect())
        };
        self.world.call(|| format!("list {name}"), list).await
    }

    async fn release(&self, token: &Token, _: Evidence) -> Result<(), ProviderError> {
        let what = || format!("release {} #{}", token.stage, token.attempt);
        self.world.give_up(token);
        let token = token.clone();
        self.world
            .call(what, move |world| world.delete(&token))
            .await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        let what = || format!("delete {} #{}", token.stage, token.attempt);
        self.world.give_up(token);
        let token = token.clone();
        self.world
            .call(what, move |world| world.delete(&token))
            .await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        // What is sent is the time that is left: a call that arrives late gives a later end.
        let lease = lease.left();
        let what = || {
            format!(
                "renew {} #{} for {} s",
                token.stage,
                token.attempt,
                lease.as_secs()
            )
        };
        let token = token.clone();
        let renew = move |world: &World| {
            let renewed = world.with(&token, |machine, now| {
                machine.lease_end = now + u64::try_from(lease.as_millis()).unwrap();
                machine.lease_tag = clock::after(lease);
            });
            renewed.ok_or_else(|| gone(&token))
        };
        self.world.call(what, renew).await
    }

    async fn adopt(
        &self,
        id: &str,
        _: &Token,
        _: &Owner,
    ) -> Result<provider::Machine, ProviderError> {
        Err(ProviderError::new(
            ErrorKind::NotFound,
            format!("no machine `{id}`"),
        ))
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let what = || format!("worker {} #{}", token.stage, token.attempt);
        let wanted = token.clone();
        let open = move |world: &World| {
            let known = world
                .machines()
                .iter()
                .any(|machine| machine.token.id == wanted.id);
            match world.with(&wanted, |machine, _| machine.ready) {
                Some(ready) => Ok(ready),
                None if known => Ok(0),
                None => Err(gone(&wanted)),
            }
        };
        let ready = self.world.call(what, open).await?;
        tokio::time::sleep(Duration::from_millis(
            ready.saturating_sub(self.world.now()),
        ))
        .await;
        let (token, provider, world) = (token.clone(), self.name, self.world.clone());
        Ok(Box::new(Inside {
            token,
            provider,
            world,
        }))
    }
}
