//! Microsoft Azure: virtual machines, by the SDK of that name, and the few routes of its Resource Manager
//! that the machines' client has not ([`access`]). Only with the cargo feature `azure`.
//!
//! All that a state has there is in one resource group ([`home`]), and within it each region in use has a
//! network whose rules admit the caller's address at the SSH port and nobody else. One call creates all
//! there is of a machine: its interface, its public address and its disk are made with it and deleted with
//! it, so nothing is paid for that has no tags. Its name is made of the token and the region, and the call
//! says that nothing may be there by that name: made again, it makes nothing. The SDK's own way of waiting
//! would send the call again and takes any answer for success, so what became of it is read from its
//! operation ([`errors`]).
//!
//! A machine has no identity at Azure, so there is no credential on it.
//!
//! What a type is, and whether this subscription can have it at a place, is asked before ([`kind`]). Types
//! whose memory is encrypted (SEV-SNP, TDX) become confidential machines, with the image that is made for
//! them; those of SGX need none of that.
//!
//! # Leases
//! A machine powers itself off when its lease is over, as everywhere; but one that is off is billed on at
//! Azure, until `sky` looks at it, in an apply, a destroy or a sweep, and deletes it ([`Life::Stopped`]).
//!
//! Spot machines are deleted when Azure takes them back, without a trace in the lists. One that is gone
//! although nobody asked this process for its end is therefore held to be taken back; another process,
//! which has never seen it, holds it to be lost.
//!
//! # Settings
//! Credentials come from the SDK's standard chain: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and a secret or a
//! federated token of the environment, the identity of a machine at Azure, `az login`.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_AZURE_SUBSCRIPTION`, `AZURE_SUBSCRIPTION_ID` | the subscription; without them, the default one of `az` |
//! | `SKY_AZURE_IMAGE` | the image, as `PUBLISHER:OFFER:SKU:VERSION` or by its id; Ubuntu 24.04 by default. It needs cloud-init |
//! | `SKY_AZURE_ENDPOINT` | another address of the API; one without TLS must be of this machine, and is sent no credentials |
//! | `SKY_SSH_FROM` | the IPv4 addresses or networks that are let in, with commas; by default what the world sees this machine under |

mod access;
mod check;
mod errors;
mod home;
mod kind;
mod launch;

use super::check::{Finding, Need};
use super::cloud::{Cloud, Instance, Life, Machines, Notice, Wanted, tag};
use super::{ErrorKind, ProviderError};
use crate::model::PlaceName;
use access::Api;
pub use access::Settings;
use async_trait::async_trait;
use home::Homes;
use kind::{Kind, Kinds};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Of the API for virtual machines; the SDK's client speaks it, too.
const MACHINES: &str = "2024-07-01";

/// Virtual machines in all regions, of one subscription.
pub struct Azure {
    settings: Settings,
    api: OnceCell<Api>,
    homes: Homes,
    /// By place.
    kinds: tokio::sync::Mutex<HashMap<PlaceName, Arc<Kinds>>>,
    /// What this process has seen, by token; of a gang, by which of it.
    seen: Mutex<HashMap<String, BTreeMap<u32, Seen>>>,
    /// Addresses, outside and inside, by the ids of instances: they do not change.
    addresses: Mutex<HashMap<String, (String, Option<String>)>>,
}

/// A machine that is, or was.
#[derive(Clone)]
struct Seen {
    instance: Instance,
    spot: bool,
}

