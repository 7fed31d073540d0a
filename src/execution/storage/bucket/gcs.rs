//! Google Cloud Storage.
//!
//! Credentials are those of the crate `object_store`: `GOOGLE_APPLICATION_CREDENTIALS` or
//! `GOOGLE_SERVICE_ACCOUNT` with the file of a service account's key, which signs by itself; else
//! gcloud's or an instance's, with which Google is asked for each signature and must allow it
//! (`iam.serviceAccounts.signBlob`). The project is `SKY_GCP_PROJECT` or `GOOGLE_CLOUD_PROJECT`,
//! else that of the key. `GOOGLE_BASE_URL` names another server.
//!
//! Calls: <https://cloud.google.com/storage/docs/json_api/v1/buckets>

use super::bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
use super::remote::{Answer, Remote, SWEEPS, named, request, retry, send};
use crate::model::bucket_name::{PREFIX as OURS, owner};
use crate::util::secret::Secret;
use crate::util::{environment, variables};
use async_trait::async_trait;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::signer::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The label of a bucket that says whose it is.
const LABEL: &str = "sky-lineage";

pub(super) struct Gcs {
    name: String,
    region: String,
    account: Account,
    remote: Remote,
}

/// What calls about buckets are made with.
struct Account {
    client: Arc<GoogleCloudStorage>,
    endpoint: String,
}

pub(super) fn open(name: &str, region: &str) -> Result<Gcs, BucketError> {
    let account = account(GoogleCloudStorageBuilder::from_env(), name)?;
    let address = format!("gs://{name}");
    let remote = Remote {
        address,
        store: account.client.clone(),
        signer: account.client.clone(),
    };
    Ok(Gcs {
        name: name.to_owned(),
        region: region.to_owned(),
        account,
        remote,
    })
}

fn account(builder: GoogleCloudStorageBuilder, name: &str) -> Result<Account, BucketError> {
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let endpoint = endpoint.unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
    let built_store = builder.with_bucket_name(name).with_retry(retry()).build();
    let client = built_store.map_err(|error| named(&format!("cannot use gs://{name}"), &error))?;
    Ok(Account {
        client: Arc::new(client),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
    })
}

/// The variables that name a file of credentials; the first that is set counts.
const CREDENTIALS_FILES: [variables::Variable; 3] = [
    variables::GOOGLE_APPLICATION_CREDENTIALS,
    variables::GOOGLE_SERVICE_ACCOUNT,
    variables::GOOGLE_SERVICE_ACCOUNT_PATH,
];

/// The project that new buckets are in.
fn project() -> Result<String, BucketError> {
    let of_key = || {
        let path = CREDENTIALS_FILES.into_iter().find_map(environment::text)?;
        let text = std::fs::read_to_string(path).ok()?;
        Some(
            serde_json::from_str::<Value>(&text)
                .ok()?
                .get("project_id")?
                .as_str()?
                .to_owned(),
        )
    };
    let named_project = environment::text(variables::SKY_GCP_PROJECT)
        .or_else(|| environment::text(variables::GOOGLE_CLOUD_PROJECT))
        .or_else(of_key);
    named_project.ok_or_else(|| {
        let message =
            "Google Cloud Storage: nothing says which project: set SKY_GCP_PROJECT to its id";
        BucketError::new(Trouble::Denied, message)
    })
}

impl Account {
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, BucketError> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = request(
            method,
            &format!("{}/storage/v1{path}", self.endpoint),
            body.into_bytes(),
        )?;
        let access_denied = |error: object_store::Error| BucketError {
            kind: Trouble::Denied,
            ..named("Google", &error)
        };
        let credential = self
            .client
            .credentials()
            .get_credential()
            .await
            .map_err(access_denied)?;
        let headers = request.headers_mut();
        headers.insert(
            "content-type",
            object_store::HeaderValue::from_static("application/json"),
        );
        if let Ok(bearer) = format!("Bearer {}", credential.bearer).parse() {
            headers.insert("authorization", bearer);
        }
        send(
            &format!("Google Cloud Storage at {}", self.endpoint),
            request,
        )
        .await
    }
}

