//! EC2 as a cloud: the calls that the shared layer makes.

use super::super::check::{Finding, Need};
use super::super::cloud::remembered_names::name_of_state;
use super::super::cloud::{Cloud, Instance, Machines, Notice, Wanted, instance_tags};
use super::super::{AWS, ProviderError, ended_or_gone};
use super::account::Aws;
use super::errors::classify;
use super::instances::{filter, sdk_tags};
use super::{check, launch};
use crate::model::PlaceName;
use crate::util::{environment, variables};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::Path;

/// The machines at AWS; `root` is the state folder. Nothing is asked of AWS before it is needed.
pub fn open(root: &Path) -> Machines<Aws> {
    Machines::new(Aws::new(root), root)
}

/// Whether there may be machines of ours, as far as files and the environment tell: some were made
/// from this state folder, or somebody has set up credentials.
pub fn present(root: &Path) -> bool {
    let names_credentials = [
        variables::AWS_PROFILE,
        variables::AWS_ACCESS_KEY_ID,
        variables::AWS_WEB_IDENTITY_TOKEN_FILE,
    ];
    let home = environment::bytes(variables::HOME)
        .map(std::path::PathBuf::from)
        .unwrap_or_default();
    root.join("aws").exists()
        || names_credentials.into_iter().any(environment::is_set)
        || ["credentials", "config"]
            .iter()
            .any(|name| home.join(".aws").join(name).exists())
}

#[async_trait]
impl Cloud for Aws {
    fn name(&self) -> &'static str {
        AWS
    }

    async fn ready(&self) -> Result<(), ProviderError> {
        self.config().await.map(drop)
    }

    async fn check(&self, needs: &[Need]) -> Vec<Finding> {
        check::check(self, needs).await
    }

    async fn create(&self, wanted_machine: &Wanted) -> Result<Instance, ProviderError> {
        launch::launch(self, wanted_machine).await
    }

    async fn find(
        &self,
        token: &str,
        at: Option<&PlaceName>,
    ) -> Result<Vec<Instance>, ProviderError> {
        let filters = vec![filter(&format!("tag:{}", instance_tags::TOKEN), &[token])];
        if let Some(place) = at {
            return self.look(&place.region, filters).await;
        }
        match self.look_everywhere(&filters).await? {
            (found, Some(error)) if found.is_empty() => Err(error),
            (found, _) => Ok(found),
        }
    }

    async fn all(&self) -> Result<Vec<Instance>, ProviderError> {
        let states = filter(
            "instance-state-name",
            &["pending", "running", "stopping", "stopped"],
        );
        match self
            .look_everywhere(&[filter("tag-key", &[instance_tags::TOKEN]), states])
            .await?
        {
            (_, Some(error)) => Err(error),
            (found, None) => Ok(found),
        }
    }

    async fn by_id(&self, id: &str) -> Result<Option<Instance>, ProviderError> {
        let digits = id.strip_prefix("i-").unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        match self
            .look_everywhere(&[filter("instance-id", &[id])])
            .await?
        {
            (found, Some(error)) if found.is_empty() => Err(error),
            (found, _) => Ok(found.into_iter().next()),
        }
    }

    async fn tag(
        &self,
        instance: &Instance,
        tags: &BTreeMap<&'static str, String>,
    ) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        let tag_call = self
            .client(region)
            .await?
            .create_tags()
            .resources(&instance.id)
            .set_tags(Some(sdk_tags(tags)));
        let tag_result = tag_call.send().await.map(drop);
        tag_result.map_err(|error| classify(&error, region, &format!("tag {}", instance.id)))
    }

    async fn admit(&self, instance: &Instance) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        self.security_groups
            .admit(&self.client(region).await?, region, instance)
            .await
    }

    fn notice(&self) -> Option<Notice> {
        Some(Notice {
            ask: include_str!("notice.sh"),
            hold: false,
        })
    }

    async fn delete(&self, instance: &Instance) -> Result<(), ProviderError> {
        let region = &instance.place.region;
        if let Some(lineage) = instance.tags.get(instance_tags::LINEAGE) {
            self.security_groups
                .remember(region, &name_of_state(lineage))?;
        }
        let terminate_result = self
            .client(region)
            .await?
            .terminate_instances()
            .instance_ids(&instance.id)
            .send()
            .await;
        let terminated = terminate_result
            .map(drop)
            .map_err(|error| classify(&error, region, &format!("terminate {}", instance.id)));
        ended_or_gone(terminated)
    }

    async fn tidy(&self) -> Result<(), ProviderError> {
        for (region, name) in self.security_groups.remembered()? {
            let client = self.client(&region).await?;
            self.security_groups.remove(&client, &region, &name).await?;
        }
        Ok(())
    }
}
