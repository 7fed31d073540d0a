//! Which provider is opened for which name, and with what.

#[cfg(feature = "kubernetes")]
use super::kubernetes;
#[cfg(feature = "aws")]
use super::{AWS, aws};
#[cfg(feature = "azure")]
use super::{AZURE, azure};
use super::{
    ErrorKind, KUBERNETES, LOCAL, NAMES, Provider, ProviderError, SIM, SLURM, SSH, local, sim,
    slurm, ssh,
};
#[cfg(feature = "gcp")]
use super::{GCP, gcp};
use crate::model::hosts::OwnHosts;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Providers in place of those of this build. A test gives its own.
pub trait Registry: fmt::Debug + Send + Sync {
    /// The names of all providers, each that of the cloud whose places it has.
    fn names(&self) -> Vec<&'static str>;

    /// Opens the provider of that name; none: there is none.
    fn open(&self, name: &str) -> Result<Option<Arc<dyn Provider>>, ProviderError>;
}

/// All that providers need to be reached.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The state folder, in which a provider may keep things.
    pub root: PathBuf,
    /// One's own hosts, if there is a file of them; an error says why that file cannot be used.
    pub hosts: Option<Result<Arc<OwnHosts>, ProviderError>>,
    /// The folder of the simulated cloud; without it, `cloud` in the state folder.
    pub cloud: Option<PathBuf>,
    /// Providers in place of those of this build.
    pub registry: Option<Arc<dyn Registry>>,
}

impl PartialEq for Access {
    fn eq(&self, other: &Self) -> bool {
        let registry = |access: &Self| {
            access
                .registry
                .as_ref()
                .map(Arc::as_ptr)
                .map(<*const _>::cast::<()>)
        };
        (&self.root, &self.hosts, &self.cloud, registry(self))
            == (&other.root, &other.hosts, &other.cloud, registry(other))
    }
}

impl Eq for Access {}

impl Access {
    /// The names of all providers that can be reached.
    pub fn names(&self) -> Vec<&'static str> {
        self.registry
            .as_ref()
            .map_or_else(|| NAMES.to_vec(), |registry| registry.names())
    }
}

/// Opens the provider of that name; none: this sky has none. An error says what is missing to reach
/// the provider.
pub fn open(name: &str, access: &Access) -> Result<Option<Arc<dyn Provider>>, ProviderError> {
    if let Some(registry) = &access.registry {
        return registry.open(name);
    }
    Ok(match name {
        LOCAL => Some(Arc::new(local::Local::new(&access.root))),
        SIM => Some(Arc::new(sim::Sim::open(
            access
                .cloud
                .as_deref()
                .unwrap_or(&access.root.join("cloud")),
        )?)),
        SSH => Some(Arc::new(ssh::Ssh::new(
            own_hosts(name, access)?,
            &access.root,
        ))),
        SLURM => Some(Arc::new(slurm::Slurm::new(
            own_hosts(name, access)?,
            &access.root,
        ))),
        #[cfg(feature = "kubernetes")]
        KUBERNETES => Some(Arc::new(kubernetes::Kubernetes::new(
            own_hosts(name, access)?,
            &access.root,
        ))),
        #[cfg(feature = "aws")]
        AWS => Some(Arc::new(aws::open(&access.root))),
        #[cfg(feature = "azure")]
        AZURE => Some(Arc::new(azure::open(&access.root, azure::Settings::read()))),
        #[cfg(feature = "gcp")]
        GCP => Some(Arc::new(gcp::open(&access.root, gcp::Settings::read()))),
        _ => None,
    })
}

/// One's own hosts, without which the provider of that name can do nothing.
fn own_hosts(name: &str, access: &Access) -> Result<Arc<OwnHosts>, ProviderError> {
    access.hosts.clone().unwrap_or_else(|| {
        let message = format!(
            "the provider `{name}` needs the file of your hosts: give --hosts FILE, set SKY_HOSTS, or write a hosts.toml here"
        );
        Err(ProviderError::new(ErrorKind::Other, message))
    })
}

/// The providers that may have machines of ours, as far as one can tell without asking them.
pub fn present(access: &Access) -> Vec<String> {
    let cloud = access
        .cloud
        .clone()
        .unwrap_or_else(|| access.root.join("cloud"));
    let is_there = |name: &&str| match *name {
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
    NAMES
        .iter()
        .copied()
        .filter(is_there)
        .map(str::to_owned)
        .collect()
}

/// The name of the provider for the places of a cloud; none if this sky has none.
pub fn of_cloud(cloud: &str, access: &Access) -> Option<&'static str> {
    access.names().into_iter().find(|name| *name == cloud)
}

/// Whether this sky has a provider for the places of a cloud.
pub fn is_built_in(cloud: &str) -> bool {
    of_cloud(cloud, &Access::default()).is_some()
}
