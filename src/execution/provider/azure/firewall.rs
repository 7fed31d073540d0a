//! The firewall of a region: rules of its network that let in our own address at the SSH port, and
//! let the machines of the network reach each other, as those of a gang must. Nothing else gets in.

use super::super::cloud::own_addresses;
use super::super::{AZURE, ProviderError};
use super::api_client::Api;
use super::api_versions::NETWORKS;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tokio::sync::OnceCell;

const SSH: &str = "22";

/// The name of a region's network, and of the rules before it.
pub(super) fn network(region: &str) -> String {
    format!("sky-{region}")
}

/// The path of the rules before a region's network.
pub(super) fn rules_path(api: &Api, group: &str, region: &str) -> String {
    format!(
        "{}/providers/Microsoft.Network/networkSecurityGroups/{}",
        api.group(group),
        network(region)
    )
}

/// The path of a region's network.
pub(super) fn network_path(api: &Api, group: &str, region: &str) -> String {
    format!(
        "{}/providers/Microsoft.Network/virtualNetworks/{}",
        api.group(group),
        network(region)
    )
}

/// The id of the subnet that machines of a region are in.
pub(super) fn subnet(api: &Api, group: &str, region: &str) -> String {
    format!("{}/subnets/machines", network_path(api, group, region))
}

/// The rules of all regions.
#[derive(Default)]
pub(super) struct Firewall {
    /// The addresses of this machine, once they are known.
    here: OnceCell<Vec<String>>,
}

impl Firewall {
    /// Makes the rules of a region what they have to be; `new`: the tags that they get if they are
    /// not there, without which they are not made.
    pub(super) async fn let_in(
        &self,
        api: &Api,
        group: &str,
        region: &str,
        new: Option<&Value>,
    ) -> Result<(), ProviderError> {
        let about_network = format!("open the network of {group} in {region}");
        let path = rules_path(api, group, region);
        let known_network = api
            .look(&path, &[("api-version", NETWORKS)], &about_network)
            .await?;
        let tags = match (&known_network, new) {
            (Some(known), _) => known["tags"].clone(),
            (None, Some(tags)) => tags.clone(),
            (None, None) => return Ok(()),
        };
        let own_address = self
            .here
            .get_or_try_init(|| own_addresses::ipv4_addresses(AZURE))
            .await?;
        let rules = rules(own_address);
        if known_network.is_some_and(|known| fits(&known["properties"]["securityRules"], &rules)) {
            return Ok(());
        }
        let body =
            json!({ "location": region, "tags": tags, "properties": { "securityRules": rules } });
        api.put(&path, NETWORKS, &body, &about_network).await
    }
}

fn rules(sources: &[String]) -> Value {
    let rule = |name: &str, priority: u32, access: &str, protocol: &str, port: &str| {
        json!({
            "name": name,
            "properties": {
                "priority": priority, "direction": "Inbound", "access": access, "protocol": protocol,
                "sourcePortRange": "*", "destinationPortRange": port, "destinationAddressPrefix": "*",
            },
        })
    };
    let mut ssh = rule("ssh", 100, "Allow", "Tcp", SSH);
    ssh["properties"]["sourceAddressPrefixes"] = sources.into();
    // Azure has a rule of its own for this, but of a lower priority than the rule that denies the rest.
    let mut same_network = rule("same-network", 200, "Allow", "*", "*");
    same_network["properties"]["sourceAddressPrefix"] = "VirtualNetwork".into();
    let mut deny_rest = rule("nothing-else", 4096, "Deny", "*", "*");
    deny_rest["properties"]["sourceAddressPrefix"] = "*".into();
    json!([ssh, same_network, deny_rest])
}

/// Whether rules let in whom they should, and nobody else.
fn fits(known_rules: &Value, wanted_rules: &Value) -> bool {
    let lists = known_rules
        .as_array()
        .zip(wanted_rules.as_array())
        .filter(|(known, wanted)| known.len() == wanted.len());
    lists.is_some_and(|(known, wanted)| {
        wanted.iter().all(|wanted| {
            let same_rules = known.iter().find(|known| known["name"] == wanted["name"]);
            same_rules.is_some_and(|known| covers(&known["properties"], &wanted["properties"]))
        })
    })
}

