//! Undoing all applies of a state: processes and machines end, folders and outputs go.
//!
//! Machines are deleted by their provider's API. Nobody logs into one for it: a machine that lets
//! nobody in, or that has powered itself off at the end of its lease, costs money like any other.
//! What cannot be deleted stays in the state, and does not keep the rest.

use super::Error;
use super::buckets;
use super::calls::{Patience, patient_survey, patiently};
use super::recorder::Recorder;
use crate::execution::provider::{
    self, Access, ErrorKind, LOCAL, Machine, Owner, Provider, ProviderError, RunStatus, Token,
};
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::{Artifact, Folder, LockLost, Opened, State};
use crate::model::PlaceName;
use crate::util::tree;
use futures_util::{StreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// The name of a provider, and why it, or something of it, cannot be looked at.
type Failed = (String, ProviderError);

/// Deletions that are under way at a time.
const AT_ONCE: usize = 8;

/// What a destroy would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Attempts that exist at a provider, each with whether its command is known to run.
    pub machines: Vec<(String, Machine, bool)>,
    /// Stages that the state knows.
    pub stages: BTreeSet<String>,
    /// The outputs that the state knows, by name.
    pub artifacts: BTreeMap<String, Artifact>,
    /// Addresses of buckets, by place.
    pub buckets: BTreeMap<PlaceName, String>,
    /// Folders that are removed whole.
    pub folders: Vec<String>,
    /// What could not be looked at, by provider: there may be machines that are not listed above.
    pub failed: Vec<Failed>,
}

/// How a destroy ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// The serial of the state that is left.
    pub serial: u64,
    /// Stages of which nothing is left.
    pub stages: BTreeSet<String>,
    /// What could not be deleted, and why; empty: the state is empty.
    pub left: Vec<Left>,
}

/// Something that could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Such as `stage.train attempt 2 at aws`.
    pub what: String,
    /// The stage that stays in the state for it, if it is one's.
    pub stage: Option<String>,
    /// What the provider answered.
    pub why: ProviderError,
}

