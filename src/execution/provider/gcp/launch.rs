//! The call that creates an instance, zone after zone.

use super::super::cloud::remembered_names::name_of_state;
use super::super::cloud::{Instance, Wanted};
use super::super::{ErrorKind, GCP, ProviderError, created_and_gone, ended_or_gone, without_tee};
use super::account::Gcp;
use super::api_client::{Api, answered};
use super::instances::{name, parts, read};
use super::machine_type::{MachineType, Zones};
use super::{firewall, labels};
use crate::model::{Bytes, Purchase, Tee};
use crate::util::{environment, hash, variables};
use google_cloud_compute_v1::model::confidential_instance_config::ConfidentialInstanceType;
use google_cloud_compute_v1::model::metadata::Items;
use google_cloud_compute_v1::model::network_interface::NicType;
use google_cloud_compute_v1::model::scheduling::{
    InstanceTerminationAction, OnHostMaintenance, ProvisioningModel,
};
use google_cloud_compute_v1::model::{
    AcceleratorConfig, AccessConfig, AttachedDisk, AttachedDiskInitializeParams,
    ConfidentialInstanceConfig, Duration as Seconds, Instance as Body, Metadata, NetworkInterface,
    Scheduling, Tags, access_config,
};
use std::time::Duration;

/// What a disk has above what the stage is planned to write, for the image and inputs: in GB, as
/// Google counts, of 2^30 bytes.
const ROOM: u64 = 30;
const GB: u64 = 1 << 30;
/// The largest disk that there is, in GB.
const MOST: u64 = 65_536;
const DAY: Duration = Duration::from_secs(86_400);
/// How many days a machine may live at most, above its first lease, unless `SKY_GCP_MAX_DAYS` says
/// more.
const DAYS: u32 = 7;
/// The most that Google takes.
const MOST_DAYS: u32 = 120;

/// Metadata by which nobody else's keys and log-ins are let in.
pub(super) const SETTINGS: [(&str, &str); 3] = [
    ("block-project-ssh-keys", "TRUE"),
    ("enable-oslogin", "FALSE"),
    ("serial-port-enable", "FALSE"),
];

/// The subnetwork, if one is given.
pub(super) fn subnetwork() -> Option<String> {
    environment::text(variables::SKY_GCP_SUBNETWORK)
}

/// Creates it, or finds what was created under its token.
pub(super) async fn launch(gcp: &Gcp, wanted_machine: &Wanted) -> Result<Instance, ProviderError> {
    let api = gcp.api().await?;
    let machine_type = MachineType::parse(&wanted_machine.spec.instance_type)?;
    let confidential = wanted_machine
        .spec
        .tee
        .map(|tee| confidential(tee, &wanted_machine.spec.instance_type))
        .transpose()?;
    let zones = gcp.zones(&wanted_machine.spec.place, &machine_type).await?;
    let name = name(&wanted_machine.token.id);
    // A former process may have come further than to the first zone. This answers for what lists
    // may not have yet.
    for zone in &zones.names {
        if let Some(made) = get(api, zone, &name).await? {
            return Ok(made);
        }
    }
    gcp.firewall_rules
        .remember(&name_of_state(&wanted_machine.spec.owner.lineage))?;
    let longest_run = longest(wanted_machine.spec.lease)?;
    let mut last_error = None;
    let tried_zones: Vec<&String> = zones
        .names
        .iter()
        .filter(|zone| wanted_machine.may_be_in(zone))
        .collect();
    for zone in &tried_zones {
        let body = body(wanted_machine, &machine_type, &zones, zone, longest_run);
        let body = match &confidential {
            Some(confidential) => confidential.set(body),
            None => body,
        };
        match insert(api, zone, body, &wanted_machine.token.id).await {
            Err(error) if error.kind == ErrorKind::Stockout => last_error = Some(error),
            Err(error) => return Err(error),
            Ok(()) => {
                if let Some(made) = get(api, zone, &name).await? {
                    return Ok(made);
                }
                last_error = Some(created_and_gone(format!("gcp {zone}: {name}")));
            }
        }
    }
    let message = match last_error {
        Some(error) => error.message,
        None => format!(
            "gcp: {} is in no zone that it may be in",
            wanted_machine.token.stage
        ),
    };
    let message = match &wanted_machine.zone {
        Some(zone) => format!(
            "{message} (in {zone}, where the first machine of stage.{} is)",
            wanted_machine.token.stage
        ),
        None => format!(
            "{message} (so say all {} zones of {} that have it)",
            tried_zones.len(),
            wanted_machine.spec.place
        ),
    };
    Err(ProviderError::new(ErrorKind::Stockout, message))
}

