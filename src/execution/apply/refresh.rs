//! The world as it is, beside the state: machines that are gone, resized or re-tagged outside.

use super::Error;
use super::abandon::meter_of_record;
use super::budget::{self, MachineEnd, MachineTime};
use super::calls::{Patience, patiently};
use super::recorder::Recorder;
use crate::execution::provider::{
    self, Access, ErrorKind, Machine, Owner, Provider, ProviderError, RunStatus, Token,
};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Opened, StageRecord, State, Status};
use crate::model::PlaceName;
use crate::util::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Something that is not as the state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The stage's name.
    pub stage: String,
    /// What is different.
    pub what: What,
}

/// How it differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The machine is no more.
    Gone,
    /// The machine is there, and its command was ended outside.
    Killed,
    /// The machine is of another type.
    Resized {
        /// What the state says.
        state: String,
        /// What the provider says.
        now: String,
    },
    /// The machine is at another place.
    Moved {
        /// What the state says.
        state: String,
        /// What the provider says.
        now: String,
    },
    /// The machine carries another owner's tags.
    Retagged {
        /// What the provider says.
        now: String,
    },
    /// Its lease ends earlier than it should.
    Lease {
        /// What the state says.
        state: String,
        /// What the provider says.
        now: String,
    },
}

/// What a refresh has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// All that is not as the state has it.
    pub drifts: Vec<Drift>,
    /// Stages whose machines nobody could look at, and why: nothing is known of them.
    pub failed: Vec<(String, ProviderError)>,
    /// Stages whose machines are there and cannot be logged into, and why: nothing is known of
    /// their commands.
    pub unseen: Vec<(String, ProviderError)>,
    /// The serial of the state that was written.
    pub serial: u64,
}

/// How long the inside of a machine may take to answer: the way into one that does not let us in
/// has no end.
const INSIDE: Duration = Duration::from_secs(30);

/// Compares, and writes what is seen into the state. A machine that cannot be looked at keeps
/// nobody from looking at the others.
pub async fn refresh(opened: Opened, access: &Access) -> Result<Refreshed, Error> {
    let recorder = Recorder::new(opened);
    let seen_stages = look_at_all(&recorder, access).await;
    let mut opened_state = recorder.into_inner();
    let settled_state = opened_state.settle().await;
    let mut refreshed = seen_stages?;
    settled_state?;
    refreshed.serial = opened_state.state.serial;
    Ok(refreshed)
}

async fn look_at_all(recorder: &Recorder, access: &Access) -> Result<Refreshed, Error> {
    let live: Vec<(String, StageRecord)> = recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live);
        live.map(|(name, record)| (name.clone(), record.clone()))
            .collect()
    });
    let owner = recorder.read(owner_of);
    // Providers know what they have seen, so each is opened once.
    let mut providers: BTreeMap<String, Result<Arc<dyn Provider>, ProviderError>> = BTreeMap::new();
    for (_, record) in &live {
        let open_worker = || {
            open_provider(&record.provider, access)
                .map_err(|error| ProviderError::new(ErrorKind::Other, error))
        };
        providers
            .entry(record.provider.clone())
            .or_insert_with(open_worker);
    }
    let looks = live.iter().filter_map(|(name, record)| {
        let (provider, owner) = (providers.get(&record.provider)?, &owner);
        Some(async move {
            (
                name,
                record,
                look_at_stage(name, record, owner, provider).await,
            )
        })
    });
    let mut refreshed = Refreshed::default();
    for (name, record, looked) in futures_util::future::join_all(looks).await {
        let (seen, unseen) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                refreshed.failed.push((name.clone(), error));
                continue;
            }
        };
        refreshed
            .unseen
            .extend(unseen.map(|error| (name.clone(), error)));
        for what in seen {
            let provider = providers
                .get(&record.provider)
                .and_then(|opened| opened.as_ref().ok());
            let overrun = provider.map_or(Duration::ZERO, |provider| provider.overrun());
            write_down(recorder, name, (record, overrun), &what).await?;
            refreshed.drifts.push(Drift {
                stage: name.clone(),
                what,
            });
        }
    }
    Ok(refreshed)
}

/// What differs, and why the inside of the machine could not be seen.
async fn look_at_stage(
    name: &str,
    record: &StageRecord,
    owner: &Owner,
    provider: &Result<Arc<dyn Provider>, ProviderError>,
) -> Result<(Vec<What>, Option<ProviderError>), ProviderError> {
    let provider = provider.as_ref().map_err(Clone::clone)?;
    let token = Token {
        id: record.token.clone(),
        stage: name.to_owned(),
        attempt: record.attempt,
    };
    match patiently(Patience::Briefly, || provider.get(&token)).await? {
        // Its creation was announced and never came to be: the next apply makes it.
        None if record.status == Status::Provisioning => Ok((Vec::new(), None)),
        None => Ok((vec![What::Gone], None)),
        Some(machine) => {
            Ok(compare_with_machine(record, &machine, owner, provider.as_ref(), &token).await)
        }
    }
}

