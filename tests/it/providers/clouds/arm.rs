//! What Azure's Resource Manager is asked and answers: which bodies which paths have, and what it
//! refuses.

use super::http::Told;
use serde_json::{Value, json};

/// A region, its types, and what is known of them: name, architecture, generations, encrypted
/// memory.
pub(super) const TYPES: [(&str, &str, &str, &str); 5] = [
    ("Standard_B2s", "x64", "V1,V2", ""),
    ("Standard_D2ps_v5", "Arm64", "V2", ""),
    ("Standard_DC2as_v5", "x64", "V2", "SNP"),
    ("Standard_A1_v2", "x64", "V1", ""),
    ("Standard_DC8_v2", "x64", "V2", ""),
];
pub(super) const REGIONS: [&str; 2] = ["eastus", "westeurope"];

pub(super) const VM: &str = "Microsoft.Compute/virtualMachines";
pub(super) const NIC: &str = "Microsoft.Network/networkInterfaces";
pub(super) const IP: &str = "Microsoft.Network/publicIPAddresses";
pub(super) const DISK: &str = "Microsoft.Compute/disks";
const RULES: &str = "Microsoft.Network/networkSecurityGroups";
const NET: &str = "Microsoft.Network/virtualNetworks";

/// The kinds that there are, with the version of the API that sky speaks and the model of their
/// bodies.
pub(super) const KINDS: [(&str, &str, Option<&str>); 6] = [
    (VM, "2024-07-01", Some("compute.VirtualMachine")),
    (NIC, "2024-05-01", Some("network.NetworkInterface")),
    (IP, "2024-05-01", Some("network.PublicIPAddress")),
    (RULES, "2024-05-01", Some("network.NetworkSecurityGroup")),
    (NET, "2024-05-01", Some("network.VirtualNetwork")),
    // Sky removes what is left of them, and nothing else.
    (DISK, "2023-10-02", None),
];

pub(super) fn told(status: u16, body: Value) -> Told {
    Told {
        status,
        headers: Vec::new(),
        body,
    }
}

pub(super) fn failure(status: u16, code: &str, message: &str) -> Told {
    told(
        status,
        json!({ "error": { "code": code, "message": message } }),
    )
}

/// What Azure says with a code.
pub(super) fn message(code: &str) -> &'static str {
    match code {
        "OperationNotAllowed" | "QuotaExceeded" => {
            "Operation could not be completed as it results in exceeding approved standardBSFamily Cores quota."
        }
        "AuthorizationFailed" => {
            "The client does not have authorization to perform action 'Microsoft.Compute/x'"
        }
        _ => "as the test says",
    }
}

/// The types of a region, as a list of two pages; of other kinds there is one, too.
pub(super) fn skus(region: &str, second: Option<&str>, next: &str) -> Value {
    let describe = |(name, arch, generations, encrypted): (&str, &str, &str, &str)| {
        let mut capabilities = vec![
            json!({ "name": "vCPUs", "value": "2" }),
            json!({ "name": "CpuArchitectureType", "value": arch }),
            json!({ "name": "HyperVGenerations", "value": generations }),
        ];
        if !encrypted.is_empty() {
            capabilities.push(json!({ "name": "ConfidentialComputingType", "value": encrypted }));
        }
        let body = json!({
            "resourceType": "virtualMachines", "name": name, "locations": [region],
            "family": "standardBSFamily", "capabilities": capabilities, "restrictions": [],
        });
        body
    };
    let all: Vec<Value> = if REGIONS.contains(&region) {
        TYPES.map(describe).to_vec()
    } else {
        Vec::new()
    };
    let withheld = json!({
        "resourceType": "virtualMachines", "name": "Standard_M8ms", "locations": [region], "capabilities": [],
        "restrictions": [{ "type": "Location", "values": [region], "reasonCode": "NotAvailableForSubscription" }],
    });
    match second {
        None => {
            json!({ "value": [{ "resourceType": "disks", "name": "Premium_LRS" }, withheld], "nextLink": next })
        }
        Some(_) => json!({ "value": all }),
    }
}

