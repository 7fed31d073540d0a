//! TPU VMs: slices of TPUs with a host of their own, which another API rents (Cloud TPU, v2) than
//! that of instances, under the catalog's types `tpu-…`. Only slices of one host: what sky runs is
//! one machine.
//!
//! A node's name is made of the token, so that making it again makes nothing; zones are tried in
//! their order, as for instances, and a quota is one of a zone here. Tags are labels and metadata,
//! as theirs are. Google promises no cloud-init on these machines but runs the script of their
//! metadata, so keys and watchdog come by that. A node always has a service account, of the
//! project's; the scope that it is given here lets it read its own name and nothing else.
//!
//! # Leases
//! Google sets no end to a node: there is no `maxRunDuration`, and one that has powered itself off,
//! or that is stopped, is billed on and may still be called `READY`. The watchdog ends what runs
//! there, as everywhere; but only `sky` ends what it costs, when it next looks at it, in an apply,
//! a destroy or a sweep. A node whose lease has been over for so long that its watchdog must have
//! seen it is [`Life::Stopped`](super::super::cloud::Life::Stopped) whatever Google says. A node that was taken back is there until it
//! is deleted, and costs nothing.

use super::super::cloud::remembered_names::name_of_state;
use super::super::cloud::{Instance, Wanted, instance_tags};
use super::super::{ErrorKind, GCP, ProviderError, created_and_gone, ended_or_gone, without_tee};
use super::account::Gcp;
use super::instances::{name, plain};
use super::machine_type::is_in;
use super::rest_client::{Call, Rest, looks};
use super::tpu_node::{node_instance, parts, parts_of_node};
use super::tpu_slice::Slice;
use super::{firewall, labels, launch};
use crate::model::{PlaceName, Purchase};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The version of the API.
const V2: &str = "v2";
/// What a node's disk holds that nobody can choose the size of, less its image: in bytes.
const DISK: u64 = 60 << 30;
/// Lets who has it read the name of the account that it is of.
const SCOPE: &str = "https://www.googleapis.com/auth/userinfo.email";

fn path(project: &str, zone: &str, name: &str) -> String {
    format!("{V2}/projects/{project}/locations/{zone}/nodes/{name}")
}

