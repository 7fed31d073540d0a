//! The JSON Schema of `hosts.toml`.

use crate::spec::schema::values::{self, DECIMAL, ZERO};
use crate::util::json_schema::{CONTROL, Schema, Table};
use serde_json::Value;

/// The pattern of names of hosts, places and types.
const WORD: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$";

/// Returns the schema of a whole file.
pub(in crate::spec) fn schema() -> Value {
    Table::new("Hosts")
        .key(
            "date",
            "The day of the prices. Default: that of the catalog.",
            Schema::text_like("^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$")
                .in_form("A text such as \"2026-11-01\"."),
        )
        .key("hosts", "Hosts that SSH reaches, by name.", Schema::table_by_name(WORD, host()))
        .key(
            "clusters",
            "Clusters that Slurm runs: one kind of job in one partition each, by name.",
            Schema::table_by_name(WORD, slurm_cluster()),
        )
        .key(
            "kubernetes",
            "Clusters that Kubernetes runs: one kind of pod each, by name.",
            Schema::table_by_name(WORD, kubernetes_pods()),
        )
        .key(
            "places",
            "What rules may ask of the places where the hosts are, by name. What is not said is unknown.",
            Schema::table_by_name(WORD, place()),
        )
        .key("network", "What data between the hosts and other places costs.", network())
        .at_least_one_filled(&["hosts", "clusters", "kubernetes"])
        .schema()
        .of_file(
            "Hosts of sky",
            "The file of one's own hosts and clusters. `sky guide ssh`, `sky guide slurm` and `sky guide kubernetes` \
             explain it.",
        )
}

/// A host.
fn host() -> Schema {
    let host = log_in(Table::new("Host"), "Default: the name of the host.");
    offer(host, "Default: the name of the host.")
        .key(
            "slots",
            "How many stages may be on the host at a time. Default: 1.",
            Schema::whole_number(1..=10_000),
        )
        .never_together(&["known_hosts", "host_key"])
        .schema()
}

/// The keys that say how a machine is reached.
fn log_in(table: Table, default_address: &str) -> Table {
    table
        .key(
            "address",
            &format!("The name or address by which SSH reaches the machine. {default_address}"),
            Schema::text_like("^[A-Za-z0-9_.:%][A-Za-z0-9_.:%-]*$"),
        )
        .key(
            "port",
            "The port of its SSH server. Default: as ~/.ssh/config says, else 22.",
            Schema::whole_number(1..=u16::MAX),
        )
        .key(
            "user",
            "The user to log in as. Default: as ~/.ssh/config says.",
            Schema::text_like(r"^[A-Za-z0-9_.@+\\][A-Za-z0-9_.@+\\-]*$"),
        )
        .key(
            "identity",
            "The file of the key to log in with. Default: as ~/.ssh/config and ssh-agent say.",
            path(),
        )
        .key(
            "known_hosts",
            "A file with the keys of hosts. Default: ~/.ssh/known_hosts.",
            path(),
        )
        .key(
            "host_key",
            "The public key of the host, such as \"ssh-ed25519 AAAA…\". Default: that in `known_hosts`.",
            Schema::text_like(
                r"^[ \t\n\f\r]*(?:ssh-|ecdsa-|sk-)[A-Za-z0-9_.@+/=-]*[ \t\n\f\r]+AAAA[A-Za-z0-9_.@+/=-]*(?:[ \t\n\f\r]|$)",
            ),
        )
        .key(
            "root",
            "A folder for sky alone, absolute or relative to the home folder there. Default: \".local/share/sky\".",
            Schema::text_like(&format!("^[^{CONTROL}]+$"))
                .unless_like(r"(?:^|/)\.\.(?:/|$)|^~?/$"),
        )
}

/// The keys that say what a machine, a node or a pod offers.
fn offer(table: Table, default_name: &str) -> Table {
    /// The most vCPUs that can be counted in thousandths.
    const MOST_CPUS: i64 = i64::MAX / 1000;
    table
        .key(
            "cpus",
            "The number of virtual CPUs. Default: unknown, which satisfies no stage that asks for some.",
            Schema::number_above_zero(MOST_CPUS).or(number_as_text().unless_like(ZERO)),
        )
        .key(
            "memory",
            "The memory. Default: unknown, which satisfies no stage that asks for some.",
            values::size(),
        )
        .key(
            "accelerators",
            "One kind of accelerators and how many there are, such as \"A100-80GB:4\". Default: none.",
            accelerators(),
        )
        .key(
            "arch",
            "The CPU architecture. Default: unknown.",
            Schema::word_of(["x86_64", "arm64"]),
        )
        .key(
            "tee",
            "Trusted execution environments that it has. Default: none.",
            Schema::list_of(values::tee()),
        )
        .key(
            "place",
            &format!("The place, as plans and rules name it. {default_name}"),
            Schema::text_like(WORD),
        )
        .key(
            "type",
            &format!(
                "The machine type, as plans name it; machines of one place and type stand for each other. \
                 {default_name}"
            ),
            Schema::text_like(WORD),
        )
        .key("price", "The price of an hour. Default: 0.", price())
}

