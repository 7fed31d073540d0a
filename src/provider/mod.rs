//! Where stages run: code that can create, run and delete at a cloud.
//!
//! A [`Provider`] rents and returns machines; a [`Worker`] is the inside of one machine, for one
//! attempt of one stage. A cloud implements the first and shares the second with all others whose
//! machines are reached the same way. `local` implements both with processes on this machine,
//! and is the reference: what it does is what the contract means. The inside of machines that are
//! reached by SSH is in [`runner`], which `ssh`, one's own hosts, `slurm`, one's own clusters, and all of
//! [`cloud`] share: what is rented by an API; and `kubernetes`, one's own clusters of that kind, for its
//! pods. `aws`, `azure`, `gcp` and `kubernetes` are there only with the cargo features of these names.
//!
//! Adding a provider: one folder here that implements the two traits, and one line in [`open`].
//!
//! The contract, which the engine builds on:
//! - Every call may be made again with the same arguments after a crash, and then changes nothing
//!   that the first has changed already. This includes calls of which no answer ever came.
//! - A token stands for one machine, for good: creating twice gives one machine, and starting
//!   twice runs the command once.
//! - What a call makes carries the token and the owner before it costs anything, so that
//!   [`Provider::list`] finds it even if its maker dies at once.
//! - A command does not end because `sky` does, or loses its connection.
//! - Calls are level-triggered: the engine asks for the status, and nothing is lost if it was
//!   not listening when something happened.
//! - What a call makes has a lease: past its end the machine ends itself, whatever became of
//!   `sky`. A lease counts the machine's own time that is left, so that clocks that differ or
//!   jump do no harm.
//! - A stage that demands a trusted execution environment ([`MachineSpec::tee`]) gets a machine that runs
//!   with it, or none. Only `local` and `sim` do without: what they run stays on this machine.
//! - A secret reaches the command's environment and nothing else: no file, no log, no argument.
//!
//! Invariant: providers print nothing, journal nothing, and know no plan and no state.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "azure")]
pub mod azure;
pub mod check;
pub mod cloud;
mod error;
#[cfg(feature = "gcp")]
pub mod gcp;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
mod lease_end;
pub mod local;
pub mod runner;
pub mod sim;
pub mod slurm;
pub mod ssh;
mod task;

use crate::model::{Bytes, PlaceName, Purchase, Rate, Tee};
use crate::util::hash;
use async_trait::async_trait;
use check::{Finding, Need, Topic};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use error::without_tee;
pub use error::{ErrorKind, ProviderError};
pub use lease_end::LeaseEnd;
pub use task::{Content, Delivery, Fetch, Item, Moved, Nodes, Parcel, Source, Task, Written};

/// The name of the provider that runs stages as processes on this machine.
pub const LOCAL: &str = "local";

/// The name of the simulated cloud.
pub const SIM: &str = "sim";

/// The name of the provider of one's own hosts.
pub const SSH: &str = "ssh";

/// The name of the provider of one's own clusters.
pub const SLURM: &str = "slurm";

/// The name of the provider of one's own Kubernetes clusters.
pub const KUBERNETES: &str = "kubernetes";

/// The name of Amazon Web Services.
pub const AWS: &str = "aws";
/// The name of Microsoft Azure.
pub const AZURE: &str = "azure";
/// The name of Google Cloud.
pub const GCP: &str = "gcp";

/// The providers of this build.
pub const NAMES: &[&str] = &[
    LOCAL,
    SIM,
    SSH,
    SLURM,
    #[cfg(feature = "kubernetes")]
    KUBERNETES,
    #[cfg(feature = "aws")]
    AWS,
    #[cfg(feature = "azure")]
    AZURE,
    #[cfg(feature = "gcp")]
    GCP,
];

