//! Buckets for data between stages that are in no state.

use super::buckets::as_call;
use super::calls::{Patience, patiently};
use super::recorder::Recorder;
use super::stray::{Found, STORES, Scope, StrayBucket, Swept, Why};
use crate::execution::provider::ProviderError;
use crate::execution::state::State;
use crate::execution::storage::bucket::{self, Bucket, Contents};

/// Looks for buckets in all object stores that the environment has credentials for, and adds them.
pub async fn look_for_buckets(state: &State, scope: Scope, found_machines: &mut Found) {
    for cloud in STORES {
        let buckets = match list_of_cloud(cloud, state).await {
            Ok(buckets) => buckets,
            Err(error) => {
                found_machines
                    .failed
                    .push((format!("the object store of {cloud}"), error));
                continue;
            }
        };
        for bucket in buckets {
            if let Some(why) = judge_bucket(&bucket, state, scope) {
                let contents = contents_of(&bucket).await;
                found_machines.buckets.push(StrayBucket {
                    bucket,
                    why,
                    contents,
                });
            }
        }
    }
}

async fn list_of_cloud(cloud: &str, state: &State) -> Result<Vec<bucket::Found>, ProviderError> {
    let list_buckets = || async { bucket::list(cloud, &state.lineage).await.map_err(as_call) };
    patiently(Patience::Through, list_buckets).await
}

async fn contents_of(found_bucket: &bucket::Found) -> Result<Contents, ProviderError> {
    let look_inside = || async {
        Bucket::open(&found_bucket.address, &found_bucket.place)
            .map_err(as_call)?
            .contents()
            .await
            .map_err(as_call)
    };
    patiently(Patience::Briefly, look_inside).await
}

/// Why a bucket is a stray; none: it is none.
fn judge_bucket(bucket: &bucket::Found, state: &State, scope: Scope) -> Option<Why> {
    if state.buckets.values().any(|held| *held == bucket.address) {
        return None;
    }
    match (bucket.own, scope) {
        (true, _) => Some(Why::NotInState),
        (false, Scope::All) => Some(Why::OfAnother),
        (false, Scope::Own) => None,
    }
}

