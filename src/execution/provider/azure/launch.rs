//! The call that creates a machine, and all that is asked about one machine.

use super::super::cloud::remembered_names::name_of_state;
use super::super::cloud::{Instance, Life, Wanted};
use super::super::{AZURE, ErrorKind, ProviderError, created_and_gone, ended_or_gone, without_tee};
use super::account::Azure;
use super::api_client::{Api, answered};
use super::api_versions::MACHINES;
use super::firewall;
use super::instances::path;
use super::machine_type::MachineType;
use super::resource_group;
use crate::model::{Bytes, Purchase, Rate};
use crate::util::{environment, variables};
use azure_core::Method;
use azure_mgmt_compute::package_2024_07_01::models;
use base64::Engine;
use models::{
    BillingProfile, EvictionPolicy, HardwareProfile, ImageReference, LinuxConfiguration,
    ManagedDiskParameters, NetworkProfile, OsDisk, OsProfile, Priority, PublicIpAddressSku,
    Resource, SecurityProfile, SshConfiguration, SshPublicKey, StorageProfile, SubResource,
    UefiSettings, VirtualMachine, VirtualMachineNetworkInterfaceConfiguration,
    VirtualMachineNetworkInterfaceConfigurationProperties,
    VirtualMachineNetworkInterfaceIpConfiguration,
    VirtualMachineNetworkInterfaceIpConfigurationProperties, VirtualMachineProperties,
    VirtualMachinePublicIpAddressConfiguration,
    VirtualMachinePublicIpAddressConfigurationProperties, VmDiskSecurityProfile,
};
use serde_json::json;
use std::collections::BTreeMap;

/// What a disk has above what the stage is planned to write, for the image and inputs: in GiB. The
/// images are of 30.
const ROOM: u64 = 50;
const GIB: u64 = 1 << 30;
/// The largest disk that a machine boots from, in GiB.
const MOST: u64 = 4095;
/// Azure wants one, and takes neither `root` nor what its images have. It is not made: user data
/// says who is, and nobody is this one.
const ADMIN: &str = "skyadmin";
const TAGS: &str = "2021-04-01";

/// The name of a token's machine at a region: in a group, machines of all regions are side by side.
pub(super) fn name(token: &str, region: &str) -> String {
    format!("sky-{token}-{region}")
}

/// Creates it, or finds what was created under its token.
pub(super) async fn launch(
    azure: &Azure,
    wanted_machine: &Wanted,
) -> Result<Instance, ProviderError> {
    let api = azure.api().await?;
    let spec = &wanted_machine.spec;
    let (place, owner) = (&spec.place, &spec.owner);
    let machine_type = azure.machine_type(place, &spec.instance_type).await?;
    if let Some(tee) = spec.tee.filter(|tee| machine_type.tee != Some(*tee)) {
        return Err(without_tee(AZURE, &spec.instance_type, tee));
    }
    let (group, name) = (
        name_of_state(&owner.lineage),
        name(&wanted_machine.token.id, &place.region),
    );
    // What lists may not have yet.
    if let Some(made) = azure.look_at(&group, &name).await? {
        return Ok(made);
    }
    azure.resource_groups.open(api, place, owner).await?;
    let about_create = format!("create {name}");
    let body = body(
        wanted_machine,
        &machine_type,
        &name,
        firewall::subnet(api, &group, &place.region),
    )?;
    let create_call = api
        .machines()
        .create_or_update(&group, &name, body, &api.subscription)
        .if_none_match("*");
    let create_answer = answered(
        async { Ok(create_call.send().await?.into_raw_response()) },
        &about_create,
    )
    .await;
    let machine_made = match create_answer {
        Ok(answer) => {
            api.done(answer, &path(api, &group, &name), MACHINES, &about_create)
                .await
        }
        Err(error) => Err(error),
    };
    match machine_made {
        Err(error) if exists(&error) => {}
        // It may be there, or come to be: whoever asks again will see.
        Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => {
            // But what has come to nothing stands in the way of another try.
            if azure
                .look_at(&group, &name)
                .await
                .is_ok_and(|made| made.is_some_and(|made| made.life == Life::Stopped))
            {
                let _ = remove(api, &group, &name).await;
            }
            return Err(error);
        }
        Err(error) => {
            // A machine that could not be made is there all the same, with its disk and its
            // address. What stays of it has our tags, and is found by lists.
            let _ = remove(api, &group, &name).await;
            // Not the machine, which was asked for, but what it is made of.
            let kind = if error.kind == ErrorKind::NotFound {
                ErrorKind::Other
            } else {
                error.kind
            };
            return Err(ProviderError { kind, ..error });
        }
        Ok(()) => {}
    }
    azure
        .look_at(&group, &name)
        .await?
        .ok_or_else(|| created_and_gone(format!("azure: {name}")))
}

