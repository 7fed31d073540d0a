//! A subscription of Azure: its client, the types of its regions, and the machines that were seen
//! in it.

use super::super::cloud::{Instance, Life, instance_tags};
use super::super::{AZURE, ProviderError};
use super::api_client::{Api, Settings};
use super::api_versions::MACHINES;
use super::instances::{self, parts, read};
use super::machine_type::{self, MachineType, MachineTypes};
use super::resource_group::ResourceGroups;
use crate::model::PlaceName;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Virtual machines in all regions, of one subscription.
pub struct Azure {
    settings: Settings,
    api: OnceCell<Api>,
    pub(super) resource_groups: ResourceGroups,
    /// The types that each place has.
    machine_types: tokio::sync::Mutex<HashMap<PlaceName, Arc<MachineTypes>>>,
    /// What this process has seen, by token; of a gang, by which of it.
    pub(super) seen: Mutex<HashMap<String, BTreeMap<u32, Seen>>>,
    /// Addresses, outside and inside, by the ids of instances: they do not change.
    pub(super) addresses: Mutex<HashMap<String, (String, Option<String>)>>,
}

/// A machine that is, or was.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) instance: Instance,
    pub(super) spot: bool,
}

/// What a mutex guards, also after a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Azure {
    /// Virtual machines as they are seen from the state folder `root`.
    pub(super) fn new(root: &Path, settings: Settings) -> Self {
        Self {
            settings,
            api: OnceCell::new(),
            resource_groups: ResourceGroups::at(root.join(AZURE).join("groups")),
            machine_types: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    pub(super) async fn api(&self) -> Result<&Api, ProviderError> {
        self.api
            .get_or_try_init(|| async { Api::new(&self.settings) })
            .await
    }

    /// Facts about a machine type at a place where the type is available.
    pub(super) async fn machine_type(
        &self,
        place: &PlaceName,
        name: &str,
    ) -> Result<MachineType, ProviderError> {
        // Held meanwhile: many stages may ask for the same long list at once.
        let mut known_types = self.machine_types.lock().await;
        if !known_types.contains_key(place) {
            known_types.insert(
                place.clone(),
                Arc::new(machine_type::of_place(self.api().await?, place).await?),
            );
        }
        let of_place = known_types[place].clone();
        drop(known_types);
        machine_type::named(&of_place, place, name)
    }

    /// A machine, with how it is doing and where it is reached.
    pub(super) async fn look_at(
        &self,
        group: &str,
        name: &str,
    ) -> Result<Option<Instance>, ProviderError> {
        let api = self.api().await?;
        let Some(found) = instances::get(api, group, name).await? else {
            return Ok(None);
        };
        let Some(mut instance) = read(&found) else {
            return Ok(None);
        };
        let mut known_address = lock(&self.addresses).get(&instance.id).cloned();
        if known_address.is_none() && instance.life == Life::Alive {
            known_address = instances::address(api, &found).await?;
            lock(&self.addresses).extend(
                known_address
                    .clone()
                    .map(|known| (instance.id.clone(), known)),
            );
        }
        (instance.address, instance.inside) =
            known_address.map_or((None, None), |(outside, inside)| (Some(outside), inside));
        if let Some(token) = instance.tags.get(instance_tags::TOKEN) {
            let spot = found["properties"]["priority"]
                .as_str()
                .is_some_and(|one| one.eq_ignore_ascii_case("Spot"));
            let seen_instance = Seen {
                instance: instance.clone(),
                spot,
            };
            lock(&self.seen)
                .entry(token.clone())
                .or_default()
                .insert(instance_tags::node(&instance), seen_instance);
        }
        Ok(Some(instance))
    }

    /// The machines of the subscription that have a token, or that one. A list does not say how
    /// they are doing: each is asked.
    pub(super) async fn scan(&self, token: Option<&str>) -> Result<Vec<Instance>, ProviderError> {
        let api = self.api().await?;
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.Compute/virtualMachines",
            api.subscription
        );
        let listed_machines = api
            .list(&path, &[("api-version", MACHINES)], "look for machines")
            .await?;
        let is_ours = |instance: &Instance| {
            instance
                .tags
                .get(instance_tags::TOKEN)
                .is_some_and(|known| token.is_none_or(|token| known == token))
        };
        let mut found_instances = Vec::new();
        for instance in listed_machines.iter().filter_map(read).filter(is_ours) {
            let (group, name) = parts(&instance)?;
            found_instances.extend(self.look_at(group, name).await?.filter(is_ours));
        }
        Ok(found_instances)
    }
}
