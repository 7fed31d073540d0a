//! Instances of Compute Engine: what they are called, and how they are read.

use super::super::cloud::{Instance, Life, instance_tags};
use super::super::{ErrorKind, GCP, ProviderError};
use super::labels;
use crate::model::PlaceName;
use google_cloud_compute_v1::model::Instance as Found;
use google_cloud_compute_v1::model::instance::Status;

/// Whether a text can be a zone or a name, and so a part of an address.
pub(super) fn plain(text: &str) -> bool {
    let plain_character =
        |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    !text.is_empty() && text.chars().all(plain_character)
}

/// The name of a token's instance, the same in every zone.
pub(super) fn name(token: &str) -> String {
    format!("sky-{token}")
}

/// The zone and the name of which an id is made.
pub(super) fn parts(instance: &Instance) -> Result<(&str, &str), ProviderError> {
    instance.id.split_once('/').ok_or_else(|| {
        ProviderError::new(
            ErrorKind::Other,
            format!("gcp: `{}` is not an id of an instance", instance.id),
        )
    })
}

/// The lineage of an instance.
pub(super) fn lineage(instance: &Instance) -> Option<&str> {
    instance
        .tags
        .get(instance_tags::LINEAGE)
        .map(String::as_str)
}

/// The last part of an address.
pub(super) fn last(link: &str) -> &str {
    link.rsplit_once('/').map_or(link, |(_, last)| last)
}

/// The place that a zone is in.
pub(super) fn place(zone: &str) -> Option<PlaceName> {
    let (region, _) = zone.rsplit_once('-')?;
    Some(PlaceName {
        cloud: GCP.to_owned(),
        region: region.to_owned(),
    })
}

/// An instance as the shared layer sees it.
pub(super) fn read(found_instance: &Found) -> Option<Instance> {
    let zone = last(found_instance.zone.as_deref()?);
    let kind = last(found_instance.machine_type.as_deref().unwrap_or_default());
    let life = match &found_instance.status {
        Some(Status::Deprovisioning) => Life::Ended,
        Some(
            Status::Stopping
            | Status::Stopped
            | Status::Terminated
            | Status::Suspended
            | Status::Suspending,
        ) => Life::Stopped,
        // What this sky does not know may cost something.
        _ => Life::Alive,
    };
    let addresses = found_instance
        .network_interfaces
        .iter()
        .flat_map(|interface| &interface.access_configs);
    let address = addresses
        .filter_map(|config| config.nat_ip.clone())
        .find(|address| !address.is_empty());
    let inner_interface = found_instance
        .network_interfaces
        .first()
        .and_then(|interface| interface.network_ip.clone());
    let items = found_instance
        .metadata
        .iter()
        .flat_map(|metadata| &metadata.items);
    let metadata_texts = items.filter_map(|item| Some((item.key.clone()?, item.value.clone()?)));
    let sky_texts = metadata_texts.filter(|(name, _)| name.starts_with("sky-"));
    let labels = found_instance
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), labels::decode(value)));
    Some(Instance {
        id: format!("{zone}/{}", found_instance.name.as_deref()?),
        place: place(zone)?,
        instance_type: kind.to_owned(),
        life,
        address,
        inside: inner_interface,
        zone: Some(zone.to_owned()),
        tags: sky_texts.chain(labels).collect(),
    })
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
        assert_eq!(
            instance.place,
            PlaceName {
                cloud: "gcp".into(),
                region: "europe-west10".into()
            }
        );
        assert_eq!(
            (instance.instance_type.as_str(), instance.address.as_deref()),
            ("e2-small", Some("203.0.113.7"))
        );
        let tags: Vec<_> = instance
            .tags
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            tags,
            [
                ("sky-host-key", "ssh-ed25519 AAAA"),
                ("sky-stage", "a_"),
                ("sky-token", "0")
            ]
        );
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
