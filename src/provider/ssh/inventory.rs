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
//! wait = "10 min"                  # for a node; then there is none to be had
//! nodes = 8                        # most pods at a time [no limit]
//!
//! [places.berlin]                  # what rules may ask of a place; what is not said is unknown
//! country = "DE"                   # also location, operator, parent, parent_country, us_cloud_act, class,
//!                                  # certifications
//! [network]
//! egress = "$0"                    # for a GB from the hosts to other places [0]
//! gbps = 1                         # between them and other places [as the catalog says]
//! ```

mod cluster;
mod file;
mod kube;

use super::super::runner::{Reach, Trust};
use crate::model::{Bytes, DataRate, PlaceName, Rate, Tee};
pub use cluster::Cluster;
pub use file::Fault;
use file::{File, Number};
pub use kube::{Namespace, Pods};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Spanned;

/// All of it, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The day of the figures, `YYYY-MM-DD`.
    pub date: Option<String>,
    /// By name.
    pub hosts: Vec<Host>,
    /// By name.
    pub clusters: Vec<Cluster>,
    /// By name.
    pub pods: Vec<Pods>,
    /// By name, each that a host or a cluster is at.
    pub places: BTreeMap<String, Place>,
    /// For a GB to anywhere else.
    pub egress: DataRate,
    /// In 10⁹ bits a second, as decimal text.
    pub gbps: Option<String>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub reach: Reach,
    pub place: PlaceName,
    pub instance_type: String,
    /// Machines at a time.
    pub slots: u32,
    pub offer: Offer,
}

/// What a host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In thousandths; 0: unknown.
    pub vcpu_thousandths: u64,
    /// 0: unknown.
    pub memory: Bytes,
    pub accelerators: Option<(String, u32)>,
    /// Empty: unknown.
    pub arch: String,
    pub tee: BTreeSet<String>,
    /// For one machine.
    pub rate: Rate,
}

