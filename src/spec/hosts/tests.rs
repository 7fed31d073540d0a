use super::*;
use crate::model::hosts::{HostPlace, HostTrust, KubernetesNamespace, OwnHosts, SshTarget};
use crate::model::{Bytes, DataRate, Rate};
use std::path::Path;

fn read(text: &str) -> Result<OwnHosts, HostsFault> {
    let home = Some(Path::new("/home/me"));
    parse(&HostsFile {
        path: Path::new("/etc/sky/hosts.toml"),
        folder: Path::new("/etc/sky"),
        home,
        text,
    })
}

#[test]
fn paths_are_below_the_file_or_the_home_folder() {
    let identity = |text: &str| {
        read(&format!("[hosts.big]\nidentity = \"{text}\"\n"))
            .unwrap()
            .hosts[0]
            .reach
            .identity
            .clone()
    };
    assert_eq!(identity("./keys//big"), Some("/etc/sky/keys/big".into()));
    assert_eq!(identity("../keys/big"), Some("/etc/sky/../keys/big".into()));
    assert_eq!(identity("/keys/big"), Some("/keys/big".into()));
    assert_eq!(identity("~/.ssh/big"), Some("/home/me/.ssh/big".into()));
}

#[test]
fn a_host_that_says_little() {
    let own = read("[hosts.big]\n").unwrap();
    let host = &own.hosts[0];
    let reach = SshTarget {
        name: "big".into(),
        address: "big".into(),
        port: None,
        user: None,
        identity: None,
        trust: HostTrust::Known,
        root: ".local/share/sky".into(),
    };
    assert_eq!(
        (&host.reach, host.slots, host.offer.rate),
        (&reach, 1, Rate(0))
    );
    assert_eq!(
        (host.place.to_string().as_str(), host.instance_type.as_str()),
        ("ssh:big", "big")
    );
    assert_eq!(own.places["big"], HostPlace::default());
    assert_eq!((own.egress, own.gbps), (DataRate(0), None));
}

#[test]
fn a_host_that_says_all() {
    let text = "date = \"2026-11-01\"\n[hosts.big]\naddress = \"10.0.0.5\"\nport = 2222\nuser = \"me\"\n\
        identity = \"keys/big\"\nhost_key = \"ssh-ed25519 AAAAC3Nz root@big\"\nroot = \"/srv/sky\"\ncpus = 32\n\
        memory = \"256 GiB\"\naccelerators = \"A100-80GB:4\"\narch = \"x86_64\"\ntee = [\"sev-snp\"]\n\
        place = \"berlin\"\ntype = \"dgx\"\nslots = 2\nprice = \"$1.20\"\n\
        [places.berlin]\ncountry = \"DE\"\noperator = \"Acme\"\nus_cloud_act = \"no\"\ncertifications = [\"C5\"]\n\
        [network]\negress = 0.02\ngbps = 10\n";
    let own = read(text).unwrap();
    let host = &own.hosts[0];
    assert_eq!(host.reach.identity, Some("/etc/sky/keys/big".into()));
    assert_eq!(
        host.reach.trust,
        HostTrust::Key("ssh-ed25519 AAAAC3Nz".into())
    );
    assert_eq!(
        (host.reach.port, host.slots, host.offer.rate),
        (Some(2222), 2, Rate(1_200_000_000))
    );
    assert_eq!(host.offer.accelerators, Some(("A100-80GB".into(), 4)));
    assert_eq!(
        (host.offer.vcpu_thousandths, host.offer.memory),
        (32_000, Bytes(256 << 30))
    );
    let place = &own.places["berlin"];
    assert_eq!(
        (place.country.as_str(), place.certifications.as_slice()),
        ("DE", ["C5".to_owned()].as_slice())
    );
    assert_eq!(
        (own.egress, own.gbps.as_deref()),
        (DataRate(20_000_000), Some("10"))
    );
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        ("", ":1:1: it has no hosts"),
        ("[hosts.big]\ncpu = 4\n", ":2:1: unknown field `cpu`"),
        (
            "[hosts.\"-oProxyCommand=x\"]\n",
            ":1:8: `-oProxyCommand=x` is not a name for a host",
        ),
        (
            "[hosts.big]\naddress = \"-oProxyCommand=x\"\n",
            ":2:11: `-oProxyCommand=x` is not a valid address",
        ),
        (
            "[hosts.big]\naddress = \"a b\"\n",
            ":2:11: `a b` is not a valid address",
        ),
        (
            "[hosts.big]\nuser = \"$(id)\"\n",
            ":2:8: `$(id)` is not a valid name of a user",
        ),
        ("[hosts.big]\nport = 70000\n", ":2:8: "),
        (
            "[hosts.big]\nroot = \"../up\"\n",
            ":2:8: `../up` is not a valid folder",
        ),
        (
            "[hosts.big]\nhost_key = \"nonsense\"\n",
            ":2:12: this is not a key of a host",
        ),
        (
            "[hosts.big]\nknown_hosts = \"k\"\nhost_key = \"ssh-rsa AAAA\"\n",
            ":3:12: it has `known_hosts` and `host_key`",
        ),
        (
            "[hosts.big]\nidentity = \"a\\\"b\"\n",
            ":2:12: `a\\\"b` is not a valid path",
        ),
        (
            "[hosts.big]\nmemory = \"much\"\n",
            ":2:10: `much` is not a valid size",
        ),
        (
            "[hosts.big]\ncpus = -1\n",
            ":2:8: `-1` is not a valid number of vCPUs",
        ),
        (
            "[hosts.big]\nprice = \"cheap\"\n",
            ":2:9: `cheap` is not a valid price",
        ),
        ("[hosts.big]\nslots = 0\n", ":2:9: 0 slots are not usable"),
        (
            "[hosts.big]\naccelerators = \"V100:x\"\n",
            ":2:16: `V100:x` is not a valid kind of accelerators",
        ),
        (
            "[hosts.big]\ntee = [\"magic\"]\n",
            ":2:8: unknown environment `magic`",
        ),
        (
            "[hosts.big]\n[places.rome]\ncountry = \"IT\"\n",
            ":2:9: no host is at `rome`",
        ),
        (
            "[hosts.big]\n[places.big]\ncountry = \"Italy\"\n",
            ":3:11: `Italy` is not a valid country",
        ),
        (
            "[hosts.a]\nplace=\"x\"\ntype=\"t\"\ncpus=1\n[hosts.b]\nplace=\"x\"\ntype=\"t\"\ncpus=2\n",
            ":5:8: it is another machine than a",
        ),
        (
            "[hosts.a]\ntype=\"t\"\ncpus=1\n[hosts.b]\ntype=\"t\"\ncpus=2\n",
            ":4:8: its type `t` is another machine at ssh:a",
        ),
        (
            "[hosts.a]\naddress=\"x\"\n[hosts.b]\naddress=\"x\"\n",
            ":3:8: it is the same folder of the same machine as a",
        ),
        (
            "date = \"today\"\n[hosts.a]\n",
            ":1:8: `today` is not a valid day",
        ),
        (
            "[network]\ngbps = 0\n[hosts.a]\n",
            ":2:8: `0` is not a valid speed",
        ),
    ];
    for (text, wanted) in cases {
        let said = read(text).unwrap_err().to_string();
        assert!(
            said.starts_with("/etc/sky/hosts.toml") && said.contains(wanted),
            "{text}: {said}"
        );
        assert!(said.contains("; "), "no way out: {said}");
    }
}

