//! The Kubernetes clusters of `hosts.toml`: each entry is a kind of pod, and where such pods run.

use super::fault::HostsFault;
use super::host::{HostForm, host};
use super::reader::{HostsFile, WrittenDecimal};
use super::text_checks::plain;
use crate::model::hosts::{KUBERNETES, KubernetesNamespace, KubernetesPods};
use crate::model::{Millis, PlaceName};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Spanned;

/// Accelerators, as most device plugins call them.
const RESOURCE: &str = "nvidia.com/gpu";
/// How long a pod may wait for a node: longer than most autoscalers take to bring one up.
const WAIT: Duration = Duration::from_secs(600);

/// A table of a kind of pod.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KubernetesPodsForm {
    kubeconfig: Option<Spanned<String>>,
    context: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
    image: Option<Spanned<String>>,
    #[serde(default)]
    selector: BTreeMap<Spanned<String>, Spanned<String>>,
    resource: Option<Spanned<String>>,
    #[serde(default)]
    tolerations: Vec<Spanned<String>>,
    priority_class: Option<Spanned<String>>,
    runtime_class: Option<Spanned<String>>,
    wait: Option<Spanned<String>>,
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
    forms: &BTreeMap<Spanned<String>, KubernetesPodsForm>,
) -> Result<Vec<KubernetesPods>, HostsFault> {
    let mut kinds: Vec<KubernetesPods> = Vec::new();
    for (name, form) in forms {
        let pods = pods(file, name, form)?;
        let new = &pods.host;
        if let Some(other) = kinds.iter().map(|other| &other.host).find(|other| {
            other.instance_type == new.instance_type
                && (other.place == new.place || other.offer.size() != new.offer.size())
        }) {
            let message = format!(
                "its type `{}` is that of {} already",
                new.instance_type, other.reach.name
            );
            return Err(file.fault(name.span(), message, "give it a `type` of its own"));
        }
        kinds.push(pods);
    }
    Ok(kinds)
}

fn pods(
    file: &HostsFile,
    name: &Spanned<String>,
    form: &KubernetesPodsForm,
) -> Result<KubernetesPods, HostsFault> {
    let form_of_host = HostForm {
        cpus: form.cpus.clone(),
        memory: form.memory.clone(),
        accelerators: form.accelerators.clone(),
        arch: form.arch.clone(),
        tee: form.tee.clone(),
        place: form.place.clone(),
        instance_type: form.instance_type.clone(),
        price: form.price.clone(),
        ..HostForm::default()
    };
    let mut host = host(file, name, &form_of_host)?;
    host.place = PlaceName {
        cloud: KUBERNETES.to_owned(),
        region: host.place.region,
    };
    let hint =
        "name an image with a POSIX shell, coreutils, tar, flock and setsid, like \"debian:12\"";
    let is_plain_word = |text: &str| plain(text) && !text.contains(char::is_whitespace);
    let Some(image) = file.text(&form.image, is_plain_word, "name of an image", hint)? else {
        return Err(file.fault(name.span(), "it has no `image`", hint));
    };
    let hint = "write it as kubectl takes it, without spaces";
    let text = |value, what| file.text(value, is_plain_word, what, hint);
    let hint = "use lower-case letters, digits and `-`";
    let namespace = file.text(&form.namespace, is_label, "namespace", hint)?;
    let hint = "write it like \"nvidia.com/gpu\"";
    let resource = file.text(&form.resource, is_key, "name of a resource", hint)?;
    let hint = "write a key like \"cloud.google.com/gke-accelerator\"";
    let mut selector = BTreeMap::new();
    for (key, value) in &form.selector {
        let label_key = file.text(&Some(key.clone()), is_key, "label of a node", hint)?;
        let value_words = "value of a label";
        let label_value = file.text(
            &Some(value.clone()),
            is_value,
            value_words,
            "use letters, digits, `-`, `_` and `.`",
        )?;
        selector.extend(label_key.zip(label_value));
    }
    let mut tolerations = Vec::new();
    for key in &form.tolerations {
        tolerations.extend(file.text(&Some(key.clone()), is_key, "key of a taint", hint)?);
    }
    if let Some(nodes) = form.nodes.as_ref().filter(|nodes| *nodes.get_ref() == 0) {
        return Err(file.fault(
            nodes.span(),
            "0 nodes are not usable",
            "write how many pods there may be at a time",
        ));
    }
    let hint = "write it like \"10 min\", a second at least";
    let long_enough = |text: &str| Millis::parse(text).is_ok_and(|time| time.0 >= 1000);
    let wait = file
        .text(&form.wait, long_enough, "time", hint)?
        .and_then(|text| Millis::parse(&text).ok());
    Ok(KubernetesPods {
        host,
        at: KubernetesNamespace {
            kubeconfig: file.path(&form.kubeconfig)?,
            context: text(&form.context, "name of a context")?,
            name: namespace,
        },
        image,
        selector,
        resource: resource.unwrap_or_else(|| RESOURCE.to_owned()),
        tolerations,
        priority_class: text(&form.priority_class, "name of a priority class")?,
        runtime_class: text(&form.runtime_class, "name of a runtime class")?,
        wait: wait.map_or(WAIT, |wait| Duration::from_millis(wait.0)),
        nodes: form.nodes.as_ref().map(|nodes| *nodes.get_ref()),
    })
}

/// Returns whether a name is a label by RFC 1123.
fn is_label(text: &str) -> bool {
    let fits_label = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    text.chars().all(fits_label)
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.len() <= 63
}

fn is_value(text: &str) -> bool {
    let fits_value = |one: char| one.is_ascii_alphanumeric() || "-_.".contains(one);
    let ends_well = |one: Option<char>| one.is_some_and(|one| one.is_ascii_alphanumeric());
    text.chars().all(fits_value)
        && ends_well(text.chars().next())
        && ends_well(text.chars().last())
        && text.len() <= 63
}

/// A name, with or without a domain before it.
fn is_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((domain, name)) => {
            domain
                .split('.')
                .all(|part| !part.is_empty() && is_label(part))
                && is_value(name)
        }
        None => is_value(text),
    }
}