/// What is said of a provider that this build does not have.
pub fn unknown(name: &str) -> String {
    if [AWS, AZURE, GCP, KUBERNETES].contains(&name) {
        return format!(
            "this sky was built without the provider `{name}`: build it with `--features {name}`, as it is by default"
        );
    }
    format!("this sky has no provider `{name}`; it has {}", NAMES.join(", "))
}

/// Providers in place of those of this build. A test gives its own.
pub trait Registry: fmt::Debug + Send + Sync {
    /// The names of all providers, each that of the cloud whose places it has.
    fn names(&self) -> Vec<&'static str>;

    /// The provider of that name; none if there is none.
    fn open(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError>;
}

/// What providers are reached with.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The state folder, that a provider may keep things in.
    pub root: PathBuf,
    /// The file of one's own hosts, if there is one.
    pub hosts: Option<PathBuf>,
    /// The folder of the simulated cloud; without it, `cloud` in the state folder.
    pub cloud: Option<PathBuf>,
    /// Providers in place of those of this build.
    pub registry: Option<Arc<dyn Registry>>,
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        let registry = |access: &Self| access.registry.as_ref().map(Arc::as_ptr).map(<*const _>::cast::<()>);
        (&self.root, &self.hosts, &self.cloud, registry(self))
            == (&other.root, &other.hosts, &other.cloud, registry(other))
    }
}

impl Eq for Access {}

impl Access {
    /// The names of all providers that can be reached.
    pub fn names(&self) -> Vec<&'static str> {
        self.registry.as_ref().map_or_else(|| NAMES.to_vec(), |registry| registry.names())
    }
}

/// The provider of that name; none if this sky has none. An error says what is missing to reach it.
pub fn open(name: &str, access: &Access) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
    if let Some(registry) = &access.registry {
        return registry.open(name);
    }
    Ok(match name {
        LOCAL => Some(Arc::new(local::Local::new(&access.root))),
        SIM => Some(Arc::new(sim::Sim::open(access.cloud.as_deref().unwrap_or(&access.root.join("cloud")))?)),
        SSH => Some(Arc::new(ssh::Ssh::open(hosts(name, access)?, &access.root)?)),
        SLURM => Some(Arc::new(slurm::Slurm::open(hosts(name, access)?, &access.root)?)),
        #[cfg(feature = "kubernetes")]
        KUBERNETES => Some(Arc::new(kubernetes::Kubernetes::open(hosts(name, access)?, &access.root)?)),
        #[cfg(feature = "aws")]
        AWS => Some(Arc::new(aws::open(&access.root))),
        #[cfg(feature = "azure")]
        AZURE => Some(Arc::new(azure::open(&access.root, azure::Settings::read()))),
        #[cfg(feature = "gcp")]
        GCP => Some(Arc::new(gcp::open(&access.root, gcp::Settings::read()))),
        _ => None,
    })
}

/// The file of one's own hosts, without which the provider of that name can do nothing.
fn hosts<'a>(name: &str, access: &'a Access) -> Result<&'a std::path::Path, ProviderError> {
    access.hosts.as_deref().ok_or_else(|| {
        let message = format!(
            "the provider `{name}` needs the file of your hosts: give --hosts FILE, set SKY_HOSTS, or write a hosts.toml here"
        );
        ProviderError::new(ErrorKind::Other, message)
    })
}

/// The providers that may have machines of ours, as far as one can tell without asking them.
pub fn present(access: &Access) -> Vec<String> {
    let cloud = access.cloud.clone().unwrap_or_else(|| access.root.join("cloud"));
    let there = |name: &&str| match *name {
        SIM => cloud.exists(),
        SSH | SLURM | KUBERNETES => access.hosts.is_some(),
        #[cfg(feature = "aws")]
        AWS => aws::present(&access.root),
        #[cfg(feature = "azure")]
        AZURE => azure::present(&access.root),
        #[cfg(feature = "gcp")]
        GCP => gcp::present(&access.root),
        _ => true,
    };
    NAMES.iter().copied().filter(there).map(str::to_owned).collect()
}