/// The machines at Azure; `root` is the state folder. Nothing is asked of it before it is needed.
pub fn open(root: &Path, settings: Settings) -> Machines<Azure> {
    let homes = Homes::at(root.join(super::AZURE).join("groups"));
    let azure = Azure {
        settings,
        api: OnceCell::new(),
        homes,
        kinds: tokio::sync::Mutex::default(),
        seen: Mutex::default(),
        addresses: Mutex::default(),
    };
    Machines::new(azure, root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made from
/// this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    root.join(super::AZURE).exists() || access::set_up()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Azure {
    async fn api(&self) -> Result<&Api, ProviderError> {
        self.api.get_or_try_init(|| async { Api::new(&self.settings) }).await
    }

    /// What a type is at a place where it is to be had.
    async fn kind(&self, place: &PlaceName, name: &str) -> Result<Kind, ProviderError> {
        // Held meanwhile: many stages may ask for the same long list at once.
        let mut known = self.kinds.lock().await;
        if !known.contains_key(place) {
            known.insert(place.clone(), Arc::new(kind::kinds(self.api().await?, place).await?));
        }
        let kinds = known[place].clone();
        drop(known);
        kind::named(&kinds, place, name)
    }

    /// A machine, with how it is doing and where it is reached.
    async fn look_at(&self, group: &str, name: &str) -> Result<Option<Instance>, ProviderError> {
        let api = self.api().await?;
        let Some(found) = launch::get(api, group, name).await? else { return Ok(None) };
        let Some(mut instance) = read(&found) else { return Ok(None) };
        let mut known = lock(&self.addresses).get(&instance.id).cloned();
        if known.is_none() && instance.life == Life::Alive {
            known = launch::address(api, &found).await?;
            lock(&self.addresses).extend(known.clone().map(|known| (instance.id.clone(), known)));
        }
        (instance.address, instance.inside) = known.map_or((None, None), |(outside, inside)| (Some(outside), inside));
        if let Some(token) = instance.tags.get(tag::TOKEN) {
            let spot = found["properties"]["priority"].as_str().is_some_and(|one| one.eq_ignore_ascii_case("Spot"));
            let seen = Seen { instance: instance.clone(), spot };
            lock(&self.seen).entry(token.clone()).or_default().insert(tag::node(&instance), seen);
        }
        Ok(Some(instance))
    }

    /// The machines of the subscription that have a token, or that one. A list does not say how they are
    /// doing: each is asked.
    async fn scan(&self, token: Option<&str>) -> Result<Vec<Instance>, ProviderError> {
        let api = self.api().await?;
        let path = format!("/subscriptions/{}/providers/Microsoft.Compute/virtualMachines", api.subscription);
        let listed = api.list(&path, &[("api-version", MACHINES)], "look for machines").await?;
        let ours = |instance: &Instance| {
            instance.tags.get(tag::TOKEN).is_some_and(|known| token.is_none_or(|token| known == token))
        };
        let mut found = Vec::new();
        for instance in listed.iter().filter_map(read).filter(ours) {
            let (group, name) = parts(&instance)?;
            found.extend(self.look_at(group, name).await?.filter(ours));
        }
        Ok(found)
    }
}

/// The group and the name of which an id is made.
fn parts(instance: &Instance) -> Result<(&str, &str), ProviderError> {
    instance
        .id
        .split_once('/')
        .ok_or_else(|| ProviderError::new(ErrorKind::Other, format!("azure: `{}` is no id of a machine", instance.id)))
}

/// Group and name of Azure's own id. It tells no case apart, and its lists change it.
fn of_id(id: &str) -> Option<String> {
    let parts: Vec<String> = id.to_ascii_lowercase().split('/').map(str::to_owned).collect();
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [
            "",
            "subscriptions",
            _,
            "resourcegroups",
            group,
            "providers",
            "microsoft.compute",
            "virtualmachines",
            name,
        ] => Some(format!("{group}/{name}")),
        _ => None,
    }
}

/// A machine as the shared layer sees it, without its address.
fn read(found: &Value) -> Option<Instance> {
    let properties = &found["properties"];
    let tags = found["tags"].as_object().into_iter().flatten();
    Some(Instance {
        id: of_id(found["id"].as_str()?)?,
        place: PlaceName { cloud: super::AZURE.to_owned(), region: found["location"].as_str()?.to_ascii_lowercase() },
        instance_type: properties["hardwareProfile"]["vmSize"].as_str().unwrap_or_default().to_owned(),
        life: life(properties),
        address: None,
        inside: None,
        zone: None,
        tags: tags.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
    })
}

fn life(properties: &Value) -> Life {
    let statuses = properties["instanceView"]["statuses"].as_array().into_iter().flatten();
    let power = statuses.filter_map(|status| status["code"].as_str()).find_map(|code| code.strip_prefix("PowerState/"));
    match (properties["provisioningState"].as_str().unwrap_or_default(), power) {
        ("Deleting", _) => Life::Ended,
        // Off, it is paid for as if it ran; deallocated, its disk and its address are.
        (_, Some("stopping" | "stopped" | "deallocating" | "deallocated")) => Life::Stopped,
        // It was never made, for want of capacity say, but its disk may be there.
        ("Failed" | "Canceled", None) => Life::Stopped,
        // What this sky does not know may cost something.
        _ => Life::Alive,
    }
}

#[async_trait]
impl Cloud for Azure {
    fn name(&self) -> &'static str {
        super::AZURE
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.api().await?.signed_in().await
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError> {
        launch::launch(self, wanted).await
    }