#[test]
fn pods_that_say_little_and_all() {
    let own = read("[kubernetes.a]\nimage = \"debian:12\"\n").unwrap();
    let pods = &own.pods[0];
    assert_eq!(
        (
            pods.host.place.to_string().as_str(),
            pods.host.instance_type.as_str()
        ),
        ("kubernetes:a", "a")
    );
    assert_eq!(
        (pods.at.clone(), pods.resource.as_str(), pods.nodes),
        (KubernetesNamespace::default(), "nvidia.com/gpu", None)
    );
    assert_eq!(
        (pods.wait, pods.selector.len()),
        (std::time::Duration::from_secs(600), 0)
    );
    let text = "[kubernetes.a]\nkubeconfig = \"kube/config\"\ncontext = \"lab/me@there\"\nnamespace = \"ml\"\n\
        image = \"registry.example.org:5000/a/b@sha256:ab\"\nresource = \"amd.com/gpu\"\nselector = { \"a.example.org/model\" = \"X1\" }\n\
        tolerations = [\"a.example.org/only\"]\nwait = \"90 s\"\nnodes = 4\ncpus = 8\naccelerators = \"MI300:2\"\nprice = 3\n\
        place = \"berlin\"\ntype = \"big\"\n[places.berlin]\ncountry = \"DE\"\n";
    let own = read(text).unwrap();
    let pods = &own.pods[0];
    assert_eq!(pods.at.kubeconfig, Some("/etc/sky/kube/config".into()));
    assert_eq!(
        (pods.at.context.as_deref(), pods.at.name.as_deref()),
        (Some("lab/me@there"), Some("ml"))
    );
    assert_eq!(
        (pods.wait.as_secs(), pods.nodes, pods.resource.as_str()),
        (90, Some(4), "amd.com/gpu")
    );
    assert_eq!(
        (
            pods.selector["a.example.org/model"].as_str(),
            pods.tolerations.len()
        ),
        ("X1", 1)
    );
    assert_eq!(
        (pods.host.offer.rate, own.places["berlin"].country.as_str()),
        (Rate(3_000_000_000), "DE")
    );
}