/// Deletes a bucket with all that is in it, unless it is gone, is no stray any more by the state as
/// it is now, or something was written to it or deleted from it since it was found.
pub(super) async fn sweep_bucket(recorder: &Recorder, stray: &StrayBucket, scope: Scope) -> Swept {
    let state_now = recorder.read(State::clone);
    let listed_buckets = match list_of_cloud(&stray.bucket.place.cloud, &state_now).await {
        Ok(listed) => listed,
        Err(error) => return Swept::Failed(error),
    };
    let address = &stray.bucket.address;
    let Some(now) = listed_buckets
        .iter()
        .find(|bucket| bucket.address == *address)
    else {
        return Swept::Gone;
    };
    if judge_bucket(now, &state_now, scope).is_none() {
        return Swept::InUse;
    }
    match (&stray.contents, contents_of(now).await) {
        (Ok(then), Ok(now)) if *then == now => {}
        (Ok(_), Ok(_)) => return Swept::InUse,
        // Nobody can know whether it is in use.
        (Err(error), _) => return Swept::Failed(error.clone()),
        (_, Err(error)) => return Swept::Failed(error),
    }
    let delete = || async {
        Bucket::open(&now.address, &now.place)
            .map_err(as_call)?
            .delete()
            .await
            .map_err(as_call)
    };
    patiently(Patience::Through, delete)
        .await
        .map_or_else(Swept::Failed, |()| Swept::Deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::apply::{Error, sweep};
    use crate::execution::provider::Access;
    use crate::execution::state::{Cipher, LockLost, Store as StateStore};
    use crate::execution::storage::bucket::{BucketError, Purpose, Store, Stores, Trouble};
    use crate::model::{PlaceName, bucket_name};
    use crate::util::secret::Secret;
    use async_trait::async_trait;
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    /// Buckets in memory: how many objects each has, by its name.
    type Memory = Arc<Mutex<BTreeMap<String, u64>>>;

    struct InMemory(Memory);

    struct OneBucket(String, Memory);

    impl Stores for InMemory {
        fn open(&self, address: &str) -> Arc<dyn Store> {
            let name = address.split("://").last().unwrap();
            Arc::new(OneBucket(name.to_owned(), self.0.clone()))
        }

        fn list(&self, cloud: &str) -> Vec<String> {
            let buckets = self.0.lock().unwrap();
            let names = buckets.keys().filter(|_| cloud == "aws");
            names.cloned().collect()
        }
    }

    fn not_asked<T>() -> Result<T, BucketError> {
        let (kind, message) = (Trouble::Other, "a sweep does not ask this".to_owned());
        Err(BucketError { kind, message })
    }

    #[async_trait]
    impl Store for OneBucket {
        async fn make(&self, _: &str) -> Result<(), BucketError> {
            not_asked()
        }

        async fn sizes(&self, _: &str) -> Result<BTreeMap<String, u64>, BucketError> {
            not_asked()
        }

        async fn remove(&self, _: &str) -> Result<(), BucketError> {
            not_asked()
        }

        async fn read(&self, _: &str) -> Result<Vec<u8>, BucketError> {
            not_asked()
        }

        async fn sign(
            &self,
            _: Purpose,
            _: &[String],
            _: Duration,
        ) -> Result<Vec<Secret>, BucketError> {
            not_asked()
        }

        async fn contents(&self) -> Result<Contents, BucketError> {
            match self.1.lock().unwrap().get(&self.0) {
                Some(objects) => Ok(Contents {
                    objects: *objects,
                    ..Contents::default()
                }),
                None => not_asked(),
            }
        }

        async fn delete(&self) -> Result<(), BucketError> {
            self.1.lock().unwrap().remove(&self.0);
            Ok(())
        }
    }

    /// What becomes of a bucket in no state when something happens between the question and the
    /// answer; and the buckets that are left.
    fn swept_after(
        happens: impl FnOnce(&Memory, &StateStore, &str),
    ) -> (Result<Swept, Error>, usize) {
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::open(folder.path(), None, None, Cipher::default()).unwrap();
        let lock = store.lock("sweep", Duration::ZERO).unwrap();
        let state = store.change(Some(&lock)).unwrap().state;
        let place = PlaceName::parse("aws:us-east-1").unwrap();
        let name = bucket_name::new(&place, &state.lineage, 1);
        let memory: Memory = Arc::new(Mutex::new([(name.clone(), 1)].into()));
        bucket::simulate(Some(Arc::new(InMemory(memory.clone()))));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut found = Found::default();
        runtime.block_on(look_for_buckets(&state, Scope::Own, &mut found));
        assert_eq!((found.buckets.len(), found.failed.len()), (1, 0));
        happens(&memory, &store, &name);
        let opened = store.change(Some(&lock)).unwrap();
        let access = Access::default();
        let swept = runtime.block_on(sweep::sweep(opened, &found, Scope::Own, &access));
        bucket::simulate(None);
        let left = memory.lock().unwrap().len();
        (swept.map(|mut swept| swept.remove(0)), left)
    }

    #[test]
    fn a_bucket_is_looked_at_again_right_before_its_deletion() {
        let (swept, left) = swept_after(|_, _, _| {});
        assert_eq!((swept.unwrap(), left), (Swept::Deleted, 0));
        // Somebody writes to it, or deletes from it.
        for objects in [0, 2] {
            let write = |memory: &Memory, _: &StateStore, name: &str| {
                memory.lock().unwrap().insert(name.to_owned(), objects);
            };
            let (swept, left) = swept_after(write);
            assert_eq!((swept.unwrap(), left), (Swept::InUse, 1));
        }
        let (swept, _) = swept_after(|memory, _, _| memory.lock().unwrap().clear());
        assert_eq!(swept.unwrap(), Swept::Gone);
    }

    #[test]
    fn a_bucket_whose_state_has_appeared_is_left_alone() {
        let restore = |_: &Memory, store: &StateStore, name: &str| {
            let mut opened = store.change(None).unwrap();
            let place = PlaceName::parse("aws:us-east-1").unwrap();
            opened.state.buckets.insert(place, format!("s3://{name}"));
            let compacted = opened.compact();
            futures_util::future::FutureExt::now_or_never(compacted)
                .unwrap()
                .unwrap();
        };
        let (swept, left) = swept_after(restore);
        assert_eq!((swept.unwrap(), left), (Swept::InUse, 1));
    }

    #[test]
    fn nothing_is_deleted_once_the_lock_is_anothers() {
        let force = |_: &Memory, store: &StateStore, _: &str| {
            let holder = store.holder().unwrap().unwrap();
            assert!(store.force_unlock(&holder.id).unwrap());
        };
        let (swept, left) = swept_after(force);
        let Err(Error::Io(error)) = swept else {
            panic!("{swept:?}")
        };
        assert!(LockLost::of(&error).is_some() && left == 1, "{error}");
    }
}
