//! Google Cloud: instances of Compute Engine, by Google's SDK, and TPU VMs ([`tpu`]). Only with the cargo
//! feature `gcp`.
//!
//! One call creates all there is of a machine: `instances.insert`, with the tags as labels ([`labels`])
//! on the instance and its disk, and user data in its metadata. Its name is made of the token and so is
//! the request's id: made again in the same zone, it makes nothing. Zones of a region are tried in
//! their order, and one that has nothing left is followed by the next; before that all of them are asked
//! for an instance of that name, which an earlier process may have come to make in any. A call that is
//! answered well is only begun: what became of it is read from its operation ([`errors`]).
//!
//! An instance has an external address in the default network, and a firewall rule that admits the
//! caller's address at the SSH port and nobody else; there is one for each state ([`rule`]). It has no
//! service account, so there is no credential on it.
//!
//! # Leases
//! A machine powers itself off when its lease is over, as everywhere; Google then bills its disk on,
//! until `sky` looks at it, in an apply, a destroy or a sweep, and deletes it
//! ([`Life::Stopped`]). Beneath that lies a bound that Google itself keeps, should a machine never
//! come to run its watchdog, or should it hang: `maxRunDuration`, at whose end the machine is deleted
//! with its disk. It cannot be changed while a machine runs, and leases are renewed; it is therefore no
//! lease but the first lease and 7 days, or what `SKY_GCP_MAX_DAYS` says. A stage whose leases were
//! renewed for longer loses its machine, and its next attempt goes on from what it has saved. A budget
//! is kept by leases, not by this bound.
//!
//! Spot machines are deleted when Google takes them back. That it was Google is then read from the
//! project's operations.
//!
//! # Trusted execution environments
//! A stage that demands SEV, SEV-SNP or TDX gets a Confidential VM. Google makes no machine at all of a
//! type, in a zone or with an image that cannot be one.
//!
//! # Settings
//! Credentials come from the SDK's standard chain (Application Default Credentials): the file that
//! `GOOGLE_APPLICATION_CREDENTIALS` names, that of `gcloud auth application-default login`, or the service
//! account of a machine at Google.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_GCP_PROJECT`, `GOOGLE_CLOUD_PROJECT` | the project; without them, the one of the credentials |
//! | `SKY_GCP_IMAGE` | the image, as `projects/P/global/images/family/F`; Ubuntu 24.04 by default. It needs cloud-init |
//! | `SKY_GCP_NETWORK`, `SKY_GCP_SUBNETWORK` | the network, `default` by default, and for one without automatic subnetworks the subnetwork |
//! | `SKY_GCP_TPU_VERSION` | the software of TPU VMs; the one of their generation by default |
//! | `SKY_GCP_MAX_DAYS` | see above; from 1 to 120 |
//! | `SKY_GCP_ENDPOINT` | another address of the APIs; one without TLS is sent no credentials |
//! | `SKY_SSH_FROM` | the IPv4 addresses or networks that are let in, with commas; by default what the world sees this machine under |

mod access;
mod check;
mod errors;
mod kind;
mod labels;
mod launch;
mod rest;
mod rule;
mod tpu;

use super::check::{Finding, Need};
use super::cloud::{Cloud, Instance, Life, Machines, Notice, Wanted, tag};
use super::{ErrorKind, ProviderError};
use crate::model::PlaceName;
use crate::util::file;
pub use access::Settings;
use access::{Api, answered};
use async_trait::async_trait;
use google_cloud_compute_v1::model::Instance as Found;
use google_cloud_compute_v1::model::instance::Status;
use kind::{Kind, Zones};
use rule::Rules;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::OnceCell;
use tpu::Slice;

/// Operations by which Google takes spot machines back.
const TAKEN: &str = "compute.instances.preempted";

/// Compute Engine in all regions, for one project.
pub struct Gcp {
    settings: Settings,
    api: OnceCell<Api>,
    rules: Rules,
    /// The file that is there if TPUs were ever asked for from this state folder.
    with_tpus: PathBuf,
    /// By place and type.
    zones: Mutex<HashMap<(PlaceName, String), Zones>>,
}

