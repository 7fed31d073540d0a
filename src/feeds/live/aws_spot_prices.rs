//! What an AWS account sees: spot prices of this hour and the sizes of instance types, by AWS's
//! SDK. Only with the cargo feature `aws`, and with credentials.

use super::http_client::HttpClient;
use super::price_quotes::{MachineSize, PriceQuotes};
use super::source_answer::{AnswerData, SourceAnswer};
use super::source_request::SourceRequest;
use super::source_selection::asked_for;
use super::{Fault, ProgressNews};
use crate::model::units::scaled;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::error::{DisplayErrorContext, SdkError};
use aws_sdk_ec2::types::{ArchitectureType, InstanceType, InstanceTypeInfo};
use std::collections::BTreeMap;
use std::rc::Rc;

const NANO: i128 = 1_000_000_000;

/// The spot prices of all regions that the catalog knows, one region after the other.
pub(super) async fn fetch(http: Rc<HttpClient>, request: Rc<SourceRequest>) -> Vec<SourceAnswer> {
    let skip = |why: &str| {
        vec![SourceAnswer::new(
            "aws-spot",
            "aws",
            "",
            Ok(AnswerData::skip(why.to_owned())),
        )]
    };
    if !request.aws_credentials {
        return skip("there are no AWS credentials: AWS_PROFILE, AWS_ACCESS_KEY_ID or ~/.aws");
    }
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .load()
        .await;
    let mut answers = Vec::new();
    let mut given_up = None;
    for place in &request.places {
        let Some(region) = place
            .strip_prefix("aws:")
            .filter(|region| asked_for(&request.wanted.regions, "aws", region))
        else {
            continue;
        };
        // Regions with accounts of their own answer others with an error.
        if region.starts_with("us-gov-") || region.starts_with("cn-") {
            continue;
        }
        let region_result = match &given_up {
            Some(fault) => Err(Fault::clone(fault)),
            None => fetch_region(&http, &config, region).await,
        };
        let region_result = region_result.map(AnswerData::quotes).inspect_err(|fault| {
            // Nobody waits for the same at each region.
            if fault.0.contains("connect")
                || fault.0.contains("credentials")
                || fault.0.contains("expired")
            {
                given_up = Some(fault.clone());
            }
        });
        answers.push(SourceAnswer::new("aws-spot", "aws", region, region_result));
    }
    if answers.is_empty() {
        skip("none of its regions is asked for")
    } else {
        answers
    }
}

async fn fetch_region(
    http: &HttpClient,
    config: &SdkConfig,
    region: &str,
) -> Result<PriceQuotes, Fault> {
    let unit = format!("aws-spot {region}");
    let special = aws_sdk_ec2::config::Builder::from(config)
        .region(Region::new(region.to_owned()))
        .build();
    let client = Client::from_conf(special);
    let about_source =
        "AWS spot prices, the cheapest zone of each region, and sizes of instance types";
    let today = crate::util::clock::today();
    let mut quotes = PriceQuotes::new(
        "aws",
        "aws-spot",
        today,
        about_source,
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html",
    );
    // From now on: the price of this moment only.
    let request_time = std::time::SystemTime::from(crate::util::clock::now());
    let mut pages = client
        .describe_spot_price_history()
        .start_time(request_time.into())
        .product_descriptions("Linux/UNIX")
        .into_paginator()
        .send();
    let mut cheapest: BTreeMap<String, i64> = BTreeMap::new();
    let mut count = 0;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| sdk_fault(&error))?;
        count += 1;
        http.tell(&unit, &ProgressNews::Page { pages: count });
        for row in page.spot_price_history() {
            let description = row
                .product_description()
                .map_or("", |description| description.as_str());
            if !description.starts_with("Linux/UNIX") {
                quotes.leave_of("another operating system", description);
                continue;
            }
            let name = row.instance_type().map_or("", InstanceType::as_str);
            match row.spot_price().and_then(|price| scaled(price, NANO).ok()) {
                _ if name.is_empty() => quotes.leave("no instance type"),
                None => quotes.leave("no price"),
                Some(0) => quotes.leave("a price of 0"),
                Some(nano) => {
                    cheapest
                        .entry(name.to_owned())
                        .and_modify(|old| *old = nano.min(*old))
                        .or_insert(nano);
                }
            }
        }
    }
    for (name, nano) in cheapest {
        quotes.put(region, &name, true, nano, Default::default());
    }
    let mut pages = client.describe_instance_types().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| sdk_fault(&error))?;
        count += 1;
        http.tell(&unit, &ProgressNews::Page { pages: count });
        for info in page.instance_types() {
            if let Some(name) = info.instance_type() {
                quotes
                    .sizes
                    .insert(name.as_str().to_owned(), machine_size(info));
            }
        }
    }
    Ok(quotes)
}

/// The size of a machine type; 0: AWS does not say it.
fn machine_size(info: &InstanceTypeInfo) -> MachineSize {
    let vcpus = info
        .v_cpu_info()
        .and_then(|cpus| cpus.default_v_cpus())
        .unwrap_or(0);
    let memory = info
        .memory_info()
        .and_then(|memory| memory.size_in_mib())
        .unwrap_or(0);
    let count = |cards: Option<i32>| u32::try_from(cards?).ok()?.checked_mul(1000);
    let gpus = info.gpu_info().and_then(|info| info.gpus().first());
    let neurons = info
        .neuron_info()
        .and_then(|info| info.neuron_devices().first());
    let (card, cards) = match (gpus, neurons) {
        (Some(gpu), _) => (gpu.name(), count(gpu.count())),
        (None, Some(device)) => (device.name(), count(device.count())),
        (None, None) => (None, Some(0)),
    };
    let architectures = info
        .processor_info()
        .map(|info| info.supported_architectures())
        .unwrap_or_default();
    let arm = architectures
        .iter()
        .any(|of| matches!(of, ArchitectureType::Arm64 | ArchitectureType::Arm64Mac));
    MachineSize {
        vcpu_thousandths: u64::try_from(vcpus).unwrap_or(0) * 1000,
        memory: u64::try_from(memory).unwrap_or(0) << 20,
        cards,
        card: card.map(str::to_owned),
        arch: if arm { "arm64" } else { "x86_64" }.to_owned(),
    }
}

/// What the SDK says, on one line.
fn sdk_fault<E, R>(error: &SdkError<E, R>) -> Fault
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    let text = DisplayErrorContext(error).to_string();
    let text = text
        .split(" (")
        .next()
        .unwrap_or_default()
        .replace('\n', " ");
    Fault(format!("AWS: {text}"))
}
