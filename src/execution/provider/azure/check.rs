//! What a subscription lets us do: permissions by Authorization, quotas by what regions say of
//! themselves.

use super::super::check::{Finding, Need, Topic, in_time};
use super::super::{ErrorKind, ProviderError};
use super::account::Azure;
use super::api_client::Api;
use super::api_versions::MACHINES;
use crate::model::{PlaceName, Purchase};
use serde_json::Value;
use std::collections::BTreeMap;

/// The version of the API for permissions.
const PERMISSIONS: &str = "2022-04-01";
/// The quota that spot machines of all families share.
const SPOT: &str = "lowPriorityCores";
/// What is needed to make machines and to end them; `sky guide azure` has all.
const ACTIONS: [&str; 18] = [
    "Microsoft.Compute/disks/delete",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/skus/read",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkSecurityGroups/write",
    "Microsoft.Network/publicIPAddresses/delete",
    "Microsoft.Network/publicIPAddresses/read",
    "Microsoft.Network/publicIPAddresses/write",
    "Microsoft.Network/virtualNetworks/write",
    "Microsoft.Resources/subscriptions/resourceGroups/delete",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "Microsoft.Resources/tags/write",
];

/// All that can be seen.
pub(super) async fn check(azure: &Azure, needs: &[Need]) -> Vec<Finding> {
    let api = match in_time(azure.api(), "azure").await {
        Ok(api) => api,
        Err(error) => return vec![Finding::failed(Topic::Credentials, "azure", &error)],
    };
    let about_subscription = format!("subscription {}", api.subscription);
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/permissions",
        api.subscription
    );
    let look_up = api.list(
        &path,
        &[("api-version", PERMISSIONS)],
        "see which permissions there are",
    );
    let mut findings: Vec<Finding> = match in_time(look_up, "azure").await {
        Ok(granted) => {
            let known_credentials =
                Finding::there(Topic::Credentials, &*about_subscription, "Azure takes them");
            std::iter::once(known_credentials)
                .chain(permissions(&granted, &about_subscription))
                .collect()
        }
        Err(error) if error.kind == ErrorKind::Denied => {
            return vec![Finding::failed(
                Topic::Credentials,
                about_subscription,
                &error,
            )];
        }
        Err(error) => return vec![Finding::failed(Topic::Reach, about_subscription, &error)],
    };
    findings.extend(quotas(azure, api, needs).await);
    findings
}

/// Whether a pattern of Azure's, in which `*` stands for anything, is of an action.
fn covers(pattern: &str, action: &str) -> bool {
    wildmatch::WildMatch::new(&pattern.to_ascii_lowercase()).matches(&action.to_ascii_lowercase())
}

/// The actions that no assignment grants: each grants its actions less those that it excepts.
fn permissions(granted: &[Value], about: &str) -> Vec<Finding> {
    let any_matches = |of: &Value, field: &str, action: &str| {
        of[field]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|pattern| covers(pattern, action))
    };
    let has_action = |action: &str| {
        granted.iter().any(|one| {
            any_matches(one, "actions", action) && !any_matches(one, "notActions", action)
        })
    };
    let lacking_actions = ACTIONS
        .iter()
        .filter(|action| !has_action(action))
        .map(|action| (*action).to_owned());
    Finding::permissions(about, ACTIONS.len(), lacking_actions)
}

async fn quotas(azure: &Azure, api: &Api, needs: &[Need]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wanted_quotas: BTreeMap<&PlaceName, BTreeMap<String, u64>> = BTreeMap::new();
    for need in needs {
        match in_time(
            azure.machine_type(&need.place, &need.instance_type),
            "azure",
        )
        .await
        {
            Ok(machine_type) => {
                let family = if need.purchase == Purchase::Spot {
                    SPOT.to_owned()
                } else {
                    machine_type.family
                };
                let metrics = wanted_quotas.entry(&need.place).or_default();
                let Some(cores) = machine_type.cores else {
                    let about_type = format!("{} at {}", need.instance_type, need.place);
                    let cores_unknown = "Azure does not say how many cores it has".to_owned();
                    findings.push(Finding::unknown(Topic::Quota, about_type, cores_unknown));
                    continue;
                };
                let cores = cores * u64::from(need.machines);
                *metrics.entry(family).or_default() += cores;
                if need.purchase != Purchase::Spot {
                    *metrics.entry("cores".to_owned()).or_default() += cores;
                }
            }
            Err(error) => {
                let about_type = format!("{} at {}", need.instance_type, need.place);
                findings.push(Finding::failed(Topic::Quota, about_type, &error));
            }
        }
    }
    for (place, metrics) in wanted_quotas {
        match in_time(usages(api, place), "azure").await {
            Ok(usages) => findings.extend(
                metrics
                    .iter()
                    .map(|(family, cores)| compare(&usages, place, family, *cores)),
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

async fn usages(api: &Api, place: &PlaceName) -> Result<Vec<Value>, ProviderError> {
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/locations/{}/usages",
        api.subscription, place.region
    );
    api.list(
        &path,
        &[("api-version", MACHINES)],
        &format!("see the quotas of {place}"),
    )
    .await
}

/// A quota of a region, beside what is wanted of it.
fn compare(usages: &[Value], place: &PlaceName, family: &str, cores: u64) -> Finding {
    let is_named = |usage: &&Value| {
        usage["name"]["value"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case(family))
    };
    let about_family = format!("{family} at {place}");
    let unknown_quota =
        |said: &str| Finding::unknown(Topic::Quota, about_family.clone(), said.to_owned());
    let Some(usage) = usages.iter().find(is_named) else {
        return unknown_quota("the region names no such quota");
    };
    match usage["limit"].as_u64() {
        Some(limit) => Finding::quota(
            about_family.clone(),
            cores,
            limit,
            usage["currentValue"].as_u64(),
        ),
        None => unknown_quota("the region names no limit"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::Verdict;
    use super::*;
    use serde_json::json;

    #[test]
    fn roles_grant_less_what_they_except() {
        let verdicts = |granted: Value| {
            let found = permissions(granted.as_array().unwrap(), "here");
            found
                .iter()
                .filter(|one| one.verdict == Verdict::Missing)
                .count()
        };
        assert_eq!(
            verdicts(
                json!([{ "actions": ["*"], "notActions": ["Microsoft.Authorization/*/Write"] }])
            ),
            0
        );
        assert_eq!(
            verdicts(json!([{ "actions": ["*/read"], "notActions": [] }])),
            13
        );
        let both = json!([{ "actions": ["*"], "notActions": ["microsoft.compute/*"] }, { "actions": ["Microsoft.Compute/*"] }]);
        assert_eq!(verdicts(both), 0);
        assert_eq!(verdicts(json!([])), ACTIONS.len());
    }
}
