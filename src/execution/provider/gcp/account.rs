//! A project of Google Cloud: its client, the zones of its regions, and what is found in them.

use super::super::cloud::{Instance, Life, instance_tags};
use super::super::{ErrorKind, ProviderError};
use super::api_client::{Api, Settings, answered};
use super::firewall::FirewallRules;
use super::instances::{last, name, place};
use super::machine_type::{self, MachineType, Zones};
use crate::model::PlaceName;
use crate::util::file;
use google_cloud_compute_v1::model::Instance as Found;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Operations by which Google takes spot machines back.
const TAKEN: &str = "compute.instances.preempted";

/// Compute Engine in all regions, for one project.
pub struct Gcp {
    settings: Settings,
    api: OnceCell<Api>,
    pub(super) firewall_rules: FirewallRules,
    /// The file that is there if TPUs were ever asked for from this state folder.
    with_tpus: PathBuf,
    /// The zones that have a type, by place and type.
    zones: Mutex<HashMap<(PlaceName, String), Zones>>,
}

impl Gcp {
    /// Compute Engine as it is seen from the state folder `root`.
    pub(super) fn new(root: &Path, settings: Settings) -> Self {
        let folder = root.join("gcp");
        let (firewall_rules, with_tpus) =
            (FirewallRules::at(folder.join("rules")), folder.join("tpus"));
        Self {
            settings,
            api: OnceCell::new(),
            firewall_rules,
            with_tpus,
            zones: Mutex::default(),
        }
    }

    pub(super) async fn api(&self) -> Result<&Api, ProviderError> {
        self.api.get_or_try_init(|| Api::new(&self.settings)).await
    }

    /// The zones of a place that have a type.
    pub(super) async fn zones(
        &self,
        place: &PlaceName,
        machine_type: &MachineType,
    ) -> Result<Zones, ProviderError> {
        let zones_key = (place.clone(), format!("{machine_type:?}"));
        let known_zones = self
            .zones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&zones_key)
            .cloned();
        if let Some(known) = known_zones {
            return Ok(known);
        }
        let found_zones = machine_type::zones(self.api().await?, place, machine_type).await?;
        self.zones
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(zones_key, found_zones.clone());
        Ok(found_zones)
    }

    /// The instances that a filter leaves, in the zones of the world. A zone that does not answer
    /// is an error.
    pub(super) async fn look(&self, filter: &str) -> Result<Vec<Found>, ProviderError> {
        let api = self.api().await?;
        let mut found_instances = Vec::new();
        let mut page = String::new();
        loop {
            let list_call = api
                .instances
                .aggregated_list()
                .set_project(&api.project)
                .set_filter(filter);
            let list_answer =
                answered(list_call.set_page_token(page).send(), "look for machines").await?;
            if let Some(silent) = list_answer.unreachables.first() {
                let message = format!("gcp: cannot look for machines: {silent} does not answer");
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            found_instances.extend(
                list_answer
                    .items
                    .into_values()
                    .flat_map(|list| list.instances),
            );
            page = list_answer.next_page_token.unwrap_or_default();
            if page.is_empty() {
                return Ok(found_instances);
            }
        }
    }

    /// Notes that there may be TPUs of this state folder.
    pub(super) fn remember_tpus(&self) -> Result<(), ProviderError> {
        file::create_private_folders(self.with_tpus.parent().unwrap_or(&self.with_tpus))?;
        Ok(file::write_atomic(&self.with_tpus, b"")?)
    }

    /// What was found among TPUs. Who may not look at them has made none, unless it is known that
    /// some were asked for.
    pub(super) fn of_tpus<T: Default>(
        &self,
        tpu_result: Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        match tpu_result {
            Err(error) if error.kind == ErrorKind::Denied && !self.with_tpus.exists() => {
                Ok(T::default())
            }
            found => found,
        }
    }

    /// What is left of a token's instance that Google has taken back.
    pub(super) async fn taken(&self, token: &str) -> Result<Option<Instance>, ProviderError> {
        let api = self.api().await?;
        let name = name(token);
        let list_call = api
            .global_operations
            .aggregated_list()
            .set_project(&api.project);
        let taken_filter = format!("(operationType = \"{TAKEN}\") AND (targetLink : \"/{name}\")");
        let list_answer = answered(
            list_call.set_filter(taken_filter).send(),
            "look for what became of a machine",
        )
        .await?;
        let mut links = list_answer
            .items
            .into_values()
            .flat_map(|list| list.operations)
            .filter_map(|one| {
                (one.operation_type.as_deref() == Some(TAKEN))
                    .then_some(one.target_link)
                    .flatten()
            });
        let link = links.find(|link| last(link) == name);
        Ok(link.and_then(|link| {
            let zone = link.rsplit('/').nth(2)?.to_owned();
            Some(Instance {
                id: format!("{zone}/{name}"),
                place: place(&zone)?,
                instance_type: String::new(),
                life: Life::Preempted,
                address: None,
                inside: None,
                zone: Some(zone),
                tags: BTreeMap::from([(instance_tags::TOKEN.to_owned(), token.to_owned())]),
            })
        }))
    }
}
