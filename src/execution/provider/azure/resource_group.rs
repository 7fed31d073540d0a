//! Where machines live: one resource group for each state, so that all that is there goes with one
//! call, and in it for each region a network that lets in our own address at the SSH port, and
//! nothing else. All of it costs nothing, and is removed with the last machine of the state.
//!
//! ```text
//! STATE/azure/groups/NAME     a resource group to remove when no machine is in it any more
//! ```

use super::super::cloud::remembered_names::{RememberedNames, name_of_state};
use super::super::cloud::{Instance, instance_tags};
use super::super::{ErrorKind, Owner, ProviderError};
use super::api_client::Api;
use super::api_versions::{MACHINES, NETWORKS, RESOURCES};
use super::firewall::{Firewall, network, network_path, rules_path};
use crate::model::PlaceName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::Mutex;

/// The resource groups of a state folder.
pub(super) struct ResourceGroups {
    /// Groups that are to be removed one day.
    noted: RememberedNames,
    firewall: Firewall,
    /// Groups and regions that let us in; held while one is made.
    open: Mutex<BTreeSet<(String, String)>>,
}

/// Whether a resource group is called as ours are.
fn is_ours(group: &str) -> bool {
    group
        .strip_prefix("sky-")
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|one| one.is_ascii_hexdigit()))
}

impl ResourceGroups {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self {
            noted: RememberedNames::at(folder),
            firewall: Firewall::default(),
            open: Mutex::default(),
        }
    }

    /// Notes a group that is to be removed one day, before it is made. What is called otherwise
    /// than ours is nobody's to remove.
    pub(super) fn remember(&self, group: &str) -> Result<(), ProviderError> {
        if !is_ours(group) {
            return Ok(());
        }
        self.noted.remember(group)
    }

    /// The groups that were noted.
    pub(super) fn remembered(&self) -> Result<Vec<String>, ProviderError> {
        let mut names = self.noted.all()?;
        names.retain(|name| is_ours(name));
        Ok(names)
    }

    /// Makes the resource group and the network of an owner's machines at a place, as far as it is
    /// not there.
    pub(super) async fn open(
        &self,
        api: &Api,
        place: &PlaceName,
        owner: &Owner,
    ) -> Result<(), ProviderError> {
        let (group, region) = (name_of_state(&owner.lineage), &place.region);
        let key = (group.clone(), region.clone());
        let mut open = self.open.lock().await;
        if open.contains(&key) {
            return Ok(());
        }
        self.remember(&group)?;
        let tags = json!({ instance_tags::LINEAGE: owner.lineage, instance_tags::JOB: owner.job });
        let about = format!("make the resource group {group}");
        let path = api.group(&group);
        match api
            .look(&path, &[("api-version", RESOURCES)], &about)
            .await?
        {
            None => {
                api.put(
                    &path,
                    RESOURCES,
                    &json!({ "location": region, "tags": tags }),
                    &about,
                )
                .await?
            }
            Some(known) if known["properties"]["provisioningState"] == "Deleting" => {
                let message = format!("azure: cannot {about}: the last one is still being deleted");
                return Err(ProviderError::new(ErrorKind::Throttled, message));
            }
            Some(_) => {}
        }
        self.firewall
            .let_in(api, &group, region, Some(&tags))
            .await?;
        let about = format!("make the network {} in {group}", network(region));
        let path = network_path(api, &group, region);
        if api
            .look(&path, &[("api-version", NETWORKS)], &about)
            .await?
            .is_none()
        {
            let subnet = json!({
                "name": "machines",
                "properties": {
                    "addressPrefix": "10.0.0.0/16",
                    "networkSecurityGroup": { "id": rules_path(api, &group, region) },
                },
            });
            let properties = json!({ "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": [subnet] });
            let body = json!({ "location": region, "tags": tags, "properties": properties });
            api.put(&path, NETWORKS, &body, &about).await?;
        }
        open.insert(key);
        Ok(())
    }

    /// Lets us in where an instance is, and nobody else any more. Fine where no rules of ours are.
    pub(super) async fn admit(
        &self,
        api: &Api,
        group: &str,
        instance: &Instance,
    ) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        let key = (group.to_owned(), region.clone());
        let mut open = self.open.lock().await;
        if !open.contains(&key) {
            self.firewall.let_in(api, group, region, None).await?;
            open.insert(key);
        }
        Ok(())
    }

    /// Removes a group with all that is in it, and what is known of it, unless a machine is in it
    /// or something that we have not made. Fine if it is gone.
    pub(super) async fn remove(&self, api: &Api, group: &str) -> Result<(), ProviderError> {
        let mut open = self.open.lock().await;
        let about = format!("remove the resource group {group}");
        let path = api.group(group);
        let machines = format!("{path}/providers/Microsoft.Compute/virtualMachines");
        if let Some(known) = api
            .look(&path, &[("api-version", RESOURCES)], &about)
            .await?
        {
            let marked = known["tags"][instance_tags::LINEAGE]
                .as_str()
                .is_some_and(|lineage| name_of_state(lineage) == group);
            let machines = api
                .list(&machines, &[("api-version", MACHINES)], &about)
                .await?;
            if !marked || !machines.is_empty() || !strangers(api, group, &about).await?.is_empty() {
                return Ok(());
            }
            api.delete(&path, RESOURCES, &about).await?;
        }
        open.retain(|(known, _)| known != group);
        self.noted.forget(group)
    }
}

/// What is in a group: kind and name.
pub(super) async fn contents(
    api: &Api,
    group: &str,
    about: &str,
) -> Result<Vec<(String, String)>, ProviderError> {
    let path = format!("{}/resources", api.group(group));
    let found = api
        .list(&path, &[("api-version", RESOURCES)], about)
        .await?;
    let read = |one: Value| {
        Some((
            one["type"].as_str()?.to_owned(),
            one["name"].as_str()?.to_owned(),
        ))
    };
    Ok(found.into_iter().filter_map(read).collect())
}

/// What is in a group and has no name that we give.
async fn strangers(api: &Api, group: &str, about: &str) -> Result<Vec<String>, ProviderError> {
    let names = contents(api, group, about)
        .await?
        .into_iter()
        .map(|(_, name)| name);
    Ok(names
        .filter(|name| !name.to_ascii_lowercase().starts_with("sky-"))
        .collect())
}

/// Removes what a machine was made of and has left behind. Interfaces hold addresses, so they are
/// first.
pub(super) async fn sweep(
    api: &Api,
    group: &str,
    machine: &str,
    about: &str,
) -> Result<(), ProviderError> {
    let left = contents(api, group, about).await?;
    let kinds = [
        ("Microsoft.Network/networkInterfaces", NETWORKS),
        ("Microsoft.Network/publicIPAddresses", NETWORKS),
        ("Microsoft.Compute/disks", "2023-10-02"),
    ];
    for (kind, version) in kinds {
        let of_it = |(one, name): &&(String, String)| {
            one.eq_ignore_ascii_case(kind) && name.to_ascii_lowercase().starts_with(machine)
        };
        for (_, name) in left.iter().filter(of_it) {
            api.delete(
                &format!("{}/providers/{kind}/{name}", api.group(group)),
                version,
                about,
            )
            .await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_others_are_not_ours() {
        assert!(is_ours(&name_of_state("3f2a")));
        for other in [
            "sky-",
            "sky-production",
            "rg-0123456789abcdef",
            "sky-0123456789abcdef0",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