impl Inventory {
    /// Whether there is nothing to delete.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks; changes nothing.
pub async fn inventory(
    folder: &Folder,
    state: &State,
    access: &Access,
) -> Result<Inventory, Error> {
    let (providers, failed) = providers_of_state(state, access);
    let mut inventory = Inventory {
        stages: state.stages.keys().cloned().collect(),
        artifacts: state.artifacts.clone(),
        buckets: state.buckets.clone(),
        failed,
        ..Inventory::default()
    };
    for provider in providers {
        let owner = owner_at_provider(provider.name(), state);
        let surveyed = patient_survey(provider.as_ref(), owner.as_ref()).await;
        for machine in surveyed.machines {
            // Only on this machine is it known without logging in anywhere.
            let runs =
                provider.name() == LOCAL && is_running(provider.as_ref(), &machine.token).await;
            inventory
                .machines
                .push((provider.name().to_owned(), machine, runs));
        }
        inventory.failed.extend(
            surveyed
                .failed
                .into_iter()
                .map(|error| (provider.name().to_owned(), error)),
        );
    }
    let kept_folders = [folder.stages(), folder.artifacts(), folder.objects()];
    inventory.folders = kept_folders
        .iter()
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    Ok(inventory)
}

async fn is_running(provider: &dyn Provider, token: &Token) -> bool {
    let Ok(worker) = provider.worker(token).await else {
        return false;
    };
    worker.status().await == Ok(RunStatus::Running)
}

/// Deletes it all, and leaves an empty state, or one with what could not be deleted. Doing it
/// again, after a crash too, goes on with that.
pub async fn destroy_all(
    folder: &Folder,
    opened: Opened,
    inventory: &Inventory,
    access: &Access,
) -> Result<Destroyed, Error> {
    let (providers, _) = providers_of_state(&opened.state, access);
    let stages: BTreeMap<String, String> = opened
        .state
        .stages
        .iter()
        .map(|(name, record)| (name.clone(), record.provider.clone()))
        .collect();
    let tokens = tokens_to_delete(&opened.state, inventory);
    let recorder = Recorder::new(opened);
    // First what frees space: a journal on a full disk cannot be appended to. Outputs without which
    // a stage is not done are made again, so nothing is lost if this is as far as it comes.
    for path in [folder.artifacts(), folder.objects()] {
        tree::remove(&path)?;
    }
    let (mut left, unwritten) = delete_machines(&recorder, &providers, &tokens).await?;
    // Behind what cannot be looked at now either may be machines of all stages that ran there.
    let failed_providers = recorder.read(|state| with_owners(&providers, state));
    let failed_providers = still_failing(&failed_providers, &inventory.failed).await;
    left.extend(failed_providers.iter().map(|(name, error)| Left {
        what: format!("whatever else {name} has of this state"),
        stage: None,
        why: error.clone(),
    }));
    // After the machines, which may still be writing to them.
    left.extend(delete_buckets(&recorder).await?);
    let stage_stays = |name: &String, provider: &String| {
        left.iter().any(|left| left.stage.as_ref() == Some(name))
            || failed_providers
                .iter()
                .any(|(failed, _)| failed == provider)
    };
    let gone_stages: BTreeSet<String> = stages
        .iter()
        .filter(|(name, provider)| !stage_stays(name, provider))
        .map(|(name, _)| name.clone())
        .collect();
    let serial = if left.is_empty() {
        empty_state(folder, recorder, unwritten).await?
    } else {
        forget_stages(folder, recorder, &gone_stages).await?
    };
    Ok(Destroyed {
        serial,
        stages: gone_stages,
        left,
    })
}

/// Deletes machines, several at a time: what is left, and whether all of it was written down.
async fn delete_machines(
    recorder: &Recorder,
    providers: &[Arc<dyn Provider>],
    tokens: &BTreeSet<(String, Token)>,
) -> Result<(Vec<Left>, io::Result<()>), Error> {
    let deleting = tokens.iter().filter_map(|(name, token)| {
        let provider = providers.iter().find(|provider| provider.name() == name)?;
        Some(delete_machine(recorder, provider.as_ref(), token))
    });
    let deletion_results: Vec<Result<Deleted, Error>> =
        stream::iter(deleting).buffered(AT_ONCE).collect().await;
    let mut unwritten: io::Result<()> = Ok(());
    let mut left_machines: Vec<Left> = Vec::new();
    for deleted in deletion_results {
        let Deleted {
            left: one,
            unwritten: written,
        } = deleted?;
        left_machines.extend(one);
        unwritten = unwritten.and(written);
    }
    Ok((left_machines, unwritten))
}

/// Deletes the buckets of the state; what is left of them.
async fn delete_buckets(recorder: &Recorder) -> Result<Vec<Left>, Error> {
    let mut left_buckets = Vec::new();
    for (place, address) in recorder.read(|state| state.buckets.clone()) {
        if let Err(error) = buckets::delete_bucket(recorder, &place, &address).await {
            left_buckets.push(Left {
                what: format!("bucket {address} of {place}"),
                stage: None,
                why: error.of_attempt()?,
            });
        }
    }
    Ok(left_buckets)
}

/// Empties the state of which nothing is left; its serial. `unwritten`: whether all of the
/// deletions were written down.
async fn empty_state(
    folder: &Folder,
    recorder: Recorder,
    unwritten: io::Result<()>,
) -> Result<u64, Error> {
    tree::remove(&folder.stages())?;
    tree::remove(&folder.work())?;
    let emptied = recorder.record(Event::Emptied, Durability::Now).await;
    emptied.map_err(|error| not_written(error, unwritten))?;
    let mut opened_state = recorder.into_inner();
    opened_state
        .compact()
        .await
        .map_err(|error| not_written(error, Ok(())))?;
    Ok(opened_state.state.serial)
}

/// Takes the stages out of the state of which nothing is left; its serial.
async fn forget_stages(
    folder: &Folder,
    recorder: Recorder,
    gone_stages: &BTreeSet<String>,
) -> Result<u64, Error> {
    for stage in gone_stages {
        tree::remove(&folder.stages().join(stage))?;
        let forgotten = Event::Forgotten {
            stage: stage.clone(),
        };
        recorder.record(forgotten, Durability::Later).await?;
    }
    let mut opened_state = recorder.into_inner();
    opened_state.compact().await?;
    Ok(opened_state.state.serial)
}

/// The usable providers with the owner that each is asked about.
fn with_owners(
    providers: &[Arc<dyn Provider>],
    state: &State,
) -> Vec<(Arc<dyn Provider>, Option<Owner>)> {
    providers
        .iter()
        .map(|provider| (provider.clone(), owner_at_provider(provider.name(), state)))
        .collect()
}

/// What could not be looked at before the deletions, and still cannot.
async fn still_failing(
    usable: &[(Arc<dyn Provider>, Option<Owner>)],
    failed_before: &[Failed],
) -> Vec<Failed> {
    let mut failing = Vec::new();
    let names: BTreeSet<&String> = failed_before.iter().map(|(name, _)| name).collect();
    for name in names {
        match usable.iter().find(|(provider, _)| provider.name() == name) {
            Some((provider, owner)) => {
                let survey_now = patient_survey(provider.as_ref(), owner.as_ref()).await;
                failing.extend(
                    survey_now
                        .failed
                        .into_iter()
                        .map(|error| (name.clone(), error)),
                );
            }
            None => failing.extend(failed_before.iter().filter(|(of, _)| of == name).cloned()),
        }
    }
    failing
}

/// Once all is deleted, what was not written on the way does not matter; only that the state does
/// not say so.
fn not_written(error: io::Error, earlier: io::Result<()>) -> Error {
    if LockLost::of(&error).is_some() {
        return error.into();
    }
    let error = earlier.err().unwrap_or(error);
    let message = format!("all is deleted, but the state could not be written: {error}");
    Error::Io(io::Error::new(error.kind(), message))
}

/// Everything that may be there: what was found, and what the state knows of.
fn tokens_to_delete(state: &State, inventory: &Inventory) -> BTreeSet<(String, Token)> {
    let known_tokens = state
        .stages
        .iter()
        .filter(|(_, record)| record.attempt > 0)
        .map(|(name, record)| {
            let (id, attempt) = (record.token.clone(), record.attempt);
            (
                record.provider.clone(),
                Token {
                    id,
                    stage: name.clone(),
                    attempt,
                },
            )
        });
    let listed_tokens = inventory
        .machines
        .iter()
        .map(|(provider, machine, _)| (provider.clone(), machine.token.clone()));
    listed_tokens.chain(known_tokens).collect()
}

/// How one deletion went.
struct Deleted {
    left: Option<Left>,
    /// Deleting what is deleted is fine, so it need not be written down to go on.
    unwritten: io::Result<()>,
}

async fn delete_machine(
    recorder: &Recorder,
    provider: &dyn Provider,
    token: &Token,
) -> Result<Deleted, Error> {
    let announced = recorder
        .announce_call(&token.stage, &token.id, Call::Delete)
        .await;
    let announced = match announced {
        // Whoever has the lock now may be creating what this would delete.
        Err(error) if LockLost::of(&error).is_some() => return Err(error.into()),
        announced => announced,
    };
    let delete_result = patiently(Patience::Briefly, || provider.delete(token)).await;
    let recorded_result = recorder
        .record_result(&token.stage, &token.id, Call::Delete, &delete_result)
        .await;
    let left_machine = delete_result.err().map(|why| Left {
        what: format!(
            "stage.{} attempt {} at {}",
            token.stage,
            token.attempt,
            provider.name()
        ),
        stage: Some(token.stage.clone()),
        why,
    });
    Ok(Deleted {
        left: left_machine,
        unwritten: announced.and(recorded_result),
    })
}

/// The providers that may have machines of this state, and why others of them cannot be used.
fn providers_of_state(state: &State, access: &Access) -> (Vec<Arc<dyn Provider>>, Vec<Failed>) {
    let mut names: BTreeSet<&str> = state
        .stages
        .values()
        .map(|record| record.provider.as_str())
        .collect();
    names.insert(LOCAL);
    names.retain(|name| !name.is_empty());
    let (mut usable, mut failed) = (Vec::new(), Vec::new());
    for name in names {
        match provider::open(name, access) {
            Ok(Some(provider)) => usable.push(provider),
            Ok(None) => {
                failed.push((
                    name.to_owned(),
                    ProviderError::new(ErrorKind::Other, provider::unknown(name)),
                ));
            }
            Err(error) => failed.push((name.to_owned(), error)),
        }
    }
    (usable, failed)
}

/// On this machine the state folder itself says whose everything in it is.
fn owner_at_provider(provider: &str, state: &State) -> Option<Owner> {
    let owner = || Owner {
        job: state.job.clone().unwrap_or_default(),
        lineage: state.lineage.clone(),
    };
    (provider != LOCAL).then(owner)
}
