//! The Job that a machine is: what is asked for, whose it is, and what is read of it.

use super::super::cloud::{Instance, Life, instance_tags};
use super::super::{Machine, MachineSpec, Token};
use crate::model::hosts::KubernetesPods;
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, PodSpec, PodTemplateSpec, ResourceRequirements, Toleration,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;
use std::time::Duration;

/// Who writes, to the API server.
pub(super) const MANAGER: &str = "sky";
/// The only container of a pod.
pub(super) const CONTAINER: &str = "stage";
/// All Jobs that are ours.
pub(super) const OURS: &str = "app.kubernetes.io/managed-by=sky";
/// The pod that has the machine, by its uid: none that replaces it does.
pub(super) const POD: &str = "sky-pod";
pub(super) const PLACE: &str = "sky-place";
pub(super) const TYPE: &str = "sky-type";

/// The disk of a machine: a volume that ends with its pod.
const DISK: &str = "/sky";
/// The first process of the container, which waits, and reaps what others leave.
const HOLD: &str = "trap 'exit 143' TERM INT; while :; do sleep 3600 & wait $!; done";
/// The cluster is never the first to end a machine: its own watchdog is.
const MARGIN: Duration = Duration::from_secs(60);
/// How long a Job that has ended may be looked at, in seconds.
const KEPT: i32 = 86_400;
/// How long the first process may take to end, in seconds.
const GRACE: i64 = 5;

/// The name of a token's Job.
pub(super) fn name(token: &str) -> String {
    format!("sky-{token}")
}

/// What finds the Job and the pods of a token.
pub(super) fn label(token: &str) -> String {
    format!("{}={token}", instance_tags::TOKEN)
}