/// The name of the provider for the places of a cloud; none if this sky has none.
pub fn of_cloud(cloud: &str, access: &Access) -> Option<&'static str> {
    access.names().into_iter().find(|name| *name == cloud)
}

/// Whether this sky has a provider for the places of a cloud.
pub fn is_built_in(cloud: &str) -> bool {
    of_cloud(cloud, &Access::default()).is_some()
}

/// Names one attempt of one stage under one plan; equal for equal attempts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token {
    /// 32 hex digits: fits every cloud's client token, tag and label.
    pub id: String,
    /// The stage's name.
    pub stage: String,
    /// From 1 on.
    pub attempt: u32,
}

impl Token {
    /// The token of an attempt of `stage.NAME` under the plan with this digest, for the state of
    /// this lineage: two states that apply the same plan at one provider rent two machines.
    pub fn new(lineage: &str, plan_digest: &str, stage: &str, attempt: u32) -> Self {
        let digest = hash::digest(format!("{lineage}\n{plan_digest}\nstage.{stage}\n{attempt}").as_bytes());
        let id = digest.chars().skip("sha256:".len()).take(32).collect();
        Self { id, stage: stage.to_owned(), attempt }
    }
}

/// Whose machines: one state's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub job: String,
    /// The state's lineage.
    pub lineage: String,
}

/// What to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSpec {
    pub owner: Owner,
    /// Digest of the plan that wants it.
    pub plan: String,
    /// How long it may live from now on, unless its lease is renewed.
    pub lease: Duration,
    pub place: PlaceName,
    pub instance_type: String,
    pub accelerator: Option<String>,
    pub nodes: u32,
    pub purchase: Purchase,
    /// The trusted execution environment that it must run with: a provider that cannot give it makes no
    /// machine. None: none is asked for.
    pub tee: Option<Tee>,
    /// What one machine costs an hour, by the plan. For providers that keep a bill of their own.
    pub rate: Rate,
    /// What the stage is planned to write.
    pub disk: Bytes,
}

/// Something that exists at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub token: Token,
    /// The provider's own name of it.
    pub id: String,
    pub job: String,
    pub lineage: String,
    /// Where it is and what it is, as the provider sees it now; none: it does not say.
    pub place: Option<PlaceName>,
    pub instance_type: Option<String>,
    /// When its lease ends, by its tag, which was written by the clock of whoever renewed it: RFC 3339.
    pub lease_end: Option<String>,
    /// Whether its lease is over by the clock that the machine itself goes by; none: the provider has no such clock.
    pub lease_over: Option<bool>,
    /// Nothing of it runs or costs anything any more: what is there is only traces.
    pub ended: bool,
}

/// What a provider has, as far as it could be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub machines: Vec<Machine>,
    /// What could not be looked at, or not be understood: a host that does not answer, a damaged description of a
    /// machine. There may be machines behind each.
    pub failed: Vec<ProviderError>,
}

impl Survey {
    /// Takes in the answer of one host: a line for each machine, as `read` understands it.
    fn take(
        &mut self,
        answer: Result<Vec<String>, ProviderError>,
        owner: Option<&Owner>,
        read: impl Fn(&str) -> Result<Machine, ProviderError>,
    ) {
        let lines = match answer {
            Ok(lines) => lines,
            Err(error) => return self.failed.push(error),
        };
        for line in lines {
            match read(&line) {
                Ok(machine) => self.machines.extend(Some(machine).filter(|machine| {
                    owner.is_none_or(|owner| machine.lineage == owner.lineage && machine.job == owner.job)
                })),
                Err(error) => self.failed.push(error),
            }
        }
    }
}

fn stages_nothing<T>() -> Result<T, ProviderError> {
    Err(ProviderError::new(ErrorKind::Other, "this machine cannot use buckets"))
}

