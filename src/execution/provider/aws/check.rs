//! What an account lets us do: permissions by calls that AWS only rehearses (`DryRun`), quotas by
//! Service Quotas.

use super::super::check::{Finding, Need, Topic, in_time};
use super::super::{ErrorKind, ProviderError};
use super::account::{Aws, first};
use super::errors::{classify, code};
use super::machine_type::{quota_codes, vcpus};
use crate::model::Purchase;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::InstanceType;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Debug;

/// What a rehearsal gives that would have gone well.
const REHEARSED: &str = "DryRunOperation";
/// The id of a machine that does not exist, for calls that are rehearsed.
const NOBODY: &str = "i-00000000000000000";

/// All that can be seen.
pub(super) async fn check(aws: &Aws, needs: &[Need]) -> Vec<Finding> {
    if let Err(error) = in_time(aws.config(), "aws").await {
        return vec![Finding::failed(Topic::Credentials, "aws", &error)];
    }
    let mut regions: BTreeSet<String> =
        needs.iter().map(|need| need.place.region.clone()).collect();
    if regions.is_empty() {
        regions.insert(first());
    }
    let mut findings = Vec::new();
    for region in regions {
        let client = match aws.client(&region).await {
            Ok(client) => client,
            Err(error) => {
                findings.push(Finding::failed(Topic::Reach, region, &error));
                continue;
            }
        };
        // One look says whether AWS knows us and whether it answers: the rest would only say it
        // again.
        match in_time(look(&client, &region), &format!("aws {region}")).await {
            Ok(()) => findings.push(Finding::there(
                Topic::Credentials,
                &*region,
                "AWS takes them",
            )),
            Err(error) if error.kind == ErrorKind::Denied && !unauthorized(&error) => {
                findings.push(Finding::failed(Topic::Credentials, &*region, &error));
                continue;
            }
            Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => {
                findings.push(Finding::failed(Topic::Reach, &*region, &error));
                continue;
            }
            Err(error) => findings.push(Finding::failed(
                Topic::Permission,
                permission("DescribeInstances", &region),
                &error,
            )),
        }
        findings.extend(rehearse(&client, &region).await);
        let needs_here: Vec<&Need> = needs
            .iter()
            .filter(|need| need.place.region == region)
            .collect();
        for instance_type in needs_here
            .iter()
            .map(|need| need.instance_type.as_str())
            .collect::<BTreeSet<_>>()
        {
            findings.push(run(aws, &client, &region, instance_type).await);
        }
        findings.extend(limits(aws, &client, &region, &needs_here).await);
    }
    findings
}

fn permission(action: &str, region: &str) -> String {
    format!("ec2:{action} in {region}")
}

fn unauthorized(error: &ProviderError) -> bool {
    error.message.contains("UnauthorizedOperation") || error.message.contains("AccessDenied")
}

async fn look(client: &Client, region: &str) -> Result<(), ProviderError> {
    let looked = client.describe_instances().max_results(5).send().await;
    looked
        .map(drop)
        .map_err(|error| classify(&error, region, "look for machines"))
}

/// What a rehearsal says: whoever may do it learns so, or what else is wrong with a call that was
/// made up.
fn rehearsed<T, E, R>(result: Result<T, SdkError<E, R>>, action: &str, region: &str) -> Finding
where
    E: Error + ProvideErrorMetadata + 'static,
    R: Debug,
{
    let about_permission = permission(action, region);
    let Err(error) = result else {
        return Finding::there(Topic::Permission, about_permission, "granted");
    };
    let told_error = classify(&error, region, action);
    match told_error.kind {
        _ if code(&error) == REHEARSED => {
            Finding::there(Topic::Permission, about_permission, "granted")
        }
        ErrorKind::Denied | ErrorKind::Unreachable | ErrorKind::Throttled => {
            Finding::failed(Topic::Permission, about_permission, &told_error)
        }
        // AWS looks at permissions before it looks for what a call names.
        _ => Finding::there(Topic::Permission, about_permission, "granted"),
    }
}

