//! The lock of a state in a bucket: one object that says who has it, written only on condition.
//!
//! The first lock creates the object, all later ones change the version of it that they have read; so of many that
//! try at once, the store lets one through. A lock that is given up stays as `{}`: deleting cannot be done on
//! condition, and might delete another's.

use super::bucket::{Bucket, Found, Put, When};
use super::holder::Holder;
use super::lock::{Fence, Former, Lock, LockError, LockLost, taken_over};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The object's name.
pub const LOCK: &str = "lock";

/// What nobody's lock says.
const FREE: &[u8] = b"{}\n";

/// What a lock says that was forced open: its holder may still be at work.
const FORCED: &[u8] = b"{\"Forced\": true}\n";

/// Takes the lock, trying for as long as `timeout`; it lasts for `lease` when it is not renewed.
pub fn take(bucket: &Bucket, holder: &Holder, timeout: Duration, lease: Duration) -> Result<Lock, LockError> {
    let begun = Instant::now();
    loop {
        let holder = holder.renewed(lease);
        let found = bucket.get(LOCK)?;
        let (when, former) = match &found {
            None => (When::New, None),
            Some(found) => match read(bucket, found)? {
                // Written, though the answer that told so was lost.
                Some(said) if said.id == holder.id => return held(bucket, holder, lease, None),
                Some(said) if !said.is_dead() && !said.is_over() => {
                    let waited = begun.elapsed();
                    if waited >= timeout {
                        return Err(LockError::Held(Some(Box::new(said))));
                    }
                    std::thread::sleep(Duration::from_millis(250).min(timeout - waited));
                    continue;
                }
                Some(said) => (When::Still(found.version.clone()), Some(taken_over(&said))),
                None if found.bytes == FORCED => {
                    let words = "the lock was forced open before: if its former holder still lives, it stops before its \
                                  next call";
                    let former = Former { words: words.to_owned(), may_live: true };
                    (When::Still(found.version.clone()), Some(former))
                }
                None => (When::Still(found.version.clone()), None),
            },
        };
        // If it is refused, somebody was faster: who?
        if let Put::Done(_) = bucket.put(LOCK, holder.bytes(), when)? {
            return held(bucket, holder, lease, former);
        }
    }
}

fn held(bucket: &Bucket, holder: Holder, lease: Duration, former: Option<Former>) -> Result<Lock, LockError> {
    let fence = Arc::new(Lease { bucket: bucket.clone(), holder: Mutex::new(holder), lease });
    Ok(Lock::held(fence, lease, former)?)
}

/// Who holds the lock; none if nobody does.
pub fn holder(bucket: &Bucket) -> io::Result<Option<Holder>> {
    let found = bucket.get(LOCK)?;
    let said = found.map(|found| read(bucket, &found)).transpose()?.flatten();
    Ok(said.filter(|said| !said.is_dead()))
}

/// Gives the lock up for its holder; `false` if it is no longer the one with that id.
pub fn force(bucket: &Bucket, id: &str) -> io::Result<bool> {
    let Some(found) = bucket.get(LOCK)? else { return Ok(false) };
    if read(bucket, &found)?.is_none_or(|said| said.id != id) {
        return Ok(false);
    }
    Ok(matches!(bucket.put(LOCK, FORCED.to_vec(), When::Still(found.version))?, Put::Done(_)))
}

fn read(bucket: &Bucket, found: &Found) -> io::Result<Option<Holder>> {
    match Holder::read(&found.bytes) {
        None if found.bytes != FREE && found.bytes != FORCED => {
            let url = bucket.url(LOCK);
            let message = format!("{url} is not a lock of sky; if nothing is at work on the state, delete it");
            Err(io::Error::new(io::ErrorKind::InvalidData, message))
        }
        said => Ok(said),
    }
}

#[derive(Debug)]
struct Lease {
    bucket: Bucket,
    /// One call at a time: a renewal must not come after the release.
    holder: Mutex<Holder>,
    lease: Duration,
}

impl Lease {
    /// The object as it is, if it is ours.
    fn ours(bucket: &Bucket, id: &str) -> io::Result<Found> {
        let found = bucket.get(LOCK)?;
        let said = found.as_ref().map(|found| read(bucket, found)).transpose()?.flatten();
        match (found, said) {
            (Some(found), Some(said)) if said.id == id => Ok(found),
            (_, said) => Err(LockLost { holder: said.map(Box::new) }.into_io()),
        }
    }
}

impl Fence for Lease {
    fn check(&self) -> io::Result<()> {
        let id = self.holder.lock().unwrap_or_else(PoisonError::into_inner).id.clone();
        Self::ours(&self.bucket.patiently(), &id).map(drop)
    }

    fn renew(&self) {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(found) = Self::ours(&self.bucket, &holder.id) {
            let renewed = holder.renewed(self.lease);
            if let Ok(Put::Done(_)) = self.bucket.put(LOCK, renewed.bytes(), When::Still(found.version)) {
                *holder = renewed;
            }
        }
    }

    fn release(&self) {
        let holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(found) = Self::ours(&self.bucket, &holder.id) {
            let _ = self.bucket.put(LOCK, FREE.to_vec(), When::Still(found.version));
        }
    }
}
