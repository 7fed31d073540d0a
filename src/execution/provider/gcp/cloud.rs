//! Compute Engine as a cloud: the calls that the shared layer makes.

use super::super::check::{Finding, Need};
use super::super::cloud::remembered_names::name_of_state;
use super::super::cloud::{Cloud, Instance, Machines, Notice, Wanted, instance_tags};
use super::super::{ErrorKind, GCP, ProviderError};
use super::account::Gcp;
use super::api_client::Settings;
use super::instances::{last, lineage, plain, read};
use super::tpu_slice::Slice;
use super::{api_client, check, launch, tpu, tpu_node};
use crate::model::PlaceName;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::Path;

/// The machines at Google Cloud; `root` is the state folder. Nothing is asked of it before it is
/// needed.
pub fn open(root: &Path, settings: Settings) -> Machines<Gcp> {
    Machines::new(Gcp::new(root, settings), root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made
/// from this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    root.join("gcp").exists() || api_client::set_up()
}

#[async_trait]
impl Cloud for Gcp {
    fn name(&self) -> &'static str {
        GCP
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.api().await.map(drop)
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted_machine: &Wanted) -> Result<Instance, ProviderError> {
        match Slice::parse(&wanted_machine.spec.instance_type)? {
            Some(slice) => tpu::create(self, &slice, wanted_machine).await,
            None => launch::launch(self, wanted_machine).await,
        }
    }

    async fn find(
        &self,
        token: &str,
        at: Option<&PlaceName>,
    ) -> Result<Vec<Instance>, ProviderError> {
        let found_instances = self
            .look(&format!("labels.{} = \"{token}\"", instance_tags::TOKEN))
            .await?;
        let is_here = |instance: &Instance| at.is_none_or(|place| *place == instance.place);
        let mut instances_here: Vec<Instance> = found_instances
            .iter()
            .filter_map(read)
            .filter(is_here)
            .collect();
        if instances_here.is_empty() {
            instances_here.extend(
                self.of_tpus(tpu::tagged(self, Some(token)).await)?
                    .into_iter()
                    .filter(is_here),
            );
        }
        if instances_here.is_empty() && at.is_some() {
            return Ok(self
                .taken(token)
                .await?
                .into_iter()
                .filter(is_here)
                .collect());
        }
        Ok(instances_here)
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        let instances = self
            .look(&format!("labels.{}:*", instance_tags::TOKEN))
            .await?;
        // Who may not look at TPUs does not know that there are none.
        let tpus = tpu::tagged(self, None).await?;
        Ok(instances.iter().filter_map(read).chain(tpus).collect())
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        if tpu_node::is_node(id) {
            return tpu::by_id(self, id).await;
        }
        let mut id_parts = id.rsplit('/');
        let name = id_parts.next().unwrap_or_default();
        // Also as `gcloud` writes it: zones/ZONE/instances/NAME.
        let zone = id_parts.find(|part| *part != "instances");
        if !plain(name) || zone.is_some_and(|zone| !plain(zone)) {
            return Ok(None);
        }
        if let Some(zone) = zone {
            let instance_found = launch::get(self.api().await?, zone, name).await?;
            return match instance_found {
                None => {
                    self.of_tpus(tpu::by_id(self, &format!("locations/{zone}/nodes/{name}")).await)
                }
                found => Ok(found),
            };
        }
        let found_instances = self.look(&format!("name = \"{name}\"")).await?;
        let mut instances_read: Vec<Instance> = found_instances.iter().filter_map(read).collect();
        let tpus = self.of_tpus(tpu::tagged(self, None).await)?;
        instances_read.extend(tpus.into_iter().filter(|tpu| last(&tpu.id) == name));
        match instances_read.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [one, ..] => {
                let message = format!(
                    "gcp: several zones have a `{name}`: write ZONE/{name}, as {}",
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
        match tpu_node::is_node(&instance.id) {
            true => tpu::tag(self, instance, tags).await,
            false => launch::tag(self.api().await?, instance, tags).await,
        }
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let Some(lineage) = lineage(instance) else {
            return Ok(());
        };
        self.firewall_rules.admit(self.api().await?, lineage).await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice {
            ask: include_str!("notice.sh"),
            hold: true,
        })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        if let Some(lineage) = lineage(instance) {
            self.firewall_rules.remember(&name_of_state(lineage))?;
        }
        match tpu_node::is_node(&instance.id) {
            true => tpu::end(self, instance).await,
            false => launch::delete(self.api().await?, instance).await,
        }
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        let rules = self.firewall_rules.remembered()?;
        if rules.is_empty() {
            return Ok(());
        }
        let used_instances = self
            .look(&format!("labels.{}:*", instance_tags::TOKEN))
            .await?;
        let used_lineages: Vec<&String> = used_instances
            .iter()
            .filter_map(|found| found.tags.as_ref())
            .flat_map(|tags| &tags.items)
            .collect();
        let tpus = self.of_tpus(tpu::all(self).await)?;
        let of_tpus: Vec<&str> = tpus.iter().flat_map(tpu_node::network_tags).collect();
        for name in rules
            .iter()
            .filter(|name| !used_lineages.contains(name) && !of_tpus.contains(&name.as_str()))
        {
            self.firewall_rules.remove(self.api().await?, name).await?;
        }
        Ok(())
    }
}