/// How a command is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    NotStarted,
    Running,
    /// It runs, and the provider has said that it takes the machine away in so long.
    Leaving(Duration),
    /// It ended; 128 + N: by signal N.
    Exited(i32),
    /// It was started, is gone, and nobody knows how it ended.
    Lost,
    /// The provider took the machine away before the command ended, as it may with spot machines.
    Preempted,
    /// The lease ended before the command did, and the machine ended it.
    Expired,
}

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
    /// Its name, as in `--provider` and in the cloud part of places.
    fn name(&self) -> &'static str;

    /// Whether it can be asked for anything at all, as far as this machine knows: settings and
    /// credentials are there. An error is what to do about it.
    async fn ready(&self) -> Result<(), ProviderError> {
        Ok(())
    }

    /// What is there and what is missing for machines as those, or, of no needs, for any. Changes
    /// nothing, and answers without a network too.
    async fn check(&self, _needs: &[Need]) -> Vec<Finding> {
        vec![match self.ready().await {
            Ok(()) => Finding::there(Topic::Reach, self.name(), "needs nothing"),
            Err(error) => Finding::failed(Topic::Credentials, self.name(), &error),
        }]
    }

    /// Creates the machine of a token, tagged with it and with its owner; or returns the one
    /// that exists already.
    async fn create(&self, token: &Token, spec: &MachineSpec) -> Result<Machine, ProviderError>;

    /// The machine of a token, if it exists.
    async fn get(&self, token: &Token) -> Result<Option<Machine>, ProviderError>;

    /// All machines of an owner; of all owners when none is given. An error if anything could not be looked at.
    async fn list(&self, owner: Option<&Owner>) -> Result<Vec<Machine>, ProviderError>;

    /// The same, for whoever deletes what can be found: what cannot be looked at does not hide the rest.
    async fn survey(&self, owner: Option<&Owner>) -> Survey {
        match self.list(owner).await {
            Ok(machines) => Survey { machines, failed: Vec::new() },
            Err(error) => Survey { machines: Vec::new(), failed: vec![error] },
        }
    }

    /// Ends all that runs or costs money; traces that cost nothing may stay. Fine if it is gone.
    async fn release(&self, token: &Token, evidence: Evidence) -> Result<(), ProviderError>;

    /// Ends it and removes every trace that it has at the provider, by the provider's own means: a machine that cannot
    /// be logged into, or that has powered itself off, is deleted like any other. Fine if it is gone.
    async fn delete(&self, token: &Token) -> Result<(), ProviderError>;

    /// The machine of a token may live until the lease ends: its tag and its watchdog know. An
    /// error of kind [`ErrorKind::NotFound`] if it is gone.
    async fn renew(&self, token: &Token, lease: LeaseEnd) -> Result<(), ProviderError>;

    /// Takes over what exists under the provider's own name `id`: it carries token and owner from
    /// now on. Fine if it does already.
    async fn adopt(&self, id: &str, token: &Token, owner: &Owner) -> Result<Machine, ProviderError>;

    /// How long a machine may be there, and be billed, after its lease has ended: until it has ended itself.
    fn overrun(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether its machines, and data on its way to them, cost what the plan says; else nothing.
    fn bills(&self) -> bool {
        true
    }

    /// The inside of the machine of a token, which must exist.
    async fn worker(&self, token: &Token) -> Result<Box<dyn Worker>, ProviderError>;
}

