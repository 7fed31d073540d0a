//! Walks the DAG: what is ready runs, up to so many at a time; what waits for a failed stage is
//! skipped; everything else goes on.

use super::abandon::abandon_or_warn;
use super::abandon::never_begun;
use super::check::{Checked, OnFailure, Settings};
use super::context::{Context, SIGNAL, context};
use super::earlier_attempt::{Look, look};
use super::notice::{Interrupt, Notice, Observer};
use super::outcome::{Outcome, StageOutcome, account};
use super::schedule::{Remakes, Waiting};
use super::signal_deadlines::WIND_DOWN;
use super::stage::Ran;
use super::{Error, buckets, collected, stage};
use crate::execution::state::event::Event;
use crate::execution::state::journal::Durability;
use crate::execution::state::{Folder, Opened, StageRecord, Status};
use crate::plan::Plan;
use crate::util::{simulation, watch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::task::{self, JoinSet};
use tokio::time::{self, Instant};

/// Applies a plan that [`check`](super::check::check) found ready, to a state that is locked. The
/// state that is left is on disk whatever happens; dropping the future leaves what runs running,
/// for the next apply.
pub async fn run(
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
    let mut context = context(plan, checked, settings, folder, opened, observer, interrupt)?;
    // It reads what stages work on, which may be large.
    context.settled = tokio::select! {
        biased;
        settled = collected::settled(&context) => settled,
        // Nothing is begun any more.
        _ = context.deadlines.signalled() => BTreeSet::new(),
    };
    let context = Arc::new(context);
    tokio::select! {
        biased;
        begun = begin(plan, &context) => begun?,
        () = context.deadlines.wind_down_is_over() => {}
    }
    let stages = walk(plan, &context).await?;
    let ended = async {
        wind_down(plan, &context, &stages).await?;
        buckets::close(&context, &stages).await
    };
    tokio::select! {
        biased;
        ended = ended => ended?,
        () = context.deadlines.wind_down_is_over() => warn_of_left(&context),
    }
    let interrupted = *context.interrupt.borrow();
    let context = Arc::into_inner(context)
        .ok_or_else(|| Error::Bug("a stage is still at work".to_owned()))?;
    let mut opened = context.recorder.into_inner();
    let snapshot_is_late = tokio::select! {
        biased;
        written = opened.settle() => {
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
    let state = opened.state;
    let progress = state
        .stages
        .values()
        .filter_map(|record| record.checkpoint.as_ref());
    let kept = state.artifacts.values().chain(progress);
    let keep: BTreeSet<PathBuf> = kept
        .map(|artifact| context.objects.path(&artifact.digest, artifact.kind))
        .collect();
    context.objects.sweep(&|object| keep.contains(object))?;
    let serial = state.serial;
    let account = account(
        plan,
        &context
            .purse
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        &state,
    );
    let (artifacts, buckets) = (state.artifacts, state.buckets);
    Ok(Outcome {
        stages,
        artifacts,
        interrupted,
        snapshot_is_late,
        buckets,
        serial,
        account,
    })
}

/// Writes down what is applied, and ends what the plan no longer has.
async fn begin(plan: &Plan, context: &Context) -> Result<(), Error> {
    let known = context.recorder.read(|state| {
        state.plan.as_ref() == Some(&context.plan_digest) && state.job.as_ref() == Some(&plan.job)
    });
    if !known {
        let (job, digest) = (Some(plan.job.clone()), Some(context.plan_digest.clone()));
        let begun = Event::Begun {
            operation: "apply".to_owned(),
            job,
            plan: digest,
            continues: plan.from_state.is_some(),
        };
        context.recorder.record(begun, Durability::Later).await?;
    }
    abandon_strays(plan, context).await
}

/// Says which attempts could not be ended in time after a signal.
fn warn_of_left(context: &Context) {
    let left = context.recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live);
        live.map(|(name, _)| format!("stage.{name}"))
            .collect::<Vec<_>>()
    });
    if !left.is_empty() {
        let message = format!(
            "{} could not be ended in time: machines may still be there until their leases end, and the next apply or \
             destroy goes on from there",
            left.join(", ")
        );
        context.observer.notice(&Notice::Warning { message });
    }
}

