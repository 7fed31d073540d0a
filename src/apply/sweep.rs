//! Machines that carry our tags and are in no state, and buckets with our names: what a crash, a lost state or somebody
//! behind our back has left.

use super::Error;
use super::calls::{Patience, patiently};
use super::depot::as_call;
use crate::provider::{self, Access, Machine, Provider, ProviderError, Token};
use crate::state::State;
use crate::transfer::bucket::{self, Bucket};
use crate::util::clock;
use std::sync::Arc;

/// A machine that nobody should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    pub provider: &'static str,
    pub machine: Machine,
    pub why: Why,
}

/// Why it is a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It has this state's tags, and the state does not have it.
    NotInState,
    /// It is of another state, and its lease is over.
    LeaseOver,
    /// It is of another state. Only looked for when asked.
    OfAnother,
}

/// Whose machines are looked for, besides this state's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Others' whose lease is over.
    Own,
    /// All that carry tags of any `sky`.
    All,
}

/// A bucket that nobody should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrayBucket {
    pub bucket: bucket::Found,
    pub why: Why,
}

/// The clouds whose object stores may have buckets of ours.
pub const STORES: [&str; 3] = ["aws", "gcp", "azure"];

/// What a sweep has found.
#[derive(Debug, Default)]
pub struct Found {
    pub strays: Vec<Stray>,
    pub buckets: Vec<StrayBucket>,
    /// Providers that could not be asked.
    pub failed: Vec<(String, ProviderError)>,
}

/// Looks at all providers of these names; changes nothing.
pub async fn look(state: &State, names: &[String], scope: Scope, access: &Access) -> Result<Found, Error> {
    let mut found = Found::default();
    for name in names {
        let Some(provider) = provider::open(name, access)? else {
            return Err(Error::NotReady(vec![provider::unknown(name)]));
        };
        match patiently(Patience::Through, || provider.list(None)).await {
            Ok(machines) => {
                let strays = machines.into_iter().filter_map(|machine| {
                    let why = judge(&machine, state, scope)?;
                    Some(Stray { provider: provider.name(), machine, why })
                });
                found.strays.extend(strays);
            }
            Err(error) => found.failed.push((name.clone(), error)),
        }
    }
    Ok(found)
}

/// Looks for buckets in all object stores that the environment has credentials for, and adds them.
pub async fn look_for_buckets(state: &State, scope: Scope, found: &mut Found) {
    for cloud in STORES {
        let list = || async { bucket::list(cloud, &state.lineage).await.map_err(as_call) };
        match patiently(Patience::Through, list).await {
            Ok(buckets) => {
                let held = |bucket: &bucket::Found| state.buckets.values().any(|held| *held == bucket.address);
                let strays = buckets.into_iter().filter(|bucket| !held(bucket)).filter_map(|bucket| {
                    let why = match (bucket.own, scope) {
                        (true, _) => Why::NotInState,
                        (false, Scope::All) => Why::OfAnother,
                        (false, Scope::Own) => return None,
                    };
                    Some(StrayBucket { bucket, why })
                });
                found.buckets.extend(strays);
            }
            Err(error) => found.failed.push((format!("the object store of {cloud}"), error)),
        }
    }
}

/// Deletes a bucket with all that is in it.
pub async fn delete_bucket(stray: &StrayBucket) -> Result<(), Error> {
    let found = &stray.bucket;
    let delete =
        || async { Bucket::open(&found.address, &found.place).map_err(as_call)?.delete().await.map_err(as_call) };
    Ok(patiently(Patience::Through, delete).await?)
}

/// Whether it is a stray. What is only traces, and costs nothing, is none.
fn judge(machine: &Machine, state: &State, scope: Scope) -> Option<Why> {
    if machine.ended {
        return None;
    }
    if machine.lineage == state.lineage {
        let held = state.stages.get(&machine.token.stage);
        let held = held.is_some_and(|record| record.live && record.token == machine.token.id);
        return (!held).then_some(Why::NotInState);
    }
    let now = clock::timestamp();
    let over = machine.lease_end.as_deref().is_some_and(|end| clock::between(end, &now) > 0);
    match scope {
        _ if over => Some(Why::LeaseOver),
        Scope::All => Some(Why::OfAnother),
        Scope::Own => None,
    }
}

/// Deletes one.
pub async fn delete(stray: &Stray, access: &Access) -> Result<(), Error> {
    let provider: Option<Arc<dyn Provider>> = provider::open(stray.provider, access)?;
    let provider = provider.ok_or_else(|| Error::Bug(format!("provider {} is gone", stray.provider)))?;
    let token: &Token = &stray.machine.token;
    Ok(patiently(Patience::Through, || provider.delete(token)).await?)
}
