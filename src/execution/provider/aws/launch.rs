//! The one call that creates an instance.

use super::super::cloud::{Instance, Life, Wanted};
use super::super::{AWS, ErrorKind, ProviderError, Token, without_tee};
use super::account::Aws;
use super::errors::{classify, code};
use super::instances::{filter, read, sdk_tags};
use crate::model::{Bytes, Purchase, Rate, Tee};
use aws_config::retry::RetryConfig;
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    AmdSevSnpSpecification, BlockDeviceMapping, CpuOptionsRequest, EbsBlockDevice,
    EnclaveOptionsRequest, HttpTokensState, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataOptionsRequest, InstanceType, MarketType,
    Placement, ResourceType, ShutdownBehavior, SpotInstanceType, SpotMarketOptions,
    TagSpecification, VolumeType,
};
use std::time::Duration;
use tokio::time::Instant;

/// What a volume has above its image and what the stage is planned to write, for inputs: in GiB.
const ROOM: i64 = 20;
const GIB: u64 = 1 << 30;
/// The largest volume that there is, in GiB.
const MOST: i64 = 16_384;
/// How long an instance that was made may be in no list.
const NEWS: Duration = Duration::from_secs(60);

/// Creates it, or finds what was created under its token.
pub(super) async fn launch(aws: &Aws, wanted_machine: &Wanted) -> Result<Instance, ProviderError> {
    if let Some(tee) = wanted_machine
        .spec
        .tee
        .filter(|tee| !matches!(tee, Tee::SevSnp | Tee::NitroEnclave))
    {
        return Err(without_tee(AWS, &wanted_machine.spec.instance_type, tee));
    }
    let region = wanted_machine.spec.place.region.as_str();
    let client = aws.client(region).await?;
    let image = aws
        .images
        .image(&client, region, &wanted_machine.spec.instance_type)
        .await?;
    let mut anew = false;
    loop {
        let group = aws
            .security_groups
            .group(&client, region, &wanted_machine.spec.owner, anew)
            .await?;
        if wanted_machine.spec.nodes > 1 {
            aws.security_groups.join(&client, region, &group).await?;
        }
        let run_call = request(client.run_instances(), wanted_machine, &group)
            .image_id(&image.id)
            .block_device_mappings(
                BlockDeviceMapping::builder()
                    .device_name(&image.root)
                    .ebs(
                        EbsBlockDevice::builder()
                            .volume_size(volume(image.size, wanted_machine.spec.disk))
                            .volume_type(VolumeType::Gp3)
                            .delete_on_termination(true)
                            .build(),
                    )
                    .build(),
            );
        // Stockouts come as errors of the server, which the SDK would try again: an offer of the
        // list of alternatives that is full is left at once, and who has to wait is the engine's to
        // say.
        let hasty = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled());
        let error = match run_call.customize().config_override(hasty).send().await {
            Ok(answer) => {
                let instance_made = answer
                    .instances()
                    .first()
                    .and_then(|instance| read(instance, region));
                let instance_made = match instance_made.filter(|made| made.life == Life::Alive) {
                    Some(made) => made,
                    None => find(aws, &wanted_machine.token, region).await?,
                };
                // AWS answers before the tags are in every list.
                let tags = wanted_machine
                    .tags
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()));
                return Ok(Instance {
                    tags: tags.chain(instance_made.tags.clone()).collect(),
                    ..instance_made
                });
            }
            Err(error) => error,
        };
        match code(&error) {
            // Made by a call whose answer never came, with a lease that has since been counted
            // anew.
            "IdempotentParameterMismatch" => return find(aws, &wanted_machine.token, region).await,
            // Somebody has removed it since.
            "InvalidGroup.NotFound" | "InvalidGroupId.NotFound" if !anew => anew = true,
            _ => {
                return Err(classify(
                    &error,
                    region,
                    &format!("create the machine of stage.{}", wanted_machine.token.stage),
                ));
            }
        }
    }
}

