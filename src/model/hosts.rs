//! One's own hosts and clusters, as `hosts.toml` has them: how they are reached, what they offer,
//! where they are.

use crate::model::{Bytes, DataRate, PlaceName, Rate};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

/// The name of the cloud, and of the provider, of one's own hosts.
pub const SSH: &str = "ssh";

/// The name of the cloud, and of the provider, of one's own clusters.
pub const SLURM: &str = "slurm";

/// The name of the cloud, and of the provider, of one's own Kubernetes clusters.
pub const KUBERNETES: &str = "kubernetes";

/// All hosts and clusters of one user, as their file says and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnHosts {
    /// The day of the prices, `YYYY-MM-DD`; none: the day of the catalog.
    pub date: Option<String>,
    /// The hosts that are reached by SSH, in the order of their names.
    pub hosts: Vec<OwnHost>,
    /// The kinds of jobs on clusters that Slurm runs, in the order of their names.
    pub clusters: Vec<SlurmCluster>,
    /// The kinds of pods on Kubernetes clusters, in the order of their names.
    pub pods: Vec<KubernetesPods>,
    /// What is known of each place that a host or a cluster is at, by the place's name.
    pub places: BTreeMap<String, HostPlace>,
    /// What a GB from these hosts to any other place costs.
    pub egress: DataRate,
    /// The speed between these hosts and other places, in 10⁹ bits a second and as decimal text;
    /// none: as the catalog says.
    pub gbps: Option<String>,
}

/// One host, or what stands for one: the log-in node of a cluster, a kind of pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnHost {
    /// How the host is reached.
    pub reach: SshTarget,
    /// Where the host is.
    pub place: PlaceName,
    /// The type of the host: hosts of one type at one place stand for each other.
    pub instance_type: String,
    /// How many stages the host runs at a time.
    pub slots: u32,
    /// What the host offers.
    pub offer: HostOffer,
}

/// What a host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOffer {
    /// How many vCPUs there are, in thousandths; 0: unknown.
    pub vcpu_thousandths: u64,
    /// How much memory there is; 0: unknown.
    pub memory: Bytes,
    /// The accelerators' name, and how many there are.
    pub accelerators: Option<(String, u32)>,
    /// The architecture, `x86_64` or `arm64`; empty: unknown.
    pub arch: String,
    /// The names of the trusted execution environments that the host can run with.
    pub tee: BTreeSet<String>,
    /// What one machine costs an hour.
    pub rate: Rate,
}

/// What is known of a place; an empty text: unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPlace {
    /// The country that the place is in, as an ISO 3166 code.
    pub country: String,
    /// The place in words.
    pub location: String,
    /// Who runs the place.
    pub operator: String,
    /// Who owns the operator.
    pub parent: String,
    /// The country of the owner, as an ISO 3166 code.
    pub parent_country: String,
    /// Whether the US CLOUD Act reaches the place: `yes`, `no`, `contested` or `unknown`.
    pub us_cloud_act: String,
    /// The class of the place, as the catalog has classes.
    pub class: String,
    /// The schemes that the place is certified by.
    pub certifications: Vec<String>,
}

impl OwnHosts {
    /// All hosts, log-in nodes and kinds of pods.
    pub fn all(&self) -> impl Iterator<Item = &OwnHost> {
        let clusters = self.clusters.iter().map(|cluster| &cluster.host);
        self.hosts
            .iter()
            .chain(clusters)
            .chain(self.pods.iter().map(|pods| &pods.host))
    }
}

impl HostOffer {
    /// How large a machine is: offers of one type are equally large.
    pub fn size(&self) -> (u64, Bytes, &Option<(String, u32)>, &str) {
        (
            self.vcpu_thousandths,
            self.memory,
            &self.accelerators,
            &self.arch,
        )
    }
}

/// A machine that is reached by SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// What people call it.
    pub name: String,
    /// A name or an address, or a `Host` of the user's SSH configuration.
    pub address: String,
    /// None, as with all below: as the user's SSH configuration says.
    pub port: Option<u16>,
    /// Who logs in.
    pub user: Option<String>,
    /// The file of the private key, for this machine alone.
    pub identity: Option<PathBuf>,
    /// How the machine proves that it is itself.
    pub trust: HostTrust,
    /// The folder for all of sky's on it, absolute or relative to the home folder.
    pub root: String,
}

/// How a machine proves that it is itself, which it always must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostTrust {
    /// The machine has a key that is in the files that `ssh` knows hosts from.
    Known,
    /// The machine has a key that is in this file, in the format of `known_hosts`.
    File(PathBuf),
    /// The machine has this key: `ssh-ed25519 AAAA…`.
    Key(String),
    /// The machine is this one, and reached without a connection; address, port, user and identity
    /// mean nothing then.
    Here,
}

/// One kind of job on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlurmCluster {
    /// The log-in node, and what a job gets of one node.
    pub host: OwnHost,
    /// The partition; none, as with the next four: nothing is said to Slurm.
    pub partition: Option<String>,
    /// The account that jobs are counted to.
    pub account: Option<String>,
    /// The quality of service.
    pub qos: Option<String>,
    /// The generic resources of one node.
    pub gres: Option<String>,
    /// The features that nodes must have.
    pub constraint: Option<String>,
    /// How long a job may take at most; none: as long as its lease, and Slurm lets us move that.
    pub time: Option<Duration>,
    /// The most nodes that jobs have at a time; none: there is no limit.
    pub nodes: Option<u32>,
    /// The cluster's configuration, on the log-in node.
    pub conf: Option<PathBuf>,
}

/// One kind of pod on a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesPods {
    /// What a pod gets, its name and its price; how a host is reached means nothing here.
    pub host: OwnHost,
    /// Where the pods run.
    pub at: KubernetesNamespace,
    /// The image of the pods' container.
    pub image: String,
    /// The labels of the nodes that will do.
    pub selector: BTreeMap<String, String>,
    /// The resource by whose name the cluster counts its accelerators.
    pub resource: String,
    /// The keys of taints that the pods tolerate.
    pub tolerations: Vec<String>,
    /// The priority class of the pods; none: the cluster's default.
    pub priority_class: Option<String>,
    /// The runtime class of the pods; none: the cluster's default.
    pub runtime_class: Option<String>,
    /// How long a pod may wait for a node before it counts as unavailable.
    pub wait: Duration,
    /// The most pods that there are at a time; none: there is no limit.
    pub nodes: Option<u32>,
}

/// Where pods run, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesNamespace {
    /// The file of the cluster's access; none: `KUBECONFIG`, `~/.kube/config`, or the account of
    /// the pod that `sky` runs in.
    pub kubeconfig: Option<PathBuf>,
    /// The context in that file; none: the current one.
    pub context: Option<String>,
    /// The namespace's name; none: the one of the context.
    pub name: Option<String>,
}