/// Why a machine is refused, if it is.
pub(super) fn refusal(body: &Value, subnets: &[String]) -> Option<Told> {
    let properties = &body["properties"];
    let no = |code: &str, message: &str| Some(failure(400, code, message));
    let size = properties["hardwareProfile"]["vmSize"]
        .as_str()
        .unwrap_or_default();
    let Some(kind) = TYPES.iter().find(|kind| kind.0 == size) else {
        return no(
            "InvalidParameter",
            "The value of parameter vmSize is invalid",
        );
    };
    let system = &properties["osProfile"];
    let admin = system["adminUsername"].as_str().unwrap_or_default();
    if ["", "root", "admin", "administrator", "test", "user"].contains(&admin) {
        return no(
            "InvalidParameter",
            "The Admin Username specified is not allowed.",
        );
    }
    let keys = system["linuxConfiguration"]["ssh"]["publicKeys"].as_array();
    let fits = |key: &Value| {
        key["keyData"]
            .as_str()
            .is_some_and(|data| data.starts_with("ssh-"))
            && key["path"] == format!("/home/{admin}/.ssh/authorized_keys")
    };
    if !keys.is_some_and(|keys| keys.iter().all(fits) && !keys.is_empty()) {
        return no(
            "InvalidParameter",
            "The value of parameter linuxConfiguration.ssh.publicKeys is invalid.",
        );
    }
    if system["computerName"]
        .as_str()
        .is_none_or(|name| name.is_empty() || name.len() > 64)
    {
        return no(
            "InvalidParameter",
            "Linux host name cannot exceed 64 characters in length",
        );
    }
    let image = properties["storageProfile"]["imageReference"]["sku"]
        .as_str()
        .unwrap_or_default();
    let first = kind.2 == "V1";
    if image.contains("arm64") != (kind.1 == "Arm64") || image.contains("gen1") != first {
        return no("BadRequest", "The selected VM size cannot boot this image");
    }
    let encrypted = properties["securityProfile"]["securityType"] == "ConfidentialVM";
    let state =
        properties["storageProfile"]["osDisk"]["managedDisk"]["securityProfile"].is_object();
    if kind.3.is_empty() == encrypted || encrypted != state || encrypted != (image == "cvm") {
        return no(
            "BadRequest",
            "The VM size is not supported for creation of VMs with this securityType",
        );
    }
    if properties["priority"] != "Spot" && !properties["evictionPolicy"].is_null() {
        return no(
            "OperationNotAllowed",
            "Eviction policy can be set only on Azure Spot Virtual Machines.",
        );
    }
    let network = &properties["networkProfile"]["networkInterfaceConfigurations"];
    let subnet = &network[0]["properties"]["ipConfigurations"][0]["properties"]["subnet"]["id"];
    if !subnet
        .as_str()
        .is_some_and(|subnet| subnets.contains(&subnet.to_ascii_lowercase()))
    {
        return no(
            "InvalidResourceReference",
            "The subnet was not found in this location",
        );
    }
    None
}

/// Why tags are refused, if they are.
pub(super) fn tags_refusal(tags: &Value) -> Option<Told> {
    let tags = tags.as_object()?;
    let strange = |name: &str| {
        name.is_empty() || name.len() > 512 || name.contains(['<', '>', '%', '&', '\\', '?', '/'])
    };
    let wrong = tags
        .iter()
        .any(|(name, value)| strange(name) || value.as_str().is_none_or(|text| text.len() > 256));
    (wrong || tags.len() > 50).then(|| {
        failure(
            400,
            "InvalidTagNameCharacters",
            "The tag names have reserved characters",
        )
    })
}

/// What a machine is shown as once it is asked for: without what was told it in secret, and with
/// what it was made of.
pub(super) fn shown(body: &Value, id: &str, name: &str, interface: &str, count: u64) -> Value {
    let mut made = body.clone();
    let (asked, properties) = (&body["properties"], &mut made["properties"]);
    properties["osProfile"]
        .as_object_mut()
        .unwrap()
        .remove("customData");
    let reference =
        json!({ "id": interface, "properties": { "primary": true, "deleteOption": "Delete" } });
    properties["networkProfile"] = json!({ "networkInterfaces": [reference] });
    properties["provisioningState"] = "Creating".into();
    properties["vmId"] = format!("00000000-0000-0000-0000-{count:012}").into();
    properties["timeCreated"] = "2026-11-27T00:00:00.1234567+00:00".into();
    properties["storageProfile"]["osDisk"]["name"] =
        asked["storageProfile"]["osDisk"]["name"].clone();
    made["id"] = id.into();
    made["name"] = name.into();
    made["type"] = VM.into();
    made
}

/// How a machine is doing.
pub(super) fn view(machine: &Value, power: Option<&str>, failed: Option<&str>) -> Value {
    let state = machine["properties"]["provisioningState"]
        .as_str()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let code = failed.map(|code| format!("/{code}")).unwrap_or_default();
    let mut statuses =
        vec![json!({ "code": format!("ProvisioningState/{state}{code}"), "level": "Info" })];
    statuses.extend(
        power.map(|power| json!({ "code": format!("PowerState/{power}"), "level": "Info" })),
    );
    json!({ "statuses": statuses })
}