    async fn find(&self, token: &str, at: Option<&PlaceName>) -> Result<Vec<Instance>, ProviderError> {
        let here = |instance: &Instance| at.is_none_or(|place| *place == instance.place);
        let seen = lock(&self.seen).get(token).cloned().unwrap_or_default();
        let whole = seen.values().next().is_some_and(|one| tag::nodes(&one.instance) as usize == seen.len());
        let mut found = Vec::new();
        for Seen { instance, .. } in seen.values().filter(|_| whole) {
            let (group, name) = parts(instance)?;
            let known = self.look_at(group, name).await?;
            found.extend(known.filter(|known| known.tags.get(tag::TOKEN).is_some_and(|own| own == token)));
        }
        if !whole || found.len() < seen.len() {
            found = self.scan(Some(token)).await?;
            let gone = seen
                .into_values()
                .filter(|one| one.spot && found.iter().all(|known| tag::node(known) != tag::node(&one.instance)));
            let gone: Vec<Instance> =
                gone.map(|one| Instance { life: Life::Preempted, address: None, ..one.instance }).collect();
            found.extend(gone);
        }
        found.retain(here);
        Ok(found)
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        self.scan(None).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        let id = of_id(id).unwrap_or_else(|| id.to_ascii_lowercase());
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|one| one.is_ascii_alphanumeric() || "-_.()".contains(one))
        };
        if !id.split('/').all(plain) {
            return Ok(None);
        }
        if let Some((group, name)) = id.split_once('/') {
            return self.look_at(group, name).await;
        }
        let api = self.api().await?;
        let path = format!("/subscriptions/{}/providers/Microsoft.Compute/virtualMachines", api.subscription);
        let listed = api.list(&path, &[("api-version", MACHINES)], "look for machines").await?;
        let named = |instance: &Instance| instance.id.split_once('/').is_some_and(|(_, name)| name == id);
        let found: Vec<Instance> = listed.iter().filter_map(read).filter(named).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => {
                let (group, name) = parts(one)?;
                self.look_at(group, name).await
            }
            [one, ..] => {
                let message = format!("azure: several groups have a `{id}`: write GROUP/{id}, as {}", one.id);
                Err(ProviderError::new(ErrorKind::Other, message))
            }
        }
    }

    async fn tag(&self, instance: &Instance, tags: &BTreeMap<&'static str, String>) -> Result<(), ProviderError> {
        launch::tag(self.api().await?, parts(instance)?, tags).await
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let (group, _) = parts(instance)?;
        self.homes.admit(self.api().await?, group, instance).await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice { ask: include_str!("notice.sh"), hold: false })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        let (group, name) = parts(instance)?;
        self.homes.remember(group)?;
        launch::remove(self.api().await?, group, name).await?;
        lock(&self.addresses).remove(&instance.id);
        if let Some(token) = instance.tags.get(tag::TOKEN) {
            lock(&self.seen).remove(token);
        }
        Ok(())
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        for group in self.homes.remembered()? {
            self.homes.remove(self.api().await?, &group).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(state: &str, power: Option<&str>) -> Value {
        let statuses: Vec<Value> =
            [Some("ProvisioningState/x"), power].into_iter().flatten().map(|code| json!({ "code": code })).collect();
        json!({
            "id": "/subscriptions/s/resourceGroups/SKY-1/providers/Microsoft.Compute/virtualMachines/Sky-2",
            "location": "eastus",
            "tags": { "sky-token": "0" },
            "properties": {
                "hardwareProfile": { "vmSize": "Standard_D2s_v5" },
                "provisioningState": state,
                "instanceView": { "statuses": statuses },
            },
        })
    }

    #[test]
    fn machines_are_read() {
        let instance = read(&found("Succeeded", Some("PowerState/running"))).unwrap();
        assert_eq!((instance.id.as_str(), instance.life), ("sky-1/sky-2", Life::Alive));
        assert_eq!(instance.place, PlaceName { cloud: "azure".into(), region: "eastus".into() });
        assert_eq!((instance.instance_type.as_str(), instance.tags["sky-token"].as_str()), ("Standard_D2s_v5", "0"));
        assert!(read(&json!({ "id": "/subscriptions/s/resourceGroups/g", "location": "eastus" })).is_none());
    }

    #[test]
    fn what_is_off_still_costs() {
        for (state, power, expected) in [
            ("Creating", None, Life::Alive),
            ("Succeeded", Some("PowerState/starting"), Life::Alive),
            ("Updating", Some("PowerState/new-at-azure"), Life::Alive),
            ("Failed", Some("PowerState/running"), Life::Alive),
            ("Succeeded", Some("PowerState/stopped"), Life::Stopped),
            ("Succeeded", Some("PowerState/deallocated"), Life::Stopped),
            ("Failed", None, Life::Stopped),
            ("Deleting", Some("PowerState/running"), Life::Ended),
        ] {
            assert_eq!(read(&found(state, power)).unwrap().life, expected, "{state} {power:?}");
        }
    }
}
