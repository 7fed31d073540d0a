//! Amazon Web Services: instances of EC2, by its SDK. Only with the cargo feature `aws`.
//!
//! One call creates all there is of a machine: RunInstances, with the token as its ClientToken, the
//! tags on the instance, its volume and its network interface, and shutdown that terminates: what
//! powers itself off at the end of its lease costs nothing any more. The ClientToken makes that call
//! one instance however often it is made; that it is made again with a newer lease, which AWS takes
//! for a mistake, is answered by looking for the instance.
//!
//! An instance is in the default VPC of its region and has a public address. Its security group
//! admits the caller's address at the SSH port and nobody else; there is one for each region and
//! state ([`group`]). It has no role, so there is no credential on it.
//!
//! Credentials come from the SDK's standard chain: variables of the environment, `~/.aws` with SSO
//! and programs that give them, web identity, the role of a container or an instance.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `SKY_AWS_IMAGE` | the image: `ami-…`, or `OWNER/NAME` with `*` in the name; an Ubuntu with cloud-init by default ([`image`]) |
//! | `SKY_AWS_REGIONS` | the regions to look for machines in, with commas; those that the account has enabled by default |
//! | `SKY_SSH_FROM` | the addresses or networks that are let in, with commas; by default what AWS sees this machine under |

mod check;
mod errors;
mod group;
mod image;
mod launch;

use super::check::{Finding, Need};
use super::cloud::{Cloud, Instance, Life, Machines, Notice, Wanted, tag};
use super::{ErrorKind, ProviderError};
use crate::model::PlaceName;
use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::ProvideCredentials;
use aws_sdk_ec2::types::{Filter, InstanceStateName, Tag};
use errors::{classify, denied};
use group::Groups;
use image::Images;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// Where there is no other reason to ask one region rather than another.
const FIRST: &str = "us-east-1";
/// How long one answer may take, and a call with all of its tries.
const ANSWER: Duration = Duration::from_secs(30);
const CALL: Duration = Duration::from_secs(90);

/// EC2 in all regions.
pub struct Aws {
    config: OnceCell<SdkConfig>,
    clients: Mutex<HashMap<String, Client>>,
    /// Those to look for machines in.
    regions: OnceCell<Vec<String>>,
    images: Images,
    groups: Groups,
}

/// The machines at AWS; `root` is the state folder. Nothing is asked of AWS before it is needed.
pub fn open(root: &Path) -> Machines<Aws> {
    let cloud = Aws {
        config: OnceCell::new(),
        clients: Mutex::default(),
        regions: OnceCell::new(),
        images: Images::default(),
        groups: Groups::at(root.join("aws").join("groups")),
    };
    Machines::new(cloud, root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made
/// from this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    let variables = ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"];
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from).unwrap_or_default();
    root.join("aws").exists()
        || variables.iter().any(set)
        || ["credentials", "config"].iter().any(|name| home.join(".aws").join(name).exists())
}

impl Aws {
    async fn config(&self) -> Result<&SdkConfig, ProviderError> {
        self.config.get_or_try_init(load).await
    }

    /// The client for a region.
    async fn client(&self, region: &str) -> Result<Client, ProviderError> {
        // It becomes part of a host's name.
        if region.is_empty()
            || !region.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
        {
            let message = format!("aws: `{}` is no region", region.escape_debug());
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let config = self.config().await?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let special = aws_sdk_ec2::config::Builder::from(config).region(Region::new(region.to_owned()));
            Client::from_conf(special.build())
        };
        Ok(clients.entry(region.to_owned()).or_insert_with(made).clone())
    }

    /// The client of Service Quotas for a region.
    async fn quotas(&self, region: &str) -> Result<aws_sdk_servicequotas::Client, ProviderError> {
        let special = aws_sdk_servicequotas::config::Builder::from(self.config().await?);
        Ok(aws_sdk_servicequotas::Client::from_conf(special.region(Region::new(region.to_owned())).build()))
    }

    async fn regions(&self) -> Result<&[String], ProviderError> {
        let find = || async {
            let given = std::env::var("SKY_AWS_REGIONS").unwrap_or_default();
            let given: Vec<String> = given.split(',').map(|name| name.trim().to_owned()).collect();
            let given: Vec<String> = given.into_iter().filter(|name| !name.is_empty()).collect();
            if !given.is_empty() {
                return Ok(given);
            }
            let first = first();
            let answer = self.client(&first).await?.describe_regions().send().await;
            let answer = answer.map_err(|error| classify(&error, &first, "list the regions of the account"))?;
            Ok(answer.regions().iter().filter_map(|region| region.region_name().map(str::to_owned)).collect())
        };
        self.regions.get_or_try_init(find).await.map(Vec::as_slice)
    }

    /// Instances that fit, in one region.
    async fn look(&self, region: &str, filters: Vec<Filter>) -> Result<Vec<Instance>, ProviderError> {
        describe(&self.client(region).await?, region, filters).await
    }

