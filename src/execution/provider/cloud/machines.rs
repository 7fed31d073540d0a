//! A provider made of a [`Cloud`].

use super::super::check::{Finding, Need};
use super::super::runner::{Link, RemoteWorker};
use super::super::{
    ErrorKind, Evidence, LeaseEnd, Machine, MachineSpec, Owner, Provider, ProviderError, Token,
    Worker,
};
use super::gang::Gang;
use super::machine_fate::{CloudFate, CloudWorker};
use super::ssh_keys::Keys;
use super::{Cloud, Instance, Life, Wanted, instance_tags, user_data};
use crate::model::hosts::{HostTrust, SshTarget};
use crate::model::{PlaceName, Purchase};
use crate::util::{clock, hash, tree};
use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an instance may take to be there with an address, and then to let us in: each.
const PATIENCE: Duration = Duration::from_secs(600);
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

/// One machine of those that a token stands for: of a gang there are many, all of which carry it.
#[derive(Clone)]
struct Node {
    token: Token,
    number: u32,
}

impl Node {
    /// What its instance is made under, and its host key: for the first, or the only one, the
    /// token.
    fn own(&self) -> Token {
        match self.number {
            0 => self.token.clone(),
            number => {
                let digest = hash::digest(format!("{}\nnode {number}", self.token.id).as_bytes());
                let id = digest.chars().skip("sha256:".len()).take(32).collect();
                Token {
                    id,
                    ..self.token.clone()
                }
            }
        }
    }

    /// Whether an instance that carries the token is this one.
    fn is(&self, instance: &Instance) -> bool {
        instance_tags::node(instance) == self.number
    }
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
        let first = first(token);
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

    /// The way to the machine of a token, once it has an address and lets us in; its folder there
    /// is made.
    async fn link(&self, node: &Node) -> Result<Arc<Link>, ProviderError> {
        let known = self.known(node);
        let _alone = known.alone.lock().await;
        if let Some(link) = self.known(node).link {
            return Ok(link);
        }
        let begun = Instant::now();
        let mut pauses = pauses();
        let (instance, address) = loop {
            let instance = self
                .alive(node)
                .await?
                .ok_or_else(|| self.not_found(&node.token))?;
            if let Some(address) = instance.address.clone() {
                break (instance, address);
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.wrong(
                    ErrorKind::Other,
                    &instance,
                    "has no address after 10 minutes",
                ));
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        };
        let host_key = instance
            .tags
            .get(instance_tags::HOST_KEY)
            .cloned()
            .ok_or_else(|| {
                self.wrong(
                    ErrorKind::Denied,
                    &instance,
                    "has no host key in its tags, so it is not talked to",
                )
            })?;
        self.cloud.admit(&instance).await?;
        let link = Link::new(SshTarget {
            name: instance.id.clone(),
            address,
            port: None,
            user: Some(user_data::user()?),
            identity: Some(self.keys.client()?),
            trust: HostTrust::Key(host_key),
            root: "sky".to_owned(),
        });
        self.enter(node, &instance, &link).await?;
        self.learn(node, |known| known.link = Some(link.clone()));
        Ok(link)
    }

