//! The buckets of one job: made, filled by whoever gets an address for one object and one purpose, deleted.
//!
//! | store | a bucket is | its address | where its place is |
//! | --- | --- | --- | --- |
//! | [`s3`] | a bucket of Amazon S3 | `s3://NAME` | the region of the place |
//! | [`gcs`] | a bucket of Google Cloud Storage | `gs://NAME` | the region of the place |
//! | [`azure`] | a container of Azure Blob Storage | `az://NAME` | wherever the storage account is |
//! | [`folder`] | a folder that all machines share | `file:///DIR/NAME` | the same |
//!
//! Credentials and endpoints are read from the environment, as for a state in a bucket; they stay in this process.
//! What is handed on is a signed address for one object, to read it or to write it, for some hours.
//!
//! Why no multi-part uploads of the stores: each store has another way, of which half a dozen calls would have to be
//! signed for somebody without credentials. Objects of some size, each written whole or not at all, are the same
//! everywhere; what is there already need not be written again.

mod azure;
mod folder;
mod gcs;
#[cfg(feature = "aws")]
mod profile;
mod remote;
mod s3;

use crate::model::PlaceName;
use crate::model::bucket_name::{self, MARK_LENGTH, OWNER_LENGTH, PREFIX as OURS, owner};
use crate::util::hash::is_hex;
use crate::util::secret::Secret;
use async_trait::async_trait;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How artifacts get from one stage to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staging {
    /// Through this machine.
    Home,
    /// Through a bucket in each place whose cloud has an object store.
    Buckets,
    /// Through a folder that this machine and all others share.
    Folder(PathBuf),
}

impl Staging {
    /// Reads `home`, `buckets` or `file:///DIR`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "home" => Ok(Self::Home),
            "buckets" => Ok(Self::Buckets),
            _ => {
                let wrong = || format!("`{text}` is no way of staging: write home, buckets or file:///DIR");
                let folder = PathBuf::from(text.strip_prefix("file://").ok_or_else(wrong)?);
                // It is part of an address, and of a configuration, that others read.
                let plain = |letter: char| letter.is_ascii_alphanumeric() || "/-_.,+=@".contains(letter);
                match folder.is_absolute() && text["file://".len()..].chars().all(plain) {
                    true => Ok(Self::Folder(folder)),
                    false => Err(format!("{}, a folder of plain letters", wrong())),
                }
            }
        }
    }

    /// The way if nobody says another: as the plan has paid for, from place to place. A provider in place of those of the
    /// plan's places, as in a rehearsal, has no buckets there.
    pub fn usual(provider: Option<&str>) -> Self {
        match provider {
            Some(name) if !Self::Buckets.has(name) => Self::Home,
            _ => Self::Buckets,
        }
    }

    /// Whether places of that cloud have buckets.
    pub fn has(&self, cloud: &str) -> bool {
        match self {
            Self::Home => false,
            Self::Buckets => matches!(cloud, "aws" | "gcp" | "azure"),
            Self::Folder(_) => true,
        }
    }

    /// The address that a new bucket of a place gets, if the place has one. `nonce`: no two buckets of a lineage have
    /// the same, so that none has to wait for the end of another.
    pub fn address(&self, place: &PlaceName, lineage: &str, nonce: u64) -> Option<String> {
        let name = bucket_name::new(place, lineage, nonce);
        match (self, place.cloud.as_str()) {
            (Self::Home, _) => None,
            (Self::Folder(folder), _) => Some(format!("file://{}/{name}", folder.display())),
            (Self::Buckets, "aws") => Some(format!("s3://{name}")),
            (Self::Buckets, "gcp") => Some(format!("gs://{name}")),
            (Self::Buckets, "azure") => Some(format!("az://{name}")),
            (Self::Buckets, _) => None,
        }
    }
}

impl fmt::Display for Staging {
    /// As it is read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Home => f.write_str("home"),
            Self::Buckets => f.write_str("buckets"),
            Self::Folder(folder) => write!(f, "file://{}", folder.display()),
        }
    }
}

