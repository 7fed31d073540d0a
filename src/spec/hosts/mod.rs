//! `hosts.toml`: one's own hosts and clusters, and the places where they are.
//!
//! ```toml
//! date = "2026-11-01"              # the day of the prices; without it, that of the catalog
//!
//! [hosts.big]                      # its name, by which `ssh` may know it too
//! address = "10.0.0.5"             # [the name]
//! port = 22                        # this and the next: as ~/.ssh/config says
//! user = "me"
//! identity = "keys/big"            # relative to this file; `~/` is the home folder
//! known_hosts = "known_hosts"      # or host_key = "ssh-ed25519 AAAA…" [~/.ssh/known_hosts]
//! root = "sky"                     # folder on the host, relative to the home folder
//! cpus = 32
//! memory = "256 GiB"
//! accelerators = "A100-80GB:4"
//! arch = "x86_64"
//! tee = ["sev-snp"]
//! place = "berlin"                 # [the name]
//! type = "dgx"                     # hosts of one place and type stand for each other [the name]
//! slots = 1                        # stages at a time
//! price = "$1.20"                  # an hour [0]
//!
//! [clusters.gpu]                   # a partition of a cluster that Slurm runs: as a host, with
//! address = "login.example.org"    # its log-in node [this machine]
//! root = "/shared/sky"             # folder that its nodes see as well [.local/share/sky]
//! partition = "gpu"                # this to `constraint`: as sbatch has them
//! account = "us"
//! qos = "normal"
//! gres = "gpu:a100:4"              # [gpu:COUNT of the accelerators]
//! constraint = "nvlink"
//! time = "24 h"                    # limit of a job [its lease, moved when that is renewed]
//! nodes = 8                        # most nodes at a time, in place of `slots` [no limit]
//! conf = "/etc/slurm/slurm.conf"   # on the log-in node [as it is set there]
//!
//! [kubernetes.pool]                # a kind of pod on a cluster: cpus to type and price as a host, and
//! kubeconfig = "kube/config"       # [KUBECONFIG, ~/.kube/config, or the account of the pod that sky is in]
//! context = "lab"                  # [the current one]
//! namespace = "ml"                 # [the context's]
//! image = "debian:12"              # with a POSIX shell, coreutils, tar, flock and setsid
//! resource = "nvidia.com/gpu"      # what the cluster calls its accelerators
//! selector = { "gpu.example.org/model" = "A100" } # labels of the nodes that will do
//! tolerations = ["gpu.example.org/only"] # keys of taints
//! priority_class = "batch"
//! runtime_class = "kata"
//! wait = "10 min"                  # for a node; after that it counts as unavailable
//! nodes = 8                        # most pods at a time [no limit]
//!
//! [places.berlin]                  # what rules may ask of a place; what is not said is unknown
//! country = "DE"                   # also location, operator, parent, parent_country, us_cloud_act, class,
//!                                  # certifications
//! [network]
//! egress = "$0"                    # for a GB from the hosts to other places [0]
//! gbps = 1                         # between them and other places [as the catalog says]
//! ```

mod fault;
mod host;
mod hosts_file;
mod kubernetes_pods;
mod place;
mod reader;
mod schema;
mod slurm_cluster;
mod text_checks;

pub use fault::HostsFault;
pub use hosts_file::parse;
pub use reader::HostsFile;
pub(super) use schema::schema;

#[cfg(test)]
mod tests;
