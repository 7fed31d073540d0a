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
        let group_key = (group.clone(), region.clone());
        let mut open_groups = self.open.lock().await;
        if open_groups.contains(&group_key) {
            return Ok(());
        }
        self.remember(&group)?;
        let tags = json!({ instance_tags::LINEAGE: owner.lineage, instance_tags::JOB: owner.job });
        let about_group = format!("make the resource group {group}");
        let path = api.group(&group);
        match api
            .look(&path, &[("api-version", RESOURCES)], &about_group)
            .await?
        {
            None => {
                api.put(
                    &path,
                    RESOURCES,
                    &json!({ "location": region, "tags": tags }),
                    &about_group,
                )
                .await?
            }
            Some(known) if known["properties"]["provisioningState"] == "Deleting" => {
                let message =
                    format!("azure: cannot {about_group}: the last one is still being deleted");
                return Err(ProviderError::new(ErrorKind::Throttled, message));
            }
            Some(_) => {}
        }
        self.firewall
            .let_in(api, &group, region, Some(&tags))
            .await?;
        let about_network = format!("make the network {} in {group}", network(region));
        let path = network_path(api, &group, region);
        if api
            .look(&path, &[("api-version", NETWORKS)], &about_network)
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
            api.put(&path, NETWORKS, &body, &about_network).await?;
        }
        open_groups.insert(group_key);
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
        let group_key = (group.to_owned(), region.clone());
        let mut open_groups = self.open.lock().await;
        if !open_groups.contains(&group_key) {
            self.firewall.let_in(api, group, region, None).await?;
            open_groups.insert(group_key);
        }
        Ok(())
    }

    /// Removes a group with all that is in it, and what is known of it, unless a machine is in it
    /// or something that we have not made. Fine if it is gone.
    pub(super) async fn remove(&self, api: &Api, group: &str) -> Result<(), ProviderError> {
        let mut open_groups = self.open.lock().await;
        let about_removal = format!("remove the resource group {group}");
        let path = api.group(group);
        let machines = format!("{path}/providers/Microsoft.Compute/virtualMachines");
        if let Some(known) = api
            .look(&path, &[("api-version", RESOURCES)], &about_removal)
            .await?
        {
            let marked = known["tags"][instance_tags::LINEAGE]
                .as_str()
                .is_some_and(|lineage| name_of_state(lineage) == group);
            let machines = api
                .list(&machines, &[("api-version", MACHINES)], &about_removal)
                .await?;
            if !marked
                || !machines.is_empty()
                || !strangers(api, group, &about_removal).await?.is_empty()
            {
                return Ok(());
            }
            api.delete(&path, RESOURCES, &about_removal).await?;
        }
        open_groups.retain(|(known, _)| known != group);
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
    let listed_resources = api
        .list(&path, &[("api-version", RESOURCES)], about)
        .await?;
    let read_resource = |one: Value| {
        Some((
            one["type"].as_str()?.to_owned(),
            one["name"].as_str()?.to_owned(),
        ))
    };
    Ok(listed_resources
        .into_iter()
        .filter_map(read_resource)
        .collect())
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
    let left_resources = contents(api, group, about).await?;
    let kinds = [
        ("Microsoft.Network/networkInterfaces", NETWORKS),
        ("Microsoft.Network/publicIPAddresses", NETWORKS),
        ("Microsoft.Compute/disks", "2023-10-02"),
    ];
    for (kind, version) in kinds {
        let of_it = |(one, name): &&(String, String)| {
            one.eq_ignore_ascii_case(kind) && name.to_ascii_lowercase().starts_with(machine)
        };
        for (_, name) in left_resources.iter().filter(of_it) {
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