/// The machines at Google Cloud; `root` is the state folder. Nothing is asked of it before it is needed.
pub fn open(root: &Path, settings: Settings) -> Machines<Gcp> {
    let folder = root.join("gcp");
    let (rules, with_tpus) = (Rules::at(folder.join("rules")), folder.join("tpus"));
    Machines::new(Gcp { settings, api: OnceCell::new(), rules, with_tpus, zones: Mutex::default() }, root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made from
/// this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    root.join("gcp").exists() || access::set_up()
}

impl Gcp {
    async fn api(&self) -> Result<&Api, ProviderError> {
        self.api.get_or_try_init(|| Api::new(&self.settings)).await
    }

    /// The zones of a place that have a type.
    async fn zones(&self, place: &PlaceName, kind: &Kind) -> Result<Zones, ProviderError> {
        let key = (place.clone(), format!("{kind:?}"));
        let known = self.zones.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found = kind::zones(self.api().await?, place, kind).await?;
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).insert(key, found.clone());
        Ok(found)
    }

    /// The instances that a filter leaves, in the zones of the world. A zone that does not answer is an
    /// error.
    async fn look(&self, filter: &str) -> Result<Vec<Found>, ProviderError> {
        let api = self.api().await?;
        let mut found = Vec::new();
        let mut page = String::new();
        loop {
            let call = api.instances.aggregated_list().set_project(&api.project).set_filter(filter);
            let answer = answered(call.set_page_token(page).send(), "look for machines").await?;
            if let Some(silent) = answer.unreachables.first() {
                let message = format!("gcp: cannot look for machines: {silent} does not answer");
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            found.extend(answer.items.into_values().flat_map(|list| list.instances));
            page = answer.next_page_token.unwrap_or_default();
            if page.is_empty() {
                return Ok(found);
            }
        }
    }

    /// Notes that there may be TPUs of this state folder.
    fn remember_tpus(&self) -> Result<(), ProviderError> {
        file::create_folders(self.with_tpus.parent().unwrap_or(&self.with_tpus))?;
        Ok(file::write_atomic(&self.with_tpus, b"")?)
    }

    /// What was found among TPUs. Who may not look at them has made none, unless it is known that some
    /// were asked for.
    fn of_tpus<T: Default>(&self, found: Result<T, ProviderError>) -> Result<T, ProviderError> {
        match found {
            Err(error) if error.kind == ErrorKind::Denied && !self.with_tpus.exists() => Ok(T::default()),
            found => found,
        }
    }

    /// What is left of a token's instance that Google has taken back.
    async fn taken(&self, token: &str) -> Result<Option<Instance>, ProviderError> {
        let api = self.api().await?;
        let name = launch::name(token);
        let call = api.global_operations.aggregated_list().set_project(&api.project);
        let filter = format!("(operationType = \"{TAKEN}\") AND (targetLink : \"/{name}\")");
        let answer = answered(call.set_filter(filter).send(), "look for what became of a machine").await?;
        let mut links = answer
            .items
            .into_values()
            .flat_map(|list| list.operations)
            .filter_map(|one| (one.operation_type.as_deref() == Some(TAKEN)).then_some(one.target_link).flatten());
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
                tags: BTreeMap::from([(tag::TOKEN.to_owned(), token.to_owned())]),
            })
        }))
    }
}

/// The last part of an address.
fn last(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or_default()
}

/// The place that a zone is in.
fn place(zone: &str) -> Option<PlaceName> {
    let (region, _) = zone.rsplit_once('-')?;
    Some(PlaceName { cloud: super::GCP.to_owned(), region: region.to_owned() })
}

/// An instance as the shared layer sees it.
fn read(found: &Found) -> Option<Instance> {
    let zone = last(found.zone.as_deref()?);
    let kind = last(found.machine_type.as_deref().unwrap_or_default());
    let life = match &found.status {
        Some(Status::Deprovisioning) => Life::Ended,
        Some(Status::Stopping | Status::Stopped | Status::Terminated | Status::Suspended | Status::Suspending) => {
            Life::Stopped
        }
        // What this sky does not know may cost something.
        _ => Life::Alive,
    };
    let addresses = found.network_interfaces.iter().flat_map(|interface| &interface.access_configs);
    let address = addresses.filter_map(|config| config.nat_ip.clone()).find(|address| !address.is_empty());
    let inside = found.network_interfaces.first().and_then(|interface| interface.network_ip.clone());
    let items = found.metadata.iter().flat_map(|metadata| &metadata.items);
    let long = items.filter_map(|item| Some((item.key.clone()?, item.value.clone()?)));
    let long = long.filter(|(name, _)| name.starts_with("sky-"));
    let labels = found.labels.iter().map(|(name, value)| (name.clone(), labels::decode(value)));
    Some(Instance {
        id: format!("{zone}/{}", found.name.as_deref()?),
        place: place(zone)?,
        instance_type: kind.to_owned(),
        life,
        address,
        inside,
        zone: Some(zone.to_owned()),
        tags: long.chain(labels).collect(),
    })
}

#[async_trait]
impl Cloud for Gcp {
    fn name(&self) -> &'static str {
        super::GCP
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.api().await.map(drop)
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError> {
        match Slice::parse(&wanted.spec.instance_type)? {
            Some(slice) => tpu::create(self, &slice, wanted).await,
            None => launch::launch(self, wanted).await,
        }
    }

