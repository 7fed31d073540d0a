//! Buckets for data between stages that are in no state.

use super::buckets::as_call;
use super::calls::{Patience, patiently};
use super::recorder::Recorder;
use super::stray::{Found, STORES, Scope, StrayBucket, Swept, Why};
use crate::execution::provider::ProviderError;
use crate::execution::state::State;
use crate::execution::storage::bucket::{self, Bucket, Contents};

/// Looks for buckets in all object stores that the environment has credentials for, and adds them.
pub async fn look_for_buckets(state: &State, scope: Scope, found: &mut Found) {
    for cloud in STORES {
        let buckets = match list(cloud, state).await {
            Ok(buckets) => buckets,
            Err(error) => {
                found
                    .failed
                    .push((format!("the object store of {cloud}"), error));
                continue;
            }
        };
        for bucket in buckets {
            if let Some(why) = judge(&bucket, state, scope) {
                let contents = contents(&bucket).await;
                found.buckets.push(StrayBucket {
                    bucket,
                    why,
                    contents,
                });
            }
        }
    }
}

async fn list(cloud: &str, state: &State) -> Result<Vec<bucket::Found>, ProviderError> {
    let list = || async { bucket::list(cloud, &state.lineage).await.map_err(as_call) };
    patiently(Patience::Through, list).await
}

async fn contents(found: &bucket::Found) -> Result<Contents, ProviderError> {
    let look = || async {
        Bucket::open(&found.address, &found.place)
            .map_err(as_call)?
            .contents()
            .await
            .map_err(as_call)
    };
    patiently(Patience::Briefly, look).await
}

/// Why a bucket is a stray; none: it is none.
fn judge(bucket: &bucket::Found, state: &State, scope: Scope) -> Option<Why> {
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
    let state = recorder.read(State::clone);
    let listed = match list(&stray.bucket.place.cloud, &state).await {
        Ok(listed) => listed,
        Err(error) => return Swept::Failed(error),
    };
    let address = &stray.bucket.address;
    let Some(now) = listed.iter().find(|bucket| bucket.address == *address) else {
        return Swept::Gone;
    };
    if judge(now, &state, scope).is_none() {
        return Swept::InUse;
    }
    match (&stray.contents, contents(now).await) {
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
