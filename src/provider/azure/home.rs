//! Where machines live: one resource group for each state, so that all that is there goes with one call,
//! and in it for each region a network that lets in our own address at the SSH port, and nothing else.
//! It costs nothing, and is removed with the last machine of the state.
//!
//! ```text
//! STATE/azure/groups/NAME     a resource group to remove when no machine is in it any more
//! ```

use super::super::cloud::{Instance, caller, tag};
use super::super::{ErrorKind, Owner, ProviderError};
use super::access::Api;
use crate::model::PlaceName;
use crate::util::{file, hash};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tokio::sync::{Mutex, OnceCell};

/// Of the API for resource groups and what is in them.
pub(super) const RESOURCES: &str = "2021-04-01";
/// Of the API for networks.
pub(super) const NETWORKS: &str = "2024-05-01";
const SSH: &str = "22";

/// The homes of a state folder.
pub(super) struct Homes {
    folder: PathBuf,
    here: OnceCell<Vec<String>>,
    /// Groups and regions that let us in; held while one is made.
    open: Mutex<BTreeSet<(String, String)>>,
}

/// The name of a state's resource group.
pub(super) fn group(lineage: &str) -> String {
    let digest = hash::digest(lineage.as_bytes());
    format!("sky-{}", digest.chars().skip("sha256:".len()).take(16).collect::<String>())
}

/// Whether a resource group is called as ours are.
fn is_ours(group: &str) -> bool {
    group.strip_prefix("sky-").is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|one| one.is_ascii_hexdigit()))
}

/// The name of a region's network, and of the rules before it.
fn network(region: &str) -> String {
    format!("sky-{region}")
}

fn rules_path(api: &Api, group: &str, region: &str) -> String {
    format!("{}/providers/Microsoft.Network/networkSecurityGroups/{}", api.group(group), network(region))
}

fn network_path(api: &Api, group: &str, region: &str) -> String {
    format!("{}/providers/Microsoft.Network/virtualNetworks/{}", api.group(group), network(region))
}

/// The id of the subnet that machines of a region are in.
pub(super) fn subnet(api: &Api, group: &str, region: &str) -> String {
    format!("{}/subnets/machines", network_path(api, group, region))
}

