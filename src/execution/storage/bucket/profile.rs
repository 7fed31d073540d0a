//! The credentials that Amazon's own tools find: the environment, profiles and single sign-on of
//! `~/.aws`, programs, web identity, containers, instances.

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The chain of Amazon's SDK, made when it is first asked.
#[derive(Debug)]
pub(super) struct Chain {
    region: String,
    provider: OnceCell<SharedCredentialsProvider>,
}

impl Chain {
    pub(super) fn new(region: &str) -> Arc<Self> {
        Arc::new(Self {
            region: region.to_owned(),
            provider: OnceCell::new(),
        })
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let no_credentials = |why: String| Error::Unauthenticated {
            path: "S3".to_owned(),
            source: why.into(),
        };
        let load = || async {
            let region = Region::new(self.region.clone());
            let config = aws_config::defaults(BehaviorVersion::latest())
                .region(region)
                .load()
                .await;
            config
                .credentials_provider()
                .ok_or_else(|| no_credentials("there are no credentials".to_owned()))
        };
        let provider = self.provider.get_or_try_init(load).await?;
        let provided_credentials = provider.provide_credentials().await;
        let found_credentials = provided_credentials.map_err(|error| {
            no_credentials(format!("there are no credentials for AWS: {error}"))
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found_credentials.access_key_id().to_owned(),
            secret_key: found_credentials.secret_access_key().to_owned(),
            token: found_credentials.session_token().map(str::to_owned),
        }))
    }
}