    /// Makes the machine's folder, when it has booted. Fine if it is there.
    async fn enter(
        &self,
        node: &Node,
        instance: &Instance,
        link: &Link,
    ) -> Result<(), ProviderError> {
        let lease_end = instance
            .tags
            .get(instance_tags::LEASE_END)
            .cloned()
            .unwrap_or_default();
        let tags = serde_json::to_string(&instance.tags)
            .map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
        let begun = Instant::now();
        let mut pauses = pauses();
        loop {
            let left = clock::between(&clock::timestamp(), &lease_end) / 1000;
            let arguments = [
                node.token.id.as_str(),
                &tags,
                &left.to_string(),
                &lease_end,
                "1",
            ];
            let error = match link.lines("create", &arguments).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // While it boots, nothing listens; or what listens does not know our key yet.
            if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Denied) {
                return Err(error);
            }
            if self.alive(node).await?.is_none() {
                return Err(self.not_found(&node.token));
            }
            if begun.elapsed() > PATIENCE {
                let message = format!("it did not let us in within 10 minutes: {}", error.message);
                // Whoever asks again would wait as long again.
                let kind = if error.kind == ErrorKind::Denied {
                    ErrorKind::Denied
                } else {
                    ErrorKind::Other
                };
                return Err(self.wrong(kind, instance, &message));
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    /// Signs the longer lease for the machine's watchdog, if that asks for it: an answer to its
    /// challenge, so that nobody on the machine can make one, or keep one for later.
    async fn prove(
        &self,
        token: &Token,
        link: &Link,
        lease: Duration,
    ) -> Result<(), ProviderError> {
        let said = link.lines("challenge", &[&token.id]).await?;
        let Some(word) = said.first().filter(|word| is_challenge(word)) else {
            return Ok(());
        };
        let message = format!("{} {word} {}", token.id, lease.as_secs());
        let signature = self.keys.sign(&message)?;
        link.lines("prove", &[&token.id, &message, &signature])
            .await
            .map(drop)
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

    fn scratch(&self, node: &Node) -> PathBuf {
        self.stages.join(".incoming").join(node.own().id)
    }

    /// Where the log of an attempt is kept when its machine is gone.
    fn log(&self, node: &Node) -> PathBuf {
        let name = if node.number == 0 {
            "log".to_owned()
        } else {
            format!("log-{}", node.number)
        };
        self.stages
            .join(&node.token.stage)
            .join(node.token.attempt.to_string())
            .join(name)
    }

    async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        let known = self.known(&first(token));
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

    /// The inside of a node's machine.
    async fn inside(&self, node: &Node) -> Result<CloudWorker<C>, ProviderError> {
        let link = self.link(node).await?;
        let inner = RemoteWorker::new(link, node.token.clone(), self.scratch(node));
        let place = self.known(node).place;
        let fate = CloudFate {
            cloud: self.cloud.clone(),
            token: node.token.clone(),
            node: node.number,
            place,
        };
        Ok(CloudWorker {
            inner,
            fate,
            kept: self.log(node),
        })
    }
}

/// Whether a machine's word is one that is signed: nothing else that somebody there might want to
/// have signed.
fn is_challenge(word: &str) -> bool {
    word.len() == 36
        && word
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The first node of a token, or its only one.
fn first(token: &Token) -> Node {
    Node {
        token: token.clone(),
        number: 0,
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

/// Between two looks at what comes up: of a machine that boots, the cloud is not asked often.
fn pauses() -> impl Iterator<Item = Duration> {
    let pauses = ExponentialBuilder::default()
        .with_factor(1.5)
        .without_max_times();
    pauses
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(5))
        .build()
}

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
        let head = first(token);
        // Before anything is made: whoever ends the first of a gang ends them all.
        self.learn(&head, |known| known.nodes = Some(spec.nodes.max(1)));
        let made = self.make(&head, spec, None).await?;
        // What the machines of a gang say to one another would be billed between zones, and be
        // slower.
        let zone = made.zone.as_deref();
        let others: Vec<Node> = (1..spec.nodes)
            .map(|number| Node {
                token: token.clone(),
                number,
            })
            .collect();
        let others =
            futures_util::future::join_all(others.iter().map(|node| self.make(node, spec, zone)))
                .await;
        others.into_iter().collect::<Result<Vec<_>, _>>()?;
        self.needed(&made)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self
            .there(&first(token))
            .await?
            .and_then(|instance| instance_tags::machine(&instance)))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let found = self.cloud.all().await?;
        let owned = |machine: &Machine| {
            owner.is_none_or(|owner| machine.lineage == owner.lineage && machine.job == owner.job)
        };
        let there = found.iter().filter(|instance| costs(instance.life));
        let mut machines: Vec<Machine> = there
            .filter_map(instance_tags::machine)
            .filter(owned)
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
        let missing = || {
            ProviderError::new(
                ErrorKind::NotFound,
                format!("{}: there is no `{id}`", self.cloud.name()),
            )
        };
        let mut instance = self.cloud.by_id(id).await?.ok_or_else(missing)?;
        if instance
            .tags
            .get(instance_tags::TOKEN)
            .is_none_or(|known| *known != token.id)
        {
            let why =
                "was not made by sky, or under another token, so it cannot be talked to safely";
            return Err(self.wrong(ErrorKind::Other, &instance, why));
        }
        if instance.life != Life::Alive {
            return Err(missing());
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
        self.learn(&first(token), |known| {
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
            addresses.push(instance.inside.or(instance.address).unwrap_or_default());
        }
        Ok(Box::new(Gang {
            workers,
            addresses: addresses.join(" "),
        }))
    }
}

#[cfg(test)]
mod tests;
