//! What a type of the catalog is at Azure, and whether it is available at a place.

use super::super::{ErrorKind, ProviderError};
use super::api_client::Api;
use crate::model::{PlaceName, Tee};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

const VERSION: &str = "2021-07-01";

/// What has to be known of a type to make a machine of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MachineType {
    pub arm: bool,
    /// Whether its machines boot no image of the second generation.
    pub old: bool,
    /// Whether all memory of its machines is encrypted, so that they take only images that are made
    /// for that.
    pub confidential: bool,
    /// The trusted execution environment that its machines run with.
    pub tee: Option<Tee>,
    /// The family that its quota is of, and how many vCPUs it takes of that, if Azure says so.
    pub family: String,
    pub cores: Option<u64>,
    /// Whether the disks of its machines are NVMe alone.
    pub nvme: bool,
    /// Why this subscription cannot have it there.
    pub withheld: Option<String>,
}

/// The types of a place, by name in lower case.
pub(super) type MachineTypes = HashMap<String, MachineType>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sku {
    #[serde(default)]
    resource_type: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    restrictions: Vec<Restriction>,
}

#[derive(Deserialize)]
struct Capability {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Restriction {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    reason_code: String,
}

/// All types of a place. One answer has them all; the API cannot be asked for one.
pub(super) async fn of_place(api: &Api, place: &PlaceName) -> Result<MachineTypes, ProviderError> {
    let about_types = format!("look up what types {place} has");
    let region = &place.region;
    // It becomes part of addresses and filters.
    if region.is_empty()
        || !region
            .chars()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit())
    {
        return Err(ProviderError::new(
            ErrorKind::Other,
            format!("azure: {place} is not a region of Azure's"),
        ));
    }
    let path = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/skus",
        api.subscription
    );
    let region_filter = format!("location eq '{region}'");
    let listed_types = api
        .list(
            &path,
            &[("api-version", VERSION), ("$filter", &region_filter)],
            &about_types,
        )
        .await?;
    Ok(listed_types.into_iter().filter_map(read).collect())
}

/// The type of that name, if it is available.
pub(super) fn named(
    of_place: &MachineTypes,
    place: &PlaceName,
    name: &str,
) -> Result<MachineType, ProviderError> {
    let missing_type = |why: String| {
        ProviderError::new(
            ErrorKind::Stockout,
            format!("azure: {place} has no {name}{why}"),
        )
    };
    let machine_type = of_place
        .get(&name.to_ascii_lowercase())
        .ok_or_else(|| missing_type(String::new()))?;
    match &machine_type.withheld {
        Some(reason) => Err(missing_type(format!(" for this subscription ({reason})"))),
        None => Ok(machine_type.clone()),
    }
}

/// Types with SGX, of which the list says nothing: DCsv2, DCsv3 and DCdsv3. Microsoft's
/// documentation of confidential computing names them.
fn has_sgx(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some((cpus, rest)) = name
        .strip_prefix("standard_dc")
        .and_then(|rest| rest.split_once('_'))
    else {
        return false;
    };
    let letters = cpus.trim_start_matches(|one: char| one.is_ascii_digit());
    matches!((letters, rest), ("s" | "", "v2") | ("s" | "ds", "v3"))
}