/// Another call was faster.
fn exists(error: &ProviderError) -> bool {
    error.kind == ErrorKind::Other
        && ["PreconditionFailed", "status 412"]
            .iter()
            .any(|words| error.message.contains(words))
}

/// Adds tags or changes them; what others do to others at the same time stays.
pub(super) async fn tag(
    api: &Api,
    (group, name): (&str, &str),
    tags: &BTreeMap<&'static str, String>,
) -> Result<(), ProviderError> {
    let path = format!(
        "{}/providers/Microsoft.Resources/tags/default",
        path(api, group, name)
    );
    let body = json!({ "operation": "Merge", "properties": { "tags": tags } });
    let query = [("api-version", TAGS)];
    api.call(
        Method::Patch,
        &path,
        &query,
        Some(&body),
        &format!("tag {name}"),
    )
    .await
    .map(drop)
}

/// Ends a machine, and all that it was made of. Fine if it is gone.
pub(super) async fn remove(api: &Api, group: &str, name: &str) -> Result<(), ProviderError> {
    let about_delete = format!("delete {name}");
    let delete_call = api.machines().delete(group, name, &api.subscription);
    let delete_answer = answered(
        async { Ok(delete_call.send().await?.into_raw_response()) },
        &about_delete,
    )
    .await;
    let delete_result = match delete_answer {
        Ok(answer) => {
            api.done(answer, &path(api, group, name), MACHINES, &about_delete)
                .await
        }
        Err(error) => Err(error),
    };
    ended_or_gone(delete_result)?;
    resource_group::sweep(api, group, name, &about_delete).await
}

fn body(
    wanted_machine: &Wanted,
    machine_type: &MachineType,
    name: &str,
    subnet: String,
) -> Result<VirtualMachine, ProviderError> {
    let tags = serde_json::to_value(&wanted_machine.tags)
        .map_err(|error| ProviderError::new(ErrorKind::Other, error))?;
    let resource = Resource {
        tags: Some(tags),
        ..Resource::new(wanted_machine.spec.place.region.clone())
    };
    let spot = wanted_machine.spec.purchase == Purchase::Spot;
    let properties = VirtualMachineProperties {
        hardware_profile: Some(HardwareProfile {
            vm_size: Some(models::hardware_profile::VmSize::UnknownValue(
                wanted_machine.spec.instance_type.clone(),
            )),
            ..HardwareProfile::default()
        }),
        storage_profile: Some(storage(wanted_machine.spec.disk, machine_type, name)?),
        os_profile: Some(system(wanted_machine, name)),
        network_profile: Some(interfaces(name, subnet)),
        security_profile: machine_type.confidential.then(|| SecurityProfile {
            security_type: Some(models::security_profile::SecurityType::ConfidentialVm),
            uefi_settings: Some(UefiSettings {
                secure_boot_enabled: Some(true),
                v_tpm_enabled: Some(true),
            }),
            ..SecurityProfile::default()
        }),
        priority: spot.then_some(Priority::Spot),
        eviction_policy: spot.then_some(EvictionPolicy::Delete),
        // More than the plan says is never paid: the budget counts with it.
        billing_profile: spot.then(|| BillingProfile {
            max_price: Some(price(wanted_machine.spec.rate)),
        }),
        ..VirtualMachineProperties::default()
    };
    Ok(VirtualMachine {
        properties: Some(properties),
        ..VirtualMachine::new(resource)
    })
}