/// Google's own word for what is wrong.
fn reason(answer: &Answer) -> String {
    let error_json: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    error_json["error"]["errors"][0]["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[async_trait]
impl Store for Gcs {
    async fn make(&self, lineage: &str) -> Result<(), BucketError> {
        let body = json!({
            "name": self.name,
            "location": self.region,
            "labels": { LABEL: owner(lineage) },
            "iamConfiguration": { "uniformBucketLevelAccess": { "enabled": true }, "publicAccessPrevention": "enforced" },
            // What is deleted is not paid for.
            "softDeletePolicy": { "retentionDurationSeconds": "0" },
        });
        let make_answer = self
            .account
            .call(
                Method::POST,
                &format!("/b?project={}", project()?),
                Some(body),
            )
            .await?;
        let cannot_make = format!("cannot make {}", self.remote.address);
        match make_answer.status {
            200..300 => Ok(()),
            // Ours or another's: only its label tells.
            409 => {
                let bucket_answer = self
                    .account
                    .call(Method::GET, &format!("/b/{}", self.name), None)
                    .await?;
                let bucket_json: Value =
                    serde_json::from_str(&bucket_answer.text).unwrap_or_default();
                match bucket_json["labels"][LABEL].as_str() == Some(&owner(lineage)) {
                    true => Ok(()),
                    false => {
                        Err(make_answer.error(&cannot_make, "a bucket of that name is another's"))
                    }
                }
            }
            _ => Err(make_answer.error(&cannot_make, &reason(&make_answer))),
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
                .call(Method::DELETE, &format!("/b/{}", self.name), None)
                .await?;
            match delete_answer.status {
                200..300 | 404 => return Ok(()),
                409 => {}
                _ => {
                    return Err(delete_answer.error(
                        &format!("cannot delete {}", self.remote.address),
                        &reason(&delete_answer),
                    ));
                }
            }
        }
        Err(self.remote.busy())
    }
}

/// The names of all buckets of the project that may be ours; none without credentials in the
/// environment.
pub(super) async fn list() -> Result<Vec<String>, BucketError> {
    if !CREDENTIALS_FILES.into_iter().any(environment::is_set) {
        return Ok(Vec::new());
    }
    let account = account(GoogleCloudStorageBuilder::from_env(), "any")?;
    let mut names = Vec::new();
    let mut page = String::new();
    loop {
        let path = format!("/b?project={}&prefix={OURS}{page}", project()?);
        let list_answer = account.call(Method::GET, &path, None).await?;
        if list_answer.status != 200 {
            return Err(list_answer.error(
                "cannot list the buckets of Google Cloud Storage",
                &reason(&list_answer),
            ));
        }
        let list_json: Value = serde_json::from_str(&list_answer.text).map_err(|error| {
            let message =
                format!("the list of buckets of Google Cloud Storage is not JSON: {error}");
            BucketError::new(Trouble::Other, message)
        })?;
        let items = list_json["items"].as_array().cloned().unwrap_or_default();
        names.extend(
            items
                .iter()
                .filter_map(|item| item["name"].as_str().map(str::to_owned)),
        );
        match list_json["nextPageToken"].as_str() {
            None => return Ok(names),
            Some(next) => page = format!("&pageToken={next}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::path::Path;
    use object_store::signer::Signer;

    #[test]
    fn addresses_are_signed_by_the_key_of_a_service_account() {
        let folder = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("ssh-keygen")
            .args([
                "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f",
            ])
            .arg(folder.path().join("key"))
            .status();
        assert!(
            made.expect("no ssh-keygen: `make setup` installs openssh-client")
                .success()
        );
        let key = std::fs::read_to_string(folder.path().join("key")).unwrap();
        let account_key = json!({
            "type": "service_account", "project_id": "p", "private_key_id": "k", "private_key": key,
            "client_email": "me@p.iam.gserviceaccount.com", "client_id": "1",
        });
        let builder =
            GoogleCloudStorageBuilder::new().with_service_account_key(account_key.to_string());
        let account = account(builder, "sky-bucket").unwrap();
        let path = Path::from("key/00000");
        let signed = account
            .client
            .signed_url(Method::PUT, &path, Duration::from_secs(3600));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let url = runtime.block_on(signed).unwrap();
        assert_eq!(
            (url.scheme(), url.host_str()),
            ("https", Some("storage.googleapis.com"))
        );
        assert_eq!(url.path(), "/sky-bucket/key/00000");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["X-Goog-Algorithm"], "GOOG4-RSA-SHA256");
        assert_eq!(query["X-Goog-Expires"], "3600");
        assert_eq!(query["X-Goog-SignedHeaders"], "host");
        assert!(query["X-Goog-Credential"].starts_with("me@p.iam.gserviceaccount.com/"));
        // An RSA signature of 2048 bits in hex.
        assert_eq!(query["X-Goog-Signature"].len(), 512);
    }
}
