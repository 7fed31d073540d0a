//! An account of AWS: its configuration, its clients, its regions and what is found in them.

use super::super::cloud::Instance;
use super::super::{ErrorKind, ProviderError};
use super::errors::{classify, denied};
use super::firewall::SecurityGroups;
use super::image::Images;
use super::instances::describe;
use crate::util::{environment, variables};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::ProvideCredentials;
use aws_sdk_ec2::types::Filter;
use std::collections::HashMap;
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
    /// The regions in which machines are looked for.
    regions: OnceCell<Vec<String>>,
    pub(super) images: Images,
    pub(super) security_groups: SecurityGroups,
}

impl Aws {
    /// EC2 as it is seen from the state folder `root`.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            config: OnceCell::new(),
            clients: Mutex::default(),
            regions: OnceCell::new(),
            images: Images::default(),
            security_groups: SecurityGroups::at(root.join("aws").join("groups")),
        }
    }

    pub(super) async fn config(&self) -> Result<&SdkConfig, ProviderError> {
        self.config.get_or_try_init(load).await
    }

    /// The client for a region.
    pub(super) async fn client(&self, region: &str) -> Result<Client, ProviderError> {
        // It becomes part of a host's name.
        if region.is_empty()
            || !region
                .chars()
                .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
        {
            let message = format!("aws: `{}` is not a region", region.escape_debug());
            return Err(ProviderError::new(ErrorKind::Other, message));
        }
        let config = self.config().await?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make_client = || {
            let special =
                aws_sdk_ec2::config::Builder::from(config).region(Region::new(region.to_owned()));
            Client::from_conf(special.build())
        };
        Ok(clients
            .entry(region.to_owned())
            .or_insert_with(make_client)
            .clone())
    }

    /// The client of Service Quotas for a region.
    pub(super) async fn quotas(
        &self,
        region: &str,
    ) -> Result<aws_sdk_servicequotas::Client, ProviderError> {
        let special = aws_sdk_servicequotas::config::Builder::from(self.config().await?);
        Ok(aws_sdk_servicequotas::Client::from_conf(
            special.region(Region::new(region.to_owned())).build(),
        ))
    }

    async fn regions(&self) -> Result<&[String], ProviderError> {
        let find = || async {
            let given_regions = environment::text(variables::SKY_AWS_REGIONS).unwrap_or_default();
            let named_regions: Vec<String> = given_regions
                .split(',')
                .map(|name| name.trim().to_owned())
                .collect();
            let region_names: Vec<String> = named_regions
                .into_iter()
                .filter(|name| !name.is_empty())
                .collect();
            if !region_names.is_empty() {
                return Ok(region_names);
            }
            let first_region = first();
            let regions_answer = self
                .client(&first_region)
                .await?
                .describe_regions()
                .send()
                .await;
            let regions_answer = regions_answer.map_err(|error| {
                classify(&error, &first_region, "list the regions of the account")
            })?;
            Ok(regions_answer
                .regions()
                .iter()
                .filter_map(|region| region.region_name().map(str::to_owned))
                .collect())
        };
        self.regions.get_or_try_init(find).await.map(Vec::as_slice)
    }

    /// Instances that fit, in one region.
    pub(super) async fn look(
        &self,
        region: &str,
        filters: Vec<Filter>,
    ) -> Result<Vec<Instance>, ProviderError> {
        describe(&self.client(region).await?, region, filters).await
    }

    /// Instances that fit, in every region that has any; and what stood in the way of looking.
    pub(super) async fn look_everywhere(
        &self,
        filters: &[Filter],
    ) -> Result<(Vec<Instance>, Option<ProviderError>), ProviderError> {
        let mut looks = JoinSet::new();
        for region in self.regions().await? {
            let (client, region, filters) =
                (self.client(region).await?, region.clone(), filters.to_vec());
            looks.spawn(async move { describe(&client, &region, filters).await });
        }
        let (mut found, mut failed) = (Vec::new(), None);
        while let Some(look) = looks.join_next().await {
            match look.unwrap_or_else(|error| Err(ProviderError::new(ErrorKind::Other, error))) {
                Ok(instances) => found.extend(instances),
                Err(error) if error.kind == ErrorKind::Denied => {
                    let way =
                        "if nothing of yours is in that region, leave it out of SKY_AWS_REGIONS";
                    failed = Some(ProviderError::new(
                        error.kind,
                        format!("{}; {way}", error.message),
                    ));
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        found.sort_by(|a: &Instance, b| a.id.cmp(&b.id));
        Ok((found, failed))
    }
}

/// The region to ask when it does not matter which.
pub(super) fn first() -> String {
    environment::text(variables::AWS_REGION)
        .or_else(|| environment::text(variables::AWS_DEFAULT_REGION))
        .unwrap_or_else(|| FIRST.to_owned())
}

async fn load() -> Result<SdkConfig, ProviderError> {
    let times = TimeoutConfig::builder()
        .operation_attempt_timeout(ANSWER)
        .operation_timeout(CALL)
        .build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        // Every client says its own; asking the machine for one takes seconds.
        .region(Region::new(FIRST))
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(times)
        .load()
        .await;
    let no_credentials = || denied("there are no credentials");
    let provider = config.credentials_provider().ok_or_else(no_credentials)?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(config),
        // It would say which places it has looked in, over many lines.
        Err(CredentialsError::CredentialsNotLoaded(_)) => Err(no_credentials()),
        Err(error) => {
            let error_chain = aws_sdk_ec2::error::DisplayErrorContext(&error).to_string();
            // After its words comes the same as a structure of Rust's.
            let error_words = error_chain
                .lines()
                .next()
                .unwrap_or_default()
                .split(" (")
                .next()
                .unwrap_or_default();
            // What is not a machine of Amazon's has no role.
            if error_words.contains("IMDS") {
                return Err(no_credentials());
            }
            Err(denied(&format!(
                "credentials for aws are missing: {}",
                error_words.chars().take(300).collect::<String>()
            )))
        }
    }
}
