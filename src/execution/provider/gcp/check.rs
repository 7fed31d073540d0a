//! What a project lets us do: permissions by Resource Manager, quotas by what regions say of
//! themselves.

use super::super::check::{Finding, Need, Topic, in_time};
use super::super::{ErrorKind, ProviderError};
use super::account::Gcp;
use super::api_client::Api;
use super::machine_type::{MachineType, series_of};
use super::rest_client::Call;
use super::tpu_slice::Slice;
use crate::model::{PlaceName, Purchase};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What is needed for instances; `sky guide gcp` has the same.
const INSTANCES: [&str; 21] = [
    "compute.acceleratorTypes.list",
    "compute.disks.create",
    "compute.disks.setLabels",
    "compute.firewalls.create",
    "compute.firewalls.delete",
    "compute.firewalls.get",
    "compute.firewalls.update",
    "compute.globalOperations.get",
    "compute.globalOperations.list",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.list",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setTags",
    "compute.machineTypes.list",
    "compute.networks.updatePolicy",
    "compute.subnetworks.use",
    "compute.subnetworks.useExternalIp",
    "compute.zoneOperations.get",
];
/// What is needed for TPU VMs, besides.
const SLICES: [&str; 5] = [
    "tpu.nodes.create",
    "tpu.nodes.delete",
    "tpu.nodes.get",
    "tpu.nodes.list",
    "tpu.nodes.update",
];

/// All that can be seen.
pub(super) async fn check(gcp: &Gcp, needs: &[Need]) -> Vec<Finding> {
    let api = match in_time(gcp.api(), "gcp").await {
        Ok(api) => api,
        Err(error) => return vec![Finding::failed(Topic::Credentials, "gcp", &error)],
    };
    let project = format!("project {}", api.project);
    // One look says whether Google knows us and whether it answers: the rest would only say it
    // again.
    match in_time(gcp.look("name = \"sky-check\""), "gcp").await {
        Ok(_) => {}
        Err(error) if error.kind == ErrorKind::Denied => {
            return vec![Finding::failed(Topic::Credentials, project, &error)];
        }
        Err(error) => return vec![Finding::failed(Topic::Reach, project, &error)],
    }
    let mut findings = vec![Finding::there(
        Topic::Credentials,
        &*project,
        "Google takes them",
    )];
    let tpus = needs
        .iter()
        .any(|need| matches!(Slice::parse(&need.instance_type), Ok(Some(_))));
    findings.extend(permissions(api, tpus).await);
    findings.extend(quotas(gcp, api, needs).await);
    findings
}

