//! The world as it is, beside the state: machines that are gone, resized or re-tagged outside; and
//! taking over a machine that the state does not know.

use super::Error;
use super::abandon::meter;
use super::budget::{self, MachineEnd, MachineTime};
use super::calls::{Patience, call, patiently};
use super::recorder::Recorder;
use crate::execution::provider::{
    self, Access, ErrorKind, Machine, Owner, Provider, ProviderError, RunStatus, Token,
};
use crate::execution::state::data::IMPORTED;
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::{Opened, StageRecord, State, Status};
use crate::model::Millis;
use crate::model::names::{is_stage_name, is_token};
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
    let seen = look_at_all(&recorder, access).await;
    let mut opened = recorder.into_inner();
    let settled = opened.settle().await;
    let mut refreshed = seen?;
    settled?;
    refreshed.serial = opened.state.serial;
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
        let open = || {
            open(&record.provider, access)
                .map_err(|error| ProviderError::new(ErrorKind::Other, error))
        };
        providers
            .entry(record.provider.clone())
            .or_insert_with(open);
    }
    let looks = live.iter().filter_map(|(name, record)| {
        let (provider, owner) = (providers.get(&record.provider)?, &owner);
        Some(async move { (name, record, look(name, record, owner, provider).await) })
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
async fn look(
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
        Some(machine) => Ok(compare(record, &machine, owner, provider.as_ref(), &token).await),
    }
}

fn owner_of(state: &State) -> Owner {
    Owner {
        job: state.job.clone().unwrap_or_default(),
        lineage: state.lineage.clone(),
    }
}

fn open(name: &str, access: &Access) -> Result<Arc<dyn Provider>, Error> {
    let opened = provider::open(name, access)?;
    opened.ok_or_else(|| Error::NotReady(vec![provider::unknown(name)]))
}

async fn compare(
    record: &StageRecord,
    machine: &Machine,
    owner: &Owner,
    provider: &dyn Provider,
    token: &Token,
) -> (Vec<What>, Option<ProviderError>) {
    let mut seen = Vec::new();
    if machine.lineage != owner.lineage || machine.job != owner.job {
        seen.push(What::Retagged {
            now: format!("job {}, lineage {}", machine.job, machine.lineage),
        });
    }
    if let (Some(rented), Some(now)) = (&record.rented, &machine.instance_type)
        && rented.instance_type != *now
    {
        seen.push(What::Resized {
            state: rented.instance_type.clone(),
            now: now.clone(),
        });
    }
    if let Some(now) = machine
        .place
        .as_ref()
        .filter(|place| **place != record.place)
    {
        seen.push(What::Moved {
            state: record.place.to_string(),
            now: now.to_string(),
        });
    }
    if let (Some(state), Some(now)) = (&record.lease_end, &machine.lease_end)
        && clock::between(now, state) > 5000
    {
        seen.push(What::Lease {
            state: state.clone(),
            now: now.clone(),
        });
    }
    if record.status != Status::Running {
        return (seen, None);
    }
    match tokio::time::timeout(INSIDE, inside(provider, token)).await {
        Ok(Ok(RunStatus::Lost | RunStatus::Preempted | RunStatus::Expired)) => {
            seen.push(What::Killed)
        }
        Ok(Ok(_)) => {}
        // The provider still has it, and it runs nothing: it has powered itself off.
        Ok(Err(error)) if error.kind == ErrorKind::NotFound => seen.push(What::Killed),
        Ok(Err(error)) => return (seen, Some(error)),
        Err(_) => {
            let message = format!("it does not answer within {} s", INSIDE.as_secs());
            return (
                seen,
                Some(ProviderError::new(ErrorKind::Unreachable, message)),
            );
        }
    }
    (seen, None)
}

async fn inside(provider: &dyn Provider, token: &Token) -> Result<RunStatus, ProviderError> {
    let worker = patiently(Patience::Briefly, || provider.worker(token)).await?;
    patiently(Patience::Briefly, || worker.status()).await
}

async fn write_down(
    recorder: &Recorder,
    stage: &str,
    (record, overrun): (&StageRecord, Duration),
    what: &What,
) -> Result<(), Error> {
    let name = stage.to_owned();
    let ended = |message: &str| Event::Ended {
        stage: name.clone(),
        status: Status::Lost,
        message: message.to_owned(),
    };
    match what {
        What::Gone => {
            // A stage that is done is so whatever becomes of a machine that could not be deleted.
            if record.status.in_flight() {
                recorder
                    .record(
                        ended("its machine was deleted outside of sky"),
                        Durability::Later,
                    )
                    .await?;
            }
            // Somebody may have deleted it just now, or it may have ended itself.
            let lease_end = record.lease_end.clone();
            let end = lease_end.map_or(MachineEnd::Now, |lease_end| MachineEnd::ByLease {
                lease_end,
                overrun,
            });
            let time = MachineTime::of(record, end);
            let micro_usd = budget::charge(&meter(record), &time, record.reserved_micro_usd);
            recorder
                .record(
                    Event::Released {
                        stage: name.clone(),
                        micro_usd,
                    },
                    Durability::Now,
                )
                .await?;
        }
        What::Killed => {
            recorder
                .record(
                    ended("its command was ended outside of sky"),
                    Durability::Now,
                )
                .await?
        }
        What::Resized { now, .. } => {
            let (place, instance_type) = (None, Some(now.clone()));
            recorder
                .record(
                    Event::Observed {
                        stage: name.clone(),
                        place,
                        instance_type,
                    },
                    Durability::Now,
                )
                .await?;
        }
        What::Moved { now, .. } => {
            let (place, instance_type) = (crate::model::PlaceName::parse(now), None);
            recorder
                .record(
                    Event::Observed {
                        stage: name.clone(),
                        place,
                        instance_type,
                    },
                    Durability::Now,
                )
                .await?;
        }
        What::Retagged { .. } | What::Lease { .. } => {}
    }
    Ok(())
}

/// Takes a machine over as the stage's attempt: the next apply goes on with what runs on it, or
/// runs the stage there. Returns the machine and the state's serial.
pub async fn import(
    opened: Opened,
    access: &Access,
    (stage, provider, id): (&str, &str, &str),
) -> Result<(Machine, u64), Error> {
    let recorder = Recorder::new(opened);
    let taken = take_over(&recorder, access, (stage, provider, id)).await;
    // What was announced and then failed is over: it must not look like an operation that was cut
    // off.
    let mut opened = recorder.into_inner();
    let settled = opened.settle().await;
    let machine = taken?;
    settled?;
    Ok((machine, opened.state.serial))
}

async fn take_over(
    recorder: &Recorder,
    access: &Access,
    (stage, provider, id): (&str, &str, &str),
) -> Result<Machine, Error> {
    if !is_stage_name(stage) {
        return Err(Error::NotReady(vec![format!(
            "`{}` cannot be the name of a stage",
            stage.escape_debug()
        )]));
    }
    let held = recorder.read(|state| state.stages.get(stage).cloned());
    if let Some(held) = held.as_ref().filter(|held| held.live) {
        return Err(Error::NotReady(vec![format!(
            "stage.{stage} has a live attempt already ({}, attempt {}): destroy it or wait for it first",
            held.provider, held.attempt
        )]));
    }
    let provider = open(provider, access)?;
    let all = patiently(Patience::Through, || provider.list(None)).await?;
    let tagged = all.into_iter().find(|machine| machine.id == id);
    // A machine of ours keeps its token, by which its processes are known.
    let token = match &tagged {
        Some(machine) if machine.token.stage != stage => {
            return Err(Error::NotReady(vec![format!(
                "`{id}` is a machine of stage.{}",
                machine.token.stage
            )]));
        }
        Some(machine) if !is_token(&machine.token.id) => {
            return Err(Error::NotReady(vec![format!(
                "`{id}` carries a token that sky never gives"
            )]));
        }
        Some(machine) => machine.token.clone(),
        None => {
            let attempt = held.map_or(0, |held| held.attempt) + 1;
            Token::new(
                &recorder.read(owner_of).lineage,
                &format!("{IMPORTED} {id}"),
                stage,
                attempt,
            )
        }
    };
    let owner = recorder.read(owner_of);
    let adopted = call(
        recorder,
        (stage, token.id.as_str(), Call::Adopt),
        Patience::Through,
        || provider.adopt(id, &token, &owner),
    );
    let machine = adopted.await?.map_err(|error| match error.kind {
        ErrorKind::NotFound => ProviderError::new(
            error.kind,
            format!("{} has no machine `{id}`: {error}", provider.name()),
        ),
        _ => error,
    })?;
    let place = machine
        .place
        .clone()
        .unwrap_or_else(crate::model::PlaceName::here);
    let lease_end = machine
        .lease_end
        .clone()
        .unwrap_or_else(|| clock::after(budget::slack(Millis(0))));
    let attempt = Event::Attempt {
        stage: stage.to_owned(),
        attempt: token.attempt,
        token: token.id.clone(),
        provider: provider.name().to_owned(),
        place,
        definition: String::new(),
        fingerprint: IMPORTED.to_owned(),
        rented: None,
        failures: 0,
    };
    recorder.record(attempt, Durability::Later).await?;
    let (stage, token) = (stage.to_owned(), token.id.clone());
    let reserved = Event::Reserved {
        stage,
        token,
        micro_usd: crate::model::Money(0),
        lease_end,
        anew: true,
        lease_ms: None,
        host: None,
    };
    recorder.record(reserved, Durability::Now).await?;
    Ok(machine)
}
