//! The end of an apply: attempts that nobody needs are ended, and what was not begun is noted.

use super::Error;
use super::abandon::{abandon_or_warn, never_begun};
use super::context::Context;
use super::earlier_attempt::{CommandFate, look_at_command};
use super::notice::Notice;
use super::outcome::StageOutcome;
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{StageRecord, Status};
use crate::plan::Plan;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};

/// Ends attempts of earlier applies that this one did not come to, and notes what was not begun.
pub(super) async fn wind_down(
    plan: &Plan,
    context: &Context,
    outcomes: &BTreeMap<String, StageOutcome>,
) -> Result<(), Error> {
    let fates = look_at_attempts_not_reached(context, outcomes).await;
    let mut abandoned = Vec::new();
    for planned in &plan.stages {
        let name = &planned.name;
        let (message, skipped) = match outcomes.get(name) {
            Some(StageOutcome::Skipped { because }) => (because.clone(), true),
            Some(StageOutcome::NotBegun { because }) => ((*because).to_owned(), false),
            _ => continue,
        };
        let former_record = context
            .recorder
            .read(|state| state.stages.get(name).cloned());
        match former_record {
            Some(former) if former.live => {
                match fates.get(name).and_then(|fate| fate.left_as_it_is(name)) {
                    Some(message) => context.observer.notice(&Notice::Warning { message }),
                    None => abandoned.push((name, former, message)),
                }
            }
            None if skipped => {
                let not_begun = Event::NotBegun {
                    stage: name.clone(),
                    record: never_begun(context, planned, Status::Skipped, message)?,
                };
                context
                    .recorder
                    .record(not_begun, Durability::Later)
                    .await?;
            }
            Some(_) | None => {}
        }
    }
    let abandoning = abandoned
        .iter()
        .map(|(name, former, why)| abandon_or_warn(context, name, former, why));
    join_all(abandoning).await.into_iter().collect()
}

/// What has become of the attempts of earlier applies at stages that this one did not come to.
async fn look_at_attempts_not_reached(
    context: &Context,
    outcomes: &BTreeMap<String, StageOutcome>,
) -> BTreeMap<String, CommandFate> {
    let not_reached = |name: &String| {
        matches!(
            outcomes.get(name),
            Some(StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. })
        )
    };
    let attempts_left: Vec<(String, StageRecord)> = context.recorder.read(|state| {
        let live_records = state
            .stages
            .iter()
            .filter(|(name, record)| record.live && not_reached(name));
        live_records
            .map(|(name, record)| (name.clone(), record.clone()))
            .collect()
    });
    let looks = attempts_left.iter().map(|(name, former)| async move {
        (name.clone(), look_at_command(context, name, former).await)
    });
    join_all(looks).await.into_iter().collect()
}

/// Says which attempts could not be ended in time after a signal.
pub(super) fn warn_of_left(context: &Context) {
    let left_words = context.recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live);
        live.map(|(name, _)| format!("stage.{name}"))
            .collect::<Vec<_>>()
    });
    if !left_words.is_empty() {
        let message = format!(
            "{} could not be ended in time: machines may still be there until their leases end, and the next apply or \
             destroy goes on from there",
            left_words.join(", ")
        );
        context.observer.notice(&Notice::Warning { message });
    }
}

/// Ends attempts of stages that the plan no longer has. Their outputs stay until a destroy.
pub(super) async fn abandon_strays(plan: &Plan, context: &Context) -> Result<(), Error> {
    let planned: BTreeSet<&str> = plan
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    let live = |(name, record): (&String, &StageRecord)| {
        (record.live && !planned.contains(name.as_str())).then(|| (name.clone(), record.clone()))
    };
    let strays: Vec<_> = context
        .recorder
        .read(|state| state.stages.iter().filter_map(live).collect());
    for (name, record) in strays {
        let message = format!("stage.{name} is no longer in the plan: what runs of it is ended");
        context.observer.notice(&Notice::Warning { message });
        abandon_or_warn(context, &name, &record, "it is no longer in the plan").await?;
    }
    Ok(())
}
