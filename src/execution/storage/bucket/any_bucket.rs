//! A bucket of whichever store its address names, and the list of one's own buckets.

use super::bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
use super::{azure, folder, gcs, s3};
use crate::model::PlaceName;
use crate::model::bucket_name::{MARK_LENGTH, OWNER_LENGTH, PREFIX as OURS, owner};
use crate::util::hash::is_hex;
use crate::util::secret::Secret;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// Puts object stores in place of those of the clouds for all that runs on this thread; none: those
/// of the clouds again.
pub fn simulate(stores: Option<Arc<dyn Stores>>) {
    SIMULATED.set(stores);
}

fn simulated_stores() -> Option<Arc<dyn Stores>> {
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
        let unknown_address = || {
            BucketError::new(
                Trouble::Other,
                format!("{address} is not a bucket of a store that sky knows"),
            )
        };
        let (scheme, name) = address.split_once("://").ok_or_else(unknown_address)?;
        if let Some(stores) = simulated_stores() {
            return Ok(Self {
                address: address.to_owned(),
                store: stores.open(address),
            });
        }
        let store: Arc<dyn Store> = match scheme {
            "s3" => Arc::new(s3::open(name, &place.region)?),
            "gs" => Arc::new(gcs::open(name, &place.region)?),
            "az" => Arc::new(azure::open(name)?),
            "file" => Arc::new(folder::open(name)),
            _ => return Err(unknown_address()),
        };
        Ok(Self {
            address: address.to_owned(),
            store,
        })
    }

    /// Returns the address of the bucket, as the state keeps it.
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

    /// Addresses with which whoever has them may read, or write, these objects for so long, and do
    /// nothing else.
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

    /// What is in it.
    pub async fn contents(&self) -> Result<Contents, BucketError> {
        self.store.contents().await
    }

    /// Deletes it with all that is in it; fine if it is gone.
    pub async fn delete(&self) -> Result<(), BucketError> {
        self.store.delete().await
    }
}

/// A bucket of ours that was found by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The address of the bucket.
    pub address: String,
    /// The place of the bucket.
    pub place: PlaceName,
    /// Whether it is of the lineage that was asked for.
    pub own: bool,
}

/// The buckets of ours in a cloud's account, or in a shared folder; none if the environment says
/// nothing of that cloud's store.
pub async fn list(cloud: &str, lineage: &str) -> Result<Vec<Found>, BucketError> {
    let names = match cloud {
        _ if simulated_stores().is_some() => {
            simulated_stores().map_or(Vec::new(), |stores| stores.list(cloud))
        }
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
    let own_prefix = format!("{OURS}{}-", owner(lineage));
    let found_buckets = names.into_iter().filter_map(|name| {
        // sky-OWNER-MARK-REGION
        let mut name_parts = name.strip_prefix(OURS)?.splitn(3, '-');
        let (whose, mark, region) = (name_parts.next()?, name_parts.next()?, name_parts.next()?);
        let is_ours =
            is_hex(whose, OWNER_LENGTH) && is_hex(mark, MARK_LENGTH) && !region.is_empty();
        let place = PlaceName {
            cloud: cloud.to_owned(),
            region: region.to_owned(),
        };
        is_ours.then(|| Found {
            address: format!("{scheme}://{name}"),
            place,
            own: name.starts_with(&own_prefix),
        })
    });
    let mut all_found: Vec<Found> = found_buckets.collect();
    all_found.sort();
    Ok(all_found)
}
