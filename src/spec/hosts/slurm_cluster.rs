//! The clusters of `hosts.toml`: each is a partition, and what one job gets of it.

use super::fault::HostsFault;
use super::host::{HostForm, host};
use super::reader::{HostsFile, WrittenDecimal};
use super::text_checks::plain;
use crate::model::hosts::{HostTrust, SLURM, SlurmCluster};
use crate::model::{Millis, PlaceName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use toml::Spanned;

/// A table of a cluster.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlurmClusterForm {
    address: Option<Spanned<String>>,
    port: Option<u16>,
    user: Option<Spanned<String>>,
    identity: Option<Spanned<String>>,
    known_hosts: Option<Spanned<String>>,
    host_key: Option<Spanned<String>>,
    root: Option<Spanned<String>>,
    conf: Option<Spanned<String>>,
    partition: Option<Spanned<String>>,
    account: Option<Spanned<String>>,
    qos: Option<Spanned<String>>,
    gres: Option<Spanned<String>>,
    constraint: Option<Spanned<String>>,
    time: Option<Spanned<String>>,
    nodes: Option<Spanned<u32>>,
    cpus: Option<Spanned<WrittenDecimal>>,
    memory: Option<Spanned<String>>,
    accelerators: Option<Spanned<String>>,
    arch: Option<Spanned<String>>,
    #[serde(default)]
    tee: Vec<Spanned<String>>,
    place: Option<Spanned<String>>,
    #[serde(rename = "type")]
    instance_type: Option<Spanned<String>>,
    price: Option<Spanned<WrittenDecimal>>,
}

/// All of them, as their tables say.
pub(super) fn all(
    file: &HostsFile,
    forms: &BTreeMap<Spanned<String>, SlurmClusterForm>,
) -> Result<Vec<SlurmCluster>, HostsFault> {
    let mut clusters: Vec<SlurmCluster> = Vec::new();
    for (name, form) in forms {
        let cluster = cluster(file, name, form)?;
        let new = &cluster.host;
        if let Some(other) = clusters.iter().map(|other| &other.host).find(|other| {
            other.instance_type == new.instance_type
                && (other.place == new.place || other.offer.size() != new.offer.size())
        }) {
            let message = format!(
                "its type `{}` is another cluster's: {}",
                new.instance_type, other.reach.name
            );
            return Err(file.fault(name.span(), message, "give it a `type` of its own"));
        }
        clusters.push(cluster);
    }
    Ok(clusters)
}

fn cluster(
    file: &HostsFile,
    name: &Spanned<String>,
    form: &SlurmClusterForm,
) -> Result<SlurmCluster, HostsFault> {
    check_reached(file, form)?;
    let mut host = host(file, name, &form_of_host(form))?;
    if form.address.is_none() {
        host.reach.trust = HostTrust::Here;
    }
    host.reach.root = format!(
        "{}/{}",
        host.reach.root.trim_end_matches('/'),
        name.get_ref()
    );
    host.place = PlaceName {
        cloud: SLURM.to_owned(),
        region: host.place.region,
    };
    let hint = "write it as sbatch takes it, without spaces";
    let is_one_word =
        |text: &str| plain(text) && !text.contains(char::is_whitespace) && !text.starts_with('-');
    let text = |value, what| file.text(value, is_one_word, what, hint);
    if let Some(nodes) = form.nodes.as_ref().filter(|nodes| *nodes.get_ref() == 0) {
        return Err(file.fault(
            nodes.span(),
            "0 nodes are not usable",
            "write how many nodes jobs may have at a time",
        ));
    }
    let hint = "write it like \"24 h\", a minute at least";
    let long_enough = |text: &str| Millis::parse(text).is_ok_and(|time| time.0 >= 60_000);
    let time = file.text(&form.time, long_enough, "time", hint)?;
    let time = time
        .and_then(|text| Millis::parse(&text).ok())
        .map(|time| Duration::from_millis(time.0));
    let hint = "write its full path on the log-in node";
    let conf = file.text(
        &form.conf,
        |text| plain(text) && text.starts_with('/'),
        "path of a file",
        hint,
    )?;
    Ok(SlurmCluster {
        host,
        partition: text(&form.partition, "name of a partition")?,
        account: text(&form.account, "name of an account")?,
        qos: text(&form.qos, "name of a quality of service")?,
        gres: text(&form.gres, "list of generic resources")?,
        constraint: text(&form.constraint, "constraint")?,
        time,
        nodes: form.nodes.as_ref().map(|nodes| *nodes.get_ref()),
        conf: conf.map(PathBuf::from),
    })
}

/// Whoever says how a log-in node is reached must say where it is.
fn check_reached(file: &HostsFile, form: &SlurmClusterForm) -> Result<(), HostsFault> {
    let reached_by = [
        ("user", &form.user),
        ("identity", &form.identity),
        ("known_hosts", &form.known_hosts),
        ("host_key", &form.host_key),
    ];
    if form.address.is_none()
        && let Some((key, value)) = reached_by
            .iter()
            .find_map(|(key, value)| Some((key, value.as_ref()?)))
    {
        let message = format!("it has `{key}`, and no address");
        return Err(file.fault(
            value.span(),
            message,
            "add the `address` of its log-in node; without one it is this machine",
        ));
    }
    Ok(())
}

/// What the table says of the log-in node, and of what a job gets of one node.
fn form_of_host(form: &SlurmClusterForm) -> HostForm {
    HostForm {
        address: form.address.clone(),
        port: form.port,
        user: form.user.clone(),
        identity: form.identity.clone(),
        known_hosts: form.known_hosts.clone(),
        host_key: form.host_key.clone(),
        root: form.root.clone(),
        cpus: form.cpus.clone(),
        memory: form.memory.clone(),
        accelerators: form.accelerators.clone(),
        arch: form.arch.clone(),
        tee: form.tee.clone(),
        place: form.place.clone(),
        instance_type: form.instance_type.clone(),
        slots: None,
        price: form.price.clone(),
    }
}
