//! An apply from its beginning to its end: the state is made ready, all stages are run, what is left
//! is wound down, and the last snapshot is written.

use super::buckets::delete_buckets_when_done;
use super::context::{Context, open_context};
use super::notice::{Interrupt, Notice, Observer};
use super::outcome::{Outcome, StageOutcome, draw_balance};
use super::settings::{Checked, Settings};
use super::walk::run_stages;
use super::wind_down::{abandon_strays, warn_of_left, wind_down};
use super::{Error, collected};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Folder, Opened, State};
use crate::execution::storage::Objects;
use crate::plan::Plan;
use crate::util::watch;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

/// Applies a plan that [`check`](super::check::check) found ready, to a state that is locked. The
/// state that is left is on disk whatever happens; dropping the future leaves what runs running,
/// for the next apply.
pub async fn apply_plan(
    plan: &Plan,
    checked: Checked,
    settings: Settings,
    folder: &Folder,
    opened: Opened,
    observer: Arc<dyn Observer>,
    interrupt: watch::Receiver<Option<Interrupt>>,
) -> Result<Outcome, Error> {
    for message in checked.warnings.iter().chain(&opened.warnings) {
        observer.notice(&Notice::Warning {
            message: message.clone(),
        });
    }
    let mut context = open_context(plan, checked, settings, folder, opened, observer, interrupt)?;
    // It reads what stages work on, which may be large.
    context.settled = tokio::select! {
        biased;
        settled = collected::settled_stages(&context) => settled,
        // Nothing is begun any more.
        _ = context.deadlines.signalled() => BTreeSet::new(),
    };
    let context = Arc::new(context);
    tokio::select! {
        biased;
        begun = begin_apply(plan, &context) => begun?,
        () = context.deadlines.wind_down_is_over() => {}
    }
    let stages = run_stages(plan, &context).await?;
    let apply_end = async {
        wind_down(plan, &context, &stages).await?;
        delete_buckets_when_done(&context, &stages).await
    };
    tokio::select! {
        biased;
        ended = apply_end => ended?,
        () = context.deadlines.wind_down_is_over() => warn_of_left(&context),
    }
    let context = Arc::into_inner(context)
        .ok_or_else(|| Error::Bug("a stage is still at work".to_owned()))?;
    conclude_apply(plan, context, stages).await
}

/// Writes down what is applied, and ends what the plan no longer has.
async fn begin_apply(plan: &Plan, context: &Context) -> Result<(), Error> {
    let is_known_plan = context.recorder.read(|state| {
        state.plan.as_ref() == Some(&context.plan_digest) && state.job.as_ref() == Some(&plan.job)
    });
    if !is_known_plan {
        let (job, digest) = (Some(plan.job.clone()), Some(context.plan_digest.clone()));
        let begun_event = Event::Begun {
            operation: "apply".to_owned(),
            job,
            plan: digest,
            continues: plan.from_state.is_some(),
        };
        context
            .recorder
            .record(begun_event, Durability::Later)
            .await?;
    }
    abandon_strays(plan, context).await
}

/// Writes the last snapshot, deletes what nobody needs from the store, and draws the balance.
async fn conclude_apply(
    plan: &Plan,
    context: Context,
    stages: BTreeMap<String, StageOutcome>,
) -> Result<Outcome, Error> {
    let interrupted = *context.interrupt.borrow();
    let mut opened_state = context.recorder.into_inner();
    let snapshot_is_late = tokio::select! {
        biased;
        written = opened_state.settle() => {
            written?;
            false
        }
        // The journal has all of it.
        () = context.deadlines.snapshot_is_late() => true,
    };
    if snapshot_is_late {
        let message = "the store of the state did not take its last snapshot in time: the next \
                       operation writes it from the journal"
            .to_owned();
        context.observer.notice(&Notice::Warning { message });
    }
    let final_state = opened_state.state;
    sweep_objects(&context.objects, &final_state)?;
    let purse = context
        .purse
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok(Outcome {
        stages,
        account: draw_balance(plan, &purse, &final_state),
        interrupted,
        snapshot_is_late,
        serial: final_state.serial,
        artifacts: final_state.artifacts,
        buckets: final_state.buckets,
    })
}

/// Deletes all objects that are neither an artifact nor the progress of a stage.
fn sweep_objects(objects: &Objects, state: &State) -> io::Result<()> {
    let progress = state
        .stages
        .values()
        .filter_map(|record| record.checkpoint.as_ref());
    let kept_artifacts = state.artifacts.values().chain(progress);
    let paths_to_keep: BTreeSet<PathBuf> = kept_artifacts
        .map(|artifact| objects.path(&artifact.digest, artifact.kind))
        .collect();
    objects.sweep(&|object| paths_to_keep.contains(object))
}
