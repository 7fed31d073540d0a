//! Instances of EC2: how they are looked for, and how they are read.

use super::super::cloud::{Instance, Life};
use super::super::{AWS, ProviderError};
use super::errors::classify;
use crate::model::PlaceName;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, InstanceStateName, Tag};

/// The instances of a region that fit.
pub(super) async fn describe(
    client: &Client,
    region: &str,
    filters: Vec<Filter>,
) -> Result<Vec<Instance>, ProviderError> {
    let mut pages = client
        .describe_instances()
        .set_filters(Some(filters))
        .into_paginator()
        .send();
    let mut found_instances = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify(&error, region, "look for machines"))?;
        let instances = page
            .reservations()
            .iter()
            .flat_map(|reservation| reservation.instances());
        found_instances.extend(instances.filter_map(|instance| read(instance, region)));
    }
    Ok(found_instances)
}

/// A filter of lists: what is called `name` has one of the values.
pub(super) fn filter(name: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Filter::builder()
        .name(name)
        .set_values(Some(values))
        .build()
}

/// An instance as the shared layer sees it.
pub(super) fn read(instance: &aws_sdk_ec2::types::Instance, region: &str) -> Option<Instance> {
    let instance_state = instance.state().and_then(|state| state.name());
    let reason = instance
        .state_reason()
        .and_then(|reason| reason.code())
        .unwrap_or_default();
    let has_ended = matches!(
        instance_state,
        Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
    );
    let was_taken = matches!(
        reason,
        "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown"
    );
    let address = instance
        .public_ip_address()
        .or(instance.private_ip_address());
    let tags = instance
        .tags()
        .iter()
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        place: PlaceName {
            cloud: AWS.to_owned(),
            region: region.to_owned(),
        },
        instance_type: instance
            .instance_type()
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        // A stopped one has a volume that costs.
        life: match (has_ended, was_taken) {
            (false, _) => Life::Alive,
            (true, true) => Life::Preempted,
            (true, false) => Life::Ended,
        },
        address: address
            .filter(|address| !address.is_empty())
            .map(str::to_owned),
        inside: instance.private_ip_address().map(str::to_owned),
        zone: instance
            .placement()
            .and_then(|placement| placement.availability_zone())
            .map(str::to_owned),
        tags: tags.collect(),
    })
}

/// Tags as the SDK takes them.
pub(super) fn sdk_tags<'a>(
    tags: impl IntoIterator<Item = (&'a &'static str, &'a String)>,
) -> Vec<Tag> {
    tags.into_iter()
        .map(|(name, value)| Tag::builder().key(*name).value(value).build())
        .collect()
}