/// The nodes in all zones of the world. None if the project does not use the API: then it has none.
pub(super) async fn all(gcp: &Gcp) -> Result<Vec<Value>, ProviderError> {
    let api = gcp.api().await?;
    let about_tpus = "look for TPUs";
    let (mut found, mut page) = (Vec::new(), String::new());
    loop {
        let mut nodes_call = Call::get(
            format!("{V2}/projects/{}/locations/-/nodes", api.project),
            about_tpus,
        );
        // As few pages as Google makes of it: what comes and goes in between may be missed.
        nodes_call.query.push(("pageSize", "1000".to_owned()));
        if !page.is_empty() {
            nodes_call.query.push(("pageToken", page));
        }
        let nodes_answer = match api.tpu.call(nodes_call).await {
            Err(error) if error.kind == ErrorKind::Denied && is_off(&error.message) => {
                return Ok(Vec::new());
            }
            answer => answer?,
        };
        if let Some(silent) = nodes_answer["unreachable"]
            .as_array()
            .and_then(|silent| silent.first())
        {
            let message = format!(
                "gcp: cannot {about_tpus}: {} does not answer",
                silent.as_str().unwrap_or_default()
            );
            return Err(ProviderError::new(ErrorKind::Unreachable, message));
        }
        found.extend(
            nodes_answer["nodes"]
                .as_array()
                .cloned()
                .unwrap_or_default(),
        );
        page = nodes_answer["nextPageToken"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if page.is_empty() {
            return Ok(found);
        }
    }
}

/// Whether a project does not use the API.
fn is_off(message: &str) -> bool {
    message.contains("has not been used in project") || message.contains("it is disabled")
}

/// The nodes that carry a token: this one, or any.
pub(super) async fn tagged(gcp: &Gcp, token: Option<&str>) -> Result<Vec<Instance>, ProviderError> {
    let is_ours = |instance: &Instance| match (instance.tags.get(instance_tags::TOKEN), token) {
        (Some(known), Some(token)) => known == token,
        (known, None) => known.is_some(),
        (None, Some(_)) => false,
    };
    Ok(all(gcp)
        .await?
        .iter()
        .filter_map(node_instance)
        .filter(is_ours)
        .collect())
}

/// The node of a zone by its name.
async fn get(
    rest_client: &Rest,
    project: &str,
    zone: &str,
    name: &str,
) -> Result<Option<Value>, ProviderError> {
    match rest_client
        .call(Call::get(
            path(project, zone, name),
            &format!("look for {name}"),
        ))
        .await
    {
        Ok(node) => Ok(Some(node)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The node of a zone by its name, once it is no longer coming up.
async fn settled(
    rest_client: &Rest,
    project: &str,
    zone: &str,
    name: &str,
) -> Result<Option<Value>, ProviderError> {
    let mut looks = looks();
    loop {
        let node = get(rest_client, project, zone, name).await?;
        let coming = node
            .as_ref()
            .is_some_and(|node| node["state"] == "CREATING");
        match looks.next().filter(|_| coming) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Ok(node),
        }
    }
}

/// The node of an id, if it is one of a node.
pub(super) async fn by_id(gcp: &Gcp, id: &str) -> Result<Option<Instance>, ProviderError> {
    let Some((zone, name)) = parts(id) else {
        return Ok(None);
    };
    let api = gcp.api().await?;
    Ok(get(&api.tpu, &api.project, zone, name)
        .await?
        .as_ref()
        .and_then(node_instance))
}

/// The zones of a place that have a slice.
async fn zones(gcp: &Gcp, place: &PlaceName, slice: &Slice) -> Result<Vec<String>, ProviderError> {
    let api = gcp.api().await?;
    let about_zones = format!("look up the TPU {}", slice.kind);
    let (mut names, mut page) = (Vec::new(), String::new());
    loop {
        let mut locations_call = Call::get(
            format!("{V2}/projects/{}/locations", api.project),
            &about_zones,
        );
        if !page.is_empty() {
            locations_call.query.push(("pageToken", page));
        }
        let locations_answer = api.tpu.call(locations_call).await?;
        let all_locations = locations_answer["locations"]
            .as_array()
            .into_iter()
            .flatten();
        let location_names = all_locations.filter_map(|location| location["locationId"].as_str());
        names.extend(
            location_names
                .filter(|zone| plain(zone) && is_in(zone, &place.region))
                .map(str::to_owned),
        );
        page = locations_answer["nextPageToken"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if page.is_empty() {
            break;
        }
    }
    names.sort();
    let mut having = Vec::new();
    for zone in names {
        let path = format!(
            "{V2}/projects/{}/locations/{zone}/acceleratorTypes/{}",
            api.project, slice.kind
        );
        match api.tpu.call(Call::get(path, &about_zones)).await {
            Ok(_) => having.push(zone),
            Err(error) if error.kind == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if having.is_empty() {
        let message = format!("gcp: no zone of {place} has the TPU {}", slice.kind);
        return Err(ProviderError::new(ErrorKind::Stockout, message));
    }
    Ok(having)
}

/// Creates a node, or finds what was created under its token.
pub(super) async fn create(
    gcp: &Gcp,
    slice: &Slice,
    wanted_machine: &Wanted,
) -> Result<Instance, ProviderError> {
    if let Some(tee) = wanted_machine.spec.tee {
        return Err(without_tee(GCP, &wanted_machine.spec.instance_type, tee));
    }
    if wanted_machine.spec.disk.0 > DISK {
        let message = format!(
            "gcp: a TPU VM has a disk of 100 GB, and stage.{} is planned to write {}: write less, or plan with another type",
            wanted_machine.token.stage, wanted_machine.spec.disk
        );
        return Err(ProviderError::new(ErrorKind::Quota, message));
    }
    let api = gcp.api().await?;
    let zones = zones(gcp, &wanted_machine.spec.place, slice).await?;
    let name = name(&wanted_machine.token.id);
    // A former process may have come further than to the first zone, and what it began may still
    // fail.
    for zone in &zones {
        if let Some(made) = settled(&api.tpu, &api.project, zone, &name)
            .await?
            .as_ref()
            .and_then(node_instance)
        {
            return Ok(made);
        }
    }
    gcp.firewall_rules
        .remember(&name_of_state(&wanted_machine.spec.owner.lineage))?;
    gcp.remember_tpus()?;
    let mut last_error: Option<ProviderError> = None;
    let zones: Vec<String> = zones
        .into_iter()
        .filter(|zone| wanted_machine.may_be_in(zone))
        .collect();
    for zone in &zones {
        let error = match insert(
            &api.tpu,
            &api.project,
            zone,
            &name,
            body(wanted_machine, slice, zone),
        )
        .await
        {
            Err(error) => error,
            Ok(()) => match get(&api.tpu, &api.project, zone, &name)
                .await?
                .as_ref()
                .and_then(node_instance)
            {
                Some(made) => return Ok(made),
                None => created_and_gone(format!("gcp {zone}: {name}")),
            },
        };
        if !matches!(error.kind, ErrorKind::Stockout | ErrorKind::Quota) {
            return Err(error);
        }
        // What came to be before it failed is not left behind.
        delete(&api.tpu, &api.project, zone, &name).await?;
        // One zone that is full may not be so for long; quotas last.
        last_error = Some(match last_error {
            Some(full) if full.kind == ErrorKind::Stockout => full,
            _ => error,
        });
    }
    let zones_tried = zones.len();
    let final_error = last_error
        .unwrap_or_else(|| ProviderError::new(ErrorKind::Stockout, "gcp: no zone was tried"));
    let message = format!(
        "{} (of {zones_tried} zones of {} that have it)",
        final_error.message, wanted_machine.spec.place
    );
    Err(ProviderError::new(final_error.kind, message))
}

/// Begins a node and waits until it is there. Fine if it is already: names are unique in a zone.
async fn insert(
    rest_client: &Rest,
    project: &str,
    zone: &str,
    name: &str,
    body: Value,
) -> Result<(), ProviderError> {
    let about_create = format!("create the TPU {name} in {zone}");
    let create_call = Call {
        verb: Method::POST,
        path: format!("{V2}/projects/{project}/locations/{zone}/nodes"),
        query: vec![("nodeId", name.to_owned())],
        body: Some(body),
        about: &about_create,
    };
    let create_result = match rest_client.call(create_call).await {
        Ok(operation) => rest_client.done(V2, operation, &about_create).await,
        Err(error) => Err(error),
    };
    match create_result {
        Err(error)
            if error.kind == ErrorKind::Other && error.message.contains("already exists") =>
        {
            Ok(())
        }
        // Not the node, which was asked for, but what it is made of.
        Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError {
            kind: ErrorKind::Other,
            ..error
        }),
        made => made,
    }
}

fn body(wanted_machine: &Wanted, slice: &Slice, zone: &str) -> Value {
    let (labels, long) = labels::split(&wanted_machine.tags);
    let settings = launch::SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let script = ("startup-script".to_owned(), wanted_machine.script.clone());
    let metadata: BTreeMap<String, String> =
        settings.into_iter().chain([script]).chain(long).collect();
    let mut network = json!({ "enableExternalIps": true, "network": firewall::network_name() });
    if let Some(subnetwork) = launch::subnetwork() {
        network["subnetwork"] = subnetwork.into();
    }
    let mut body = json!({
        "acceleratorType": slice.kind,
        "runtimeVersion": slice.version,
        "description": format!("sky: stage.{}, attempt {}, in {zone}", wanted_machine.token.stage, wanted_machine.token.attempt),
        "labels": labels,
        "metadata": metadata,
        "networkConfig": network,
        "serviceAccount": { "scope": [SCOPE] },
        "tags": [name_of_state(&wanted_machine.spec.owner.lineage)],
    });
    if wanted_machine.spec.purchase == Purchase::Spot {
        body["schedulingConfig"] = json!({ "spot": true });
    }
    body
}

/// Changes tags: labels and metadata, each if some are there.
pub(super) async fn tag(
    gcp: &Gcp,
    instance: &Instance,
    tags: &BTreeMap<&'static str, String>,
) -> Result<(), ProviderError> {
    let api = gcp.api().await?;
    let (zone, name) = parts_of_node(instance)?;
    let about_tags = format!("tag {name}");
    let missing_node = || {
        ProviderError::new(
            ErrorKind::NotFound,
            format!("gcp: cannot {about_tags}: it is gone"),
        )
    };
    let node = get(&api.tpu, &api.project, zone, name)
        .await?
        .ok_or_else(missing_node)?;
    let (new, long) = labels::split(tags);
    let known_texts = |field: &str| node[field].as_object().cloned().unwrap_or_default();
    let texts_with =
        |all: Map<String, Value>, more: &BTreeMap<String, String>| -> Map<String, Value> {
            all.into_iter()
                .chain(
                    more.iter()
                        .map(|(name, value)| (name.clone(), value.clone().into())),
                )
                .collect()
        };
    // A label is believed before metadata.
    let mut labels = known_texts("labels");
    labels.retain(|name, _| !long.contains_key(name));
    let labels = texts_with(labels, &new);
    let (mut body, mut mask) = (Map::new(), Vec::new());
    if !long.is_empty() {
        body.insert(
            "metadata".to_owned(),
            texts_with(known_texts("metadata"), &long).into(),
        );
        mask.push("metadata");
    }
    if labels != known_texts("labels") {
        body.insert("labels".to_owned(), labels.into());
        mask.push("labels");
    }
    if mask.is_empty() {
        return Ok(());
    }
    let patch_call = Call {
        verb: Method::PATCH,
        path: path(&api.project, zone, name),
        query: vec![("updateMask", mask.join(","))],
        body: Some(body.into()),
        about: &about_tags,
    };
    let operation = api.tpu.call(patch_call).await?;
    api.tpu.done(V2, operation, &about_tags).await
}

/// Ends a node, with its disk. Fine if it is gone.
async fn delete(
    rest_client: &Rest,
    project: &str,
    zone: &str,
    name: &str,
) -> Result<(), ProviderError> {
    let about_delete = format!("delete {name}");
    let path = path(project, zone, name);
    let delete_call = Call {
        verb: Method::DELETE,
        path,
        query: Vec::new(),
        body: None,
        about: &about_delete,
    };
    let delete_result = match rest_client.call(delete_call).await {
        Ok(operation) => rest_client.done(V2, operation, &about_delete).await,
        Err(error) => Err(error),
    };
    ended_or_gone(delete_result)
}

/// Ends the node of an instance.
pub(super) async fn end(gcp: &Gcp, instance: &Instance) -> Result<(), ProviderError> {
    let api = gcp.api().await?;
    let (zone, name) = parts_of_node(instance)?;
    delete(&api.tpu, &api.project, zone, name).await
}
