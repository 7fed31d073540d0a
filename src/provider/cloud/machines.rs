//! A provider made of a [`Cloud`].

use super::super::runner::{Link, Reach, RemoteWorker, Trust};
use super::super::{ErrorKind, Evidence, Machine, MachineSpec, Owner, Provider, ProviderError, Token, Worker};
use super::keys::Keys;
use super::{Cloud, Instance, Life, Wanted, tag, user_data, worker};
use crate::model::PlaceName;
use crate::util::{clock, tree};
use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an instance may take to be there with an address, and then to let us in: each.
const PATIENCE: Duration = Duration::from_secs(600);
/// For so long after an instance was made, lists may not have it yet.
const NEWS: Duration = Duration::from_secs(120);

/// The machines of a cloud.
pub struct Machines<C> {
    cloud: Arc<C>,
    keys: Keys,
    /// Of this machine: what comes back, and logs.
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

    fn known(&self, token: &Token) -> Known {
        self.lock().entry(token.id.clone()).or_default().clone()
    }

    fn learn(&self, token: &Token, change: impl FnOnce(&mut Known)) {
        change(self.lock().entry(token.id.clone()).or_default());
    }

    /// The instance of a token: the one that lives, if there are several; else one that still costs.
    async fn instance(&self, token: &Token) -> Result<Option<Instance>, ProviderError> {
        let known = self.known(token);
        let found = self.cloud.find(&token.id, known.place.as_ref()).await?;
        let best = found.into_iter().min_by_key(|instance| (rank(instance.life), instance.id.clone()));
        if let Some(instance) = &best {
            self.learn(token, |known| known.place = Some(instance.place.clone()));
        }
        let made = known.made.filter(|(_, when)| when.elapsed() < NEWS).map(|(instance, _)| instance);
        Ok(best.or(made))
    }

    async fn alive(&self, token: &Token) -> Result<Option<Instance>, ProviderError> {
        Ok(self.instance(token).await?.filter(|instance| instance.life == Life::Alive))
    }

    /// What lives, or costs something although it does not.
    async fn there(&self, token: &Token) -> Result<Option<Instance>, ProviderError> {
        Ok(self.instance(token).await?.filter(|instance| costs(instance.life)))
    }

    fn not_found(&self, token: &Token) -> ProviderError {
        let (name, stage, attempt) = (self.cloud.name(), &token.stage, token.attempt);
        let message = format!("{name}: the machine of attempt {attempt} of stage.{stage} is not there");
        ProviderError::new(ErrorKind::NotFound, message)
    }

    fn wrong(&self, kind: ErrorKind, instance: &Instance, why: &str) -> ProviderError {
        ProviderError::new(kind, format!("{}: {} {why}", self.cloud.name(), instance.id))
    }