/// The most that is paid for an hour, in dollars: Azure takes five places. None is said by -1.
fn price(rate: Rate) -> f64 {
    const STEP: i64 = 10_000;
    let steps = rate.0 / STEP + i64::from(rate.0 % STEP > 0);
    if steps > 0 {
        steps as f64 / 100_000.0
    } else {
        -1.0
    }
}

fn storage(
    written: Bytes,
    machine_type: &MachineType,
    name: &str,
) -> Result<StorageProfile, ProviderError> {
    let guest_state = VmDiskSecurityProfile {
        security_encryption_type: Some(
            models::vm_disk_security_profile::SecurityEncryptionType::VmGuestStateOnly,
        ),
        ..VmDiskSecurityProfile::default()
    };
    let disk = ManagedDiskParameters {
        storage_account_type: Some(models::StorageAccountType::StandardSsdLrs),
        security_profile: machine_type.confidential.then_some(guest_state),
        ..ManagedDiskParameters::default()
    };
    let os_disk = OsDisk {
        name: Some(name.to_owned()),
        disk_size_gb: Some(i32::try_from(disk_size(written)).unwrap_or(i32::MAX)),
        managed_disk: Some(disk),
        delete_option: Some(models::DeleteOption::Delete),
        ..OsDisk::new(models::CreateOption::FromImage)
    };
    Ok(StorageProfile {
        image_reference: Some(image(machine_type)?),
        os_disk: Some(os_disk),
        disk_controller_type: machine_type
            .nvme
            .then_some(models::DiskControllerType::NvMe),
        ..StorageProfile::default()
    })
}

/// The size of a disk, in GiB.
fn disk_size(written: Bytes) -> u64 {
    written.0.div_ceil(GIB).saturating_add(ROOM).min(MOST)
}

/// The image: one with cloud-init.
fn image(machine_type: &MachineType) -> Result<ImageReference, ProviderError> {
    match environment::text(variables::SKY_AZURE_IMAGE) {
        Some(given) => given_image(&given),
        None => {
            let sku = match machine_type {
                MachineType {
                    confidential: true, ..
                } => "cvm",
                MachineType { arm: true, .. } => "server-arm64",
                MachineType { old: true, .. } => "server-gen1",
                _ => "server",
            };
            given_image(&format!("Canonical:ubuntu-24_04-lts:{sku}:latest"))
        }
    }
}

/// An image as `az` takes it.
fn given_image(given_text: &str) -> Result<ImageReference, ProviderError> {
    if given_text.starts_with('/') {
        let sub_resource = SubResource {
            id: Some(given_text.to_owned()),
        };
        return Ok(ImageReference {
            sub_resource,
            ..ImageReference::default()
        });
    }
    let image_parts: Vec<&str> = given_text.split(':').collect();
    let [publisher, offer, sku, version] = image_parts.as_slice() else {
        let message = format!(
            "SKY_AZURE_IMAGE: `{}` is not an image: write PUBLISHER:OFFER:SKU:VERSION, or its id, that begins with /",
            given_text.escape_debug()
        );
        return Err(ProviderError::new(ErrorKind::Other, message));
    };
    let text = |part: &&str| Some((*part).to_owned());
    Ok(ImageReference {
        publisher: text(publisher),
        offer: text(offer),
        sku: text(sku),
        version: text(version),
        ..ImageReference::default()
    })
}

fn system(wanted_machine: &Wanted, name: &str) -> OsProfile {
    let ssh_key = SshPublicKey {
        path: Some(format!("/home/{ADMIN}/.ssh/authorized_keys")),
        key_data: Some(wanted_machine.key.clone()),
    };
    OsProfile {
        computer_name: Some(name.to_owned()),
        admin_username: Some(ADMIN.to_owned()),
        custom_data: Some(
            base64::engine::general_purpose::STANDARD.encode(&wanted_machine.user_data),
        ),
        linux_configuration: Some(LinuxConfiguration {
            disable_password_authentication: Some(true),
            ssh: Some(SshConfiguration {
                public_keys: vec![ssh_key],
            }),
            ..LinuxConfiguration::default()
        }),
        ..OsProfile::default()
    }
}