/// The inside of one machine.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Lays out inputs and files; what an earlier, interrupted call left is replaced. Only before
    /// the start.
    async fn stage_in(&self, task: &Task) -> Result<(), ProviderError>;

    /// Starts the command, detached; nothing if it was ever started.
    async fn start(&self, task: &Task) -> Result<(), ProviderError>;

    /// How the command is doing.
    async fn status(&self) -> Result<RunStatus, ProviderError>;

    /// How long to wait between two looks at the status.
    fn interval(&self) -> Duration;

    /// What the command wrote from byte `offset` of its log on, up to some limit; empty: no more
    /// for now.
    async fn log(&self, offset: u64) -> Result<Vec<u8>, ProviderError>;

    /// The log's length so far, in bytes.
    async fn log_length(&self) -> Result<u64, ProviderError>;

    /// Where people find the log.
    fn log_name(&self) -> String;

    /// The command's progress so far, as it may be given to another attempt: a directory with what
    /// is complete in `$SKY_CHECKPOINT`, that is all but names that begin with a dot or end in
    /// `.tmp`; none if there is nothing yet. More bytes than `most` are an error of kind [`ErrorKind::Output`].
    async fn checkpoint(&self, most: u64) -> Result<Option<Content>, ProviderError>;

    /// Ends the command and all that it started: asks first, and after `grace` ends it by force.
    async fn stop(&self, grace: Duration) -> Result<(), ProviderError>;

    /// What a command that exited well wrote, in the order of `outputs`. An output that is
    /// missing is an error of kind [`ErrorKind::Output`]. Nothing is changed: collecting again
    /// gives the same.
    async fn collect(&self, outputs: &[String]) -> Result<Vec<Content>, ProviderError>;

    /// What the command has left in `$SKY_OUTPUTS` so far, by name. Empty also if the machine cannot say.
    async fn written(&self) -> Result<Vec<Written>, ProviderError> {
        Ok(Vec::new())
    }

    /// Lays all that the command has left in `$SKY_OUTPUTS` out in the folder `to`, which must not exist, whatever its
    /// names; whether there was anything. More bytes than `most` are an error of kind [`ErrorKind::Output`].
    async fn bring_outputs(&self, _to: &Path, _most: u64) -> Result<bool, ProviderError> {
        Ok(false)
    }

    /// Whether it can send and fetch data by signed addresses: then it has the calls below.
    fn stages(&self) -> bool {
        false
    }

    /// How many machines it is: those of a gang, or one.
    fn nodes(&self) -> usize {
        1
    }

    /// What a command that exited well wrote, in the order of `outputs`, without bringing it here; errors are as of
    /// [`Worker::collect`]. Of no outputs, at any time: an error says what the machine lacks to use buckets at all.
    async fn measure(&self, _outputs: &[String]) -> Result<Vec<Parcel>, ProviderError> {
        stages_nothing()
    }

    /// Sends chunks to a bucket. Called again, what is there is not sent again.
    async fn deliver(&self, _source: Source<'_>, _delivery: &Delivery) -> Result<Moved, ProviderError> {
        stages_nothing()
    }

    /// Fetches an input from a bucket, for the next [`Worker::stage_in`] to lay out as [`Content::Fetched`]. Called
    /// again, what was fetched under that mark is not fetched again.
    async fn fetch(&self, _fetch: &Fetch) -> Result<Moved, ProviderError> {
        stages_nothing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_build_lacks_is_said() {
        let kinds = [
            (AWS, cfg!(feature = "aws")),
            (AZURE, cfg!(feature = "azure")),
            (GCP, cfg!(feature = "gcp")),
            (KUBERNETES, cfg!(feature = "kubernetes")),
        ];
        for (name, built) in kinds {
            assert_eq!(NAMES.contains(&name), built);
            assert!(unknown(name).contains("built without") && unknown(name).contains("--features"));
        }
        assert!(unknown("x").contains("local, sim, ssh"));
    }

    #[test]
    fn tokens_differ_in_every_part() {
        let token = Token::new("l", "sha256:ab", "train", 1);
        assert_eq!(token, Token::new("l", "sha256:ab", "train", 1));
        assert_eq!(token.id.len(), 32);
        let others = [
            ("m", "sha256:ab", "train", 1),
            ("l", "sha256:ac", "train", 1),
            ("l", "sha256:ab", "serve", 1),
            ("l", "sha256:ab", "train", 2),
        ];
        for other in others {
            assert_ne!(token.id, Token::new(other.0, other.1, other.2, other.3).id);
        }
    }
}