    /// Instances that fit, in every region that has any; and what stood in the way of looking.
    async fn look_everywhere(
        &self,
        filters: &[Filter],
    ) -> Result<(Vec<Instance>, Option<ProviderError>), ProviderError> {
        let mut looks = JoinSet::new();
        for region in self.regions().await? {
            let (client, region, filters) = (self.client(region).await?, region.clone(), filters.to_vec());
            looks.spawn(async move { describe(&client, &region, filters).await });
        }
        let (mut found, mut failed) = (Vec::new(), None);
        while let Some(look) = looks.join_next().await {
            match look.unwrap_or_else(|error| Err(ProviderError::new(ErrorKind::Other, error))) {
                Ok(instances) => found.extend(instances),
                Err(error) if error.kind == ErrorKind::Denied => {
                    let way = "if nothing of yours is in that region, leave it out of SKY_AWS_REGIONS";
                    failed = Some(ProviderError::new(error.kind, format!("{}; {way}", error.message)));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        found.sort_by(|a: &Instance, b| a.id.cmp(&b.id));
        Ok((found, failed))
    }
}

/// The region to ask when it does not matter which.
fn first() -> String {
    let named = |name: &str| std::env::var(name).ok().filter(|region| !region.is_empty());
    named("AWS_REGION").or_else(|| named("AWS_DEFAULT_REGION")).unwrap_or_else(|| FIRST.to_owned())
}

async fn load() -> Result<SdkConfig, ProviderError> {
    let times = TimeoutConfig::builder().operation_attempt_timeout(ANSWER).operation_timeout(CALL).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        // Every client says its own; asking the machine for one takes seconds.
        .region(Region::new(FIRST))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(times)
        .load()
        .await;
    let missing = || denied("there are no credentials");
    let provider = config.credentials_provider().ok_or_else(missing)?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        // It would say which places it has looked in, over many lines.
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(missing()),
        Err(error) => {
            let why = aws_sdk_ec2::error::DisplayErrorContext(&error).to_string();
            // After its words comes the same as a structure of Rust's.
            let words = why.lines().next().unwrap_or_default().split(" (").next().unwrap_or_default();
            // What is no machine of Amazon's has no role.
            if words.contains("IMDS") {
                return Err(missing());
            }
            Err(denied(&format!("no credentials are to be had: {}", words.chars().take(300).collect::<String>())))
        }
    }
}

async fn describe(client: &Client, region: &str, filters: Vec<Filter>) -> Result<Vec<Instance>, ProviderError> {
    let mut pages = client.describe_instances().set_filters(Some(filters)).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| classify(&error, region, "look for machines"))?;
        let instances = page.reservations().iter().flat_map(|reservation| reservation.instances());
        found.extend(instances.filter_map(|instance| read(instance, region)));
    }
    Ok(found)
}

fn filter(name: &str, values: &[&str]) -> Filter {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// An instance as the shared layer sees it.
fn read(instance: &aws_sdk_ec2::types::Instance, region: &str) -> Option<Instance> {
    let state = instance.state().and_then(|state| state.name());
    let reason = instance.state_reason().and_then(|reason| reason.code()).unwrap_or_default();
    let ended = matches!(state, Some(InstanceStateName::ShuttingDown | InstanceStateName::Terminated));
    let taken = matches!(reason, "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown");
    let address = instance.public_ip_address().or(instance.private_ip_address());
    let tags = instance.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        place: PlaceName { cloud: super::AWS.to_owned(), region: region.to_owned() },
        instance_type: instance.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        // A stopped one has a volume that costs.
        life: match (ended, taken) {
            (false, _) => Life::Alive,
            (true, true) => Life::Preempted,
            (true, false) => Life::Ended,
        },
        address: address.filter(|address| !address.is_empty()).map(str::to_owned),
        inside: instance.private_ip_address().map(str::to_owned),
        zone: instance.placement().and_then(|placement| placement.availability_zone()).map(str::to_owned),
        tags: tags.collect(),
    })
}

fn sdk_tags<'a>(tags: impl IntoIterator<Item = (&'a &'static str, &'a String)>) -> Vec<Tag> {
    tags.into_iter().map(|(name, value)| Tag::builder().key(*name).value(value).build()).collect()
}

#[async_trait]
impl Cloud for Aws {
    fn name(&self) -> &'static str {
        super::AWS
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.config().await.map(drop)
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted: &Wanted) -> Result<Instance, ProviderError> {
        launch::launch(self, wanted).await
    }

    async fn find(&self, token: &str, at: Option<&PlaceName>) -> Result<Vec<Instance>, ProviderError> {
        let filters = vec![filter(&format!("tag:{}", tag::TOKEN), &[token])];
        if let Some(place) = at {
            return self.look(&place.region, filters).await;
        }
        match self.look_everywhere(&filters).await? {
            (found, Some(error)) if found.is_empty() => Err(error),
            (found, _) => Ok(found),
        }
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        let states = filter("instance-state-name", &["pending", "running", "stopping", "stopped"]);
        match self.look_everywhere(&[filter("tag-key", &[tag::TOKEN]), states]).await? {
            (_, Some(error)) => Err(error),
            (found, None) => Ok(found),
        }
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        let digits = id.strip_prefix("i-").unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match self.look_everywhere(&[filter("instance-id", &[id])]).await? {
            (found, Some(error)) if found.is_empty() => Err(error),
            (found, _) => Ok(found.into_iter().next()),
        }
    }

    async fn tag(&self, instance: &Instance, tags: &BTreeMap<&'static str, String>) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        let call = self.client(region).await?.create_tags().resources(&instance.id).set_tags(Some(sdk_tags(tags)));
        let tagged = call.send().await.map(drop);
        tagged.map_err(|error| classify(&error, region, &format!("tag {}", instance.id)))
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        self.groups.admit(&self.client(region).await?, region, instance).await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice { ask: include_str!("notice.sh"), hold: false })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        if let Some(lineage) = instance.tags.get(tag::LINEAGE) {
            self.groups.remember(region, &group::name(lineage))?;
        }
        let ended = self.client(region).await?.terminate_instances().instance_ids(&instance.id).send().await;
        match ended.map_err(|error| classify(&error, region, &format!("terminate {}", instance.id))) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        for (region, name) in self.groups.remembered()? {
            let client = self.client(&region).await?;
            self.groups.remove(&client, &region, &name).await?;
        }
        Ok(())
    }
}
