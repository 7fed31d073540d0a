//! What a store can do with one of its buckets, and what can go wrong.

use crate::util::secret::Secret;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;

/// What went wrong with a bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BucketError {
    /// The kind of trouble, which decides what is done.
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
    /// Anything else.
    Other,
}

impl BucketError {
    pub(super) fn new(kind: Trouble, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The object is read.
    Read,
    /// The object is written.
    Write,
}

/// What is in a bucket, as far as it tells whether anything was written or deleted since.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The number of objects.
    pub objects: u64,
    /// The size of all objects together.
    pub bytes: u64,
    /// When the newest object was written, by the store's clock, in milliseconds since 1970.
    pub newest: i64,
}

impl Contents {
    /// Counts an object of so many bytes, written at a time.
    pub(super) fn add(&mut self, bytes: u64, written: i64) {
        self.objects += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.newest = self.newest.max(written);
    }
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
    async fn sign(
        &self,
        purpose: Purpose,
        keys: &[String],
        validity: Duration,
    ) -> Result<Vec<Secret>, BucketError>;
    /// What is in the bucket.
    async fn contents(&self) -> Result<Contents, BucketError>;
    /// Deletes the bucket with all that is in it; fine if it is gone.
    async fn delete(&self) -> Result<(), BucketError>;
    /// A header that whoever writes an object must send; empty if there is none.
    fn header(&self) -> &'static str {
        ""
    }
}