    /// The way to the machine of a token, once it has an address and lets us in; its folder there is
    /// made.
    async fn link(&self, token: &Token) -> Result<Arc<Link>, ProviderError> {
        let known = self.known(token);
        let _alone = known.alone.lock().await;
        if let Some(link) = self.known(token).link {
            return Ok(link);
        }
        let begun = Instant::now();
        let mut pauses = pauses();
        let (instance, address) = loop {
            let instance = self.alive(token).await?.ok_or_else(|| self.not_found(token))?;
            if let Some(address) = instance.address.clone() {
                break (instance, address);
            }
            if begun.elapsed() > PATIENCE {
                return Err(self.wrong(ErrorKind::Other, &instance, "has no address after 10 minutes"));
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        };
        let host_key = instance.tags.get(tag::HOST_KEY).cloned().ok_or_else(|| {
            self.wrong(ErrorKind::Denied, &instance, "has no host key in its tags, so it is not talked to")
        })?;
        self.cloud.admit(&instance).await?;
        let link = Link::new(Reach {
            name: instance.id.clone(),
            address,
            port: None,
            user: Some(user_data::user()?),
            identity: Some(self.keys.client()?),
            trust: Trust::Key(host_key),
            root: "sky".to_owned(),
        });
        self.enter(token, &instance, &link).await?;
        self.learn(token, |known| known.link = Some(link.clone()));
        Ok(link)
    }

    /// Makes the machine's folder, when it has booted. Fine if it is there.
    async fn enter(&self, token: &Token, instance: &Instance, link: &Link) -> Result<(), ProviderError> {
        let lease_end = instance.tags.get(tag::LEASE_END).cloned().unwrap_or_default();
        let tags =
            serde_json::to_string(&instance.tags).map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
        let begun = Instant::now();
        let mut pauses = pauses();
        loop {
            let left = clock::between(&clock::timestamp(), &lease_end) / 1000;
            let arguments = [token.id.as_str(), &tags, &left.to_string(), &lease_end, "1"];
            let error = match link.lines("create", &arguments).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            // While it boots, nothing listens; or what listens does not know our key yet.
            if !matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Denied) {
                return Err(error);
            }
            if self.alive(token).await?.is_none() {
                return Err(self.not_found(token));
            }
            if begun.elapsed() > PATIENCE {
                let message = format!("it did not let us in within 10 minutes: {}", error.message);
                // Whoever asks again would wait as long again.
                let kind = if error.kind == ErrorKind::Denied { ErrorKind::Denied } else { ErrorKind::Other };
                return Err(self.wrong(kind, instance, &message));
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    fn needed(&self, instance: &Instance) -> Result<Machine, ProviderError> {
        let lost = || self.wrong(ErrorKind::Other, instance, "has lost tags that it was made with");
        tag::machine(instance).ok_or_else(lost)
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
        let Some(link) = self.known(token).link else { return };
        let worker = RemoteWorker::new(link, token.clone(), self.scratch(token));
        let mut text = Vec::new();
        while let Ok(piece) = worker.log(text.len() as u64).await {
            if piece.is_empty() {
                break;
            }
            text.extend(piece);
        }
        let path = self.log(token);
        if let Some(folder) = path.parent().filter(|_| !text.is_empty()) {
            // Without it there is one log less, and nothing else.
            let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, text));
        }
    }

    async fn end(&self, token: &Token) -> Result<(), ProviderError> {
        let known = self.known(token);
        let mut found = self.cloud.find(&token.id, known.place.as_ref()).await?;
        // What lists do not have yet costs as much as what they have.
        if let Some((made, _)) = known.made.filter(|(made, _)| found.iter().all(|instance| instance.id != made.id)) {
            found.push(made);
        }
        // All that carry the token: somebody may have copied an instance, tags and all.
        for instance in &found {
            self.cloud.delete(instance).await?;
        }
        self.learn(token, |known| (known.made, known.link) = (None, None));
        self.keys.forget(&token.id)?;
        Ok(tree::remove(&self.scratch(token))?)
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
    let pauses = ExponentialBuilder::default().with_factor(1.5).without_max_times();
    pauses.with_min_delay(Duration::from_millis(200)).with_max_delay(Duration::from_secs(5)).build()
}

#[async_trait]
impl<C: Cloud + 'static> Provider for Machines<C> {
    fn name(&self) -> &'static str {
        self.cloud.name()
    }

    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError> {
        let name = self.cloud.name();
        if spec.place.cloud != name {
            let message = format!("{name}: {} is no place of it: give no --provider, or `sim` to rehearse", spec.place);
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        if spec.nodes > 1 {
            let message = format!("{name}: a stage gets one machine, and stage.{} wants {}", token.stage, spec.nodes);
            return Err(ProviderError::new(ErrorKind::Quota, message));
        }
        let known = self.known(token);
        let _alone = known.alone.lock().await;
        self.learn(token, |known| known.place = Some(spec.place.clone()));
        if let Some(instance) = self.there(token).await? {
            return self.needed(&instance);
        }
        let host = self.keys.host(&token.id)?;
        let user_data = user_data::text(&self.keys.client_public()?, &host, spec.lease)?;
        let mut tags = tag::of(token, spec);
        tags.insert(tag::HOST_KEY, host.public.clone());
        let wanted = Wanted { token: token.clone(), spec: spec.clone(), tags, user_data };
        let instance = self.cloud.create(&wanted).await?;
        self.learn(token, |known| known.made = Some((instance.clone(), Instant::now())));
        self.needed(&instance)
    }

    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError> {
        Ok(self.there(token).await?.and_then(|instance| tag::machine(&instance)))
    }

    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError> {
        let found = self.cloud.all().await?;
        let owned =
            |machine: &Machine| owner.is_none_or(|owner| machine.lineage == owner.lineage && machine.job == owner.job);
        let there = found.iter().filter(|instance| costs(instance.life));
        let mut machines: Vec<Machine> = there.filter_map(tag::machine).filter(owned).collect();
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
        self.cloud.tidy().await?;
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
            let why = "was not made by sky, or under another token, so it cannot be talked to safely";
            return Err(self.wrong(ErrorKind::Other, &instance, why));
        }
        if instance.life != Life::Alive {
            return Err(missing());
        }
        let tags = BTreeMap::from([(tag::JOB, owner.job.clone()), (tag::LINEAGE, owner.lineage.clone())]);
        self.cloud.tag(&instance, &tags).await?;
        instance.tags.extend(tags.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.learn(token, |known| known.place = Some(instance.place.clone()));
        self.needed(&instance)
    }

    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError> {
        let link = self.link(token).await?;
        let inner = RemoteWorker::new(link, token.clone(), self.scratch(token));
        let place = self.known(token).place;
        let (cloud, token, kept) = (self.cloud.clone(), token.clone(), self.log(token));
        Ok(Box::new(worker::CloudWorker { inner, cloud, token, place, kept }))
    }
}
