//! Azure Blob Storage: a bucket is a container in the one storage account that the environment
//! names, wherever that is: `AZURE_STORAGE_ACCOUNT_NAME` with `AZURE_STORAGE_ACCOUNT_KEY`, or
//! `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`; instance credentials.
//!
//! Calls: <https://learn.microsoft.com/en-us/rest/api/storageservices/operations-on-containers>

use super::bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
use super::remote::{Answer, Remote, named, request, retry, send};
use crate::model::bucket_name::{PREFIX as OURS, owner};
use crate::util::secret::Secret;
use crate::util::{environment, variables};
use async_trait::async_trait;
use object_store::azure::{AzureAuthorizer, AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::signer::{Method, Signer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The account of the emulator that Microsoft documents.
const EMULATOR: &str = "devstoreaccount1";

pub(super) struct Azure {
    client: Arc<MicrosoftAzure>,
    account: String,
    remote: Remote,
}

pub(super) fn open(name: &str) -> Result<Azure, BucketError> {
    let address = format!("az://{name}");
    let cannot_use = format!("cannot use {address}");
    let builder = MicrosoftAzureBuilder::from_env()
        .with_container_name(name)
        .with_retry(retry());
    let emulated = builder
        .get_config_value(&AzureConfigKey::UseEmulator)
        .is_some_and(|value| value == "true");
    let account = builder.get_config_value(&AzureConfigKey::AccountName);
    let account = account.or_else(|| emulated.then(|| EMULATOR.to_owned())).ok_or_else(|| {
        let message = format!("{cannot_use}: AZURE_STORAGE_ACCOUNT_NAME must name the storage account for data in between");
        BucketError::new(Trouble::Denied, message)
    })?;
    let client = Arc::new(
        builder
            .build()
            .map_err(|error| named(&cannot_use, &error))?,
    );
    let remote = Remote {
        address,
        store: client.clone(),
        signer: client.clone(),
    };
    Ok(Azure {
        client,
        account,
        remote,
    })
}

impl Azure {
    /// The container's own address, without a signature.
    async fn url(&self) -> Result<String, BucketError> {
        let cannot_use = format!("cannot use {}", self.remote.address);
        let signed = self
            .client
            .signed_url(Method::GET, &Path::from("x"), Duration::from_secs(60))
            .await;
        let mut url = signed.map_err(|error| named(&cannot_use, &error))?;
        url.set_query(None);
        Ok(String::from(url).trim_end_matches("/x").to_owned())
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        lineage: Option<&str>,
    ) -> Result<Answer, BucketError> {
        let mut request = request(method, url, Vec::new())?;
        let headers = request.headers_mut();
        headers.insert("content-length", 0.into());
        if let Some(lineage) = lineage.and_then(|lineage| owner(lineage).parse().ok()) {
            headers.insert("x-ms-meta-sky_lineage", lineage);
        }
        let access_denied = |error: object_store::Error| BucketError {
            kind: Trouble::Denied,
            ..named("Azure", &error)
        };
        let credential = self
            .client
            .credentials()
            .get_credential()
            .await
            .map_err(access_denied)?;
        AzureAuthorizer::new(&credential, &self.account)
            .try_authorize(&mut request)
            .map_err(access_denied)?;
        send(&format!("storage account {}", self.account), request).await
    }
}

#[async_trait]
impl Store for Azure {
    async fn make(&self, lineage: &str) -> Result<(), BucketError> {
        let url = format!("{}?restype=container", self.url().await?);
        let make_answer = self.call(Method::PUT, &url, Some(lineage)).await?;
        match (make_answer.status, make_answer.element("Code")) {
            (200..300, _) | (409, "ContainerAlreadyExists") => Ok(()),
            (_, code) => {
                Err(make_answer.error(&format!("cannot make {}", self.remote.address), code))
            }
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
        // With all that is in it.
        let url = format!("{}?restype=container", self.url().await?);
        let delete_answer = self.call(Method::DELETE, &url, None).await?;
        match (delete_answer.status, delete_answer.element("Code")) {
            (200..300 | 404, _) | (409, "ContainerBeingDeleted") => Ok(()),
            (_, code) => {
                Err(delete_answer.error(&format!("cannot delete {}", self.remote.address), code))
            }
        }
    }

    fn header(&self) -> &'static str {
        "x-ms-blob-type: BlockBlob"
    }
}

/// The names of all containers of the account that may be ours; none without an account in the
/// environment.
pub(super) async fn list() -> Result<Vec<String>, BucketError> {
    if !environment::is_set(variables::AZURE_STORAGE_ACCOUNT_NAME) {
        return Ok(Vec::new());
    }
    let store = open("any")?;
    let url = store.url().await?;
    let mut names = Vec::new();
    let mut marker = String::new();
    loop {
        let root = url.trim_end_matches("any");
        let list_answer = store
            .call(
                Method::GET,
                &format!("{root}?comp=list&prefix={OURS}{marker}"),
                None,
            )
            .await?;
        if list_answer.status != 200 {
            return Err(list_answer.error(
                "cannot list the containers of Azure",
                list_answer.element("Code"),
            ));
        }
        names.extend(list_answer.elements("Name").map(str::to_owned));
        match list_answer.element("NextMarker") {
            "" => return Ok(names),
            next => marker = format!("&marker={next}"),
        }
    }
}
