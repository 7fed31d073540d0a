//! What all clouds share whose machines are rented by an API and reached by SSH: a [`Cloud`] says how
//! instances are created, listed, tagged and deleted there, and [`Machines`] makes a provider of it.
//!
//! An instance carries, from the call that creates it on, tags with all that a [`Machine`] says, and
//! the public half of its host key: whoever finds it can reach it without trusting the network. It
//! gets its keys, and the watchdog that ends it when its lease is over, by cloud-init
//! ([`user_data`]). Inside it the shared [`runner`](super::runner) is at work, as on any host.
//!
//! Adding a cloud: a folder that implements [`Cloud`].
//!
//! ```text
//! STATE/keys/client, client.pub    the key that sky logs in with, made when it is first needed;
//!                                  $SKY_SSH_KEY names another
//! STATE/keys/hosts/TOKEN, .pub     the host key of a machine, until it is deleted
//! ```

mod keys;
mod user_data;
mod worker;

use super::runner::{Link, Reach, RemoteWorker, Trust};
use super::{ErrorKind, Evidence, Machine, MachineSpec, Owner, Provider, ProviderError, Token, Worker};
use crate::model::PlaceName;
use crate::util::{clock, tree};
use async_trait::async_trait;
use keys::Keys;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
pub use user_data::USER;

/// Names of the tags. Clouds that only take lower case and `-` take these, too.
pub mod tag {
    pub const TOKEN: &str = "sky-token";
    pub const STAGE: &str = "sky-stage";
    pub const ATTEMPT: &str = "sky-attempt";
    pub const JOB: &str = "sky-job";
    pub const LINEAGE: &str = "sky-lineage";
    pub const PLAN: &str = "sky-plan";
    pub const LEASE_END: &str = "sky-lease-end";
    pub const HOST_KEY: &str = "sky-host-key";
}

/// How long an instance may take to be there with an address.
const CREATED: Duration = Duration::from_secs(600);
/// And then to let us in.
const BOOTED: Duration = Duration::from_secs(600);
/// Between two looks at either.
const LOOK: Duration = Duration::from_secs(2);

/// What is asked of a cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Idempotency: two calls with the same give one instance.
    pub token: Token,
    pub spec: MachineSpec,
    /// For the instance, in the call that creates it. Values are of up to 128 letters, digits and
    /// `-_.:/+= @[]`; clouds that take less encode them.
    pub tags: BTreeMap<&'static str, String>,
    /// For cloud-init.
    pub user_data: String,
}

/// Whether an instance is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is coming up or running.
    Alive,
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
    /// All of them, also other people's.
    pub tags: BTreeMap<String, String>,
}

/// A cloud's API, as little of it as is needed. Errors are told apart as [`ErrorKind`] says; an error
/// that leaves open whether an instance was made is `Unreachable`.
#[async_trait]
pub trait Cloud: Send + Sync {
    fn name(&self) -> &'static str;

    /// Creates an instance, or returns the one that this token has already made.
    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError>;

    /// The instances that carry a token tag (that token, if one is given), wherever they are; those
    /// that ended may be left out.
    async fn find(&self, token: Option<&str>) -> Result<Vec<Instance>, ProviderError>;

    /// Any instance, by the cloud's own name of it.
    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError>;

    /// Adds tags or changes them.
    async fn tag(&self, instance: &Instance, tags: &BTreeMap<&'static str, String>) -> Result<(), ProviderError>;

    /// Ends an instance and all that came with it; fine if it is gone.
    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError>;
}

/// The machines of a cloud.
pub struct Machines<C> {
    cloud: Arc<C>,
    keys: Keys,
    /// Of this machine: what comes back, and logs.
    stages: PathBuf,
    links: Mutex<HashMap<String, Arc<Link>>>,
}

impl<C: Cloud> Machines<C> {
    /// The machines of a cloud; `root` is the state folder.
    pub fn new(cloud: C, root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self {
            cloud: Arc::new(cloud),
            keys: Keys::at(root.join("keys")),
            stages: root.join("stages"),
            links: Mutex::default(),
        }
    }

    /// The instance of a token: the one that lives, if there are several.
    async fn instance(&self, token: &Token) -> Result<Option<Instance>, ProviderError> {
        let found = self.cloud.find(Some(&token.id)).await?;
        Ok(found.into_iter().min_by_key(|instance| (instance.life != Life::Alive, instance.id.clone())))
    }