/// What is asked for.
pub(super) fn wanted(token: &Token, spec: &MachineSpec, pods: &KubernetesPods) -> Job {
    let labels = BTreeMap::from([
        (
            "app.kubernetes.io/managed-by".to_owned(),
            MANAGER.to_owned(),
        ),
        (instance_tags::TOKEN.to_owned(), token.id.clone()),
    ]);
    let mut annotations: BTreeMap<String, String> = instance_tags::of(token, spec)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    annotations.insert(PLACE.to_owned(), spec.place.to_string());
    annotations.insert(TYPE.to_owned(), spec.instance_type.clone());
    // What moves pods about to save nodes leaves this one alone.
    let stay_annotations = BTreeMap::from([
        (
            "cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(),
            "false".to_owned(),
        ),
        ("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned()),
    ]);
    let template = ObjectMeta {
        labels: Some(labels.clone()),
        annotations: Some(stay_annotations),
        ..ObjectMeta::default()
    };
    Job {
        metadata: ObjectMeta {
            name: Some(name(&token.id)),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            active_deadline_seconds: Some(deadline(Duration::ZERO, spec.lease)),
            ttl_seconds_after_finished: Some(KEPT),
            template: PodTemplateSpec {
                metadata: Some(template),
                spec: Some(pod(pods)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// The Job's limit, in seconds from its beginning, `elapsed` ago, if its lease is so long from now
/// on.
pub(super) fn deadline(elapsed: Duration, lease: Duration) -> i64 {
    let seconds = (elapsed + lease + MARGIN).as_secs();
    // As much as the API takes.
    i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .min(i64::from(i32::MAX))
}

fn pod(pods: &KubernetesPods) -> PodSpec {
    let mut selector = pods.selector.clone();
    let arch = match pods.host.offer.arch.as_str() {
        "x86_64" => Some("amd64"),
        "arm64" => Some("arm64"),
        _ => None,
    };
    if let Some(arch) = arch {
        selector.insert("kubernetes.io/arch".to_owned(), arch.to_owned());
    }
    let tolerate = |key: &String| Toleration {
        key: Some(key.clone()),
        operator: Some("Exists".to_owned()),
        ..Toleration::default()
    };
    PodSpec {
        containers: vec![Container {
            name: CONTAINER.to_owned(),
            image: Some(pods.image.clone()),
            command: Some(["/bin/sh", "-c", HOLD].map(str::to_owned).to_vec()),
            working_dir: Some(DISK.to_owned()),
            resources: Some(resources(pods)),
            volume_mounts: Some(vec![VolumeMount {
                name: "disk".to_owned(),
                mount_path: DISK.to_owned(),
                ..VolumeMount::default()
            }]),
            ..Container::default()
        }],
        volumes: Some(vec![Volume {
            name: "disk".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        }]),
        restart_policy: Some("Never".to_owned()),
        // No credential of the cluster, and nothing of its services.
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        termination_grace_period_seconds: Some(GRACE),
        node_selector: Some(selector).filter(|selector| !selector.is_empty()),
        tolerations: Some(pods.tolerations.iter().map(tolerate).collect())
            .filter(|all: &Vec<_>| !all.is_empty()),
        priority_class_name: pods.priority_class.clone(),
        runtime_class_name: pods.runtime_class.clone(),
        ..PodSpec::default()
    }
}

/// All that a pod asks for it gets, and no more.
fn resources(pods: &KubernetesPods) -> ResourceRequirements {
    let offer = &pods.host.offer;
    let mut amounts = BTreeMap::new();
    let mut put_amount =
        |name: &str, amount: String| drop(amounts.insert(name.to_owned(), Quantity(amount)));
    match offer.vcpu_thousandths {
        0 => {}
        whole if whole % 1000 == 0 => put_amount("cpu", (whole / 1000).to_string()),
        parts => put_amount("cpu", format!("{parts}m")),
    }
    if offer.memory.0 > 0 {
        put_amount("memory", format!("{}Ki", offer.memory.0 >> 10));
    }
    if let Some((_, count)) = &offer.accelerators {
        put_amount(&pods.resource, count.to_string());
    }
    let amounts = Some(amounts).filter(|amounts| !amounts.is_empty());
    ResourceRequirements {
        limits: amounts.clone(),
        requests: amounts,
        ..ResourceRequirements::default()
    }
}

/// An annotation.
pub(super) fn note<'a>(job: &'a Job, name: &str) -> Option<&'a str> {
    job.metadata
        .annotations
        .as_ref()?
        .get(name)
        .map(String::as_str)
}

/// How it ended, in the cluster's words: reason and message. None: it has not.
pub(super) fn ended(job: &Job) -> Option<(String, String)> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let final_condition = conditions
        .iter()
        .find(|one| ["Failed", "Complete"].contains(&one.type_.as_str()) && one.status == "True")?;
    Some((
        final_condition.reason.clone().unwrap_or_default(),
        final_condition.message.clone().unwrap_or_default(),
    ))
}

/// Somebody has asked for its end.
pub(super) fn leaves(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some()
}

/// The machine that it is, at the cluster of that name; none if its token is none of ours.
pub(super) fn machine(cluster: &str, job: &Job) -> Option<Machine> {
    let mut tags = job.metadata.annotations.clone().unwrap_or_default();
    // The label is what it is found by.
    let labels = job.metadata.labels.as_ref();
    tags.extend(
        labels
            .and_then(|labels| labels.get(instance_tags::TOKEN))
            .map(|token| (instance_tags::TOKEN.to_owned(), token.clone())),
    );
    let name = job.metadata.name.as_ref()?;
    let place = note(job, PLACE).and_then(crate::model::PlaceName::parse);
    let instance_type = note(job, TYPE).map(str::to_owned);
    let instance = Instance {
        id: format!("{cluster}/{name}"),
        place: place.clone().unwrap_or_else(crate::model::PlaceName::here),
        instance_type: instance_type.clone().unwrap_or_default(),
        life: if ended(job).is_some() {
            Life::Ended
        } else {
            Life::Alive
        },
        inside: None,
        zone: None,
        address: None,
        tags,
    };
    instance_tags::machine(&instance).map(|machine| Machine {
        place,
        instance_type,
        ..machine
    })
}