impl Homes {
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, here: OnceCell::new(), open: Mutex::default() }
    }

    /// Notes a group that is to be removed one day, before it is made. What is called otherwise than ours
    /// is nobody's to remove.
    pub fn remember(&self, group: &str) -> Result<(), ProviderError> {
        if !is_ours(group) {
            return Ok(());
        }
        file::create_folders(&self.folder)?;
        Ok(file::write_atomic(&self.folder.join(group), b"")?)
    }

    pub fn remembered(&self) -> Result<Vec<String>, ProviderError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(file::named(&self.folder, "read", error).into()),
        };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| is_ours(name)).collect();
        names.sort();
        Ok(names)
    }

    /// Makes the home of an owner's machines at a place, as far as it is not there.
    pub async fn open(&self, api: &Api, place: &PlaceName, owner: &Owner) -> Result<(), ProviderError> {
        let (group, region) = (group(&owner.lineage), &place.region);
        let key = (group.clone(), region.clone());
        let mut open = self.open.lock().await;
        if open.contains(&key) {
            return Ok(());
        }
        self.remember(&group)?;
        let tags = json!({ tag::LINEAGE: owner.lineage, tag::JOB: owner.job });
        let about = format!("make the resource group {group}");
        let path = api.group(&group);
        match api.look(&path, &[("api-version", RESOURCES)], &about).await? {
            None => api.put(&path, RESOURCES, &json!({ "location": region, "tags": tags }), &about).await?,
            Some(known) if known["properties"]["provisioningState"] == "Deleting" => {
                let message = format!("azure: cannot {about}: the last one is still being deleted");
                return Err(ProviderError::new(ErrorKind::Throttled, message));
            }
            Some(_) => {}
        }
        self.let_in(api, &group, region, Some(&tags)).await?;
        let about = format!("make the network {} in {group}", network(region));
        let path = network_path(api, &group, region);
        if api.look(&path, &[("api-version", NETWORKS)], &about).await?.is_none() {
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
    pub async fn admit(&self, api: &Api, group: &str, instance: &Instance) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        let key = (group.to_owned(), region.clone());
        let mut open = self.open.lock().await;
        if !open.contains(&key) {
            self.let_in(api, group, region, None).await?;
            open.insert(key);
        }
        Ok(())
    }

    /// Makes the rules of a region what they have to be; `new`: the tags that they get if they are not
    /// there, without which they are not made.
    async fn let_in(&self, api: &Api, group: &str, region: &str, new: Option<&Value>) -> Result<(), ProviderError> {
        let about = format!("open the network of {group} in {region}");
        let path = rules_path(api, group, region);
        let known = api.look(&path, &[("api-version", NETWORKS)], &about).await?;
        let tags = match (&known, new) {
            (Some(known), _) => known["tags"].clone(),
            (None, Some(tags)) => tags.clone(),
            (None, None) => return Ok(()),
        };
        let here = self.here.get_or_try_init(addresses).await?;
        let rules = rules(here);
        if known.is_some_and(|known| fits(&known["properties"]["securityRules"], &rules)) {
            return Ok(());
        }
        let body = json!({ "location": region, "tags": tags, "properties": { "securityRules": rules } });
        api.put(&path, NETWORKS, &body, &about).await
    }

    /// Removes a group with all that is in it, and what is known of it, unless a machine is in it or
    /// something that we have not made. Fine if it is gone.
    pub async fn remove(&self, api: &Api, group: &str) -> Result<(), ProviderError> {
        let mut open = self.open.lock().await;
        let about = format!("remove the resource group {group}");
        let path = api.group(group);
        let machines = format!("{path}/providers/Microsoft.Compute/virtualMachines");
        if let Some(known) = api.look(&path, &[("api-version", RESOURCES)], &about).await? {
            let marked = known["tags"][tag::LINEAGE].as_str().is_some_and(|lineage| self::group(lineage) == group);
            let machines = api.list(&machines, &[("api-version", super::MACHINES)], &about).await?;
            if !marked || !machines.is_empty() || !strangers(api, group, &about).await?.is_empty() {
                return Ok(());
            }
            api.delete(&path, RESOURCES, &about).await?;
        }
        open.retain(|(known, _)| known != group);
        Ok(file::remove(&self.folder.join(group))?)
    }
}

/// What is in a group: kind and name.
pub(super) async fn contents(api: &Api, group: &str, about: &str) -> Result<Vec<(String, String)>, ProviderError> {
    let path = format!("{}/resources", api.group(group));
    let found = api.list(&path, &[("api-version", RESOURCES)], about).await?;
    let read = |one: Value| Some((one["type"].as_str()?.to_owned(), one["name"].as_str()?.to_owned()));
    Ok(found.into_iter().filter_map(read).collect())
}

/// What is in a group and has no name that we give.
async fn strangers(api: &Api, group: &str, about: &str) -> Result<Vec<String>, ProviderError> {
    let names = contents(api, group, about).await?.into_iter().map(|(_, name)| name);
    Ok(names.filter(|name| !name.to_ascii_lowercase().starts_with("sky-")).collect())
}

fn rules(sources: &[String]) -> Value {
    let rule = |name: &str, priority: u32, access: &str, protocol: &str, port: &str| {
        json!({
            "name": name,
            "properties": {
                "priority": priority, "direction": "Inbound", "access": access, "protocol": protocol,
                "sourcePortRange": "*", "destinationPortRange": port, "destinationAddressPrefix": "*",
            },
        })
    };
    let mut ssh = rule("ssh", 100, "Allow", "Tcp", SSH);
    ssh["properties"]["sourceAddressPrefixes"] = sources.into();
    // Azure's own rules let in what is in the same network.
    let mut rest = rule("nothing-else", 4096, "Deny", "*", "*");
    rest["properties"]["sourceAddressPrefix"] = "*".into();
    json!([ssh, rest])
}

