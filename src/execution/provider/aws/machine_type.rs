//! What a type of the catalog is at Amazon: its processor, its cards, and the quota that it counts
//! to.

use super::super::{ErrorKind, ProviderError};
use super::errors::classify;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{InstanceType, InstanceTypeInfo};

/// Families of types whose machines share a quota of vCPUs, with the codes of those of on-demand
/// and spot machines:
/// <https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html>.
const QUOTAS: [(&[&str], &str, &str); 11] = [
    (
        &["a", "c", "d", "h", "i", "m", "r", "t", "z"],
        "L-1216C47A",
        "L-34B43A08",
    ),
    (&["g", "vt"], "L-DB2E81BA", "L-3819A6DF"),
    (&["p"], "L-417A185B", "L-7212CCBC"),
    (&["p5", "p5e", "p5en"], "L-417A185B", "L-C4BD4855"),
    (&["inf"], "L-1945791B", "L-B5D1601B"),
    (&["trn"], "L-2C3B7624", "L-6B0D517C"),
    (&["dl"], "L-6E869C2A", "L-85EED4F7"),
    (&["f"], "L-74FC7D96", "L-88CF9481"),
    (&["x"], "L-7295265B", "L-E3A00192"),
    (&["u"], "L-43DA4232", "L-43DA4232"),
    (&["hpc"], "L-F7808C92", "L-F7808C92"),
];

/// The codes of a type's quota, of on-demand and of spot machines.
pub(super) fn quota_codes(instance_type: &str) -> Option<(&'static str, &'static str)> {
    let series = instance_type
        .split_once(['.', '-'])
        .map_or(instance_type, |(series, _)| series);
    let family: String = series
        .chars()
        .take_while(char::is_ascii_alphabetic)
        .collect();
    let quota_named = |name: &str| {
        QUOTAS
            .iter()
            .find(|(families, ..)| families.contains(&name))
    };
    // `inf1`, `trn1` and `u7i` begin like others.
    let family = match family.as_str() {
        "im" | "is" => "i",
        "vt" | "inf" | "trn" | "dl" | "hpc" => family.as_str(),
        // Hosts of one's own, with a quota of hosts.
        "mac" => return None,
        _ => family.get(..1).unwrap_or_default(),
    };
    quota_named(series)
        .or_else(|| quota_named(family))
        .map(|(_, on_demand, spot)| (*on_demand, *spot))
}

/// What a type is in a region.
pub(super) async fn describe(
    client: &Client,
    region: &str,
    instance_type: &str,
) -> Result<InstanceTypeInfo, ProviderError> {
    let types_call = client
        .describe_instance_types()
        .instance_types(InstanceType::from(instance_type));
    let types_answer = types_call.send().await;
    let types_answer = types_answer
        .map_err(|error| classify(&error, region, &format!("look up the type {instance_type}")))?;
    types_answer
        .instance_types()
        .first()
        .cloned()
        .ok_or_else(|| unknown(region, instance_type))
}

/// How many vCPUs a type has, as its quota counts them.
pub(super) async fn vcpus(
    client: &Client,
    region: &str,
    instance_type: &str,
) -> Result<u64, ProviderError> {
    let info = describe(client, region, instance_type).await?;
    let vcpus = info.v_cpu_info().and_then(|info| info.default_v_cpus());
    vcpus
        .and_then(|vcpus| u64::try_from(vcpus).ok())
        .ok_or_else(|| unknown(region, instance_type))
}

fn unknown(region: &str, instance_type: &str) -> ProviderError {
    ProviderError::new(
        ErrorKind::Stockout,
        format!("aws {region}: there is no type {instance_type} there"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_quota_of_their_family() {
        let on_demand = |instance_type| quota_codes(instance_type).map(|(code, _)| code);
        assert_eq!(on_demand("m7i.large"), Some("L-1216C47A"));
        assert_eq!(on_demand("im4gn.large"), Some("L-1216C47A"));
        assert_eq!(on_demand("g5.xlarge"), Some("L-DB2E81BA"));
        assert_eq!(on_demand("inf1.xlarge"), Some("L-1945791B"));
        assert_eq!(on_demand("trn1.2xlarge"), Some("L-2C3B7624"));
        assert_eq!(on_demand("u-6tb1.metal"), Some("L-43DA4232"));
        assert_eq!(
            quota_codes("p5.48xlarge"),
            Some(("L-417A185B", "L-C4BD4855"))
        );
        assert_eq!(
            quota_codes("p3.2xlarge"),
            Some(("L-417A185B", "L-7212CCBC"))
        );
        assert_eq!(quota_codes(""), None);
    }
}