pub(super) fn owner_of(state: &State) -> Owner {
    Owner {
        job: state.job.clone().unwrap_or_default(),
        lineage: state.lineage.clone(),
    }
}

pub(super) fn open_provider(name: &str, access: &Access) -> Result<Arc<dyn Provider>, Error> {
    let opened_provider = provider::open(name, access)?;
    opened_provider.ok_or_else(|| Error::NotReady(vec![provider::unknown(name)]))
}

async fn compare_with_machine(
    record: &StageRecord,
    machine: &Machine,
    owner: &Owner,
    provider: &dyn Provider,
    token: &Token,
) -> (Vec<What>, Option<ProviderError>) {
    let mut seen_differences = Vec::new();
    if machine.lineage != owner.lineage || machine.job != owner.job {
        seen_differences.push(What::Retagged {
            now: format!("job {}, lineage {}", machine.job, machine.lineage),
        });
    }
    if let (Some(rented), Some(now)) = (&record.rented, &machine.instance_type)
        && rented.instance_type != *now
    {
        seen_differences.push(What::Resized {
            state: rented.instance_type.clone(),
            now: now.clone(),
        });
    }
    if let Some(now) = machine
        .place
        .as_ref()
        .filter(|place| **place != record.place)
    {
        seen_differences.push(What::Moved {
            state: record.place.to_string(),
            now: now.to_string(),
        });
    }
    if let (Some(state), Some(now)) = (&record.lease_end, &machine.lease_end)
        && clock::between(now, state) > 5000
    {
        seen_differences.push(What::Lease {
            state: state.clone(),
            now: now.clone(),
        });
    }
    if record.status != Status::Running {
        return (seen_differences, None);
    }
    let Ok(status) = tokio::time::timeout(INSIDE, status_inside(provider, token)).await else {
        let message = format!("it does not answer within {} s", INSIDE.as_secs());
        let unreachable = ProviderError::new(ErrorKind::Unreachable, message);
        return (seen_differences, Some(unreachable));
    };
    match status {
        Ok(RunStatus::Lost | RunStatus::Preempted | RunStatus::Expired) => {
            seen_differences.push(What::Killed)
        }
        Ok(_) => {}
        // The provider still has it, and it runs nothing: it has powered itself off.
        Err(error) if error.kind == ErrorKind::NotFound => seen_differences.push(What::Killed),
        Err(error) => return (seen_differences, Some(error)),
    }
    (seen_differences, None)
}

async fn status_inside(provider: &dyn Provider, token: &Token) -> Result<RunStatus, ProviderError> {
    let worker = patiently(Patience::Briefly, || provider.worker(token)).await?;
    patiently(Patience::Briefly, || worker.status()).await
}

/// Writes down what was seen of an attempt, as far as the state has a place for it.
async fn write_down(
    recorder: &Recorder,
    stage: &str,
    (record, overrun): (&StageRecord, Duration),
    difference: &What,
) -> Result<(), Error> {
    let ended_event = |message: &str| Event::Ended {
        stage: stage.to_owned(),
        status: Status::Lost,
        message: message.to_owned(),
    };
    let observed = |place, instance_type| Event::Observed {
        stage: stage.to_owned(),
        place,
        instance_type,
    };
    let event = match difference {
        What::Gone => {
            // A stage that is done is so whatever becomes of a machine that could not be deleted.
            if record.status.in_flight() {
                let deleted_event = ended_event("its machine was deleted outside of sky");
                recorder.record(deleted_event, Durability::Later).await?;
            }
            released_machine(stage, record, overrun)
        }
        What::Killed => ended_event("its command was ended outside of sky"),
        What::Resized { now, .. } => observed(None, Some(now.clone())),
        What::Moved { now, .. } => observed(PlaceName::parse(now), None),
        What::Retagged { .. } | What::Lease { .. } => return Ok(()),
    };
    Ok(recorder.record(event, Durability::Now).await?)
}

/// What a machine has cost that is gone: somebody may have deleted it just now, or it may have
/// ended itself.
fn released_machine(stage: &str, record: &StageRecord, overrun: Duration) -> Event {
    let machine_end = match record.lease_end.clone() {
        Some(lease_end) => MachineEnd::ByLease { lease_end, overrun },
        None => MachineEnd::Now,
    };
    let time = MachineTime::of(record, machine_end);
    Event::Released {
        stage: stage.to_owned(),
        micro_usd: budget::charge_for_machine(
            &meter_of_record(record),
            &time,
            record.reserved_micro_usd,
        ),
    }
}