fn request(
    call: RunInstancesFluentBuilder,
    wanted_machine: &Wanted,
    group: &str,
) -> RunInstancesFluentBuilder {
    let tags = sdk_tags(&wanted_machine.tags);
    let tagged_as = |kind: ResourceType| {
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(tags.clone()))
            .build()
    };
    let run_call = call
        .client_token(&wanted_machine.token.id)
        .min_count(1)
        .max_count(1)
        .instance_type(InstanceType::from(
            wanted_machine.spec.instance_type.as_str(),
        ))
        .security_group_ids(group)
        .user_data(base64(wanted_machine.user_data.as_bytes()))
        .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
        .metadata_options(
            InstanceMetadataOptionsRequest::builder()
                .http_tokens(HttpTokensState::Required)
                .http_put_response_hop_limit(1)
                .build(),
        )
        .tag_specifications(tagged_as(ResourceType::Instance))
        .tag_specifications(tagged_as(ResourceType::Volume))
        .tag_specifications(tagged_as(ResourceType::NetworkInterface));
    let run_call = match &wanted_machine.zone {
        Some(zone) => run_call.placement(Placement::builder().availability_zone(zone).build()),
        None => run_call,
    };
    let run_call = match wanted_machine.spec.tee {
        Some(Tee::SevSnp) => {
            let options = CpuOptionsRequest::builder().amd_sev_snp(AmdSevSnpSpecification::Enabled);
            run_call.cpu_options(options.build())
        }
        Some(Tee::NitroEnclave) => {
            run_call.enclave_options(EnclaveOptionsRequest::builder().enabled(true).build())
        }
        _ => run_call,
    };
    if wanted_machine.spec.purchase != Purchase::Spot {
        return run_call;
    }
    let options = SpotMarketOptions::builder()
        .spot_instance_type(SpotInstanceType::OneTime)
        .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
        // More than the plan says is never paid: the budget counts with it.
        .set_max_price((wanted_machine.spec.rate.0 > 0).then(|| price(wanted_machine.spec.rate)));
    let market = InstanceMarketOptionsRequest::builder()
        .market_type(MarketType::Spot)
        .spot_options(options.build());
    run_call
        .instance_market_options(market.build())
        .tag_specifications(tagged_as(ResourceType::SpotInstancesRequest))
}

/// What was made under a token, when lists have it.
async fn find(aws: &Aws, token: &Token, region: &str) -> Result<Instance, ProviderError> {
    let begun_at = Instant::now();
    loop {
        let found_instances = aws
            .look(region, vec![filter("client-token", &[&token.id])])
            .await?;
        let best_instance = found_instances
            .into_iter()
            .min_by_key(|instance| (instance.life != Life::Alive, instance.id.clone()));
        match best_instance {
            Some(instance) if instance.life == Life::Alive => return Ok(instance),
            Some(instance) => {
                let message = format!(
                    "aws {region}: {} was made for stage.{} and has ended",
                    instance.id, token.stage
                );
                return Err(ProviderError::new(ErrorKind::Stockout, message));
            }
            None if begun_at.elapsed() > NEWS => {
                let message = format!(
                    "aws {region}: what was made for stage.{} is in no list yet",
                    token.stage
                );
                return Err(ProviderError::new(ErrorKind::Unreachable, message));
            }
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

/// The size of the root volume, in GiB.
fn volume(image: i32, disk: Bytes) -> i32 {
    let disk = i64::try_from(disk.0.div_ceil(GIB)).unwrap_or(MOST);
    let disk_size = i64::from(image)
        .saturating_add(disk)
        .saturating_add(ROOM)
        .min(MOST);
    i32::try_from(disk_size).unwrap_or(image)
}

/// A rate as text: in dollars an hour, to a millionth, rounded up.
fn price(rate: Rate) -> String {
    let millionths = rate.0.div_euclid(1000) + i64::from(rate.0.rem_euclid(1000) > 0);
    format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
}

/// User data travels like this.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |index: usize| u32::from(three.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let six_bits = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > three.len() {
                '='
            } else {
                char::from(DIGITS[six_bits as usize])
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!(price(Rate(3_600_000_000)), "3.600000");
        assert_eq!(price(Rate(12_345_678)), "0.012346");
        assert_eq!(volume(8, Bytes(1)), 29);
        assert_eq!(volume(8, Bytes(u64::MAX)), 16_384);
    }

    #[test]
    fn bytes_as_letters() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
