//! Virtual machines of Azure as a cloud: the calls that the shared layer makes.

use super::super::check::{Finding, Need};
use super::super::cloud::{Cloud, Instance, Life, Machines, Notice, Wanted, instance_tags};
use super::super::{AZURE, ErrorKind, ProviderError};
use super::account::{Azure, Seen, lock};
use super::api_client::{self, Settings};
use super::api_versions::MACHINES;
use super::instances::{of_id, parts, read};
use super::{check, launch};
use crate::model::PlaceName;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::Path;

/// The machines at Azure; `root` is the state folder. Nothing is asked of it before it is needed.
pub fn open(root: &Path, settings: Settings) -> Machines<Azure> {
    Machines::new(Azure::new(root, settings), root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made
/// from this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    root.join(AZURE).exists() || api_client::set_up()
}

#[async_trait]
impl Cloud for Azure {
    fn name(&self) -> &'static str {
        AZURE
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.api().await?.signed_in().await
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted_machine: &Wanted) -> Result<Instance, ProviderError> {
        launch::launch(self, wanted_machine).await
    }

    async fn find(
        &self,
        token: &str,
        at: Option<&PlaceName>,
    ) -> Result<Vec<Instance>, ProviderError> {
        let is_here = |instance: &Instance| at.is_none_or(|place| *place == instance.place);
        let seen_instances = lock(&self.seen).get(token).cloned().unwrap_or_default();
        let whole_gang = seen_instances.values().next().is_some_and(|one| {
            instance_tags::nodes(&one.instance) as usize == seen_instances.len()
        });
        let mut found_instances = Vec::new();
        for Seen { instance, .. } in seen_instances.values().filter(|_| whole_gang) {
            let (group, name) = parts(instance)?;
            let known_instance = self.look_at(group, name).await?;
            found_instances.extend(known_instance.filter(|known| {
                known
                    .tags
                    .get(instance_tags::TOKEN)
                    .is_some_and(|own| own == token)
            }));
        }
        if !whole_gang || found_instances.len() < seen_instances.len() {
            found_instances = self.scan(Some(token)).await?;
            let gone_spot = seen_instances.into_values().filter(|one| {
                one.spot
                    && found_instances.iter().all(|known| {
                        instance_tags::node(known) != instance_tags::node(&one.instance)
                    })
            });
            let gone_instances: Vec<Instance> = gone_spot
                .map(|one| Instance {
                    life: Life::Preempted,
                    address: None,
                    ..one.instance
                })
                .collect();
            found_instances.extend(gone_instances);
        }
        found_instances.retain(is_here);
        Ok(found_instances)
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        self.scan(None).await
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        let id = of_id(id).unwrap_or_else(|| id.to_ascii_lowercase());
        let is_plain = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|one| one.is_ascii_alphanumeric() || "-_.()".contains(one))
        };
        if !id.split('/').all(is_plain) {
            return Ok(None);
        }
        if let Some((group, name)) = id.split_once('/') {
            return self.look_at(group, name).await;
        }
        let api = self.api().await?;
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.Compute/virtualMachines",
            api.subscription
        );
        let listed_machines = api
            .list(&path, &[("api-version", MACHINES)], "look for machines")
            .await?;
        let has_name = |instance: &Instance| {
            instance
                .id
                .split_once('/')
                .is_some_and(|(_, name)| name == id)
        };
        let found_instances: Vec<Instance> = listed_machines
            .iter()
            .filter_map(read)
            .filter(has_name)
            .collect();
        match found_instances.as_slice() {
            [] => Ok(None),
            [one] => {
                let (group, name) = parts(one)?;
                self.look_at(group, name).await
            }
            [one, ..] => {
                let message = format!(
                    "azure: several groups have a `{id}`: write GROUP/{id}, as {}",
                    one.id
                );
                Err(ProviderError::new(ErrorKind::Other, message))
            }
        }
    }

    async fn tag(
        &self,
        instance: &Instance,
        tags: &BTreeMap<&'static str, String>,
    ) -> Result<(), ProviderError> {
        launch::tag(self.api().await?, parts(instance)?, tags).await
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let (group, _) = parts(instance)?;
        self.resource_groups
            .admit(self.api().await?, group, instance)
            .await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice {
            ask: include_str!("notice.sh"),
            hold: false,
        })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        let (group, name) = parts(instance)?;
        self.resource_groups.remember(group)?;
        launch::remove(self.api().await?, group, name).await?;
        lock(&self.addresses).remove(&instance.id);
        if let Some(token) = instance.tags.get(instance_tags::TOKEN) {
            lock(&self.seen).remove(token);
        }
        Ok(())
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        for group in self.resource_groups.remembered()? {
            self.resource_groups
                .remove(self.api().await?, &group)
                .await?;
        }
        Ok(())
    }
}