/// One interface with an address of the world's, which are made with the machine and go with it.
fn interfaces(name: &str, subnet: String) -> NetworkProfile {
    use models::virtual_machine_network_interface_configuration_properties::DeleteOption as OfInterface;
    use models::virtual_machine_public_ip_address_configuration_properties as of_address;
    let address = VirtualMachinePublicIpAddressConfiguration {
        properties: Some(VirtualMachinePublicIpAddressConfigurationProperties {
            delete_option: Some(of_address::DeleteOption::Delete),
            public_ip_address_version: Some(of_address::PublicIpAddressVersion::IPv4),
            public_ip_allocation_method: Some(of_address::PublicIpAllocationMethod::Static),
            ..VirtualMachinePublicIpAddressConfigurationProperties::default()
        }),
        sku: Some(PublicIpAddressSku {
            name: Some(models::public_ip_address_sku::Name::Standard),
            tier: Some(models::public_ip_address_sku::Tier::Regional),
        }),
        ..VirtualMachinePublicIpAddressConfiguration::new(name.to_owned())
    };
    let inner_interface = VirtualMachineNetworkInterfaceIpConfiguration {
        properties: Some(VirtualMachineNetworkInterfaceIpConfigurationProperties {
            subnet: Some(SubResource { id: Some(subnet) }),
            primary: Some(true),
            public_ip_address_configuration: Some(address),
            ..VirtualMachineNetworkInterfaceIpConfigurationProperties::default()
        }),
        ..VirtualMachineNetworkInterfaceIpConfiguration::new("first".to_owned())
    };
    let interface = VirtualMachineNetworkInterfaceConfiguration {
        properties: Some(VirtualMachineNetworkInterfaceConfigurationProperties {
            primary: Some(true),
            delete_option: Some(OfInterface::Delete),
            ..VirtualMachineNetworkInterfaceConfigurationProperties::new(vec![inner_interface])
        }),
        ..VirtualMachineNetworkInterfaceConfiguration::new(name.to_owned())
    };
    NetworkProfile {
        network_api_version: Some(models::network_profile::NetworkApiVersion::N2020_11_01),
        network_interface_configurations: vec![interface],
        ..NetworkProfile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        let name = name(&"0".repeat(32), "australiasoutheast");
        assert!(name.len() <= 64, "{name}");
    }

    #[test]
    fn disks_hold_what_is_written_and_more() {
        assert_eq!(disk_size(Bytes(0)), 50);
        assert_eq!(disk_size(Bytes(GIB + 1)), 52);
        assert_eq!(disk_size(Bytes(u64::MAX)), MOST);
    }

    #[test]
    fn prices_are_rounded_up() {
        assert_eq!(price(Rate(123_456_789)), 0.12346);
        assert_eq!(price(Rate(120_000_000)), 0.12);
        assert_eq!(price(Rate(0)), -1.0);
    }

    #[test]
    fn images_fit_types() {
        for (machine_type, sku) in [
            (MachineType::default(), "server"),
            (
                MachineType {
                    arm: true,
                    ..MachineType::default()
                },
                "server-arm64",
            ),
            (
                MachineType {
                    old: true,
                    ..MachineType::default()
                },
                "server-gen1",
            ),
            (
                MachineType {
                    confidential: true,
                    ..MachineType::default()
                },
                "cvm",
            ),
        ] {
            assert_eq!(image(&machine_type).unwrap().sku.as_deref(), Some(sku));
        }
        let own =
            given_image("/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i")
                .unwrap();
        assert!(own.publisher.is_none() && own.sub_resource.id.is_some());
        assert!(
            given_image("Canonical:x")
                .unwrap_err()
                .message
                .contains("PUBLISHER:OFFER:SKU:VERSION")
        );
    }
}