/// What is known of a place; empty: unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub country: String,
    pub location: String,
    pub operator: String,
    pub parent: String,
    pub parent_country: String,
    pub us_cloud_act: String,
    pub class: String,
    pub certifications: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    date: Option<Spanned<String>>,
    #[serde(default)]
    hosts: BTreeMap<Spanned<String>, HostForm>,
    #[serde(default)]
    clusters: BTreeMap<Spanned<String>, cluster::Form>,
    #[serde(default)]
    kubernetes: BTreeMap<Spanned<String>, kube::Form>,
    #[serde(default)]
    places: BTreeMap<Spanned<String>, PlaceForm>,
    #[serde(default)]
    network: NetworkForm,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostForm {
    address: Option<Spanned<String>>,
    port: Option<u16>,
    user: Option<Spanned<String>>,
    identity: Option<Spanned<String>>,
    known_hosts: Option<Spanned<String>>,
    host_key: Option<Spanned<String>>,
    root: Option<Spanned<String>>,
    cpus: Option<Spanned<Number>>,
    memory: Option<Spanned<String>>,
    accelerators: Option<Spanned<String>>,
    arch: Option<Spanned<String>>,
    #[serde(default)]
    tee: Vec<Spanned<String>>,
    place: Option<Spanned<String>>,
    #[serde(rename = "type")]
    instance_type: Option<Spanned<String>>,
    slots: Option<Spanned<u32>>,
    price: Option<Spanned<Number>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceForm {
    country: Option<Spanned<String>>,
    location: Option<Spanned<String>>,
    operator: Option<Spanned<String>>,
    parent: Option<Spanned<String>>,
    parent_country: Option<Spanned<String>>,
    us_cloud_act: Option<Spanned<String>>,
    class: Option<Spanned<String>>,
    #[serde(default)]
    certifications: Vec<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkForm {
    egress: Option<Spanned<Number>>,
    gbps: Option<Spanned<Number>>,
}

/// Reads the file.
pub fn read(path: &Path) -> Result<Inventory, Fault> {
    let whole = |message: String, hint: &str| Fault {
        file: path.display().to_string(),
        line: 0,
        column: 0,
        message,
        hint: hint.to_owned(),
    };
    let text = crate::util::file::read_text(path).map_err(|error| {
        let message = error.to_string();
        let plain = message.split_once(": ").map_or(message.as_str(), |(_, plain)| plain);
        whole(format!("cannot read it: {plain}"), "name the file of your hosts with --hosts FILE or SKY_HOSTS")
    })?;
    parse(path, &text)
}

/// Most hosts of one file: each is compared with all the others.
const MOST_HOSTS: usize = 5000;

/// Reads the text of the file.
pub fn parse(path: &Path, text: &str) -> Result<Inventory, Fault> {
    let file = File { path, text };
    let form: Form = toml::from_str(text).map_err(|error| {
        let hint = "README.md has the form of the file, under \"Machines over SSH\"";
        file.fault(error.span().unwrap_or(0..0), error.message().replace('\n', " "), hint)
    })?;
    if form.hosts.is_empty() && form.clusters.is_empty() && form.kubernetes.is_empty() {
        return Err(file.fault(0..0, "it has no hosts", "add one: `[hosts.NAME]` with cpus and memory"));
    }
    let count = form.hosts.len();
    if count > MOST_HOSTS {
        let message = format!("it has {count} hosts, which is more than {MOST_HOSTS}");
        return Err(file.fault(0..0, message, "list fewer of them, or describe a cluster under `[clusters]`"));
    }
    let hint = "write a day like 2026-11-01";
    let is_day = |text: &str| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    let mut inventory = Inventory { date: file.text(&form.date, is_day, "day", hint)?, ..Inventory::default() };
    for (name, form) in &form.hosts {
        inventory.hosts.push(host(&file, name, form)?);
    }
    inventory.clusters = cluster::all(&file, &form.clusters)?;
    inventory.pods = kube::all(&file, &form.kubernetes)?;
    let hosts = &inventory.hosts;
    // What stands for each other must be the same.
    for (index, (host, (name, _))) in hosts.iter().zip(&form.hosts).enumerate() {
        let there = |host: &Host| {
            let Reach { address, port, user, root, .. } = &host.reach;
            (address.clone(), *port, user.clone(), root.clone())
        };
        if let Some(other) = hosts[..index].iter().find(|other| there(other) == there(host)) {
            let message = format!("it is the same folder of the same machine as {}", other.reach.name);
            return Err(file.fault(name.span(), message, "keep one of them; `slots` says how many stages it takes"));
        }
        let same = |other: &&Host| other.place == host.place && other.instance_type == host.instance_type;
        let differs = |other: &&Host| other.offer != host.offer;
        if let Some(other) = hosts[..index].iter().filter(same).find(differs) {
            let message = format!("it is another machine than {}, of the same type and place", other.reach.name);
            return Err(file.fault(name.span(), message, "give it a `type` of its own, or the same figures and price"));
        }
        // A type is one machine, wherever it is.
        let elsewhere =
            |other: &&Host| other.instance_type == host.instance_type && other.offer.size() != host.offer.size();
        if let Some(other) = hosts[..index].iter().find(elsewhere) {
            let message = format!("its type `{}` is another machine at {}", host.instance_type, other.place);
            return Err(file.fault(name.span(), message, "give it a `type` of its own"));
        }
    }
    for (name, form) in &form.places {
        if !inventory.all().any(|host| host.place.region == *name.get_ref()) {
            let hint = "name it in a host's `place`, or leave it out";
            return Err(file.fault(name.span(), format!("no host is at `{}`", name.get_ref()), hint));
        }
        inventory.places.insert(name.get_ref().clone(), place(&file, form)?);
    }
    let regions: Vec<String> = inventory.all().map(|host| host.place.region.clone()).collect();
    for region in regions {
        inventory.places.entry(region).or_default();
    }
    let price = |text: &str| DataRate::parse_usd(text).ok().filter(|rate| rate.0 >= 0);
    let egress = file.number(&form.network.egress, price, "price of a GB", "write it like \"$0.02\"")?;
    inventory.egress = egress.unwrap_or(DataRate(0));
    let speed = |text: &str| {
        crate::model::Bandwidth::parse_gbps(text).ok().filter(|speed| speed.0 > 0).map(|_| text.to_owned())
    };
    inventory.gbps = file.number(&form.network.gbps, speed, "speed", "write it in Gbit/s, like 1 or 0.1")?;
    Ok(inventory)
}

impl Inventory {
    /// What there is of all kinds.
    fn all(&self) -> impl Iterator<Item = &Host> {
        let clusters = self.clusters.iter().map(|cluster| &cluster.host);
        self.hosts.iter().chain(clusters).chain(self.pods.iter().map(|pods| &pods.host))
    }
}

impl Offer {
    fn size(&self) -> (u64, Bytes, &Option<(String, u32)>, &str) {
        (self.vcpu_thousandths, self.memory, &self.accelerators, &self.arch)
    }
}

fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Fits a cell of a catalog, and is printed.
fn cell(text: &str) -> bool {
    plain(text) && !text.contains(['"', ';']) && text.trim() == text
}

/// A part of a place's name, of a type, of a host's name.
fn word(text: &str) -> bool {
    let fits = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    text.chars().all(fits) && !text.starts_with(['-', '.']) && text.len() <= 100
}

fn host(file: &File, name: &Spanned<String>, form: &HostForm) -> Result<Host, Fault> {
    let hint = "use letters, digits, `-`, `_` and `.`, and begin with a letter or a digit";
    if name.get_ref().is_empty() || !word(name.get_ref()) {
        let message = format!("`{}` is no name for a host", name.get_ref().escape_debug());
        return Err(file.fault(name.span(), message, hint));
    }
    let own = || name.get_ref().clone();
    let reachable = |text: &str| {
        !text.starts_with('-') && text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.:%".contains(one))
    };
    let address = file.text(&form.address, reachable, "address", "write a name, or an address such as 10.0.0.5")?;
    let login = |text: &str| {
        !text.starts_with('-') && text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.@+\\".contains(one))
    };
    let user = file.text(&form.user, login, "name of a user", "write the name to log in with")?;
    if form.port == Some(0) {
        return Err(file.fault(name.span(), "its port is 0", "write the port of its SSH server, or leave it out"));
    }
    let trust = match (file.path(&form.known_hosts)?, &form.host_key) {
        (Some(_), Some(key)) => {
            return Err(file.fault(key.span(), "it has `known_hosts` and `host_key`", "keep one of them"));
        }
        (Some(known), None) => Trust::File(known),
        (None, Some(key)) => Trust::Key(host_key(file, key)?),
        (None, None) => Trust::Known,
    };
    let rooted = |text: &str| plain(text) && !text.split('/').any(|part| part == "..") && text != "/" && text != "~/";
    let hint = "write a folder for sky alone, absolute or relative to the home folder there, without `..`";
    let root = file.text(&form.root, rooted, "folder", hint)?;
    let place = file.text(&form.place, word, "name of a place", "use letters, digits, `-`, `_` and `.`")?;
    let place = PlaceName { cloud: super::super::SSH.to_owned(), region: place.unwrap_or_else(own) };
    let hint = "use letters, digits, `-`, `_` and `.`";
    let instance_type = file.text(&form.instance_type, word, "name of a type", hint)?.unwrap_or_else(own);
    let slots = form.slots.as_ref();
    if let Some(slots) = slots.filter(|slots| !(1..=10_000).contains(slots.get_ref())) {
        let message = format!("{} slots are not usable", slots.get_ref());
        return Err(file.fault(slots.span(), message, "write how many stages may be there at a time, from 1 on"));
    }
    let hint = "write how many there are, such as 8 or 0.5";
    let thousandths = |text: &str| crate::model::units::scaled(text, 1000).ok().filter(|cpus| *cpus > 0);
    let cpus = file.number(&form.cpus, thousandths, "number of vCPUs", hint)?;
    let sized = |text: &str| Bytes::parse(text).is_ok();
    let memory = file.text(&form.memory, sized, "size", "write it like \"256 GiB\"")?;
    let memory = memory.and_then(|text| Bytes::parse(&text).ok()).unwrap_or(Bytes(0));
    let hint = "write a name and how many there are, like \"A100-80GB:4\"";
    let cards = file.text(&form.accelerators, |text| accelerators(text).is_some(), "kind of accelerators", hint)?;
    let known = |text: &str| ["x86_64", "arm64"].contains(&text);
    let arch = file.text(&form.arch, known, "architecture", "write x86_64 or arm64")?;
    if let Some(tee) = form.tee.iter().find(|tee| Tee::parse(tee.get_ref()).is_none()) {
        let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
        let hint = format!("it is one of {}", names.join(", "));
        return Err(file.fault(tee.span(), format!("unknown environment `{}`", tee.get_ref()), &hint));
    }
    let price = |text: &str| Rate::parse_usd(text).ok().filter(|rate| rate.0 >= 0);
    let rate = file.number(&form.price, price, "price", "write it in US dollars an hour, like \"$1.20\"")?;
    Ok(Host {
        reach: Reach {
            name: own(),
            address: address.unwrap_or_else(own),
            port: form.port,
            user,
            identity: file.path(&form.identity)?,
            trust,
            root: root.unwrap_or_else(|| ROOT.to_owned()),
        },
        place,
        instance_type,
        slots: slots.map_or(1, |slots| *slots.get_ref()),
        offer: Offer {
            vcpu_thousandths: cpus.map_or(0, i64::unsigned_abs),
            memory,
            accelerators: cards.as_deref().and_then(accelerators),
            arch: arch.unwrap_or_default(),
            tee: form.tee.iter().map(|tee| tee.get_ref().clone()).collect(),
            rate: rate.unwrap_or(Rate(0)),
        },
    })
}

/// Where sky's folders are on a host that does not say.
const ROOT: &str = ".local/share/sky";

/// A key as `known_hosts` has it: its type and itself, without what may follow.
fn host_key(file: &File, key: &Spanned<String>) -> Result<String, Fault> {
    let parts: Vec<&str> = key.get_ref().split_ascii_whitespace().collect();
    let fits = |text: &str| text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.@+/=".contains(one));
    let named = |kind: &str| ["ssh-", "ecdsa-", "sk-"].iter().any(|prefix| kind.starts_with(prefix));
    match parts[..] {
        [kind, text, ..] if named(kind) && fits(kind) && fits(text) && text.starts_with("AAAA") => {
            Ok(format!("{kind} {text}"))
        }
        _ => {
            let hint = "write the text of the host's public key, like \"ssh-ed25519 AAAA…\"";
            Err(file.fault(key.span(), "this is no key of a host", hint))
        }
    }
}

/// `NAME` or `NAME:COUNT`.
fn accelerators(text: &str) -> Option<(String, u32)> {
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, count.parse().ok().filter(|count| (1..=10_000).contains(count))?),
        None => (text, 1),
    };
    (!name.is_empty() && cell(name) && !name.contains(',')).then(|| (name.to_owned(), count))
}