/// Whether all that is wanted is so, and no source is named besides.
fn covers(known_rules: &Value, wanted_rules: &Value) -> bool {
    let text_set = |list: &Value| -> Option<BTreeSet<String>> {
        list.as_array().map(|list| {
            list.iter()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect()
        })
    };
    let one_text = |name: &str| known_rules[name].as_str().filter(|text| !text.is_empty());
    let is_empty_list = |name: &str| known_rules[name].as_array().is_none_or(Vec::is_empty);
    let same_values =
        wanted_rules
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, value)| match value {
                Value::Array(_) => text_set(&known_rules[name]) == text_set(value),
                Value::String(text) => {
                    one_text(name).is_some_and(|known| known.eq_ignore_ascii_case(text))
                }
                _ => known_rules[name] == *value,
            });
    let address_keys = [
        "sourceAddressPrefix",
        "sourceAddressPrefixes",
        "sourceApplicationSecurityGroups",
        "destinationPortRanges",
    ];
    same_values
        && address_keys.into_iter().all(|name| {
            wanted_rules.get(name).is_some() || (one_text(name).is_none() && is_empty_list(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Azure applies the first rule that fits, by priority.
    #[test]
    fn machines_of_the_network_reach_each_other_and_nobody_else_reaches_them() {
        let rules = rules(&["1.2.3.4/32".to_owned()]);
        let by_priority = |source: &str, port: &str| {
            let mut fitting: Vec<&Value> = rules.as_array().unwrap().iter().collect();
            fitting.retain(|rule| {
                let rule = &rule["properties"];
                let prefixes = rule["sourceAddressPrefixes"].as_array();
                let is_source = rule["sourceAddressPrefix"] == "*"
                    || rule["sourceAddressPrefix"] == source
                    || prefixes.is_some_and(|all| all.contains(&source.into()));
                let is_port = [json!("*"), json!(port)].contains(&rule["destinationPortRange"]);
                is_source && is_port
            });
            fitting.sort_by_key(|rule| rule["properties"]["priority"].as_u64());
            fitting[0]["properties"]["access"].clone()
        };
        assert_eq!(by_priority("VirtualNetwork", "29500"), "Allow");
        assert_eq!(by_priority("1.2.3.4/32", "22"), "Allow");
        assert_eq!(by_priority("1.2.3.4/32", "29500"), "Deny");
        assert_eq!(by_priority("5.6.7.8/32", "22"), "Deny");
    }

    #[test]
    fn rules_that_let_in_others_do_not_fit() {
        let wanted = rules(&["1.2.3.4/32".to_owned()]);
        let mut known = wanted.clone();
        // What Azure adds.
        known[0]["id"] = "x".into();
        known[0]["properties"]["provisioningState"] = "Succeeded".into();
        known[0]["properties"]["destinationPortRanges"] = json!([]);
        assert!(fits(&known, &wanted));
        assert!(!fits(&rules(&["0.0.0.0/0".to_owned()]), &wanted));
        assert!(!fits(
            &rules(&["1.2.3.4/32".to_owned(), "5.6.7.8/32".to_owned()]),
            &wanted
        ));
        let changed = |index: usize, name: &str, value: Value| {
            let mut other = known.clone();
            other[index]["properties"][name] = value;
            assert!(!fits(&other, &wanted), "{name}");
        };
        changed(0, "destinationPortRange", "*".into());
        changed(0, "destinationPortRanges", json!(["80"]));
        changed(0, "sourceAddressPrefix", "*".into());
        changed(1, "sourceAddressPrefix", "*".into());
        changed(2, "access", "Allow".into());
        changed(2, "priority", 50.into());
        let mut more = known.clone();
        more.as_array_mut()
            .unwrap()
            .push(json!({ "name": "mine", "properties": {} }));
        assert!(
            !fits(&more, &wanted) && !fits(&json!([]), &wanted) && !fits(&Value::Null, &wanted)
        );
    }
}
