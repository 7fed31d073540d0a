//! Taking over a machine that the state does not know, as the attempt of a stage.

use super::Error;
use super::budget;
use super::calls::{Patience, call_and_record, patiently};
use super::recorder::Recorder;
use super::refresh::{open_provider, owner_of};
use crate::execution::provider::{Access, ErrorKind, Machine, ProviderError, Token};
use crate::execution::state::Opened;
use crate::execution::state::data::IMPORTED;
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::model::names::{is_stage_name, is_token};
use crate::model::{Millis, Money, PlaceName};
use crate::util::clock;
use std::io;

/// Takes a machine over as the stage's attempt: the next apply goes on with what runs on it, or
/// runs the stage there. Returns the machine and the state's serial.
pub async fn take_over_machine(
    opened: Opened,
    access: &Access,
    (stage, provider, id): (&str, &str, &str),
) -> Result<(Machine, u64), Error> {
    let recorder = Recorder::new(opened);
    let taken_machine = adopt_machine(&recorder, access, (stage, provider, id)).await;
    // What was announced and then failed is over: it must not look like an operation that was cut
    // off.
    let mut opened_state = recorder.into_inner();
    let settled_state = opened_state.settle().await;
    let machine = taken_machine?;
    settled_state?;
    Ok((machine, opened_state.state.serial))
}

async fn adopt_machine(
    recorder: &Recorder,
    access: &Access,
    (stage, provider, id): (&str, &str, &str),
) -> Result<Machine, Error> {
    if !is_stage_name(stage) {
        let message = format!("`{}` cannot be the name of a stage", stage.escape_debug());
        return Err(Error::NotReady(vec![message]));
    }
    let held_record = recorder.read(|state| state.stages.get(stage).cloned());
    if let Some(held) = held_record.as_ref().filter(|held| held.live) {
        return Err(Error::NotReady(vec![format!(
            "stage.{stage} has a live attempt already ({}, attempt {}): destroy it or wait for it first",
            held.provider, held.attempt
        )]));
    }
    let provider = open_provider(provider, access)?;
    let all_machines = patiently(Patience::Through, || provider.list(None)).await?;
    let tagged_machine = all_machines.into_iter().find(|machine| machine.id == id);
    let owner = recorder.read(owner_of);
    let token = match tagged_machine {
        Some(machine) => token_of_tagged_machine(machine, stage)?,
        None => {
            let attempt = held_record.map_or(0, |held| held.attempt) + 1;
            Token::new(&owner.lineage, &format!("{IMPORTED} {id}"), stage, attempt)
        }
    };
    let adopted = call_and_record(
        recorder,
        (stage, token.id.as_str(), Call::Adopt),
        Patience::Through,
        || provider.adopt(id, &token, &owner),
    )
    .await;
    let machine = match adopted {
        Ok(machine) => machine,
        Err(error) => return Err(not_adopted(error.of_attempt()?, provider.name(), id).into()),
    };
    record_imported_attempt(recorder, &token, provider.name(), &machine).await?;
    Ok(machine)
}

/// The token that a machine of ours carries: it keeps that one, by which its processes are known.
fn token_of_tagged_machine(machine: Machine, stage: &str) -> Result<Token, Error> {
    let id = &machine.id;
    if machine.token.stage != stage {
        let message = format!("`{id}` is a machine of stage.{}", machine.token.stage);
        return Err(Error::NotReady(vec![message]));
    }
    if !is_token(&machine.token.id) {
        let message = format!("`{id}` carries a token that sky never gives");
        return Err(Error::NotReady(vec![message]));
    }
    Ok(machine.token)
}

/// Says which machine is not there, if that is why it was not adopted.
fn not_adopted(error: ProviderError, provider: &str, id: &str) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound => ProviderError::new(
            error.kind,
            format!("{provider} has no machine `{id}`: {error}"),
        ),
        _ => error,
    }
}

/// Writes down an adopted machine as an attempt of its stage, for which no money is set aside.
async fn record_imported_attempt(
    recorder: &Recorder,
    token: &Token,
    provider: &str,
    machine: &Machine,
) -> io::Result<()> {
    let place = machine.place.clone().unwrap_or_else(PlaceName::here);
    let lease_end = machine
        .lease_end
        .clone()
        .unwrap_or_else(|| clock::after(budget::lease_slack(Millis(0))));
    let attempt = Event::Attempt {
        stage: token.stage.clone(),
        attempt: token.attempt,
        token: token.id.clone(),
        provider: provider.to_owned(),
        place,
        definition: String::new(),
        fingerprint: IMPORTED.to_owned(),
        rented: None,
        failures: 0,
    };
    recorder.record(attempt, Durability::Later).await?;
    let reserved = Event::Reserved {
        stage: token.stage.clone(),
        token: token.id.clone(),
        micro_usd: Money(0),
        lease_end,
        anew: true,
        lease_ms: None,
        host: None,
    };
    recorder.record(reserved, Durability::Now).await
}