/// Whether rules let in whom they should, and nobody else.
fn fits(known: &Value, wanted: &Value) -> bool {
    let lists = known.as_array().zip(wanted.as_array()).filter(|(known, wanted)| known.len() == wanted.len());
    lists.is_some_and(|(known, wanted)| {
        wanted.iter().all(|wanted| {
            let same = known.iter().find(|known| known["name"] == wanted["name"]);
            same.is_some_and(|known| covers(&known["properties"], &wanted["properties"]))
        })
    })
}

/// Whether all that is wanted is so, and no source is named besides.
fn covers(known: &Value, wanted: &Value) -> bool {
    let set = |list: &Value| -> Option<BTreeSet<String>> {
        list.as_array().map(|list| list.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect())
    };
    let one = |name: &str| known[name].as_str().filter(|text| !text.is_empty());
    let all = |name: &str| known[name].as_array().is_none_or(Vec::is_empty);
    let same = wanted.as_object().into_iter().flatten().all(|(name, value)| match value {
        Value::Array(_) => set(&known[name]) == set(value),
        Value::String(text) => one(name).is_some_and(|known| known.eq_ignore_ascii_case(text)),
        _ => known[name] == *value,
    });
    let named =
        ["sourceAddressPrefix", "sourceAddressPrefixes", "sourceApplicationSecurityGroups", "destinationPortRanges"];
    same && named.into_iter().all(|name| wanted.get(name).is_some() || (one(name).is_none() && all(name)))
}

/// Those of this machine that a rule takes: machines there have IPv4 addresses.
async fn addresses() -> Result<Vec<String>, ProviderError> {
    let mut here = caller::addresses().await?;
    here.retain(|address| !address.contains(':'));
    if here.is_empty() {
        let message = "azure: machines there have IPv4 addresses: set SKY_SSH_FROM to the IPv4 address of this machine";
        return Err(ProviderError::new(ErrorKind::Other, message));
    }
    Ok(here)
}

/// Removes what a machine was made of and has left behind. Interfaces hold addresses, so they are first.
pub(super) async fn sweep(api: &Api, group: &str, machine: &str, about: &str) -> Result<(), ProviderError> {
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
            api.delete(&format!("{}/providers/{kind}/{name}", api.group(group)), version, about).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_let_in_others_do_not_fit() {
        let wanted = rules(&["1.2.3.4/32".to_owned()]);
        let mut known = wanted.clone();
        // What Azure adds.
        known[0]["id"] = "x".into();
        known[0]["properties"]["provisioningState"] = "Succeeded".into();
        known[0]["properties"]["destinationPortRanges"] = json!([]);
        assert!(fits(&known, &wanted));
        assert!(!fits(&rules(&["0.0.0.0/0".to_owned()]), &wanted));
        assert!(!fits(&rules(&["1.2.3.4/32".to_owned(), "5.6.7.8/32".to_owned()]), &wanted));
        let changed = |index: usize, name: &str, value: Value| {
            let mut other = known.clone();
            other[index]["properties"][name] = value;
            assert!(!fits(&other, &wanted), "{name}");
        };
        changed(0, "destinationPortRange", "*".into());
        changed(0, "destinationPortRanges", json!(["80"]));
        changed(0, "sourceAddressPrefix", "*".into());
        changed(1, "access", "Allow".into());
        changed(1, "priority", 50.into());
        let mut more = known.clone();
        more.as_array_mut().unwrap().push(json!({ "name": "mine", "properties": {} }));
        assert!(!fits(&more, &wanted) && !fits(&json!([]), &wanted) && !fits(&Value::Null, &wanted));
    }

    #[test]
    fn groups_of_others_are_not_ours() {
        assert!(is_ours(&group("3f2a")));
        for other in ["sky-", "sky-production", "rg-0123456789abcdef", "sky-0123456789abcdef0"] {
            assert!(!is_ours(other), "{other}");
        }
    }
}