#[test]
fn mistakes_in_pods_are_named_with_their_line() {
    let cases = [
        ("[kubernetes.a]\n", ":1:13: it has no `image`"),
        (
            "[kubernetes.a]\nimage = \"a b\"\n",
            ":2:9: `a b` is not a valid name of an image",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nnamespace = \"Ml\"\n",
            ":3:13: `Ml` is not a valid namespace",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nresource = \"a b/c\"\n",
            ":3:12: `a b/c` is not a valid name of a resource",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nselector = { \"/x\" = \"y\" }\n",
            ":3:14: `/x` is not a valid label of a node",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nselector = { x = \"-y\" }\n",
            ":3:18: `-y` is not a valid value of a label",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\ntolerations = [\"a/b/c\"]\n",
            ":3:16: `a/b/c` is not a valid key of a taint",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nwait = \"10\"\n",
            ":3:8: `10` is not a valid time",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nnodes = 0\n",
            ":3:9: 0 nodes are not usable",
        ),
        (
            "[kubernetes.a]\nimage = \"i\"\nslots = 1\n",
            ":3:1: unknown field `slots`",
        ),
        (
            "[kubernetes.a]\nimage=\"i\"\nplace=\"x\"\ntype=\"t\"\n[kubernetes.b]\nimage=\"i\"\nplace=\"x\"\ntype=\"t\"\n",
            ":5:13: its type `t` is that of a already",
        ),
    ];
    for (text, wanted) in cases {
        let said = read(text).unwrap_err().to_string();
        assert!(
            said.contains(wanted) && said.contains("; "),
            "{text}: {said}"
        );
    }
}

#[test]
fn mistakes_in_clusters_are_named_with_their_line() {
    let cases = [
        (
            "[clusters.a]\nuser = \"me\"\n",
            ":2:8: it has `user`, and no address",
        ),
        (
            "[clusters.a]\npartition = \"a b\"\n",
            ":2:13: `a b` is not a valid name of a partition",
        ),
        (
            "[clusters.a]\ntime = \"1 s\"\n",
            ":2:8: `1 s` is not a valid time",
        ),
        ("[clusters.a]\nnodes = 0\n", ":2:9: 0 nodes are not usable"),
        (
            "[clusters.a]\nconf = \"slurm.conf\"\n",
            ":2:8: `slurm.conf` is not a valid path of a file",
        ),
        ("[clusters.a]\nslots = 1\n", ":2:1: unknown field `slots`"),
        (
            "[clusters.a]\nplace=\"x\"\ntype=\"t\"\n[clusters.b]\nplace=\"x\"\ntype=\"t\"\n",
            ":4:11: its type `t`",
        ),
    ];
    for (text, wanted) in cases {
        let said = read(text).unwrap_err().to_string();
        assert!(
            said.contains(wanted) && said.contains("; "),
            "{text}: {said}"
        );
    }
}

/// A file with so many tables, all of the same kind.
fn file_of(count: usize, table: &str, body: &str) -> String {
    (0..count)
        .map(|number| {
            format!(
                "[{table}.n{number}]\n{}\n",
                body.replace("{}", &number.to_string())
            )
        })
        .collect()
}

#[test]
fn a_file_of_too_many_hosts_is_refused_with_the_limit() {
    let kinds = [
        ("hosts", "cpus = 4\ntype = \"box\"\nplace = \"lab\""),
        ("clusters", "address = \"login{}\""),
        (
            "kubernetes",
            "context = \"c{}\"\ncpus = 4\nmemory = \"8 GiB\"",
        ),
    ];
    for (table, body) in kinds {
        let said = read(&file_of(hosts_file::MOST_HOSTS + 1, table, body)).unwrap_err();
        assert_eq!(
            said.message,
            "it has 5001 hosts and clusters, which is more than 5000"
        );
        assert!(said.hint.contains("list fewer of them"), "{said}");
    }
    // Together they count as well.
    let half = hosts_file::MOST_HOSTS / 2 + 1;
    let text = file_of(half, kinds[0].0, kinds[0].1) + &file_of(half, kinds[2].0, kinds[2].1);
    assert!(read(&text).unwrap_err().message.contains("5002 hosts"));
}

#[test]
fn as_many_hosts_as_the_limit_are_read_without_comparing_each_with_all() {
    let text = file_of(
        hosts_file::MOST_HOSTS,
        "hosts",
        "cpus = 4\ntype = \"box\"\nplace = \"lab\"",
    );
    let begun = std::time::Instant::now();
    assert_eq!(read(&text).unwrap().hosts.len(), hosts_file::MOST_HOSTS);
    let took = begun.elapsed();
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}