/// What went wrong with a bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BucketError {
    pub kind: Trouble,
    /// Names the bucket; holds no signed address and no credential.
    pub message: String,
}

/// Kinds of trouble, told apart because the ways out differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Later it may work.
    Passing,
    /// Credentials or permissions are missing.
    Denied,
    /// There is no such bucket or object.
    Missing,
    /// What is there is not what was written.
    Damaged,
    Other,
}

impl BucketError {
    fn new(kind: Trouble, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Read,
    Write,
}

/// What a store can do with one of its buckets.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes the bucket; fine if it is there and ours.
    async fn make(&self, lineage: &str) -> Result<(), BucketError>;
    /// The objects of a folder, by the last part of their names, with their sizes.
    async fn sizes(&self, folder: &str) -> Result<BTreeMap<String, u64>, BucketError>;
    /// Deletes the objects of a folder; fine if there are none.
    async fn remove(&self, folder: &str) -> Result<(), BucketError>;
    /// Reads an object.
    async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError>;
    /// Signs an address for each object.
    async fn sign(&self, purpose: Purpose, keys: &[String], validity: Duration) -> Result<Vec<Secret>, BucketError>;
    /// Deletes the bucket with all that is in it; fine if it is gone.
    async fn delete(&self) -> Result<(), BucketError>;
    /// A header that whoever writes an object must send; empty if there is none.
    fn header(&self) -> &'static str {
        ""
    }
}

/// Object stores in place of those of the clouds, for a simulation.
pub trait Stores: Send + Sync {
    /// The bucket at an address.
    fn open(&self, address: &str) -> Arc<dyn Store>;

    /// The names of all buckets in a cloud's account.
    fn list(&self, cloud: &str) -> Vec<String>;
}

thread_local! {
    static SIMULATED: RefCell<Option<Arc<dyn Stores>>> = const { RefCell::new(None) };
}

/// Puts object stores in place of those of the clouds for all that runs on this thread; none: those of the clouds again.
pub fn simulate(stores: Option<Arc<dyn Stores>>) {
    SIMULATED.set(stores);
}

fn simulated() -> Option<Arc<dyn Stores>> {
    SIMULATED.with_borrow(Clone::clone)
}

/// A bucket that this process may use.
#[derive(Clone)]
pub struct Bucket {
    address: String,
    store: Arc<dyn Store>,
}

impl Bucket {
    /// Opens the bucket at an address, of a place; asks nobody yet.
    pub fn open(address: &str, place: &PlaceName) -> Result<Self, BucketError> {
        let unknown = || BucketError::new(Trouble::Other, format!("{address} is no bucket of a store that sky knows"));
        let (scheme, name) = address.split_once("://").ok_or_else(unknown)?;
        if let Some(stores) = simulated() {
            return Ok(Self { address: address.to_owned(), store: stores.open(address) });
        }
        let store: Arc<dyn Store> = match scheme {
            "s3" => Arc::new(s3::open(name, &place.region)?),
            "gs" => Arc::new(gcs::open(name, &place.region)?),
            "az" => Arc::new(azure::open(name)?),
            "file" => Arc::new(folder::open(name)),
            _ => return Err(unknown()),
        };
        Ok(Self { address: address.to_owned(), store })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Makes it, with a mark of whose it is; fine if it is there.
    pub async fn make(&self, lineage: &str) -> Result<(), BucketError> {
        self.store.make(lineage).await
    }

    /// The objects `KEY/…`, by the last part of their names, with their sizes.
    pub async fn sizes(&self, key: &str) -> Result<BTreeMap<String, u64>, BucketError> {
        self.store.sizes(key).await
    }

    /// Deletes the objects `KEY/…`; fine if there are none.
    pub async fn remove(&self, key: &str) -> Result<(), BucketError> {
        self.store.remove(key).await
    }

    /// Reads an object.
    pub async fn read(&self, key: &str) -> Result<Vec<u8>, BucketError> {
        self.store.read(key).await
    }

    /// Addresses with which whoever has them may read, or write, these objects for so long, and do nothing else.
    pub async fn sign(
        &self,
        purpose: Purpose,
        keys: &[String],
        validity: Duration,
    ) -> Result<Vec<Secret>, BucketError> {
        self.store.sign(purpose, keys, validity).await
    }

    /// A header that whoever writes an object must send; empty if there is none.
    pub fn header(&self) -> &'static str {
        self.store.header()
    }