fn read(sku: Value) -> Option<(String, MachineType)> {
    let sku: Sku = serde_json::from_value(sku).ok()?;
    if !sku.resource_type.eq_ignore_ascii_case("virtualMachines") {
        return None;
    }
    let capability = |name: &str| {
        let capability_entry = sku
            .capabilities
            .iter()
            .find(|one| one.name.eq_ignore_ascii_case(name));
        capability_entry
            .map(|one| one.value.as_str())
            .filter(|value| !value.is_empty())
    };
    // A restriction of zones leaves the region.
    let whole_region = sku
        .restrictions
        .iter()
        .find(|one| one.r#type.eq_ignore_ascii_case("Location"));
    let encrypted = capability("ConfidentialComputingType");
    let offers_encryption =
        |name: &str| encrypted.is_some_and(|what| what.to_ascii_uppercase().contains(name));
    let tee = match () {
        () if offers_encryption("SNP") => Some(Tee::SevSnp),
        () if offers_encryption("TDX") => Some(Tee::Tdx),
        () => has_sgx(&sku.name).then_some(Tee::Sgx),
    };
    let machine_type = MachineType {
        arm: capability("CpuArchitectureType")
            .is_some_and(|arch| arch.eq_ignore_ascii_case("Arm64")),
        old: capability("HyperVGenerations").is_some_and(|generations| !generations.contains("V2")),
        confidential: encrypted.is_some(),
        tee,
        family: sku.family.clone(),
        cores: capability("vCPUs").and_then(|cores| cores.parse().ok()),
        nvme: capability("DiskControllerTypes")
            .is_some_and(|types| types.eq_ignore_ascii_case("NVMe")),
        withheld: whole_region.map(|one| one.reason_code.clone()),
    };
    Some((sku.name.to_ascii_lowercase(), machine_type))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_with_sgx_are_known_by_their_names() {
        for (name, expected) in [
            ("Standard_DC8_v2", true),
            ("Standard_DC2s_v2", true),
            ("Standard_DC48ds_v3", true),
            ("Standard_DC2as_v5", false),
            ("Standard_DC2es_v6", false),
            ("Standard_D2s_v3", false),
        ] {
            assert_eq!(has_sgx(name), expected, "{name}");
        }
    }

    fn sku(name: &str, capabilities: &[(&str, &str)], restrictions: &Value) -> Value {
        let list: Vec<_> = capabilities
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        json!({
            "resourceType": "virtualMachines", "name": name, "capabilities": list, "restrictions": restrictions,
        })
    }

    /// What Azure lists of a place.
    fn listed() -> Vec<Value> {
        let second = ("HyperVGenerations", "V2");
        let zone = json!([{ "type": "Zone", "reasonCode": "x" }]);
        let location = json!([{ "type": "Location", "reasonCode": "NotAvailableForSubscription" }]);
        let none = json!([]);
        vec![
            sku(
                "Standard_D2ps_v5",
                &[("CpuArchitectureType", "Arm64"), second],
                &none,
            ),
            sku(
                "Standard_DC2as_v5",
                &[("ConfidentialComputingType", "SNP"), second],
                &none,
            ),
            sku(
                "Standard_DC2es_v5",
                &[("ConfidentialComputingType", "TDX")],
                &none,
            ),
            sku("Standard_DC8_v2", &[second], &none),
            sku("Standard_A1_v2", &[("HyperVGenerations", "V1")], &zone),
            sku("Standard_D2s_v6", &[("DiskControllerTypes", "NVMe")], &none),
            sku("Standard_M8ms", &[], &location),
            json!({ "resourceType": "disks", "name": "Premium_LRS" }),
        ]
    }

    #[test]
    fn types_are_read() {
        let of_place: MachineTypes = listed().into_iter().filter_map(read).collect();
        let place = PlaceName {
            cloud: "azure".into(),
            region: "eastus".into(),
        };
        let kind = |name: &str| named(&of_place, &place, name).unwrap();
        assert_eq!(
            kind("Standard_D2ps_v5"),
            MachineType {
                arm: true,
                ..MachineType::default()
            }
        );
        let snp = MachineType {
            confidential: true,
            tee: Some(Tee::SevSnp),
            ..MachineType::default()
        };
        assert_eq!(kind("Standard_DC2as_v5"), snp);
        assert_eq!(kind("Standard_DC2es_v5").tee, Some(Tee::Tdx));
        assert_eq!(
            kind("Standard_DC8_v2"),
            MachineType {
                tee: Some(Tee::Sgx),
                ..MachineType::default()
            }
        );
        assert_eq!(
            kind("Standard_A1_v2"),
            MachineType {
                old: true,
                ..MachineType::default()
            }
        );
        assert_eq!(
            kind("Standard_D2s_v6"),
            MachineType {
                nvme: true,
                ..MachineType::default()
            }
        );
        for (name, words) in [
            ("Standard_M8ms", "NotAvailableForSubscription"),
            ("Premium_LRS", "has no"),
        ] {
            let error = named(&of_place, &place, name).unwrap_err();
            assert!(
                error.kind == ErrorKind::Stockout && error.message.contains(words),
                "{error}"
            );
        }
    }
}
