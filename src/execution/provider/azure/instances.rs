//! Machines of Azure: how they are looked for, and how they are read.

use super::super::cloud::{Instance, Life};
use super::super::{AZURE, ErrorKind, ProviderError};
use super::api_client::{Api, answered};
use super::api_versions::NETWORKS;
use crate::model::PlaceName;
use serde_json::Value;

/// The address of a machine.
pub(super) fn path(api: &Api, group: &str, name: &str) -> String {
    format!(
        "{}/providers/Microsoft.Compute/virtualMachines/{name}",
        api.group(group)
    )
}

/// The machine of that name, with how it is doing, as it is described.
pub(super) async fn get(
    api: &Api,
    group: &str,
    name: &str,
) -> Result<Option<Value>, ProviderError> {
    let about_machine = format!("look for {name}");
    let get_call = api
        .machines()
        .get(group, name, &api.subscription)
        .expand("instanceView");
    match answered(
        async { Ok(get_call.send().await?.into_raw_response()) },
        &about_machine,
    )
    .await
    {
        Ok(answer) => Ok(Some(answer.body)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a machine is reached, once it has an address; and where its neighbours reach it.
pub(super) async fn address(
    api: &Api,
    machine: &Value,
) -> Result<Option<(String, Option<String>)>, ProviderError> {
    let about_address = "look for a machine's address";
    let network = [("api-version", NETWORKS)];
    let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
    let interfaces = items(&machine["properties"]["networkProfile"]["networkInterfaces"]);
    for id in interfaces
        .iter()
        .filter_map(|interface| interface["id"].as_str())
    {
        let Some(interface) = api.look(id, &network, about_address).await? else {
            continue;
        };
        let address_parts = items(&interface["properties"]["ipConfigurations"]);
        for part in &address_parts {
            let Some(id) = part["properties"]["publicIPAddress"]["id"].as_str() else {
                continue;
            };
            let known_address = api
                .look(id, &network, about_address)
                .await?
                .unwrap_or_default();
            if let Some(address) = known_address["properties"]["ipAddress"]
                .as_str()
                .filter(|address| !address.is_empty())
            {
                let private_address = part["properties"]["privateIPAddress"]
                    .as_str()
                    .map(str::to_owned);
                return Ok(Some((address.to_owned(), private_address)));
            }
        }
    }
    Ok(None)
}

/// The group and the name of which an id is made.
pub(super) fn parts(instance: &Instance) -> Result<(&str, &str), ProviderError> {
    instance.id.split_once('/').ok_or_else(|| {
        ProviderError::new(
            ErrorKind::Other,
            format!("azure: `{}` is not an id of a machine", instance.id),
        )
    })
}

/// Group and name of Azure's own id. It tells no case apart, and its lists change it.
pub(super) fn of_id(id: &str) -> Option<String> {
    let id_parts: Vec<String> = id
        .to_ascii_lowercase()
        .split('/')
        .map(str::to_owned)
        .collect();
    match id_parts
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
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
pub(super) fn read(found_instance: &Value) -> Option<Instance> {
    let properties = &found_instance["properties"];
    let tags = found_instance["tags"].as_object().into_iter().flatten();
    Some(Instance {
        id: of_id(found_instance["id"].as_str()?)?,
        place: PlaceName {
            cloud: AZURE.to_owned(),
            region: found_instance["location"].as_str()?.to_ascii_lowercase(),
        },
        instance_type: properties["hardwareProfile"]["vmSize"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        life: life(properties),
        address: None,
        inside: None,
        zone: None,
        tags: tags
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect(),
    })
}

fn life(properties: &Value) -> Life {
    let statuses = properties["instanceView"]["statuses"]
        .as_array()
        .into_iter()
        .flatten();
    let power = statuses
        .filter_map(|status| status["code"].as_str())
        .find_map(|code| code.strip_prefix("PowerState/"));
    match (
        properties["provisioningState"].as_str().unwrap_or_default(),
        power,
    ) {
        ("Deleting", _) => Life::Ended,
        // Off, it is paid for as if it ran; deallocated, its disk and its address are.
        (_, Some("stopping" | "stopped" | "deallocating" | "deallocated")) => Life::Stopped,
        // It was never made, for want of capacity say, but its disk may be there.
        ("Failed" | "Canceled", None) => Life::Stopped,
        // What this sky does not know may cost something.
        _ => Life::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(state: &str, power: Option<&str>) -> Value {
        let statuses: Vec<Value> = [Some("ProvisioningState/x"), power]
            .into_iter()
            .flatten()
            .map(|code| json!({ "code": code }))
            .collect();
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
        assert_eq!(
            (instance.id.as_str(), instance.life),
            ("sky-1/sky-2", Life::Alive)
        );
        assert_eq!(
            instance.place,
            PlaceName {
                cloud: "azure".into(),
                region: "eastus".into()
            }
        );
        assert_eq!(
            (
                instance.instance_type.as_str(),
                instance.tags["sky-token"].as_str()
            ),
            ("Standard_D2s_v5", "0")
        );
        assert!(
            read(&json!({ "id": "/subscriptions/s/resourceGroups/g", "location": "eastus" }))
                .is_none()
        );
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
            assert_eq!(
                read(&found(state, power)).unwrap().life,
                expected,
                "{state} {power:?}"
            );
        }
    }
}