    async fn find(&self, token: &str, at: Option<&PlaceName>) -> Result<Vec<Instance>, ProviderError> {
        let found = self.look(&format!("labels.{} = \"{token}\"", tag::TOKEN)).await?;
        let here = |instance: &Instance| at.is_none_or(|place| *place == instance.place);
        let mut found: Vec<Instance> = found.iter().filter_map(read).filter(here).collect();
        if found.is_empty() {
            found.extend(self.of_tpus(tpu::tagged(self, Some(token)).await)?.into_iter().filter(here));
        }
        if found.is_empty() && at.is_some() {
            return Ok(self.taken(token).await?.into_iter().filter(here).collect());
        }
        Ok(found)
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        let instances = self.look(&format!("labels.{}:*", tag::TOKEN)).await?;
        // Who may not look at TPUs does not know that there are none.
        let tpus = tpu::tagged(self, None).await?;
        Ok(instances.iter().filter_map(read).chain(tpus).collect())
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        if tpu::is_node(id) {
            return tpu::by_id(self, id).await;
        }
        let mut parts = id.rsplit('/');
        let name = parts.next().unwrap_or_default();
        // Also as `gcloud` writes it: zones/ZONE/instances/NAME.
        let zone = parts.find(|part| *part != "instances");
        if !launch::plain(name) || zone.is_some_and(|zone| !launch::plain(zone)) {
            return Ok(None);
        }
        if let Some(zone) = zone {
            let found = launch::get(self.api().await?, zone, name).await?;
            return match found {
                None => self.of_tpus(tpu::by_id(self, &format!("locations/{zone}/nodes/{name}")).await),
                found => Ok(found),
            };
        }
        let found = self.look(&format!("name = \"{name}\"")).await?;
        let mut found: Vec<Instance> = found.iter().filter_map(read).collect();
        let tpus = self.of_tpus(tpu::tagged(self, None).await)?;
        found.extend(tpus.into_iter().filter(|tpu| last(&tpu.id) == name));
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            [one, ..] => {
                let message = format!("gcp: several zones have a `{name}`: write ZONE/{name}, as {}", one.id);
                Err(ProviderError::new(ErrorKind::Other, message))
            }
        }
    }

    async fn tag(&self, instance: &Instance, tags: &BTreeMap<&'static str, String>) -> Result<(), ProviderError> {
        match tpu::is_node(&instance.id) {
            true => tpu::tag(self, instance, tags).await,
            false => launch::tag(self.api().await?, instance, tags).await,
        }
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let Some(lineage) = launch::lineage(instance) else { return Ok(()) };
        self.rules.admit(self.api().await?, lineage).await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice { ask: include_str!("notice.sh"), hold: true })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        if let Some(lineage) = launch::lineage(instance) {
            self.rules.remember(&rule::name(lineage))?;
        }
        match tpu::is_node(&instance.id) {
            true => tpu::end(self, instance).await,
            false => launch::delete(self.api().await?, instance).await,
        }
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        let rules = self.rules.remembered()?;
        if rules.is_empty() {
            return Ok(());
        }
        let used = self.look(&format!("labels.{}:*", tag::TOKEN)).await?;
        let used: Vec<&String> =
            used.iter().filter_map(|found| found.tags.as_ref()).flat_map(|tags| &tags.items).collect();
        let tpus = self.of_tpus(tpu::all(self).await)?;
        let of_tpus: Vec<&str> = tpus.iter().flat_map(tpu::network_tags).collect();
        for name in rules.iter().filter(|name| !used.contains(name) && !of_tpus.contains(&name.as_str())) {
            self.rules.remove(self.api().await?, name).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_compute_v1::model::metadata::Items;
    use google_cloud_compute_v1::model::{AccessConfig, Metadata, NetworkInterface};

    fn found(status: &str) -> Found {
        let address = AccessConfig::new().set_nat_ip("203.0.113.7");
        Found::new()
            .set_name("sky-1")
            .set_zone("https://www.googleapis.com/compute/v1/projects/p/zones/europe-west10-b")
            .set_machine_type(
                "https://www.googleapis.com/compute/v1/projects/p/zones/europe-west10-b/machineTypes/e2-small",
            )
            .set_status(Status::from(status))
            .set_labels([("sky-stage", "a_5f"), ("sky-token", "0")])
            .set_metadata(Metadata::new().set_items([
                Items::new().set_key("user-data").set_value("a secret"),
                Items::new().set_key("sky-host-key").set_value("ssh-ed25519 AAAA"),
            ]))
            .set_network_interfaces([NetworkInterface::new().set_access_configs([address])])
    }

    #[test]
    fn instances_are_read() {
        let instance = read(&found("RUNNING")).unwrap();
        assert_eq!(instance.id, "europe-west10-b/sky-1");
        assert_eq!(instance.place, PlaceName { cloud: "gcp".into(), region: "europe-west10".into() });
        assert_eq!((instance.instance_type.as_str(), instance.address.as_deref()), ("e2-small", Some("203.0.113.7")));
        let tags: Vec<_> = instance.tags.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("sky-host-key", "ssh-ed25519 AAAA"), ("sky-stage", "a_"), ("sky-token", "0")]);
    }

    #[test]
    fn what_is_off_still_costs() {
        for (status, life) in [
            ("PROVISIONING", Life::Alive),
            ("RUNNING", Life::Alive),
            ("NEW_AT_GOOGLE", Life::Alive),
            ("STOPPING", Life::Stopped),
            ("TERMINATED", Life::Stopped),
            ("DEPROVISIONING", Life::Ended),
        ] {
            assert_eq!(read(&found(status)).unwrap().life, life, "{status}");
        }
    }
}
