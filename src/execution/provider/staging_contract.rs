//! What a machine does with buckets, if it can use them: see the contract at the head of
//! [`provider`](super).

use super::{Delivery, Fetch, Moved, Parcel, ProviderError, Source};
use async_trait::async_trait;

/// A worker that sends data to buckets and fetches data from them, by signed addresses.
#[async_trait]
pub trait Staging: Send + Sync {
    /// Measures what a command that exited well wrote, in the order of `outputs`, without bringing
    /// it here; the errors are those of [`Worker::collect`](super::Worker::collect). With no
    /// outputs the call may be made at any time, and an error says what the machine lacks to use
    /// buckets at all.
    async fn measure(&self, outputs: &[String]) -> Result<Vec<Parcel>, ProviderError>;

    /// Sends chunks to a bucket; when the call is made again, chunks that are there are not sent
    /// again.
    async fn deliver(
        &self,
        source: Source<'_>,
        delivery: &Delivery,
    ) -> Result<Moved, ProviderError>;

    /// Fetches an input from a bucket, for the next [`Worker::stage_in`](super::Worker::stage_in)
    /// to lay out as [`Content::Fetched`](super::Content::Fetched). When the call is made again,
    /// what was fetched under the same mark is not fetched again.
    async fn fetch(&self, fetch: &Fetch) -> Result<Moved, ProviderError>;
}