    /// Deletes it with all that is in it; fine if it is gone.
    pub async fn delete(&self) -> Result<(), BucketError> {
        self.store.delete().await
    }
}

/// A bucket of ours that was found by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub address: String,
    pub place: PlaceName,
    /// Whether it is of the lineage that was asked for.
    pub own: bool,
}

/// The buckets of ours in a cloud's account, or in a shared folder; none if the environment says nothing of that
/// cloud's store.
pub async fn list(cloud: &str, lineage: &str) -> Result<Vec<Found>, BucketError> {
    let names = match cloud {
        _ if simulated().is_some() => simulated().map_or(Vec::new(), |stores| stores.list(cloud)),
        "aws" => s3::list().await?,
        "gcp" => gcs::list().await?,
        "azure" => azure::list().await?,
        _ => Vec::new(),
    };
    let scheme = match cloud {
        "aws" => "s3",
        "gcp" => "gs",
        _ => "az",
    };
    let own = format!("{OURS}{}-", owner(lineage));
    let found = names.into_iter().filter_map(|name| {
        // sky-OWNER-MARK-REGION
        let mut parts = name.strip_prefix(OURS)?.splitn(3, '-');
        let (whose, mark, region) = (parts.next()?, parts.next()?, parts.next()?);
        let ours = is_hex(whose, OWNER_LENGTH) && is_hex(mark, MARK_LENGTH) && !region.is_empty();
        let place = PlaceName { cloud: cloud.to_owned(), region: region.to_owned() };
        ours.then(|| Found { address: format!("{scheme}://{name}"), place, own: name.starts_with(&own) })
    });
    let mut found: Vec<Found> = found.collect();
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_and_where() {
        let place = PlaceName::parse("aws:us-east-1").unwrap();
        let lineage = "0A1B2C3D-4e5f-6071-8293-a4b5c6d7e8f9";
        let first = Staging::Buckets.address(&place, lineage, 7).unwrap();
        assert!(first.starts_with("s3://sky-0a1b2c3d4e5f-") && first.ends_with("-us-east-1"), "{first}");
        assert_ne!(first, Staging::Buckets.address(&place, lineage, 8).unwrap());
        assert!(first.len() <= "s3://".len() + 63);
        assert_eq!(Staging::Buckets.address(&PlaceName::parse("ssh:one").unwrap(), lineage, 1), None);
        assert_eq!(Staging::Home.address(&place, lineage, 1), None);
        let folder = Staging::parse("file:///shared/x").unwrap();
        let address = folder.address(&PlaceName::parse("ssh:My Host").unwrap(), lineage, 1).unwrap();
        assert!(
            address.starts_with("file:///shared/x/sky-0a1b2c3d4e5f-") && address.ends_with("-my-host"),
            "{address}"
        );
    }

    #[test]
    fn ways_of_staging() {
        for text in ["home", "buckets", "file:///shared/x"] {
            assert_eq!(Staging::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Staging::usual(None), Staging::Buckets);
        assert_eq!(
            ["aws", "sim", "ssh", "local"].map(|name| Staging::usual(Some(name)) == Staging::Buckets),
            [true, false, false, false]
        );
        assert_eq!(Staging::parse("home"), Ok(Staging::Home));
        assert_eq!(Staging::parse("buckets"), Ok(Staging::Buckets));
        for text in ["", "s3://x", "file://x", "file:///a b", "file:///a\"b"] {
            assert!(Staging::parse(text).unwrap_err().contains("write home, buckets or file:///DIR"), "{text}");
        }
    }
}
