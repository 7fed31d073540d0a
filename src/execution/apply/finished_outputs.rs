//! The outputs of a stage that was done before: whether all of them can be had, and the way home of
//! those that the plan brings home.

use super::Error;
use super::bucket_transfer::deliver_home;
use super::context::Context;
use super::held_artifacts::publish_output;
use super::notice::Notice;
use super::stage_inputs::{UnpaidTransfer, goes_home, unpaid_home_transfers};
use super::staging::can_still_be_had;
use super::step_error::StepError;
use crate::execution::provider::ProviderError;
use crate::execution::state::event::Event;
use crate::execution::state::{Artifact, StageRecord, State};
use crate::model::{Money, PlaceName};
use crate::plan::PlannedStage;
use std::io;
use std::sync::Arc;

/// Why an output was not brought home.
#[derive(Debug, thiserror::Error)]
enum NotBroughtHome {
    /// The stage that made it is not in the state.
    #[error("its stage is not in the state")]
    UnknownStage,
    /// The budget does not allow it.
    #[error("the budget of {limit} does not allow the {cost} of its way home")]
    OverBudget { limit: Money, cost: Money },
    /// The bucket that has it did not give it.
    #[error("{0}")]
    Bucket(ProviderError),
    /// The state cannot be written: the whole apply ends.
    #[error("{0}")]
    Apply(Error),
}

impl From<Error> for NotBroughtHome {
    fn from(error: Error) -> Self {
        Self::Apply(error)
    }
}

impl From<io::Error> for NotBroughtHome {
    fn from(error: io::Error) -> Self {
        Self::Apply(error.into())
    }
}

impl From<StepError> for NotBroughtHome {
    fn from(error: StepError) -> Self {
        match error {
            StepError::Attempt(error) => Self::Bucket(error),
            StepError::Apply(error) => Self::Apply(error),
        }
    }
}

/// Whether all outputs of a stage that is done are in the store, or can be had from elsewhere;
/// those by name are made again.
pub(super) async fn has_all_outputs(
    context: &Arc<Context>,
    planned: &PlannedStage,
) -> Result<bool, Error> {
    for output in planned.writes.keys() {
        let name = format!("{}.{output}", planned.name);
        let artifact = context
            .recorder
            .read(|state| state.artifacts.get(&name).cloned());
        let Some(artifact) = artifact else {
            return Ok(false);
        };
        let is_here = context.objects.has(&artifact.digest, artifact.kind);
        // It stayed in its place so far, or was on its way when an earlier sky ended.
        let brought = !is_here && goes_home(planned, output) && !artifact.staged.is_empty();
        if brought {
            match bring_output_home(context, planned, output, &artifact).await {
                Ok(()) => {}
                Err(NotBroughtHome::Apply(error)) => return Err(error),
                Err(why) => {
                    let message = format!("output `{name}` stays where it is: {why}");
                    context.observer.notice(&Notice::Warning { message });
                }
            }
        }
        let published = context.artifacts.join(&planned.name).join(output).exists();
        let is_held = context.objects.has(&artifact.digest, artifact.kind)
            && (published || publish_output(context, &planned.name, output, &artifact).await);
        if !is_held {
            if can_still_be_had(context, &name, &artifact).await? {
                continue;
            }
            return Ok(false);
        }
    }
    Ok(true)
}

/// Brings an output of a stage that is done home, and pays for the way unless that is done.
async fn bring_output_home(
    context: &Arc<Context>,
    planned: &PlannedStage,
    output: &str,
    artifact: &Artifact,
) -> Result<(), NotBroughtHome> {
    let name = &planned.name;
    let Some(record) = context
        .recorder
        .read(|state| state.stages.get(name).cloned())
    else {
        return Err(NotBroughtHome::UnknownStage);
    };
    if context.open_provider(&record.provider)?.bills() {
        let output_size = [(output, artifact.bytes)];
        context
            .recorder
            .decide(|state| {
                let transfers = unpaid_home_transfers(
                    context,
                    planned,
                    &record.place,
                    state,
                    output_size.into_iter(),
                );
                check_budget(context, name, state, &transfers)?;
                let events = transfers
                    .into_iter()
                    .map(|transfer| paid_way_home(name, &record, transfer));
                Ok::<_, NotBroughtHome>(((), events.collect()))
            })
            .await?;
    }
    Ok(deliver_home(context, &format!("{name}.{output}")).await?)
}

/// Whether the budget allows transfers besides what is spent and set aside.
fn check_budget(
    context: &Context,
    stage: &str,
    state: &State,
    transfers: &[UnpaidTransfer],
) -> Result<(), NotBroughtHome> {
    let cost = transfers
        .iter()
        .map(|transfer| transfer.cost.0)
        .fold(0, i64::saturating_add);
    let account = context.purse().account(stage, state);
    let needed_money = account
        .spent
        .0
        .saturating_add(account.reserved.0)
        .saturating_add(cost);
    match account.limit {
        Some(limit) if cost > 0 && needed_money > limit.0 => Err(NotBroughtHome::OverBudget {
            limit,
            cost: Money(cost),
        }),
        _ => Ok(()),
    }
}

fn paid_way_home(stage: &str, record: &StageRecord, transfer: UnpaidTransfer) -> Event {
    Event::Copied {
        stage: stage.to_owned(),
        token: record.token.clone(),
        artifact: transfer.artifact,
        to: PlaceName::here(),
        bytes: transfer.bytes,
        micro_usd: transfer.cost,
    }
}
