//! Amazon S3, or what speaks its protocol.
//!
//! Credentials are those of the crate `object_store`: `AWS_ACCESS_KEY_ID` with
//! `AWS_SECRET_ACCESS_KEY` and perhaps `AWS_SESSION_TOKEN`, web identity, container and instance
//! credentials; with the feature `aws`, where there are none of the first, all that Amazon's SDK
//! finds, profiles among them. `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` name another server than
//! Amazon's.
//!
//! Calls:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>

use super::bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
use super::remote::{Answer, Remote, SWEEPS, named, request, retry, send};
use crate::model::bucket_name::{PREFIX as OURS, owner};
use crate::util::secret::Secret;
use crate::util::{environment, variables};
use async_trait::async_trait;
use base64::Engine;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsAuthorizer};
use object_store::signer::Method;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The one region that a bucket is in when it is made without saying where.
const DEFAULT: &str = "us-east-1";

pub(super) struct S3 {
    name: String,
    account: Account,
    remote: Remote,
}

/// What calls about buckets are signed with.
struct Account {
    client: Arc<AmazonS3>,
    region: String,
    endpoint: String,
}

pub(super) fn open(name: &str, region: &str) -> Result<S3, BucketError> {
    let address = format!("s3://{name}");
    let account = account(name, region)?;
    let remote = Remote {
        address,
        store: account.client.clone(),
        signer: account.client.clone(),
    };
    Ok(S3 {
        name: name.to_owned(),
        account,
        remote,
    })
}

fn account(name: &str, region: &str) -> Result<Account, BucketError> {
    // It becomes part of a host's name.
    if region.is_empty()
        || !region
            .bytes()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-')
    {
        let message = format!("s3://{name}: `{}` is not a region", region.escape_debug());
        return Err(BucketError::new(Trouble::Other, message));
    }
    let builder = AmazonS3Builder::from_env()
        .with_region(region)
        .with_bucket_name(name)
        .with_retry(retry());
    let builder = builder.with_virtual_hosted_style_request(false);
    #[cfg(feature = "aws")]
    let builder = match environment::bytes(variables::AWS_ACCESS_KEY_ID) {
        Some(_) => builder,
        None => builder.with_credentials(super::profile::Chain::new(region)),
    };
    let given_value = |key| builder.get_config_value(&key);
    let given_endpoint = given_value(AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| given_value(AmazonS3ConfigKey::Endpoint));
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    let endpoint =
        given_endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com{suffix}"));
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let built_store = builder.with_endpoint(endpoint.clone()).build();
    let client = built_store.map_err(|error| named(&format!("cannot use s3://{name}"), &error))?;
    Ok(Account {
        client: Arc::new(client),
        region: region.to_owned(),
        endpoint,
    })
}

impl Account {
    async fn call(&self, method: Method, path: &str, body: String) -> Result<Answer, BucketError> {
        let mut request = request(
            method,
            &format!("{}{path}", self.endpoint),
            body.clone().into_bytes(),
        )?;
        if !body.is_empty() {
            // Without it, a call that changes a bucket's settings is refused.
            let body_sum = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body));
            if let Ok(sum) = body_sum.parse() {
                request.headers_mut().insert("x-amz-checksum-sha256", sum);
            }
        }
        let access_denied = |error: object_store::Error| BucketError {
            kind: Trouble::Denied,
            ..named("S3", &error)
        };
        let credential = self
            .client
            .credentials()
            .get_credential()
            .await
            .map_err(access_denied)?;
        AwsAuthorizer::new(&credential, "s3", &self.region)
            .try_authorize(&mut request, None)
            .map_err(access_denied)?;
        send(&format!("S3 at {}", self.endpoint), request).await
    }
}

#[async_trait]
impl Store for S3 {
    async fn make(&self, lineage: &str) -> Result<(), BucketError> {
        let (region, path) = (&self.account.region, format!("/{}", self.name));
        let body = match region.as_str() {
            DEFAULT => String::new(),
            _ => format!(
                "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>\
                 {region}</LocationConstraint></CreateBucketConfiguration>"
            ),
        };
        let make_answer = self.account.call(Method::PUT, &path, body).await?;
        let cannot_make = format!("cannot make {}", self.remote.address);
        match (make_answer.status, make_answer.element("Code")) {
            (200..300, _) | (409, "BucketAlreadyOwnedByYou") => {}
            (409, code @ "OperationAborted") => {
                return Err(BucketError {
                    kind: Trouble::Passing,
                    ..make_answer.error(&cannot_make, code)
                });
            }
            (_, code) => return Err(make_answer.error(&cannot_make, code)),
        }
        let tags = format!(
            "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet><Tag><Key>sky-lineage</Key><Value>{}\
             </Value></Tag></TagSet></Tagging>",
            owner(lineage)
        );
        let tag_answer = self
            .account
            .call(Method::PUT, &format!("{path}?tagging="), tags)
            .await?;
        match tag_answer.status {
            200..300 => Ok(()),
            _ => Err(tag_answer.error(
                &format!("cannot tag {}", self.remote.address),
                tag_answer.element("Code"),
            )),
        }
    }

    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, BucketError> {
        self.remote.sizes(folder).await
    }

    async fn contents(&self) -> Result<Contents, BucketError> {
        self.remote.contents().await
    }

    async fn remove(&self, folder: &str) -> Result<(), BucketError> {
        self.remote.remove(folder).await
    }

    async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        self.remote.read(key).await
    }

    async fn sign(
        &self,
        purpose: Purpose,
        keys: &[String],
        validity: Duration,
    ) -> Result<Vec<Secret>, BucketError> {
        self.remote.sign(purpose, keys, validity).await
    }

    async fn delete(&self) -> Result<(), BucketError> {
        for _ in 0..SWEEPS {
            if !self.remote.empty().await? {
                return Ok(());
            }
            let delete_answer = self
                .account
                .call(Method::DELETE, &format!("/{}", self.name), String::new())
                .await?;
            match (delete_answer.status, delete_answer.element("Code")) {
                (200..300 | 404, _) => return Ok(()),
                (409, "BucketNotEmpty") => {}
                (_, code) => {
                    return Err(delete_answer
                        .error(&format!("cannot delete {}", self.remote.address), code));
                }
            }
        }
        Err(self.remote.busy())
    }
}

/// The names of all buckets of the account that may be ours; none without credentials in the
/// environment.
pub(super) async fn list() -> Result<Vec<String>, BucketError> {
    let names_credentials = [
        variables::AWS_ACCESS_KEY_ID,
        variables::AWS_WEB_IDENTITY_TOKEN_FILE,
        variables::AWS_PROFILE,
    ];
    if !names_credentials.into_iter().any(environment::is_set) {
        return Ok(Vec::new());
    }
    let list_answer = account("any", DEFAULT)?
        .call(Method::GET, "/", String::new())
        .await?;
    match list_answer.status {
        200 => Ok(list_answer
            .elements("Name")
            .filter(|name| name.starts_with(OURS))
            .map(str::to_owned)
            .collect()),
        _ => Err(list_answer.error("cannot list the buckets of S3", list_answer.element("Code"))),
    }
}
