//! The buckets of one job: made, filled by whoever gets an address for one object and one purpose,
//! deleted.
//!
//! | store | a bucket is | its address | where its place is |
//! | --- | --- | --- | --- |
//! | [`s3`] | a bucket of Amazon S3 | `s3://NAME` | the region of the place |
//! | [`gcs`] | a bucket of Google Cloud Storage | `gs://NAME` | the region of the place |
//! | [`azure`] | a container of Azure Blob Storage | `az://NAME` | wherever the storage account is |
//! | [`folder`] | a folder that all machines share | `file:///DIR/NAME` | the same |
//!
//! Credentials and endpoints are read from the environment, as for a state in a bucket; they stay
//! in this process. What is handed on is a signed address for one object, to read it or to write
//! it, for some hours.
//!
//! Why no multi-part uploads of the stores: each store has another way, of which half a dozen calls
//! would have to be signed for somebody without credentials. Objects of some size, each written
//! whole or not at all, are the same everywhere; what is there already need not be written again.

mod any_bucket;
mod azure;
mod bucket_contract;
mod folder;
mod gcs;
#[cfg(feature = "aws")]
mod profile;
mod remote;
mod s3;
mod staging;

pub use any_bucket::{Bucket, Found, Stores, list, simulate};
pub use bucket_contract::{BucketError, Contents, Purpose, Store, Trouble};
pub use staging::Staging;