/// The permissions, and which of them are not granted.
async fn permissions(api: &Api, tpus: bool) -> Vec<Finding> {
    let wanted_permissions: Vec<&str> = INSTANCES
        .iter()
        .chain(SLICES.iter().filter(|_| tpus))
        .copied()
        .collect();
    let permission_call = Call {
        verb: Method::POST,
        path: format!("v3/projects/{}:testIamPermissions", api.project),
        query: Vec::new(),
        body: Some(json!({ "permissions": wanted_permissions })),
        about: "see which permissions there are",
    };
    let about_project = format!("project {}", api.project);
    let refusal_words = match in_time(api.projects.call(permission_call), "gcp").await {
        Ok(said) => said,
        // It is an API of its own, which may be off; that says nothing about the others.
        Err(error) => {
            return vec![Finding::unknown(
                Topic::Permission,
                about_project,
                error.message,
            )];
        }
    };
    let granted: BTreeSet<&str> = refusal_words["permissions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let lacking_permissions = wanted_permissions
        .iter()
        .filter(|one| !granted.contains(*one))
        .map(|one| (*one).to_owned());
    Finding::permissions(
        &about_project,
        wanted_permissions.len(),
        lacking_permissions,
    )
}

/// What a machine takes of which quotas.
async fn taken(gcp: &Gcp, api: &Api, need: &Need) -> Result<Vec<(String, u64)>, ProviderError> {
    let machine_type = MachineType::parse(&need.instance_type)?;
    let zones = gcp.zones(&need.place, &machine_type).await?;
    let unknown_type = |what: &str| {
        let message = format!("gcp: {} at {}: {what}", need.instance_type, need.place);
        ProviderError::new(ErrorKind::Other, message)
    };
    let zone = zones
        .names
        .first()
        .ok_or_else(|| unknown_type("no zone has it"))?;
    let path = format!(
        "compute/v1/projects/{}/zones/{zone}/machineTypes/{}",
        api.project, machine_type.machine
    );
    let type_found = api
        .compute
        .call(Call::get(
            path,
            &format!("look up the type {}", machine_type.machine),
        ))
        .await?;
    let cores = type_found["guestCpus"]
        .as_u64()
        .ok_or_else(|| unknown_type("Google does not say how many cores it has"))?;
    let mut taken_metrics = vec![(cores_metric(&machine_type.machine), cores)];
    if let Some((card, count)) = machine_type.cards {
        taken_metrics.push((card_metric(card), u64::from(count.unsigned_abs())));
    }
    let own_cards = type_found["accelerators"].as_array().into_iter().flatten();
    let own_cards = own_cards.filter_map(|one| {
        Some((
            one["guestAcceleratorType"].as_str()?,
            one["guestAcceleratorCount"].as_u64()?,
        ))
    });
    taken_metrics.extend(own_cards.map(|(card, count)| (card_metric(card), count)));
    Ok(taken_metrics)
}

/// The quota of cores that a type counts to: the first series share one, all later have their own.
fn cores_metric(machine: &str) -> String {
    match series_of(machine) {
        "n1" | "e2" | "f1" | "g1" | "t2d" | "t2a" => "CPUS".to_owned(),
        series => format!("{}_CPUS", series.to_uppercase()),
    }
}

/// The quota that a card counts to: `nvidia-tesla-t4` is `NVIDIA_T4_GPUS`.
fn card_metric(card: &str) -> String {
    let name = card
        .strip_prefix("nvidia-")
        .map(|name| name.strip_prefix("tesla-").unwrap_or(name))
        .unwrap_or(card);
    format!("NVIDIA_{}_GPUS", name.replace('-', "_").to_uppercase())
}

async fn quotas(gcp: &Gcp, api: &Api, needs: &[Need]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wanted_quotas: BTreeMap<&PlaceName, BTreeMap<String, u64>> = BTreeMap::new();
    for need in needs {
        let about_type = format!("{} at {}", need.instance_type, need.place);
        if let Ok(Some(_)) = Slice::parse(&need.instance_type) {
            findings.push(Finding::unknown(
                Topic::Quota,
                about_type,
                "quotas of TPUs are seen in Google's console only".to_owned(),
            ));
            continue;
        }
        match in_time(taken(gcp, api, need), "gcp").await {
            Ok(taken) => {
                for (metric, count) in taken {
                    let metric = if need.purchase == Purchase::Spot {
                        format!("PREEMPTIBLE_{metric}")
                    } else {
                        metric
                    };
                    *wanted_quotas
                        .entry(&need.place)
                        .or_default()
                        .entry(metric)
                        .or_default() += count * u64::from(need.machines);
                }
            }
            Err(error) => findings.push(Finding::failed(Topic::Quota, about_type, &error)),
        }
    }
    for (place, metrics) in wanted_quotas {
        let path = format!(
            "compute/v1/projects/{}/regions/{}",
            api.project, place.region
        );
        match in_time(
            api.compute
                .call(Call::get(path, &format!("see the quotas of {place}"))),
            "gcp",
        )
        .await
        {
            Ok(region) => findings.extend(
                metrics
                    .iter()
                    .map(|(metric, count)| compare(&region, place, metric, *count)),
            ),
            Err(error) => findings.push(Finding::unknown(
                Topic::Quota,
                place.to_string(),
                error.message,
            )),
        }
    }
    findings
}

/// A quota of a region, beside what is wanted of it.
fn compare(region: &Value, place: &PlaceName, metric: &str, wanted_units: u64) -> Finding {
    let quota = |name: &str| {
        region["quotas"]
            .as_array()?
            .iter()
            .find(|quota| quota["metric"] == name)
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // Counts that come as floats.
    let count = |quota: &Value, field: &str| quota[field].as_f64().map(|count| count as u64);
    // Projects that have no quota for spot machines take them from the other one.
    let plain_metric = metric.strip_prefix("PREEMPTIBLE_").unwrap_or(metric);
    let own_quota =
        quota(metric).filter(|quota| metric == plain_metric || count(quota, "limit") != Some(0));
    let Some((name, quota)) = own_quota
        .map(|own| (metric, own))
        .or_else(|| quota(plain_metric).map(|quota| (plain_metric, quota)))
    else {
        let no_such_quota = "the region names no such quota".to_owned();
        return Finding::unknown(Topic::Quota, format!("{metric} at {place}"), no_such_quota);
    };
    let about_metric = format!("{name} at {place}");
    match count(quota, "limit") {
        Some(limit) => Finding::quota(about_metric, wanted_units, limit, count(quota, "usage")),
        None => Finding::unknown(
            Topic::Quota,
            about_metric,
            "the region names no limit".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::Verdict;
    use super::*;

    #[test]
    fn quotas_are_named_as_google_does() {
        assert_eq!(
            [cores_metric("e2-small"), cores_metric("n2d-standard-8")],
            ["CPUS", "N2D_CPUS"]
        );
        let cards = ["nvidia-tesla-t4", "nvidia-l4", "nvidia-a100-80gb"].map(card_metric);
        assert_eq!(
            cards,
            ["NVIDIA_T4_GPUS", "NVIDIA_L4_GPUS", "NVIDIA_A100_80GB_GPUS"]
        );
    }

    #[test]
    fn spot_machines_have_a_quota_of_their_own_if_there_is_one() {
        let place = PlaceName {
            cloud: "gcp".into(),
            region: "us-central1".into(),
        };
        let region = json!({ "quotas": [
            { "metric": "CPUS", "limit": 24.0, "usage": 4.0 },
            { "metric": "PREEMPTIBLE_CPUS", "limit": 0.0, "usage": 0.0 },
            { "metric": "PREEMPTIBLE_NVIDIA_T4_GPUS", "limit": 1.0, "usage": 0.0 },
        ]});
        let verdict = |metric: &str, wanted| compare(&region, &place, metric, wanted).verdict;
        assert_eq!(
            [verdict("CPUS", 20), verdict("CPUS", 21)],
            [Verdict::There, Verdict::Missing]
        );
        assert_eq!(verdict("PREEMPTIBLE_CPUS", 20), Verdict::There);
        assert_eq!(verdict("PREEMPTIBLE_NVIDIA_T4_GPUS", 2), Verdict::Missing);
        assert_eq!(verdict("N2_CPUS", 1), Verdict::Unknown);
    }
}
