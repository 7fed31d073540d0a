//! The calls of the contract of providers, made of those of a [`Cloud`].

use super::super::super::check::{Finding, Need};
use super::super::super::{
    ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, Token,
    Worker,
};
use super::super::gang::Gang;
use super::super::{Cloud, Life, instance_tags, user_data};
use super::node::Node;
use super::{Machines, costs};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

#[async_trait]
impl<C: Cloud + 'static> Provider for Machines<C> {
    fn name(&self) -> &'static str {
        self.cloud.name()
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.cloud.ready().await
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        self.cloud.check(needs).await
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let name = self.cloud.name();
        if spec.place.cloud != name {
            let message = format!(
                "{name}: {} is not a place of it: give no --provider, or `sim` to rehearse",
                spec.place
            );
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let head_node = Node::first(token);
        // Before anything is made: whoever ends the first of a gang ends them all.
        self.learn(&head_node, |known| known.nodes = Some(spec.nodes.max(1)));
        let head_made = self.make(&head_node, spec, None).await?;
        // What the machines of a gang say to one another would be billed between zones, and be
        // slower.
        let zone = head_made.zone.as_deref();
        let other_nodes: Vec<Node> = (1..spec.nodes)
            .map(|number| Node {
                token: token.clone(),
                number,
            })
            .collect();
        let others_made = futures_util::future::join_all(
            other_nodes.iter().map(|node| self.make(node, spec, zone)),
        )
        .await;
        others_made.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.needed(&head_made)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self
            .there(&Node::first(token))
            .await?
            .and_then(|instance| instance_tags::machine(&instance)))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let all_instances = self.cloud.all().await?;
        let costing_instances = all_instances.iter().filter(|instance| costs(instance.life));
        let mut machines: Vec<Machine> = costing_instances
            .filter_map(instance_tags::machine)
            .filter(|machine| machine.is_of(owner))
            .collect();
        machines.sort_by(|a, b| (&a.token, &a.id).cmp(&(&b.token, &b.id)));
        // A gang is one machine.
        machines.dedup_by(|a, b| a.token == b.token);
        Ok(machines)
    }

    async fn release(&self, token: &Token, _evidence: Evidence) -> Result<(), ProviderError> {
        self.end(token).await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        // The folder of its log is named after its stage, and may be that of another state's
        // machine of the same name: whoever empties a state removes it.
        self.end(token).await?;
        self.cloud.tidy().await
    }

    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError> {
        let lease_end = lease.timestamp();
        for node in self.nodes(token).await? {
            let instance = self
                .alive(&node)
                .await?
                .ok_or_else(|| self.not_found(token))?;
            // The tag first: what looks at it must never take the machine for one that is overdue.
            self.cloud
                .tag(
                    &instance,
                    &BTreeMap::from([(instance_tags::LEASE_END, lease_end.clone())]),
                )
                .await?;
            let link = self.link(&node).await?;
            link.lines(
                "renew",
                &[&token.id, &lease.left().as_secs().to_string(), &lease_end],
            )
            .await?;
            self.prove(token, &link, lease.left()).await?;
        }
        Ok(())
    }

    async fn adopt(
        &self,
        id: &str,
        token: &Token,
        owner: &Owner,
    ) -> Result<Machine, ProviderError> {
        let missing_machine = || {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("{}: there is no `{id}`", self.cloud.name()),
            )
        };
        let mut instance = self.cloud.by_id(id).await?.ok_or_else(missing_machine)?;
        if instance
            .tags
            .get(instance_tags::TOKEN)
            .is_none_or(|known| *known != token.id)
        {
            let not_adopted =
                "was not made by sky, or under another token, so it cannot be talked to safely";
            return Err(self.wrong(ErrorKind::Other, &instance, not_adopted));
        }
        if instance.life != Life::Alive {
            return Err(missing_machine());
        }
        let tags = BTreeMap::from([
            (instance_tags::JOB, owner.job.clone()),
            (instance_tags::LINEAGE, owner.lineage.clone()),
        ]);
        self.cloud.tag(&instance, &tags).await?;
        instance.tags.extend(
            tags.into_iter()
                .map(|(name, value)| (name.to_owned(), value)),
        );
        self.learn(&Node::first(token), |known| {
            known.place = Some(instance.place.clone())
        });
        self.needed(&instance)
    }

    fn overrun(&self) -> Duration {
        user_data::OVERRUN
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let nodes = self.nodes(token).await?;
        let workers =
            futures_util::future::join_all(nodes.iter().map(|node| self.inside(node))).await;
        let mut workers = workers.into_iter().collect::<Result<Vec<_>, _>>()?;
        if workers.len() == 1
            && let Some(only) = workers.pop()
        {
            return Ok(Box::new(only));
        }
        let mut addresses = Vec::new();
        for node in &nodes {
            let instance = self
                .alive(node)
                .await?
                .ok_or_else(|| self.not_found(token))?;
            let address = instance.inside.as_ref().or(instance.address.as_ref());
            let address =
                address.ok_or_else(|| self.wrong(ErrorKind::Other, &instance, "has no address"))?;
            addresses.push(address.clone());
        }
        Ok(Box::new(Gang {
            workers,
            addresses: addresses.join(" "),
        }))
    }
}