fn slurm_cluster() -> Schema {
    let option = || Schema::text_like(&format!("^[^\\s{CONTROL}-][^\\s{CONTROL}]*$"));
    let cluster = log_in(
        Table::new("Slurm cluster"),
        "Default: this machine is the log-in node.",
    );
    offer(cluster, "Default: the name of the cluster.")
        .key("partition", "The partition, as sbatch takes it. Default: that of the cluster.", option())
        .key("account", "The account, as sbatch takes it. Default: that of the user.", option())
        .key("qos", "The quality of service, as sbatch takes it. Default: that of the account.", option())
        .key(
            "gres",
            "The generic resources, as sbatch takes them. Default: `gpu:` and the number of accelerators.",
            option(),
        )
        .key("constraint", "The constraint, as sbatch takes it. Default: none.", option())
        .key(
            "time",
            "The time limit of a job, a minute at least. Default: the lease of the stage, moved when that is renewed.",
            values::time(),
        )
        .key("nodes", "The most nodes at a time. Default: no limit.", nodes())
        .key(
            "conf",
            "The full path of slurm.conf on the log-in node. Default: as it is set there.",
            Schema::text_like(&format!("^/[^{CONTROL}]*$")),
        )
        .only_beside(&["user", "identity", "known_hosts", "host_key"], "address")
        .never_together(&["known_hosts", "host_key"])
        .schema()
}

fn kubernetes_pods() -> Schema {
    let word = || Schema::text_like(&format!("^[^\\s{CONTROL}]+$"));
    let label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
    let value = "[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?";
    let key = format!(r"^(?:{label}(?:\.{label})*/)?{value}$");
    offer(Table::new("Kubernetes pods"), "Default: the name of this table.")
        .key(
            "kubeconfig",
            "The file that kubectl reads. Default: KUBECONFIG, ~/.kube/config, or the account of the pod that sky is in.",
            path(),
        )
        .key("context", "The context in that file. Default: the current one.", word())
        .key(
            "namespace",
            "The namespace of the pods. Default: that of the context.",
            Schema::text_like(&format!("^{label}$")),
        )
        .required(
            "image",
            "The image of the pods, with a POSIX shell, coreutils, tar, flock and setsid, such as \"debian:12\".",
            word(),
        )
        .key(
            "selector",
            "Labels that a node must have, with their values. Default: none.",
            Schema::table_by_name(&key, Schema::text_like(&format!("^{value}$"))),
        )
        .key(
            "resource",
            "What the cluster calls its accelerators. Default: \"nvidia.com/gpu\".",
            Schema::text_like(&key),
        )
        .key(
            "tolerations",
            "Keys of taints that the pods tolerate. Default: none.",
            Schema::list_of(Schema::text_like(&key)),
        )
        .key("priority_class", "The priority class of the pods. Default: that of the cluster.", word())
        .key("runtime_class", "The runtime class of the pods. Default: that of the cluster.", word())
        .key(
            "wait",
            "How long a pod waits for a node, a second at least; after that the machine counts as unavailable. \
             Default: \"10 min\".",
            values::time(),
        )
        .key("nodes", "The most pods at a time. Default: no limit.", nodes())
        .schema()
}

fn place() -> Schema {
    // Fits a cell of a catalog.
    let cell = || {
        Schema::text_like(&format!(
            "^[^\";\\s{CONTROL}](?:[^\";{CONTROL}]*[^\";\\s{CONTROL}])?$"
        ))
    };
    Table::new("Place")
        .key(
            "country",
            "The country where the place is. Default: unknown.",
            values::country(),
        )
        .key(
            "location",
            "The city or the building, for people. Default: none.",
            cell(),
        )
        .key("operator", "Who runs the place. Default: unknown.", cell())
        .key(
            "parent",
            "The ultimate parent company of the operator. Default: unknown.",
            cell(),
        )
        .key(
            "parent_country",
            "The country of the parent company. Default: unknown.",
            values::country(),
        )
        .key(
            "us_cloud_act",
            "Whether the US CLOUD Act reaches the operator. Default: `unknown`.",
            values::reach(),
        )
        .key(
            "class",
            "The class of the place. Default: `commercial`.",
            values::class(),
        )
        .key(
            "certifications",
            "Schemes that the place is certified by, such as \"C5\". Default: none.",
            Schema::list_of(cell()),
        )
        .schema()
}

fn network() -> Schema {
    Table::new("Network")
        .key(
            "egress",
            "The price of a GB from the hosts to other places. Default: 0.",
            price(),
        )
        .key(
            "gbps",
            "The speed between the hosts and other places in Gbit/s. Default: as the catalog says.",
            Schema::number_above_zero(MOST_IN_BILLIONTHS).or(number_as_text().unless_like(ZERO)),
        )
        .schema()
}

/// The most that can be counted in billionths.
const MOST_IN_BILLIONTHS: i64 = i64::MAX / 1_000_000_000;

/// An amount of US dollars, as a number or as text.
fn price() -> Schema {
    Schema::number_up_to(MOST_IN_BILLIONTHS)
        .or(number_as_text())
        .in_form("US dollars such as 1.20 or \"$1.20\".")
}

/// A number as text, with or without the sign of a dollar.
fn number_as_text() -> Schema {
    Schema::text_like(&format!(r"^\s*\$*\s*\+*{DECIMAL}\s*$"))
}

/// `NAME` or `NAME:COUNT`.
fn accelerators() -> Schema {
    let edge = format!("[^:\",;\\s{CONTROL}]");
    let inner = format!("[^:\",;{CONTROL}]");
    Schema::text_like(&format!(
        r"^{edge}(?:{inner}*{edge})?(?::\+?0*(?:[1-9][0-9]{{0,3}}|10000))?$"
    ))
}

/// The most nodes or pods at a time.
fn nodes() -> Schema {
    Schema::whole_number(1..=u32::MAX)
}

/// The path of a file on this machine.
fn path() -> Schema {
    Schema::text_like(&format!("^[^\"{CONTROL}]+$"))
        .in_form("Relative to this file, or from `~/` or `/` on.")
}