fn place(file: &File, form: &PlaceForm) -> Result<Place, Fault> {
    let text =
        |value, fits: fn(&str) -> bool, what, hint| file.text(value, fits, what, hint).map(Option::unwrap_or_default);
    let country = |value| {
        let hint = "write an ISO 3166 code such as DE (the United Kingdom is GB); leave it out if unknown";
        let known = |text: &str| crate::model::geography::COUNTRIES.split_whitespace().any(|known| known == text);
        text(value, known, "country", hint)
    };
    let hint = "write it without quotes, semicolons and control characters";
    let reach = |text: &str| ["yes", "no", "contested", "unknown"].contains(&text);
    let class = |text: &str| crate::model::offer::CLASSES.iter().any(|(name, _)| *name == text);
    let classes = crate::model::offer::CLASSES.map(|(name, _)| name).join(", ");
    let mut certifications = Vec::new();
    for scheme in &form.certifications {
        let scheme = Some(scheme.clone());
        certifications.extend(file.text(&scheme, cell, "name of a scheme", hint)?);
    }
    Ok(Place {
        country: country(&form.country)?,
        location: text(&form.location, cell, "location", hint)?,
        operator: text(&form.operator, cell, "operator", hint)?,
        parent: text(&form.parent, cell, "name of an owner", hint)?,
        parent_country: country(&form.parent_country)?,
        us_cloud_act: text(&form.us_cloud_act, reach, "answer", "write yes, no, contested or unknown")?,
        class: file.text(&form.class, class, "class", &format!("write {classes}"))?.unwrap_or_default(),
        certifications,
    })
}

#[cfg(test)]
mod tests;
