//! The whole of `hosts.toml`, from its text.

use super::fault::HostsFault;
use super::host::{HostForm, host};
use super::kubernetes_pods::{self, KubernetesPodsForm};
use super::place::{PlaceForm, place};
use super::reader::{HostsFile, WrittenDecimal};
use super::slurm_cluster::{self, SlurmClusterForm};
use crate::model::hosts::{OwnHost, OwnHosts, SshTarget};
use crate::model::{Bandwidth, DataRate};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    date: Option<Spanned<String>>,
    #[serde(default)]
    hosts: BTreeMap<Spanned<String>, HostForm>,
    #[serde(default)]
    clusters: BTreeMap<Spanned<String>, SlurmClusterForm>,
    #[serde(default)]
    kubernetes: BTreeMap<Spanned<String>, KubernetesPodsForm>,
    #[serde(default)]
    places: BTreeMap<Spanned<String>, PlaceForm>,
    #[serde(default)]
    network: NetworkForm,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkForm {
    egress: Option<Spanned<WrittenDecimal>>,
    gbps: Option<Spanned<WrittenDecimal>>,
}

/// Most hosts, clusters and namespaces of one file together: each becomes an offer that every stage
/// is compared with.
pub(super) const MOST_HOSTS: usize = 5000;

/// Reads the text of the file.
pub fn parse(file: &HostsFile) -> Result<OwnHosts, HostsFault> {
    let form: Form = toml::from_str(file.text).map_err(|error| {
        let hint = "`sky guide ssh`, `sky guide slurm` and `sky guide kubernetes` show the form of the file";
        file.fault(
            error.span().unwrap_or(0..0),
            error.message().replace('\n', " "),
            hint,
        )
    })?;
    if form.hosts.is_empty() && form.clusters.is_empty() && form.kubernetes.is_empty() {
        return Err(file.fault(
            0..0,
            "it has no hosts",
            "add one: `[hosts.NAME]` with cpus and memory",
        ));
    }
    let count = form.hosts.len() + form.clusters.len() + form.kubernetes.len();
    if count > MOST_HOSTS {
        let message = format!("it has {count} hosts and clusters, which is more than {MOST_HOSTS}");
        return Err(file.fault(
            0..0,
            message,
            "list fewer of them, or describe a cluster under `[clusters]`",
        ));
    }
    let hint = "write a day like 2026-11-01";
    let is_day = |text: &str| text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok();
    let mut own_hosts = OwnHosts {
        date: file.text(&form.date, is_day, "day", hint)?,
        ..OwnHosts::default()
    };
    for (name, form) in &form.hosts {
        own_hosts.hosts.push(host(file, name, form)?);
    }
    own_hosts.clusters = slurm_cluster::all(file, &form.clusters)?;
    own_hosts.pods = kubernetes_pods::all(file, &form.kubernetes)?;
    compare_hosts(file, &own_hosts.hosts, &form.hosts)?;
    add_places(file, &form, &mut own_hosts)?;
    let price = |text: &str| DataRate::parse_usd(text).ok().filter(|rate| rate.0 >= 0);
    let egress = file.number(
        &form.network.egress,
        price,
        "price of a GB",
        "write it like \"$0.02\"",
    )?;
    own_hosts.egress = egress.unwrap_or(DataRate(0));
    let speed = |text: &str| {
        Bandwidth::parse_gbps(text)
            .ok()
            .filter(|speed| speed.0 > 0)
            .map(|_| text.to_owned())
    };
    own_hosts.gbps = file.number(
        &form.network.gbps,
        speed,
        "speed",
        "write it in Gbit/s, like 1 or 0.1",
    )?;
    Ok(own_hosts)
}

/// Hosts that stand for each other must be the same; `tables` has the names of the hosts, in their
/// order.
fn compare_hosts(
    file: &HostsFile,
    hosts: &[OwnHost],
    tables: &BTreeMap<Spanned<String>, HostForm>,
) -> Result<(), HostsFault> {
    // Earlier hosts that a later one may stand for: one of each kind is enough, for all of a kind
    // are the same.
    let mut by_folder = BTreeMap::new();
    let mut by_offer: BTreeMap<_, &OwnHost> = BTreeMap::new();
    let mut by_type: BTreeMap<&str, &OwnHost> = BTreeMap::new();
    for (host, name) in hosts.iter().zip(tables.keys()) {
        let fault = |message: String, hint: &str| Err(file.fault(name.span(), message, hint));
        let SshTarget {
            address,
            port,
            user,
            root,
            ..
        } = &host.reach;
        if let Some(other) = by_folder.insert((address, port, user, root), host) {
            let message = format!(
                "it is the same folder of the same machine as {}",
                other.reach.name
            );
            return fault(
                message,
                "keep one of them; `slots` says how many stages it takes",
            );
        }
        let other_host = *by_offer
            .entry((&host.place, &host.instance_type))
            .or_insert(host);
        if other_host.offer != host.offer {
            let message = format!(
                "it is another machine than {}, of the same type and place",
                other_host.reach.name
            );
            return fault(
                message,
                "give it a `type` of its own, or the same figures and price",
            );
        }
        // A type is one machine, wherever it is.
        let other_host = *by_type.entry(&host.instance_type).or_insert(host);
        if other_host.offer.size() != host.offer.size() {
            let message = format!(
                "its type `{}` is another machine at {}",
                host.instance_type, other_host.place
            );
            return fault(message, "give it a `type` of its own");
        }
    }
    Ok(())
}

/// Takes in what the file says of places: of each that a host is at, and of no other.
fn add_places(file: &HostsFile, form: &Form, own_hosts: &mut OwnHosts) -> Result<(), HostsFault> {
    let regions: BTreeSet<String> = own_hosts
        .all()
        .map(|host| host.place.region.clone())
        .collect();
    for (name, form) in &form.places {
        if !regions.contains(name.get_ref()) {
            let hint = "name it in a host's `place`, or leave it out";
            return Err(file.fault(
                name.span(),
                format!("no host is at `{}`", name.get_ref()),
                hint,
            ));
        }
        own_hosts
            .places
            .insert(name.get_ref().clone(), place(file, form)?);
    }
    for region in regions {
        own_hosts.places.entry(region).or_default();
    }
    Ok(())
}