/// How long stages that are not at work yet wait until those that are go on: what these wait for is
/// mostly done, and only has to be looked at.
const AT_WORK_FIRST: Duration = Duration::from_secs(60);

/// Runs all stages in the order that the DAG allows: first those whose machines are at work
/// already, then earlier in the plan first.
async fn walk(
    plan: &Plan,
    context: &Arc<Context>,
) -> Result<BTreeMap<String, StageOutcome>, Error> {
    let live = context.recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live);
        live.map(|(name, _)| name.clone())
            .collect::<BTreeSet<String>>()
    });
    let done = context.recorder.read(|state| {
        let done = state
            .stages
            .iter()
            .filter(|(_, record)| record.status == Status::Done);
        done.map(|(name, _)| name.clone()).collect()
    });
    let mut waiting = Waiting::new(plan, &live, &done);
    let held_until = Instant::now() + AT_WORK_FIRST;
    let mut outcomes: BTreeMap<String, StageOutcome> = BTreeMap::new();
    let mut running: JoinSet<(usize, Result<Ran, Error>)> = JoinSet::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    // Which stage a task is for, and when those that are still at work after a signal are left.
    let mut tasks: HashMap<task::Id, usize> = HashMap::new();
    let mut leave_at: Option<Instant> = None;
    let mut interrupt = context.interrupt.clone();
    let mut remakes = Remakes::default();
    let mut failed = false;
    let mut denied = false;
    loop {
        let stopped = denied
            || interrupt.borrow_and_update().is_some()
            || failed && context.settings.on_failure == OnFailure::StartNothing;
        loop {
            if stopped {
                break;
            }
            let slot = running.len() < context.settings.parallelism.max(1);
            let held = Instant::now() < held_until && !running.is_empty();
            let Some(index) = waiting.next(slot, held) else {
                break;
            };
            let (context, planned) = (context.clone(), plan.stages[index].clone());
            names.insert(&plan.stages[index].name);
            let stage =
                simulation::inherit(async move { (index, stage::run(&context, &planned).await) });
            tasks.insert(running.spawn(stage).id(), index);
        }
        let joined = tokio::select! {
            biased;
            joined = running.join_next() => joined,
            Ok(()) = interrupt.changed() => {
                if let Some(signal) = *interrupt.borrow() {
                    let running = names.iter().map(|name| (*name).to_owned()).collect();
                    context.observer.notice(&Notice::Stopping { interrupt: signal, running });
                    let until = context.settings.grace.saturating_add(WIND_DOWN);
                    leave_at = Some(context.deadlines.signalled().await + until);
                }
                continue;
            }
            () = time::sleep_until(held_until), if waiting.has_urgent() && Instant::now() < held_until => continue,
            () = time::sleep_until(leave_at.unwrap_or_else(Instant::now)), if leave_at.is_some() => {
                leave_at = None;
                running.abort_all();
                continue;
            }
        };
        let Some(joined) = joined else { break };
        let (index, outcome) = match joined {
            Ok(joined) => joined,
            Err(error) if error.is_cancelled() => {
                let index = tasks.get(&error.id()).copied();
                let index =
                    index.ok_or_else(|| Error::Bug("a task of no stage was ended".to_owned()))?;
                let stage = &plan.stages[index].name;
                let message = format!(
                    "stage.{stage}: it could not be brought to an end within the grace: its machine may still be there \
                     until its lease ends, and the next apply or destroy goes on from there"
                );
                context.observer.notice(&Notice::Warning { message });
                (index, Ok(Ran::Ended(StageOutcome::Interrupted)))
            }
            Err(error) => return Err(Error::Bug(format!("a stage's task broke: {error}"))),
        };
        let name = plan.stages[index].name.as_str();
        names.remove(name);
        let outcome = match outcome? {
            Ran::Ended(outcome) => remakes.outcome(name, outcome),
            Ran::Remake(producers) => match remakes.refused(&producers, plan) {
                None => {
                    waiting.again(plan, index, &producers, &mut outcomes, &names);
                    continue;
                }
                Some(message) => {
                    let (stage, elapsed) = (name.to_owned(), Duration::ZERO);
                    context.observer.notice(&Notice::Failed {
                        stage,
                        message: message.clone(),
                        elapsed,
                    });
                    StageOutcome::Failed {
                        message,
                        tail: Vec::new(),
                        log: None,
                        used_up: false,
                    }
                }
            },
        };
        match &outcome {
            StageOutcome::Done | StageOutcome::Unchanged => waiting.done(name),
            StageOutcome::Failed { .. } => {
                failed = true;
                for index in waiting.without(name, plan) {
                    let (stage, because) = (
                        plan.stages[index].name.clone(),
                        format!("stage.{name} failed"),
                    );
                    context.observer.notice(&Notice::Skipped {
                        stage: stage.clone(),
                        because: because.clone(),
                    });
                    outcomes.insert(stage, StageOutcome::Skipped { because });
                }
            }
            StageOutcome::Denied { .. } => denied = true,
            _ => {}
        }
        outcomes.insert(name.to_owned(), outcome);
    }
    let interrupted = interrupt.borrow().is_some();
    for index in waiting.waits.into_keys() {
        let because = match denied {
            _ if interrupted => SIGNAL,
            true => "the budget is used up",
            false => "another stage failed (--fail-fast)",
        };
        outcomes.insert(
            plan.stages[index].name.clone(),
            StageOutcome::NotBegun { because },
        );
    }
    Ok(outcomes)
}