/// The instance of a zone by its name, which needs no list.
pub(super) async fn get(
    api: &Api,
    zone: &str,
    name: &str,
) -> Result<Option<Instance>, ProviderError> {
    let get_call = api
        .instances
        .get()
        .set_project(&api.project)
        .set_zone(zone)
        .set_instance(name);
    match answered(get_call.send(), &format!("look for {name}")).await {
        Ok(found) => Ok(read(&found)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Begins an instance and waits until it is there. Fine if it is already: names are unique in a
/// zone.
async fn insert(api: &Api, zone: &str, body: Body, token: &str) -> Result<(), ProviderError> {
    let about_create = format!("create {} in {zone}", name(token));
    let insert_call = api
        .instances
        .insert()
        .set_project(&api.project)
        .set_zone(zone);
    let insert_call = insert_call
        .set_request_id(request_id(token, zone))
        .set_body(body);
    let already_exists = |error: &ProviderError| {
        error.kind == ErrorKind::Other && error.message.contains("already exists")
    };
    let insert_result = match answered(insert_call.send(), &about_create).await {
        Ok(operation) => api.done(operation, Some(zone), &about_create).await,
        Err(error) => Err(error),
    };
    match insert_result {
        Err(error) if already_exists(&error) => Ok(()),
        // Not the instance, which was asked for, but what it is made of.
        Err(error) if error.kind == ErrorKind::NotFound => Err(ProviderError {
            kind: ErrorKind::Other,
            ..error
        }),
        made => made,
    }
}

/// A UUID for a token's call in a zone: the same for the same.
fn request_id(token: &str, zone: &str) -> String {
    let digest = hash::digest(format!("{token}\n{zone}").as_bytes());
    let digits: Vec<char> = digest.chars().skip("sha256:".len()).collect();
    let digits_between = |from: usize, to: usize| digits[from..to].iter().collect::<String>();
    // Version 8: made by a rule of one's own (RFC 9562).
    format!(
        "{}-{}-8{}-8{}-{}",
        digits_between(0, 8),
        digits_between(8, 12),
        digits_between(12, 15),
        digits_between(15, 18),
        digits_between(18, 30)
    )
}

/// How long Google lets it live, whatever becomes of its leases.
fn longest(lease: Duration) -> Result<Duration, ProviderError> {
    let days = match environment::text(variables::SKY_GCP_MAX_DAYS) {
        None => DAYS,
        Some(given) => given
            .parse()
            .ok()
            .filter(|days| (1..=MOST_DAYS).contains(days))
            .ok_or_else(|| {
                let message = format!(
                    "SKY_GCP_MAX_DAYS: `{}` is not a number from 1 to 120",
                    given.escape_debug()
                );
                ProviderError::new(ErrorKind::Other, message)
            })?,
    };
    Ok(lease.saturating_add(DAY * days).min(DAY * MOST_DAYS))
}

fn body(
    wanted_machine: &Wanted,
    machine_type: &MachineType,
    zones: &Zones,
    zone: &str,
    longest: Duration,
) -> Body {
    let (labels, metadata) = labels::split(&wanted_machine.tags);
    let rule = name_of_state(&wanted_machine.spec.owner.lineage);
    let items = [("user-data".to_owned(), wanted_machine.user_data.clone())];
    let settings = SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let items = items.into_iter().chain(settings).chain(metadata);
    let disk = AttachedDiskInitializeParams::new()
        .set_disk_size_gb(i64::try_from(disk(wanted_machine.spec.disk)).unwrap_or(i64::MAX))
        .set_disk_type(format!("zones/{zone}/diskTypes/{}", machine_type.disk()))
        .set_source_image(image(zones.arm))
        .set_labels(labels.clone());
    let address = AccessConfig::new()
        .set_type(access_config::Type::OneToOneNat)
        .set_name("External NAT");
    let mut interface = NetworkInterface::new()
        .set_network(firewall::network())
        .set_access_configs([address]);
    if let Some(subnetwork) = subnetwork() {
        let region = &wanted_machine.spec.place.region;
        interface = interface.set_subnetwork(format!("regions/{region}/subnetworks/{subnetwork}"));
    }
    let spot = wanted_machine.spec.purchase == Purchase::Spot;
    let scheduling = Scheduling::new()
        .set_provisioning_model(if spot {
            ProvisioningModel::Spot
        } else {
            ProvisioningModel::Standard
        })
        .set_instance_termination_action(InstanceTerminationAction::Delete)
        .set_max_run_duration(
            Seconds::new().set_seconds(i64::try_from(longest.as_secs()).unwrap_or(i64::MAX)),
        )
        // What comes up anew is another machine.
        .set_automatic_restart(false)
        .set_on_host_maintenance(if spot || machine_type.stays() {
            OnHostMaintenance::Terminate
        } else {
            OnHostMaintenance::Migrate
        });
    let cards = machine_type.cards.map(|(card, count)| {
        AcceleratorConfig::new()
            .set_accelerator_type(format!("zones/{zone}/acceleratorTypes/{card}"))
            .set_accelerator_count(count)
    });
    Body::new()
        .set_name(name(&wanted_machine.token.id))
        .set_description(format!(
            "sky: stage.{}, attempt {}",
            wanted_machine.token.stage, wanted_machine.token.attempt
        ))
        .set_machine_type(format!(
            "zones/{zone}/machineTypes/{}",
            machine_type.machine
        ))
        .set_labels(labels)
        .set_metadata(
            Metadata::new()
                .set_items(items.map(|(key, value)| Items::new().set_key(key).set_value(value))),
        )
        .set_disks([AttachedDisk::new()
            .set_boot(true)
            .set_auto_delete(true)
            .set_initialize_params(disk)])
        .set_network_interfaces([interface])
        .set_tags(Tags::new().set_items([rule]))
        .set_guest_accelerators(cards)
        .set_scheduling(scheduling)
}

/// What a machine with a trusted execution environment is made with.
struct Confidential(ConfidentialInstanceType);

/// What a machine with that environment is made with. Which types and images can run with it is for
/// Google to say: it makes no machine that is less than what was asked for.
fn confidential(tee: Tee, instance_type: &str) -> Result<Confidential, ProviderError> {
    Ok(Confidential(match tee {
        Tee::Sev => ConfidentialInstanceType::Sev,
        Tee::SevSnp => ConfidentialInstanceType::SevSnp,
        Tee::Tdx => ConfidentialInstanceType::Tdx,
        Tee::Sgx | Tee::NitroEnclave => return Err(without_tee(GCP, instance_type, tee)),
    }))
}

impl Confidential {
    fn set(&self, mut body: Body) -> Body {
        // Most of them cannot be moved while they run.
        body.scheduling = body
            .scheduling
            .map(|all| all.set_on_host_maintenance(OnHostMaintenance::Terminate));
        for interface in &mut body.network_interfaces {
            *interface = std::mem::take(interface).set_nic_type(NicType::Gvnic);
        }
        // Older processors of the same types have it not.
        if self.0 == ConfidentialInstanceType::SevSnp {
            body = body.set_min_cpu_platform("AMD Milan");
        }
        let config =
            ConfidentialInstanceConfig::new().set_confidential_instance_type(self.0.clone());
        body.set_confidential_instance_config(config.set_enable_confidential_compute(true))
    }
}

/// The image: one with cloud-init, and that runs as a confidential machine, too.
fn image(arm: bool) -> String {
    let given_image = environment::text(variables::SKY_GCP_IMAGE);
    given_image.unwrap_or_else(|| {
        let architecture = if arm { "arm64" } else { "amd64" };
        format!("projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-{architecture}")
    })
}

/// The size of a disk, in GB.
fn disk(written: Bytes) -> u64 {
    written.0.div_ceil(GB).saturating_add(ROOM).min(MOST)
}

/// Changes tags: labels and metadata, each if some are there. Others may do so at the same time:
/// what is known by then is read again.
pub(super) async fn tag(
    api: &Api,
    instance: &Instance,
    tags: &std::collections::BTreeMap<&'static str, String>,
) -> Result<(), ProviderError> {
    let (zone, name) = parts(instance)?;
    let about_tags = format!("tag {name}");
    let (new, long) = labels::split(tags);
    let get_call = api
        .instances
        .get()
        .set_project(&api.project)
        .set_zone(zone)
        .set_instance(name);
    let instance_found = answered(get_call.send(), &about_tags).await?;
    if !long.is_empty() {
        let metadata = instance_found.metadata.clone().unwrap_or_default();
        let other_items = metadata
            .items
            .iter()
            .filter(|item| !item.key.as_ref().is_some_and(|key| long.contains_key(key)));
        let added = long
            .iter()
            .map(|(key, value)| Items::new().set_key(key).set_value(value));
        let items: Vec<Items> = other_items.cloned().chain(added).collect();
        let mut body = Metadata::new().set_items(items);
        body.fingerprint = metadata.fingerprint;
        let metadata_call = api
            .instances
            .set_metadata()
            .set_project(&api.project)
            .set_zone(zone)
            .set_instance(name);
        let operation = answered(metadata_call.set_body(body).send(), &about_tags).await?;
        api.done(operation, Some(zone), &about_tags).await?;
    }
    let mut labels = instance_found.labels.clone();
    // A label is believed before metadata.
    labels.retain(|key, _| !long.contains_key(key));
    labels.extend(new);
    if labels == instance_found.labels {
        return Ok(());
    }
    let mut body =
        google_cloud_compute_v1::model::InstancesSetLabelsRequest::new().set_labels(labels);
    body.label_fingerprint = instance_found.label_fingerprint;
    let labels_call = api
        .instances
        .set_labels()
        .set_project(&api.project)
        .set_zone(zone)
        .set_instance(name);
    let operation = answered(labels_call.set_body(body).send(), &about_tags).await?;
    api.done(operation, Some(zone), &about_tags).await
}

/// Ends an instance, with its disk. Fine if it is gone.
pub(super) async fn delete(api: &Api, instance: &Instance) -> Result<(), ProviderError> {
    let (zone, name) = parts(instance)?;
    let about_delete = format!("delete {name}");
    let delete_call = api
        .instances
        .delete()
        .set_project(&api.project)
        .set_zone(zone)
        .set_instance(name);
    let delete_result = match answered(delete_call.send(), &about_delete).await {
        Ok(operation) => api.done(operation, Some(zone), &about_delete).await,
        Err(error) => Err(error),
    };
    ended_or_gone(delete_result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids() {
        let id = request_id("0123456789abcdef0123456789abcdef", "us-central1-a");
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert!(id.chars().nth(14) == Some('8') && id.chars().nth(19) == Some('8'));
        assert_eq!(
            id,
            request_id("0123456789abcdef0123456789abcdef", "us-central1-a")
        );
        assert_ne!(
            id,
            request_id("0123456789abcdef0123456789abcdef", "us-central1-b")
        );
    }

    #[test]
    fn disks_hold_what_is_written_and_more() {
        assert_eq!(disk(Bytes(0)), 30);
        assert_eq!(disk(Bytes(GB + 1)), 32);
        assert_eq!(disk(Bytes(u64::MAX)), MOST);
    }

    #[test]
    fn google_ends_what_outlives_its_leases() {
        assert_eq!(
            longest(Duration::from_secs(3600)).unwrap(),
            DAY * 7 + Duration::from_secs(3600)
        );
        assert_eq!(longest(Duration::MAX).unwrap(), DAY * 120);
    }
}
