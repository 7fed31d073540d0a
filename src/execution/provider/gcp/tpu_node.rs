//! What Google says of a node of TPUs, as the shared layer sees it.

use super::super::cloud::{Instance, Life, instance_tags};
use super::super::{ErrorKind, ProviderError};
use super::instances::{place, plain};
use super::labels;
use super::tpu_slice::PREFIX;
use crate::util::clock;
use serde_json::Value;
use std::collections::BTreeMap;

/// A watchdog sees the end of a lease within two minutes and some seconds.
const OVERDUE_MS: u64 = 300_000;

/// Whether an id is that of a node: `locations/ZONE/nodes/NAME`.
pub(super) fn is_node(id: &str) -> bool {
    parts(id).is_some()
}

pub(super) fn parts(id: &str) -> Option<(&str, &str)> {
    let after_prefix = id
        .strip_prefix("locations/")
        .or_else(|| id.split_once("/locations/").map(|(_, rest)| rest))?;
    after_prefix
        .split_once("/nodes/")
        .filter(|(zone, name)| plain(zone) && plain(name))
}

/// The zone and the name of a node, whose id was made from them.
pub(super) fn parts_of_node(instance: &Instance) -> Result<(&str, &str), ProviderError> {
    parts(&instance.id).ok_or_else(|| {
        let message = format!("gcp: `{}` is not the id of a TPU node", instance.id);
        ProviderError::new(ErrorKind::Other, message)
    })
}

/// A node as the shared layer sees it.
pub(super) fn node_instance(node: &Value) -> Option<Instance> {
    let (zone, name) = parts(node["name"].as_str()?)?;
    let texts = |field: &str| {
        let all_texts = node[field].as_object().into_iter().flatten();
        all_texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
    };
    let sky_metadata = texts("metadata").filter(|(name, _)| name.starts_with("sky-"));
    let labels = texts("labels").map(|(name, value)| (name, labels::decode(&value)));
    let tags: BTreeMap<String, String> = sky_metadata.chain(labels).collect();
    let is_overdue = || {
        let lease_end = tags.get(instance_tags::LEASE_END);
        lease_end.is_some_and(|end| clock::between(end, &clock::timestamp()) > OVERDUE_MS)
    };
    let life = match node["state"].as_str().unwrap_or_default() {
        "DELETING" | "TERMINATED" => Life::Ended,
        "PREEMPTED" => Life::Preempted,
        "STOPPING" | "STOPPED" => Life::Stopped,
        _ if is_overdue() => Life::Stopped,
        // What this sky does not know may cost something.
        _ => Life::Alive,
    };
    let endpoints = node["networkEndpoints"].as_array().into_iter().flatten();
    let mut addresses =
        endpoints.filter_map(|endpoint| endpoint["accessConfig"]["externalIp"].as_str());
    Some(Instance {
        id: format!("locations/{zone}/nodes/{name}"),
        place: place(zone)?,
        instance_type: format!(
            "{PREFIX}{}",
            node["acceleratorType"].as_str().unwrap_or_default()
        ),
        life,
        address: addresses
            .find(|address| !address.is_empty())
            .map(str::to_owned),
        inside: node["networkEndpoints"][0]["ipAddress"]
            .as_str()
            .map(str::to_owned),
        zone: Some(zone.to_owned()),
        tags,
    })
}

/// The tags of networks that a node carries.
pub(super) fn network_tags(node: &Value) -> impl Iterator<Item = &str> {
    node["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