/// Ends attempts of earlier applies that this one did not come to, and notes what was not begun.
async fn wind_down(
    plan: &Plan,
    context: &Context,
    outcomes: &BTreeMap<String, StageOutcome>,
) -> Result<(), Error> {
    let not_reached = |(name, _): &(&String, &StageRecord)| {
        matches!(
            outcomes.get(*name),
            Some(StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. })
        )
    };
    let left: Vec<(String, StageRecord)> = context.recorder.read(|state| {
        let live = state
            .stages
            .iter()
            .filter(|(_, record)| record.live)
            .filter(not_reached);
        live.map(|(name, record)| (name.clone(), record.clone()))
            .collect()
    });
    let looks = left
        .iter()
        .map(|(name, former)| async move { (name.clone(), look(context, name, former).await) });
    let looks: BTreeMap<String, Look> = futures_util::future::join_all(looks)
        .await
        .into_iter()
        .collect();
    let mut abandoned = Vec::new();
    for planned in &plan.stages {
        let message = match outcomes.get(&planned.name) {
            Some(StageOutcome::Skipped { because }) => because.clone(),
            Some(StageOutcome::NotBegun { because }) => (*because).to_owned(),
            _ => continue,
        };
        let former = context
            .recorder
            .read(|state| state.stages.get(&planned.name).cloned());
        match former {
            Some(former) if former.live => {
                match looks
                    .get(&planned.name)
                    .map(|look| look.left_as_it_is(&planned.name))
                {
                    Some(Some(message)) => context.observer.notice(&Notice::Warning { message }),
                    _ => abandoned.push((&planned.name, former, message)),
                }
            }
            Some(_) => {}
            None if matches!(
                outcomes.get(&planned.name),
                Some(StageOutcome::Skipped { .. })
            ) =>
            {
                let record = never_begun(context, planned, Status::Skipped, message);
                context
                    .recorder
                    .record(
                        Event::NotBegun {
                            stage: planned.name.clone(),
                            record,
                        },
                        Durability::Later,
                    )
                    .await?;
            }
            None => {}
        }
    }
    let abandoning = abandoned
        .iter()
        .map(|(name, former, why)| abandon_or_warn(context, name, former, why));
    let abandoned = futures_util::future::join_all(abandoning).await;
    abandoned.into_iter().collect()
}

/// Ends attempts of stages that the plan no longer has. Their outputs stay until a destroy.
async fn abandon_strays(plan: &Plan, context: &Context) -> Result<(), Error> {
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