    async fn alive(&self, token: &Token) -> Result<Option<Instance>, ProviderError> {
        Ok(self.instance(token).await?.filter(|instance| instance.life == Life::Alive))
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let (name, stage, attempt) = (self.cloud.name(), &token.stage, token.attempt);
        let message = format!("{name}: the machine of attempt {attempt} of stage.{stage} is not there");
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn known_link(&self, token: &str) -> Option<Arc<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// The way to the machine of a token, once it has an address and lets us in; its folder there is
    /// made.
    async fn link(&self, token: &Token) -> Result<Arc<Link>, ProviderError> {
        if let Some(link) = self.known_link(&token.id) {
            return Ok(link);
        }
        let begun = Instant::now();
        let (instance, address) = loop {
            let instance = self.alive(token).await?.ok_or_else(|| self.not_found(token))?;
            if let Some(address) = instance.address.clone() {
                break (instance, address);
            }
            if begun.elapsed() > CREATED {
                let message = format!("{}: {} has no address after 10 minutes", self.cloud.name(), instance.id);
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            tokio::time::sleep(LOOK).await;
        };
        let host_key = instance.tags.get(tag::HOST_KEY).cloned();
        let host_key = host_key.ok_or_else(|| {
            let message =
                format!("{}: {} has no host key in its tags, so it is not talked to", self.cloud.name(), instance.id);
            ProviderError::new(ErrorKind::Denied, message)
        })?;
        let link = Link::new(Reach {
            name: instance.id.clone(),
            address,
            port: None,
            user: Some(USER.to_owned()),
            identity: Some(self.keys.client()?),
            trust: Trust::Key(host_key),
            root: "sky".to_owned(),
        });
        self.enter(token, &instance, &link).await?;
        self.links.lock().unwrap_or_else(PoisonError::into_inner).insert(token.id.clone(), link.clone());
        Ok(link)
    }

    /// Makes the machine's folder, when it has booted. Fine if it is there.
    async fn enter(&self, token: &Token, instance: &Instance, link: &Link) -> Result<(), ProviderError> {
        let lease_end = instance.tags.get(tag::LEASE_END).cloned().unwrap_or_default();
        let tags =
            serde_json::to_string(&instance.tags).map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
        let begun = Instant::now();
        loop {
            let left = clock::between(&clock::timestamp(), &lease_end) / 1000;
            let arguments = [token.id.as_str(), &tags, &left.to_string(), &lease_end, "1"];
            let error = match link.lines("create", &arguments).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // While it boots, nothing listens; or what listens does not know our key yet.
            let booting = matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Denied);
            if !booting || begun.elapsed() > BOOTED {
                return Err(error);
            }
            if self.alive(token).await?.is_none() {
                return Err(self.not_found(token));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn machine(&self, instance: &Instance) -> Option<Machine> {
        let tag = |name: &str| instance.tags.get(name).cloned();
        let attempt = tag(tag::ATTEMPT)?.parse().ok()?;
        Some(Machine {
            token: Token { id: tag(tag::TOKEN)?, stage: tag(tag::STAGE)?, attempt },
            id: instance.id.clone(),
            job: tag(tag::JOB).unwrap_or_default(),
            lineage: tag(tag::LINEAGE).unwrap_or_default(),
            place: Some(instance.place.clone()),
            instance_type: Some(instance.instance_type.clone()),
            lease_end: tag(tag::LEASE_END),
            ended: instance.life != Life::Alive,
        })
    }

    fn needed(&self, instance: &Instance) -> Result<Machine, ProviderError> {
        self.machine(instance).ok_or_else(|| {
            let message = format!("{}: {} has lost tags that it was made with", self.cloud.name(), instance.id);
            ProviderError::new(ErrorKind::Other, message)
        })
    }

    fn scratch(&self, token: &Token) -> PathBuf {
        self.stages.join(".incoming").join(&token.id)
    }

    /// Where the log of an attempt is kept when its machine is gone.
    fn log(&self, token: &Token) -> PathBuf {
        self.stages.join(&token.stage).join(token.attempt.to_string()).join("log")
    }

    /// Brings the log home, if the machine can be asked for it.
    async fn keep_log(&self, token: &Token) {
        let Some(link) = self.known_link(&token.id) else { return };
        let worker = RemoteWorker::new(link, token.clone(), self.scratch(token));
        let mut text = Vec::new();
        while let Ok(piece) = worker.log(text.len() as u64).await {
            if piece.is_empty() {
                break;
            }
            text.extend(piece);
        }
        let path = self.log(token);
        if let Some(folder) = path.parent() {
            // Without it there is one log less, and nothing else.
            let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
        }
    }

    async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        // All that carry the token: a lost answer may have left two.
        for instance in self.cloud.find(Some(&token.id)).await? {
            self.cloud.delete(&instance).await?;
        }
        self.links.lock().unwrap_or_else(PoisonError::into_inner).remove(&token.id);
        self.keys.forget(&token.id)?;
        Ok(tree::remove(&self.scratch(token))?)
    }
}

fn tags(token: &Token, spec: &MachineSpec, host_key: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        (tag::TOKEN, token.id.clone()),
        (tag::STAGE, token.stage.clone()),
        (tag::ATTEMPT, token.attempt.to_string()),
        (tag::JOB, spec.owner.job.clone()),
        (tag::LINEAGE, spec.owner.lineage.clone()),
        (tag::PLAN, spec.plan.clone()),
        (tag::LEASE_END, clock::after(spec.lease)),
        (tag::HOST_KEY, host_key.to_owned()),
    ])
}

#[async_trait]
impl<C: Cloud + 'static> Provider for Machines<C> {
    fn name(&self) -> &'static str {
        self.cloud.name()
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        if let Some(instance) = self.alive(token).await? {
            return self.needed(&instance);
        }
        if spec.nodes > 1 {
            let message = format!(
                "{}: a stage gets one machine, and stage.{} wants {}",
                self.cloud.name(),
                token.stage,
                spec.nodes
            );
            return Err(ProviderError::new(ErrorKind::Quota, message));
        }
        let host = self.keys.host(&token.id)?;
        let user_data = user_data::text(&self.keys.client_public()?, &host, spec.lease);
        let tags = tags(token, spec, &host.public);
        let wanted = Wanted { token: token.clone(), spec: spec.clone(), tags, user_data };
        let instance = self.cloud.create(&wanted).await?;
        self.needed(&instance)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self.alive(token).await?.and_then(|instance| self.machine(&instance)))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let found = self.cloud.find(None).await?;
        let owned =
            |machine: &Machine| owner.is_none_or(|owner| machine.lineage == owner.lineage && machine.job == owner.job);
        let alive = found.iter().filter(|instance| instance.life == Life::Alive);
        let mut machines: Vec<Machine> = alive.filter_map(|instance| self.machine(instance)).filter(owned).collect();
        machines.sort_by(|a, b| (&a.token, &a.id).cmp(&(&b.token, &b.id)));
        Ok(machines)
    }

    async fn release(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError> {
        if evidence == Evidence::Keep {
            self.keep_log(token).await;
        }
        self.end(token).await
    }

    async fn delete(&self, token: &Token) -> Result<(), ProviderError> {
        self.end(token).await?;
        let log = self.log(token);
        Ok(tree::remove(log.parent().unwrap_or(&log))?)
    }

    async fn renew(&self, token: &Token, lease: Duration) -> Result<(), ProviderError> {
        let instance = self.alive(token).await?.ok_or_else(|| self.not_found(token))?;
        let lease_end = clock::after(lease);
        // The tag first: what looks at it must never take the machine for one that is overdue.
        self.cloud.tag(&instance, &BTreeMap::from([(tag::LEASE_END, lease_end.clone())])).await?;
        let link = self.link(token).await?;
        link.lines("renew", &[&token.id, &lease.as_secs().to_string(), &lease_end]).await.map(drop)
    }

    async fn adopt(&self, id: &str, token: &Token, owner: &Owner) -> Result<Machine, ProviderError> {
        let missing = || ProviderError::new(ErrorKind::NotFound, format!("{}: there is no `{id}`", self.cloud.name()));
        let mut instance = self.cloud.by_id(id).await?.ok_or_else(missing)?;
        if instance.tags.get(tag::TOKEN).is_none_or(|known| *known != token.id) {
            let message = format!("{id} was not made by sky, or under another token, so it cannot be talked to safely");
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let tags = BTreeMap::from([(tag::JOB, owner.job.clone()), (tag::LINEAGE, owner.lineage.clone())]);
        self.cloud.tag(&instance, &tags).await?;
        instance.tags.extend(tags.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.needed(&instance)
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let link = self.link(token).await?;
        let inner = RemoteWorker::new(link, token.clone(), self.scratch(token));
        Ok(Box::new(worker::CloudWorker { inner, cloud: self.cloud.clone(), token: token.clone() }))
    }
}