async fn rehearse(client: &Client, region: &str) -> Vec<Finding> {
    let images = client.describe_images().owners("self").dry_run(true).send();
    let groups = client.describe_security_groups().dry_run(true).send();
    let make = client
        .create_security_group()
        .group_name("sky-check")
        .description("sky check")
        .dry_run(true)
        .send();
    let tag = aws_sdk_ec2::types::Tag::builder()
        .key("sky-check")
        .value("1")
        .build();
    let tags = client
        .create_tags()
        .resources(NOBODY)
        .tags(tag)
        .dry_run(true)
        .send();
    let dry_run = client
        .terminate_instances()
        .instance_ids(NOBODY)
        .dry_run(true)
        .send();
    let (images, groups, make, tags, end) = tokio::join!(images, groups, make, tags, dry_run);
    vec![
        rehearsed(images, "DescribeImages", region),
        rehearsed(groups, "DescribeSecurityGroups", region),
        rehearsed(make, "CreateSecurityGroup", region),
        rehearsed(tags, "CreateTags", region),
        rehearsed(end, "TerminateInstances", region),
    ]
}

/// Whether a machine of that type could be made.
async fn run(aws: &Aws, client: &Client, region: &str, instance_type: &str) -> Finding {
    let about_launch = format!("ec2:RunInstances of {instance_type} in {region}");
    match in_time(aws.images.image(client, region, instance_type), "aws").await {
        Err(error) => Finding::failed(Topic::Permission, about_launch, &error),
        Ok(image) => {
            let run_call = client
                .run_instances()
                .image_id(&image.id)
                .instance_type(InstanceType::from(instance_type));
            let run_result = run_call
                .min_count(1)
                .max_count(1)
                .dry_run(true)
                .send()
                .await;
            Finding {
                about: about_launch,
                ..rehearsed(run_result, "RunInstances", region)
            }
        }
    }
}

/// The quotas of what is wanted, in vCPUs.
async fn limits(aws: &Aws, client: &Client, region: &str, needs: &[&Need]) -> Vec<Finding> {
    let mut wanted_quotas: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut findings = Vec::new();
    for need in needs {
        let Some((on_demand, spot)) = quota_codes(&need.instance_type) else {
            continue;
        };
        match in_time(vcpus(client, region, &need.instance_type), "aws").await {
            Ok(cores) => {
                let code = if need.purchase == Purchase::Spot {
                    spot
                } else {
                    on_demand
                };
                *wanted_quotas.entry(code).or_default() += cores * u64::from(need.machines);
            }
            Err(error) => findings.push(Finding::failed(
                Topic::Quota,
                format!("{} in {region}", need.instance_type),
                &error,
            )),
        }
    }
    let client = match aws.quotas(region).await {
        Ok(client) => client,
        Err(error) => return vec![Finding::failed(Topic::Quota, region, &error)],
    };
    for (code, vcpus) in wanted_quotas {
        let about_quota = format!("vCPUs in {region} ({code})");
        let quota_answer = client
            .get_service_quota()
            .service_code("ec2")
            .quota_code(code)
            .send();
        let asked_quota = async {
            let quota_read = quota_answer
                .await
                .map_err(|error| classify(&error, region, &format!("see the quota {code}")))?;
            let quota = quota_read.quota().cloned();
            let quota_name = quota
                .as_ref()
                .and_then(|quota| quota.quota_name())
                .unwrap_or("vCPUs")
                .to_owned();
            Ok((quota_name, quota.and_then(|quota| quota.value)))
        };
        findings.push(match in_time(asked_quota, "aws").await {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            // A count that comes as a float.
            Ok((named, Some(limit))) => Finding::quota(
                format!("{named}, vCPUs in {region}"),
                vcpus,
                limit as u64,
                None,
            ),
            Ok((_, None)) => Finding::unknown(Topic::Quota, about_quota, "AWS gives no figure"),
            // Whoever may not see a quota may still be within it.
            Err(error) => Finding::unknown(Topic::Quota, about_quota, error.message),
        });
    }
    findings
}
