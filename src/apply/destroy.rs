//! Undoing all applies of a state: processes and machines end, folders and outputs go.

use super::Error;
use super::calls::{Patience, patiently};
use super::depot;
use super::record::Recorder;
use crate::model::PlaceName;
use crate::provider::{self, Access, LOCAL, Machine, Owner, Provider, RunStatus, Token};
use crate::state::event::{Call, Event};
use crate::state::journal::Sync;
use crate::state::{Artifact, Folder, LockLost, Opened, State};
use crate::util::tree;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// What a destroy would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Attempts that exist at a provider, each with whether its command runs.
    pub machines: Vec<(String, Machine, bool)>,
    /// Stages that the state knows.
    pub stages: BTreeSet<String>,
    pub artifacts: BTreeMap<String, Artifact>,
    /// Addresses of buckets, by place.
    pub buckets: BTreeMap<PlaceName, String>,
    /// Folders that are removed whole.
    pub folders: Vec<String>,
}

impl Inventory {
    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks; changes nothing.
pub async fn inventory(folder: &Folder, state: &State, access: &Access) -> Result<Inventory, Error> {
    let mut inventory = Inventory {
        stages: state.stages.keys().cloned().collect(),
        artifacts: state.artifacts.clone(),
        buckets: state.buckets.clone(),
        ..Inventory::default()
    };
    for provider in providers(state, access)? {
        let owner = owner(provider.name(), state);
        for machine in patiently(Patience::Through, || provider.list(owner.as_ref())).await? {
            let worker = patiently(Patience::Through, || provider.worker(&machine.token)).await?;
            let runs = patiently(Patience::Through, || worker.status()).await? == RunStatus::Running;
            inventory.machines.push((provider.name().to_owned(), machine, runs));
        }
    }
    let kept = [folder.stages(), folder.artifacts(), folder.objects()];
    inventory.folders = kept.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    Ok(inventory)
}

/// Deletes it all, and leaves an empty state; returns its serial. After a crash or an error,
/// doing it again goes on.
pub async fn run(folder: &Folder, opened: Opened, inventory: &Inventory, access: &Access) -> Result<u64, Error> {
    let providers = providers(&opened.state, access)?;
    let live: Vec<(String, Token)> = opened
        .state
        .stages
        .iter()
        .filter(|(_, record)| record.attempt > 0)
        .map(|(name, record)| {
            let (id, attempt) = (record.token.clone(), record.attempt);
            (record.provider.clone(), Token { id, stage: name.clone(), attempt })
        })
        .collect();
    let listed = inventory.machines.iter().map(|(provider, machine, _)| (provider.clone(), machine.token.clone()));
    let all: BTreeSet<(String, Token)> = listed.chain(live).collect();
    let recorder = Recorder::new(opened);
    // First what frees space: a journal on a full disk cannot be appended to. Outputs without which
    // a stage is not done are made again, so nothing is lost if this is as far as it comes.
    for path in [folder.artifacts(), folder.objects()] {
        tree::remove(&path)?;
    }
    let mut unwritten: io::Result<()> = Ok(());
    for (name, token) in all {
        let Some(provider) = providers.iter().find(|provider| provider.name() == name) else { continue };
        let announced = recorder.intend(&token.stage, &token.id, Call::Delete).await;
        let announced = match announced {
            // Whoever has the lock now may be creating what this would delete.
            Err(error) if LockLost::of(&error).is_some() => return Err(error.into()),
            announced => announced,
        };
        let deleted = patiently(Patience::Through, || provider.delete(&token)).await;
        let told = recorder.result(&token.stage, &token.id, Call::Delete, &deleted).await;
        // Deleting what is deleted is fine, so it need not be written down to go on.
        unwritten = unwritten.and(announced).and(told);
        deleted?;
    }
    // After the machines, which may still be writing to them.
    for (place, address) in recorder.read(|state| state.buckets.clone()) {
        depot::delete(&recorder, &place, &address).await??;
    }
    tree::remove(&folder.stages())?;
    tree::remove(&folder.work())?;
    let empty = async move || -> io::Result<u64> {
        recorder.record(Event::Emptied, Sync::Now).await?;
        let mut opened = recorder.into_inner();
        opened.compact().await?;
        Ok(opened.state.serial)
    };
    // Once the state says that all is gone, what was not written on the way does not matter.
    empty().await.map_err(|error| {
        let error = unwritten.err().unwrap_or(error);
        let message = format!("all is deleted, but the state could not be written: {error}");
        Error::Io(io::Error::new(error.kind(), message))
    })
}

fn providers(state: &State, access: &Access) -> Result<Vec<Arc<dyn Provider>>, Error> {
    let mut names: BTreeSet<&str> = state.stages.values().map(|record| record.provider.as_str()).collect();
    names.insert(LOCAL);
    names.retain(|name| !name.is_empty());
    let open = |name: &str| {
        provider::open(name, access)?.ok_or_else(|| {
            Error::NotReady(vec![format!("{}, and the state has machines at `{name}`", provider::unknown(name))])
        })
    };
    names.into_iter().map(open).collect()
}

/// On this machine the state folder itself says whose everything in it is.
fn owner(provider: &str, state: &State) -> Option<Owner> {
    let owner = || Owner { job: state.job.clone().unwrap_or_default(), lineage: state.lineage.clone() };
    (provider != LOCAL).then(owner)
}
