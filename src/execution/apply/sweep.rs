//! Machines that carry our tags and are in no state, or have outlived their lease: what a crash, a
//! lost state or somebody behind our back has left. Buckets with our names are in
//! [`stray_buckets`](super::stray_buckets).
//!
//! Machines are looked at, and deleted, by their provider's API alone: those that let nobody in are
//! the ones that are left.

use super::Error;
use super::abandon::meter_of_record;
use super::budget::{self, MachineEnd, MachineTime};
use super::calls::{Patience, call_and_record, patient_survey, patiently};
use super::recorder::Recorder;
use super::stray::{Found, MARGIN, Scope, Stray, Swept, Why};
use super::stray_buckets::sweep_bucket;
use crate::execution::provider::{self, Access, Machine, Provider, Survey, Token};
use crate::execution::state::event::{Call, Event};
use crate::execution::state::journal::Durability;
use crate::execution::state::{Opened, State, Status};
use crate::util::clock;
use std::sync::Arc;
use std::time::Duration;

/// Looks at all providers of these names; changes nothing.
pub async fn look_for_machines(
    state: &State,
    names: &[String],
    scope: Scope,
    access: &Access,
) -> Result<Found, Error> {
    let mut found_machines = Found::default();
    for name in names {
        let provider = match provider::open(name, access) {
            Ok(Some(provider)) => provider,
            Ok(None) => return Err(Error::NotReady(vec![provider::unknown(name)])),
            Err(error) => {
                found_machines.failed.push((name.clone(), error));
                continue;
            }
        };
        let Survey { machines, failed } = patient_survey(provider.as_ref(), None).await;
        let strays = machines.into_iter().filter_map(|machine| {
            let stray_reason = judge_machine(&machine, state, scope)?;
            Some(Stray {
                provider: provider.name(),
                machine,
                why: stray_reason,
            })
        });
        found_machines.strays.extend(strays);
        found_machines
            .failed
            .extend(failed.into_iter().map(|error| (name.clone(), error)));
    }
    Ok(found_machines)
}

/// Whether it is a stray. What is only traces, and costs nothing, is none.
fn judge_machine(machine: &Machine, state: &State, scope: Scope) -> Option<Why> {
    if machine.ended {
        return None;
    }
    if machine.lineage == state.lineage && !is_held(machine, state) {
        return Some(Why::NotInState);
    }
    if lease_is_over(machine) {
        return Some(Why::LeaseOver);
    }
    (machine.lineage != state.lineage && scope == Scope::All).then_some(Why::OfAnother)
}

/// Whether the state has the machine as that of a stage.
fn is_held(machine: &Machine, state: &State) -> bool {
    let held_record = state.stages.get(&machine.token.stage);
    machine.lineage == state.lineage
        && held_record.is_some_and(|held| held.live && held.token == machine.token.id)
}

fn lease_is_over(machine: &Machine) -> bool {
    if let Some(over) = machine.lease_over {
        return over;
    }
    let late_ms = machine
        .lease_end
        .as_deref()
        .map_or(0, |end| clock::between(end, &clock::timestamp()));
    Duration::from_millis(late_ms) > MARGIN
}

/// Deletes strays, each of which is looked at again first: the question whether to do so may have
/// waited for hours. So the state is to be opened after the answer. Machines that the state has are
/// written down as lost. Returns what became of each machine, then of each bucket, in their order.
pub async fn sweep(
    opened: Opened,
    found_machines: &Found,
    scope: Scope,
    access: &Access,
) -> Result<Vec<Swept>, Error> {
    let recorder = Recorder::new(opened);
    let swept = sweep_all(&recorder, found_machines, scope, access).await;
    let settled_state = recorder.into_inner().settle().await;
    let swept = swept?;
    settled_state?;
    Ok(swept)
}

async fn sweep_all(
    recorder: &Recorder,
    found_machines: &Found,
    scope: Scope,
    access: &Access,
) -> Result<Vec<Swept>, Error> {
    let mut swept = Vec::new();
    for stray in &found_machines.strays {
        // Who has the lock now may be about to use what this would delete.
        recorder.check_lock().await?;
        swept.push(sweep_one(recorder, stray, scope, access).await?);
    }
    for stray in &found_machines.buckets {
        recorder.check_lock().await?;
        swept.push(sweep_bucket(recorder, stray, scope).await);
    }
    Ok(swept)
}

