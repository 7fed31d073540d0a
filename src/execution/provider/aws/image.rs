//! What instances boot: by default the newest Ubuntu of Canonical's; for accelerators the newest of
//! Amazon's images of it that bring their drivers.

use super::super::{ErrorKind, ProviderError};
use super::errors::classify;
use super::instances::filter;
use super::machine_type::describe;
use crate::util::{environment, variables};
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::ArchitectureType;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Whose and how named, with the architecture as `{}`. Of <https://documentation.ubuntu.com/aws/>.
const PLAIN: (&str, &str) = (
    "099720109477",
    "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-{}-server-*",
);
/// The images with the drivers of cards: <https://docs.aws.amazon.com/dlami/latest/devguide/>.
const NVIDIA: (&str, &str) = (
    "amazon",
    "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) ????????",
);
const NVIDIA_ARM: (&str, &str) = (
    "amazon",
    "Deep Learning ARM64 Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04) ????????",
);
const NEURON: (&str, &str) = (
    "amazon",
    "Deep Learning Base Neuron AMI (Ubuntu 22.04) ????????",
);

/// An image, and what of it decides about an instance's root volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub id: String,
    /// `/dev/sda1` and the like.
    pub root: String,
    /// The size of the root volume, in GiB.
    pub size: i32,
}

/// The images that were looked up, by region and type of instance.
#[derive(Default)]
pub(super) struct Images {
    known: Mutex<HashMap<(String, String), Image>>,
}

impl Images {
    /// What an instance of that type boots.
    pub(super) async fn image(
        &self,
        client: &Client,
        region: &str,
        instance_type: &str,
    ) -> Result<Image, ProviderError> {
        let image_key = (region.to_owned(), instance_type.to_owned());
        let known_image = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&image_key)
            .cloned();
        if let Some(image) = known_image {
            return Ok(image);
        }
        let image = match environment::text(variables::SKY_AWS_IMAGE) {
            Some(given) if given.starts_with("ami-") => by_id(client, region, &given).await?,
            Some(given) => {
                let (owner, name) = given.split_once('/').ok_or_else(|| {
                    let message = format!(
                        "SKY_AWS_IMAGE: `{given}` is not an image: write ami-… or OWNER/NAME"
                    );
                    ProviderError::new(ErrorKind::Other, message)
                })?;
                let (arch, _) = image_family(client, region, instance_type).await?;
                newest(client, region, (owner, name), arch).await?
            }
            None => {
                let (arch, (owner, name)) = image_family(client, region, instance_type).await?;
                let short_arch = if arch == "arm64" { "arm64" } else { "amd64" };
                newest(
                    client,
                    region,
                    (owner, &name.replace("{}", short_arch)),
                    arch,
                )
                .await?
            }
        };
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(image_key, image.clone());
        Ok(image)
    }
}

/// The architecture of a type, and whose image it needs.
async fn image_family(
    client: &Client,
    region: &str,
    instance_type: &str,
) -> Result<(&'static str, (&'static str, &'static str)), ProviderError> {
    let info = describe(client, region, instance_type).await?;
    let architectures = info
        .processor_info()
        .map(|processor| processor.supported_architectures())
        .unwrap_or_default();
    let arm = architectures.contains(&ArchitectureType::Arm64)
        && !architectures.contains(&ArchitectureType::X8664);
    let arch = if arm { "arm64" } else { "x86_64" };
    let maker = info
        .gpu_info()
        .and_then(|info| info.gpus().first())
        .and_then(|gpu| gpu.manufacturer());
    Ok(match maker {
        Some("NVIDIA") if arm => (arch, NVIDIA_ARM),
        Some("NVIDIA") => (arch, NVIDIA),
        _ if info.neuron_info().is_some() => (arch, NEURON),
        _ => (arch, PLAIN),
    })
}

async fn by_id(client: &Client, region: &str, id: &str) -> Result<Image, ProviderError> {
    let images_answer = client.describe_images().image_ids(id).send().await;
    let images_answer = images_answer.map_err(|error| {
        let error = classify(&error, region, &format!("look up SKY_AWS_IMAGE {id}"));
        // Every region has its own.
        ProviderError {
            kind: if error.kind == ErrorKind::NotFound {
                ErrorKind::Other
            } else {
                error.kind
            },
            ..error
        }
    })?;
    let missing_image = || {
        ProviderError::new(
            ErrorKind::Other,
            format!("aws {region}: there is no image {id} there"),
        )
    };
    images_answer
        .images()
        .first()
        .and_then(read)
        .ok_or_else(missing_image)
}

/// The newest of a name and an owner.
async fn newest(
    client: &Client,
    region: &str,
    (owner, name): (&str, &str),
    arch: &str,
) -> Result<Image, ProviderError> {
    let filters = vec![
        filter("name", &[name]),
        filter("architecture", &[arch]),
        filter("state", &["available"]),
    ];
    let mut pages = client
        .describe_images()
        .owners(owner)
        .set_filters(Some(filters))
        .into_paginator()
        .send();
    let mut best_image: Option<(String, Image)> = None;
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify(&error, region, "look up images"))?;
        for image in page.images() {
            let created = image.creation_date().unwrap_or_default().to_owned();
            if let Some(image) = read(image).filter(|_| {
                best_image
                    .as_ref()
                    .is_none_or(|(newest, _)| *newest < created)
            }) {
                best_image = Some((created, image));
            }
        }
    }
    best_image.map(|(_, image)| image).ok_or_else(|| {
        let message =
            format!("aws {region}: {owner} has no image `{name}` for {arch} there: name one by SKY_AWS_IMAGE");
        ProviderError::new(ErrorKind::Other, message)
    })
}

fn read(image: &aws_sdk_ec2::types::Image) -> Option<Image> {
    let root = image.root_device_name().unwrap_or("/dev/sda1").to_owned();
    let mut disks = image.block_device_mappings().iter();
    let disk = disks
        .find(|disk| disk.device_name() == Some(&root))
        .and_then(|disk| disk.ebs());
    let disk_size = disk.and_then(|disk| disk.volume_size()).unwrap_or(8);
    Some(Image {
        id: image.image_id()?.to_owned(),
        root,
        size: disk_size,
    })
}
