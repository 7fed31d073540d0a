//! Where a state is: a folder of this machine, or a bucket of an object store.
//!
//! | written | what it is | credentials and settings, as the crate `object_store` reads them |
//! | --- | --- | --- |
//! | `DIR`, `file:///DIR` | a folder | none |
//! | `s3://BUCKET/PREFIX` | Amazon S3, or what speaks its protocol | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`; web identity, container and instance credentials |
//! | `gs://BUCKET/PREFIX` | Google Cloud Storage | `GOOGLE_APPLICATION_CREDENTIALS`, `GOOGLE_SERVICE_ACCOUNT`; gcloud's and instance credentials |
//! | `az://CONTAINER/PREFIX` | Azure Blob Storage | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_SAS_TOKEN`, `AZURE_TENANT_ID` with `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`; instance credentials |

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, RetryConfig};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A place for a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A bucket of an object store.
    Bucket {
        /// The cloud of the bucket.
        cloud: Cloud,
        /// The name of the bucket.
        name: String,
        /// The beginning of all names of objects, without slashes around it.
        prefix: String,
    },
}

/// Whose object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon's S3, or another server with its interface.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// Why a text is not the address of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is empty.
    #[error("the state's address is empty: {FORMS}")]
    Empty,
    /// The text is a `file:` address of no folder.
    #[error("`{0}` names no folder: {FORMS}")]
    NoFolder(String),
    /// The text begins with a scheme that is none of those for a state.
    #[error("`{0}` is not a place for a state: {FORMS}")]
    UnknownScheme(String),
    /// The text holds keys or options.
    #[error("`{0}`: keys and options do not belong here, the environment has them: {FORMS}")]
    KeysOrOptions(String),
    /// The text has no name of a bucket.
    #[error("`{0}` names no bucket: {FORMS}")]
    NoBucket(String),
    /// The text has two slashes beside each other.
    #[error("`{0}` has an empty part: {FORMS}")]
    EmptyPart(String),
    /// The prefix cannot begin the names of objects.
    #[error("`{text}`: {reason}")]
    Prefix {
        /// The address.
        text: String,
        /// What is wrong with its prefix.
        reason: String,
    },
}

/// The forms of an address that may be written.
const FORMS: &str =
    "write a folder, file:///DIR, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

impl Address {
    /// Reads an address; the error says what is wrong and what may be written.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.is_empty() {
                true => Err(AddressError::Empty),
                false => Ok(Self::Folder(PathBuf::from(text))),
            };
        };
        let cloud = match scheme {
            "file" => {
                let path = reqwest::Url::parse(text)
                    .ok()
                    .and_then(|url| url.to_file_path().ok());
                let path = path.filter(|_| rest.starts_with('/'));
                return path
                    .map(Self::Folder)
                    .ok_or_else(|| AddressError::NoFolder(text.to_owned()));
            }
            "s3" => Cloud::S3,
            "gs" => Cloud::Gcs,
            "az" => Cloud::Azure,
            _ => return Err(AddressError::UnknownScheme(text.to_owned())),
        };
        if rest.contains(['?', '#', '@']) {
            return Err(AddressError::KeysOrOptions(text.to_owned()));
        }
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(AddressError::NoBucket(text.to_owned()));
        }
        let prefix = prefix.trim_end_matches('/');
        if prefix.starts_with('/') {
            return Err(AddressError::EmptyPart(text.to_owned()));
        }
        ObjectPath::parse(prefix).map_err(|error| AddressError::Prefix {
            text: text.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self::Bucket {
            cloud,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "{}", folder.display()),
            Self::Bucket {
                cloud,
                name,
                prefix,
            } => f.write_str(&cloud.url(name, prefix)),
        }
    }
}

impl Cloud {
    fn scheme(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Gcs => "gs",
            Cloud::Azure => "az",
        }
    }

    /// The address of something in a bucket.
    pub fn url(self, bucket: &str, path: &str) -> String {
        format!("{}://{bucket}/{path}", self.scheme())
            .trim_end_matches('/')
            .to_owned()
    }

    /// A client for a bucket, with what the environment says, that makes a call again so often, for
    /// a minute at most. Asks nobody yet.
    pub fn client(
        self,
        bucket: &str,
        retries: usize,
    ) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        let retry = RetryConfig {
            max_retries: retries,
            retry_timeout: Duration::from_secs(60),
            ..RetryConfig::default()
        };
        Ok(match self {
            Cloud::S3 => Arc::new(
                AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_retry(retry)
                    .build()?,
            ),
            Cloud::Gcs => Arc::new(
                GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(bucket)
                    .with_retry(retry)
                    .build()?,
            ),
            Cloud::Azure => Arc::new(
                MicrosoftAzureBuilder::from_env()
                    .with_container_name(bucket)
                    .with_retry(retry)
                    .build()?,
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let bucket = |cloud, name: &str, prefix: &str| Address::Bucket {
            cloud,
            name: name.into(),
            prefix: prefix.into(),
        };
        assert_eq!(
            Address::parse("s3://team/jobs/a/"),
            Ok(bucket(Cloud::S3, "team", "jobs/a"))
        );
        assert_eq!(
            Address::parse("gs://team"),
            Ok(bucket(Cloud::Gcs, "team", ""))
        );
        assert_eq!(
            Address::parse("az://box/x"),
            Ok(bucket(Cloud::Azure, "box", "x"))
        );
        assert_eq!(
            Address::parse("file:///tmp/a%20b"),
            Ok(Address::Folder("/tmp/a b".into()))
        );
        assert_eq!(
            Address::parse("../there"),
            Ok(Address::Folder("../there".into()))
        );
        assert_eq!(Cloud::S3.url("team", ""), "s3://team");
        for text in [
            "",
            "s3://",
            "s3:///x",
            "ftp://x/y",
            "file://x",
            "s3://a//b",
            "s3://key:secret@a/b",
            "az://a/b?sig=c",
        ] {
            let said = Address::parse(text).unwrap_err().to_string();
            assert!(said.contains(FORMS) || said.contains(text), "{said}");
        }
    }
}
