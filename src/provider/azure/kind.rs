//! What a type of the catalog is at Azure, and whether it is to be had at a place.

use super::super::{ErrorKind, ProviderError};
use super::access::Api;
use crate::model::{PlaceName, Tee};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

const VERSION: &str = "2021-07-01";

/// What has to be known of a type to make a machine of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind {
    pub arm: bool,
    /// It boots no image of the second generation.
    pub old: bool,
    /// Its memory is encrypted, with AMD SEV-SNP or Intel TDX.
    pub confidential: Option<Tee>,
    /// Its processors have SGX, which programs make use of by themselves.
    pub sgx: bool,
    /// The family that its quota is of, and how many vCPUs it takes of that.
    pub family: String,
    pub cores: u64,
    /// Its disks are NVMe alone.
    pub nvme: bool,
    /// Why this subscription cannot have it there.
    pub withheld: Option<String>,
}

impl Kind {
    /// Whether machines of it run with that environment.
    pub fn has(&self, tee: Tee) -> bool {
        self.confidential == Some(tee) || (tee == Tee::Sgx && self.sgx)
    }
}

/// The families that have SGX, which capabilities do not tell:
/// <https://learn.microsoft.com/azure/virtual-machines/sizes/general-purpose/dc-family>.
fn has_sgx(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let Some(rest) = name.strip_prefix("standard_dc") else { return false };
    let rest = rest.trim_start_matches(|one: char| one.is_ascii_digit());
    matches!(rest, "s" | "_v2" | "s_v2" | "s_v3" | "ds_v3")
}

/// The types of a place, by name in lower case.
pub(super) type Kinds = HashMap<String, Kind>;

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
pub(super) async fn kinds(api: &Api, place: &PlaceName) -> Result<Kinds, ProviderError> {
    let about = format!("look up what types {place} has");
    let region = &place.region;
    // It becomes part of addresses and filters.
    if region.is_empty() || !region.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit()) {
        return Err(ProviderError::new(ErrorKind::Other, format!("azure: {place} is no region of Azure's")));
    }
    let path = format!("/subscriptions/{}/providers/Microsoft.Compute/skus", api.subscription);
    let filter = format!("location eq '{region}'");
    let found = api.list(&path, &[("api-version", VERSION), ("$filter", &filter)], &about).await?;
    Ok(found.into_iter().filter_map(read).collect())
}

/// The type of that name, if it is to be had.
pub(super) fn named(kinds: &Kinds, place: &PlaceName, name: &str) -> Result<Kind, ProviderError> {
    let missing = |why: String| ProviderError::new(ErrorKind::Stockout, format!("azure: {place} has no {name}{why}"));
    let kind = kinds.get(&name.to_ascii_lowercase()).ok_or_else(|| missing(String::new()))?;
    match &kind.withheld {
        Some(reason) => Err(missing(format!(" for this subscription ({reason})"))),
        None => Ok(kind.clone()),
    }
}

fn read(sku: Value) -> Option<(String, Kind)> {
    let sku: Sku = serde_json::from_value(sku).ok()?;
    if !sku.resource_type.eq_ignore_ascii_case("virtualMachines") {
        return None;
    }
    let said = |name: &str| {
        let one = sku.capabilities.iter().find(|one| one.name.eq_ignore_ascii_case(name));
        one.map(|one| one.value.as_str()).filter(|value| !value.is_empty())
    };
    // A restriction of zones leaves the region.
    let whole = sku.restrictions.iter().find(|one| one.r#type.eq_ignore_ascii_case("Location"));
    let kind = Kind {
        arm: said("CpuArchitectureType").is_some_and(|arch| arch.eq_ignore_ascii_case("Arm64")),
        old: said("HyperVGenerations").is_some_and(|generations| !generations.contains("V2")),
        confidential: said("ConfidentialComputingType").and_then(|kind| match kind.to_ascii_uppercase().as_str() {
            "SNP" => Some(Tee::SevSnp),
            "TDX" => Some(Tee::Tdx),
            _ => None,
        }),
        sgx: has_sgx(&sku.name),
        family: sku.family.clone(),
        cores: said("vCPUs").and_then(|cores| cores.parse().ok()).unwrap_or(0),
        nvme: said("DiskControllerTypes").is_some_and(|types| types.eq_ignore_ascii_case("NVMe")),
        withheld: whole.map(|one| one.reason_code.clone()),
    };
    Some((sku.name.to_ascii_lowercase(), kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_read() {
        let sku = |name: &str, capabilities: &[(&str, &str)], restrictions: Value| {
            let list: Vec<_> =
                capabilities.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
            json!({
                "resourceType": "virtualMachines", "name": name, "capabilities": list, "restrictions": restrictions,
            })
        };
        let kinds: Kinds = [
            sku("Standard_D2ps_v5", &[("CpuArchitectureType", "Arm64"), ("HyperVGenerations", "V2")], json!([])),
            sku("Standard_DC2as_v5", &[("ConfidentialComputingType", "SNP"), ("HyperVGenerations", "V2")], json!([])),
            sku("Standard_A1_v2", &[("HyperVGenerations", "V1")], json!([{ "type": "Zone", "reasonCode": "x" }])),
            sku("Standard_D2s_v6", &[("DiskControllerTypes", "NVMe")], json!([])),
            sku("Standard_M8ms", &[], json!([{ "type": "Location", "reasonCode": "NotAvailableForSubscription" }])),
            json!({ "resourceType": "disks", "name": "Premium_LRS" }),
        ]
        .into_iter()
        .filter_map(read)
        .collect();
        let place = PlaceName { cloud: "azure".into(), region: "eastus".into() };
        let kind = |name: &str| named(&kinds, &place, name).unwrap();
        assert_eq!(kind("Standard_D2ps_v5"), Kind { arm: true, ..Kind::default() });
        assert_eq!(kind("Standard_DC2as_v5"), Kind { confidential: Some(Tee::SevSnp), ..Kind::default() });
        assert_eq!(kind("Standard_A1_v2"), Kind { old: true, ..Kind::default() });
        assert_eq!(kind("Standard_D2s_v6"), Kind { nvme: true, ..Kind::default() });
        let sgx = ["Standard_DC8_v2", "Standard_DC2s_v3", "Standard_DC4ds_v3", "Standard_DC2as_v5", "Standard_D2s_v3"];
        assert_eq!(sgx.map(has_sgx), [true, true, true, false, false]);
        for (name, words) in [("Standard_M8ms", "NotAvailableForSubscription"), ("Premium_LRS", "has no")] {
            let error = named(&kinds, &place, name).unwrap_err();
            assert!(error.kind == ErrorKind::Stockout && error.message.contains(words), "{error}");
        }
    }
}