async fn sweep_one(
    recorder: &Recorder,
    stray: &Stray,
    scope: Scope,
    access: &Access,
) -> Result<Swept, Error> {
    let provider: Option<Arc<dyn Provider>> = provider::open(stray.provider, access)?;
    let provider =
        provider.ok_or_else(|| Error::Bug(format!("provider {} is gone", stray.provider)))?;
    let token: &Token = &stray.machine.token;
    let machine_now = match patiently(Patience::Briefly, || provider.get(token)).await {
        Ok(Some(now)) => now,
        Ok(None) => return Ok(Swept::Gone),
        Err(error) => return Ok(Swept::Failed(error)),
    };
    if machine_now.ended {
        return Ok(Swept::Gone);
    }
    let (why, held) = recorder.read(|state| {
        (
            judge_machine(&machine_now, state, scope),
            is_held(&machine_now, state),
        )
    });
    if why.is_none() {
        return Ok(Swept::InUse);
    }
    let delete = || provider.delete(token);
    if !held {
        let delete_result = patiently(Patience::Briefly, delete).await;
        return Ok(delete_result.map_or_else(Swept::Failed, |()| Swept::Deleted));
    }
    let delete_result = call_and_record(
        recorder,
        (token.stage.as_str(), token.id.as_str(), Call::Delete),
        Patience::Briefly,
        delete,
    )
    .await;
    if let Err(error) = delete_result {
        return Ok(Swept::Failed(error.of_attempt()?));
    }
    write_off_attempt(recorder, &token.stage).await?;
    Ok(Swept::Deleted)
}

/// The attempt that the state has is over: the next apply begins another one.
async fn write_off_attempt(recorder: &Recorder, stage: &str) -> Result<(), Error> {
    let Some(record) = recorder.read(|state| state.stages.get(stage).cloned()) else {
        return Ok(());
    };
    if record.status.in_flight() {
        let message = "its machine outlived its lease, and `sky sweep` has deleted it".to_owned();
        let (stage, status) = (stage.to_owned(), Status::Lost);
        recorder
            .record(
                Event::Ended {
                    stage,
                    status,
                    message,
                },
                Durability::Later,
            )
            .await?;
    }
    // It was there until now, and has cost something all the while.
    let time = MachineTime::of(&record, MachineEnd::Now);
    let micro_usd =
        budget::charge_for_machine(&meter_of_record(&record), &time, record.reserved_micro_usd);
    Ok(recorder
        .record(
            Event::Released {
                stage: stage.to_owned(),
                micro_usd,
            },
            Durability::Now,
        )
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(lineage: &str, late: i64, lease_over: Option<bool>) -> Machine {
        let token = Token::new(lineage, "p", "train", 1);
        let end = clock::now()
            .saturating_sub(jiff::SignedDuration::from_secs(late))
            .unwrap();
        let lease_end = Some(format!("{end:.0}"));
        let (id, job, lineage) = ("m".to_owned(), "j".to_owned(), lineage.to_owned());
        Machine {
            token,
            id,
            job,
            lineage,
            place: None,
            instance_type: None,
            lease_end,
            lease_over,
            ended: false,
        }
    }

    #[test]
    fn others_machines_are_judged_with_a_margin_or_by_their_own_clock() {
        let state = State::empty("mine".to_owned());
        let judged = |late, over| judge_machine(&machine("theirs", late, over), &state, Scope::Own);
        // Another machine's clock may be some minutes behind or ahead.
        for late in [-3600, -1, 0, 60, 600, 890] {
            assert_eq!(judged(late, None), None, "{late}");
        }
        assert_eq!(judged(910, None), Some(Why::LeaseOver));
        // A clock that knows is believed, whatever the tag says by ours.
        assert_eq!(judged(86_400, Some(false)), None);
        assert_eq!(judged(-86_400, Some(true)), Some(Why::LeaseOver));
        assert_eq!(
            judge_machine(&machine("theirs", -60, None), &state, Scope::All),
            Some(Why::OfAnother)
        );
        let mut unknown = machine("theirs", 0, None);
        unknown.lease_end = None;
        assert_eq!(judge_machine(&unknown, &state, Scope::Own), None);
        unknown.lease_end = Some("yesterday".to_owned());
        assert_eq!(judge_machine(&unknown, &state, Scope::Own), None);
    }
}
