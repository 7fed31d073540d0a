//! The lock of a state in a bucket: one object that says who has it, written only on condition.
//!
//! The first lock creates the object, all later ones change the version of it that they have read;
//! so of many that try at once, the store lets one through. A lock that is given up stays as `{}`:
//! deleting cannot be done on condition, and might delete another's.

use super::bucket::{Bucket, Found, Put, When};
use super::holder::Holder;
use super::lock::{Fence, Former, Lock, LockError, LockLost, taken_over};
use async_trait::async_trait;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The object's name.
pub(super) const LOCK: &str = "lock";

/// The content of a lock that nobody holds.
const FREE: &[u8] = b"{}\n";

/// The content of a lock that was forced open: its holder may still be at work.
const FORCED: &[u8] = b"{\"Forced\": true}\n";

/// Takes the lock, trying for as long as `timeout`; it lasts for `lease` when it is not renewed.
pub(super) async fn take(
    bucket: &Bucket,
    holder: &Holder,
    timeout: Duration,
    lease: Duration,
) -> Result<Lock, LockError> {
    let begun_at = Instant::now();
    loop {
        let holder = holder.renewed(lease);
        let found_lock = bucket.get(LOCK).await?;
        let (when, former) = match &found_lock {
            None => (When::New, None),
            Some(found) => match read_lease(bucket, found)? {
                // Written, though the answer that told so was lost.
                Some(said) if said.id == holder.id => {
                    return held_lease(bucket, holder, lease, None);
                }
                Some(said) if !said.is_dead() && !said.is_over() => {
                    let waited = begun_at.elapsed();
                    if waited >= timeout {
                        return Err(LockError::Held(Some(Box::new(said))));
                    }
                    tokio::time::sleep(Duration::from_millis(250).min(timeout - waited)).await;
                    continue;
                }
                Some(said) => (When::Still(found.version.clone()), Some(taken_over(&said))),
                None if found.bytes == FORCED => {
                    let forced_words = "the lock was forced open before: if its former holder still lives, it stops before its \
                                  next call";
                    let former_lock = Former {
                        words: forced_words.to_owned(),
                        may_live: true,
                    };
                    (When::Still(found.version.clone()), Some(former_lock))
                }
                None => (When::Still(found.version.clone()), None),
            },
        };
        // If it is refused, somebody was faster: who?
        if let Put::Done(_) = bucket.put(LOCK, holder.bytes()?, when).await? {
            return held_lease(bucket, holder, lease, former);
        }
    }
}

fn held_lease(
    bucket: &Bucket,
    holder: Holder,
    lease: Duration,
    former: Option<Former>,
) -> Result<Lock, LockError> {
    let id = holder.id.clone();
    let fence = Arc::new(Lease {
        bucket: bucket.clone(),
        id,
        holder: Mutex::new(holder),
        lease,
    });
    Ok(Lock::held(fence, lease, former)?)
}

/// Who holds the lock; none if nobody does.
pub(super) async fn holder(bucket: &Bucket) -> io::Result<Option<Holder>> {
    let found_lock = bucket.get(LOCK).await?;
    let holder_said = found_lock
        .map(|found| read_lease(bucket, &found))
        .transpose()?
        .flatten();
    Ok(holder_said.filter(|said| !said.is_dead()))
}

/// Gives the lock up for its holder; `false` if it is no longer the one with that id.
pub(super) async fn force(bucket: &Bucket, id: &str) -> io::Result<bool> {
    let Some(found) = bucket.get(LOCK).await? else {
        return Ok(false);
    };
    if read_lease(bucket, &found)?.is_none_or(|said| said.id != id) {
        return Ok(false);
    }
    Ok(matches!(
        bucket
            .put(LOCK, FORCED.to_vec(), When::Still(found.version))
            .await?,
        Put::Done(_)
    ))
}

fn read_lease(bucket: &Bucket, found_lock: &Found) -> io::Result<Option<Holder>> {
    match Holder::read(&found_lock.bytes) {
        None if found_lock.bytes != FREE && found_lock.bytes != FORCED => {
            let url = bucket.url(LOCK);
            let message = format!(
                "{url} is not a lock of sky; if nothing is at work on the state, delete it"
            );
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        said => Ok(said),
    }
}

#[derive(Debug)]
struct Lease {
    bucket: Bucket,
    id: String,
    /// One call at a time: a renewal must not come after the release.
    holder: Mutex<Holder>,
    lease: Duration,
}

impl Lease {
    /// The object as it is, if it is ours.
    async fn ours(bucket: &Bucket, id: &str) -> io::Result<Found> {
        let found_lock = bucket.get(LOCK).await?;
        let holder_said = found_lock
            .as_ref()
            .map(|found| read_lease(bucket, found))
            .transpose()?
            .flatten();
        match (found_lock, holder_said) {
            (Some(found), Some(said)) if said.id == id => Ok(found),
            (_, said) => Err(LockLost {
                holder: said.map(Box::new),
            }
            .into_io()),
        }
    }
}

#[async_trait]
impl Fence for Lease {
    async fn check(&self) -> io::Result<()> {
        Self::ours(&self.bucket.patiently(), &self.id)
            .await
            .map(drop)
    }

    fn check_now(&self) -> io::Result<()> {
        Err(io::Error::other(
            "the lock of a state in a bucket cannot be looked at without waiting",
        ))
    }

    async fn renew(&self) {
        let mut holder = self.holder.lock().await;
        if let Ok(found) = Self::ours(&self.bucket, &holder.id).await {
            let renewed = holder.renewed(self.lease);
            if let Ok(bytes) = renewed.bytes()
                && let Ok(Put::Done(_)) = self
                    .bucket
                    .put(LOCK, bytes, When::Still(found.version))
                    .await
            {
                *holder = renewed;
            }
        }
    }

    async fn release(&self) {
        let holder = self.holder.lock().await;
        if let Ok(found) = Self::ours(&self.bucket, &holder.id).await {
            let _ = self
                .bucket
                .put(LOCK, FREE.to_vec(), When::Still(found.version))
                .await;
        }
    }
}
