//! A provider made of a [`Cloud`].

mod node;
mod provider_calls;
mod reach;
#[cfg(test)]
mod tests;

use self::node::Node;
use super::super::runner::Link;
use super::super::{ErrorKind, Machine, MachineSpec, ProviderError, Token};
use super::ssh_keys::Keys;
use super::{Cloud, Instance, Life, Wanted, instance_tags, user_data};
use crate::model::{PlaceName, Purchase};
use crate::util::tree;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long lists may not have an instance that was made.
const NEWS: Duration = Duration::from_secs(120);

/// The machines of a cloud.
pub struct Machines<C> {
    cloud: Arc<C>,
    keys: Keys,
    /// The folder of this machine for what comes back, and for logs.
    stages: PathBuf,
    /// What this process knows, by token.
    known: Mutex<HashMap<String, Known>>,
}

/// What is known of a token.
#[derive(Clone, Default)]
struct Known {
    /// Where its instance was seen, or made.
    place: Option<PlaceName>,
    /// What was made, and when.
    made: Option<(Instance, Instant)>,
    link: Option<Arc<Link>>,
    /// How many machines the gang has; known of the first alone.
    nodes: Option<u32>,
    /// Held while its instance is made, or its link.
    alone: Arc<tokio::sync::Mutex<()>>,
}

impl<C: Cloud> Machines<C> {
    /// The machines of a cloud; `root` is the state folder.
    pub fn new(cloud: C, root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self {
            cloud: Arc::new(cloud),
            keys: Keys::at(root.join("keys")),
            stages: root.join("stages"),
            known: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, node: &Node) -> Known {
        self.lock().entry(node.own().id).or_default().clone()
    }

    fn learn(&self, node: &Node, change: impl FnOnce(&mut Known)) {
        change(self.lock().entry(node.own().id).or_default());
    }

    /// The instance of a node: the one that lives, if there are several; else one that still costs.
    async fn instance(&self, node: &Node) -> Result<Option<Instance>, ProviderError> {
        let known = self.known(node);
        let found = self
            .cloud
            .find(&node.token.id, known.place.as_ref())
            .await?;
        let own = found.into_iter().filter(|instance| node.is(instance));
        let best = own.min_by_key(|instance| (rank(instance.life), instance.id.clone()));
        if let Some(instance) = &best {
            self.learn(node, |known| known.place = Some(instance.place.clone()));
        }
        let made = known
            .made
            .filter(|(_, when)| when.elapsed() < NEWS)
            .map(|(instance, _)| instance);
        Ok(best.or(made))
    }

    async fn alive(&self, node: &Node) -> Result<Option<Instance>, ProviderError> {
        Ok(self
            .instance(node)
            .await?
            .filter(|instance| instance.life == Life::Alive))
    }

    /// What lives, or costs something although it does not.
    async fn there(&self, node: &Node) -> Result<Option<Instance>, ProviderError> {
        Ok(self
            .instance(node)
            .await?
            .filter(|instance| costs(instance.life)))
    }

    /// All nodes of a token, by what the first says of them.
    async fn nodes(&self, token: &Token) -> Result<Vec<Node>, ProviderError> {
        let first = Node::first(token);
        let count = match self.known(&first).nodes {
            Some(count) => count,
            None => {
                let instance = self
                    .there(&first)
                    .await?
                    .ok_or_else(|| self.not_found(token))?;
                instance_tags::nodes(&instance)
            }
        };
        self.learn(&first, |known| known.nodes = Some(count));
        Ok((0..count)
            .map(|number| Node {
                token: token.clone(),
                number,
            })
            .collect())
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let (name, stage, attempt) = (self.cloud.name(), &token.stage, token.attempt);
        let message =
            format!("{name}: the machine of attempt {attempt} of stage.{stage} is not there");
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn wrong(&self, kind: ErrorKind, instance: &Instance, why: &str) -> ProviderError {
        ProviderError::new(
            kind,
            format!("{}: {} {why}", self.cloud.name(), instance.id),
        )
    }

    fn needed(&self, instance: &Instance) -> Result<Machine, ProviderError> {
        let lost = || {
            self.wrong(
                ErrorKind::Other,
                instance,
                "has lost tags that it was made with",
            )
        };
        instance_tags::machine(instance).ok_or_else(lost)
    }

    async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        let known = self.known(&Node::first(token));
        let mut found = self.cloud.find(&token.id, known.place.as_ref()).await?;
        let told = found.iter().map(|instance| {
            instance_tags::nodes(instance).max(instance_tags::node(instance).saturating_add(1))
        });
        let count = told.max().unwrap_or(1).max(known.nodes.unwrap_or(1));
        let nodes: Vec<Node> = (0..count)
            .map(|number| Node {
                token: token.clone(),
                number,
            })
            .collect();
        // What lists do not have yet costs as much as what they have.
        for node in &nodes {
            if let Some((made, _)) = self.known(node).made
                && found.iter().all(|instance| instance.id != made.id)
            {
                found.push(made);
            }
        }
        // All that carry the token: somebody may have copied an instance, tags and all.
        let ends = found.iter().map(|instance| self.cloud.delete(instance));
        futures_util::future::join_all(ends)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        for node in &nodes {
            self.learn(node, |known| (known.made, known.link) = (None, None));
            self.keys.forget(&node.own().id)?;
            tree::remove(&self.scratch(node))?;
        }
        Ok(())
    }

    /// Makes the machine of a node, or finds it.
    async fn make(
        &self,
        node: &Node,
        spec: &MachineSpec,
        zone: Option<&str>,
    ) -> Result<Instance, ProviderError> {
        let known = self.known(node);
        let _alone = known.alone.lock().await;
        self.learn(node, |known| known.place = Some(spec.place.clone()));
        if let Some(instance) = self.there(node).await? {
            return Ok(instance);
        }
        let token = node.own();
        let host = self.keys.host(&token.id)?;
        let key = self.keys.client_public()?;
        let notice = self
            .cloud
            .notice()
            .filter(|_| spec.purchase == Purchase::Spot);
        // A key that cannot sign here could not lengthen a lease that has to be signed.
        let signer = self.keys.sign("").is_ok().then_some(key.as_str());
        let boot = user_data::Boot {
            client: &key,
            host: &host,
            lease: spec.lease,
            signer,
            notice,
        };
        let (user_data, script) = (user_data::text(&boot)?, user_data::script(&boot)?);
        let mut tags = instance_tags::of(&node.token, spec);
        tags.insert(instance_tags::HOST_KEY, host.public.clone());
        if spec.nodes > 1 {
            tags.extend([
                (instance_tags::NODE, node.number.to_string()),
                (instance_tags::NODES, spec.nodes.to_string()),
            ]);
        }
        let zone = zone.map(str::to_owned);
        let wanted = Wanted {
            token,
            spec: spec.clone(),
            zone,
            tags,
            user_data,
            script,
            key,
        };
        let instance = self.cloud.create(&wanted).await?;
        self.learn(node, |known| {
            known.made = Some((instance.clone(), Instant::now()))
        });
        Ok(instance)
    }
}

/// What lives is before what still costs, and that before what does not.
fn rank(life: Life) -> u8 {
    match life {
        Life::Alive => 0,
        Life::Stopped => 1,
        Life::Ended | Life::Preempted => 2,
    }
}

fn costs(life: Life) -> bool {
    rank(life) < 2
}
