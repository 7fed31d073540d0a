//! Walks the DAG: what is ready runs, up to so many at a time; what waits for a failed stage is
//! skipped; everything else goes on.

use super::Error;
use super::context::{Context, SIGNAL};
use super::notice::{Interrupt, Notice};
use super::outcome::StageOutcome;
use super::schedule::{Remakes, Waiting};
use super::settings::OnFailure;
use super::signal_deadlines::WIND_DOWN;
use super::stage::{StageRun, run_stage};
use crate::execution::state::{StageRecord, Status};
use crate::plan::Plan;
use crate::util::{simulation, watch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{self, Instant};

/// How long stages that are not at work yet wait until those that are go on: what these wait for is
/// mostly done, and only has to be looked at.
const AT_WORK_FIRST: Duration = Duration::from_secs(60);

/// Runs all stages in the order that the DAG allows: first those whose machines are at work
/// already, then earlier in the plan first.
pub(super) async fn run_stages(
    plan: &Plan,
    context: &Arc<Context>,
) -> Result<BTreeMap<String, StageOutcome>, Error> {
    let mut walk = PlanWalk::new(plan, context);
    loop {
        walk.begin_ready_stages();
        match walk.wait().await {
            Woken::NothingRuns => return Ok(walk.into_outcomes()),
            Woken::Ended(ended) => {
                let (index, run) = walk.run_of_ended_task(ended)?;
                walk.take_run(index, run);
            }
            Woken::Signalled => walk.answer_signal().await,
            Woken::NobodyIsHeld => {}
            Woken::GraceIsOver => walk.leave_what_runs(),
        }
    }
}

/// What a task of a stage returns: its number in the plan, and what came of it.
type EndedTask = (usize, Result<StageRun, Error>);

/// Why a walk goes on.
enum Woken {
    /// All stages that were begun have ended, and no other can begin.
    NothingRuns,
    /// A stage has ended, or its task was.
    Ended(Result<EndedTask, JoinError>),
    /// A signal came.
    Signalled,
    /// Stages no longer wait for those that are at work.
    NobodyIsHeld,
    /// What is still at work after a signal is left.
    GraceIsOver,
}

/// A plan whose stages are being run.
struct PlanWalk<'p> {
    plan: &'p Plan,
    context: &'p Arc<Context>,
    waiting: Waiting,
    outcomes: BTreeMap<String, StageOutcome>,
    running: JoinSet<EndedTask>,
    /// The names of stages that run.
    names: BTreeSet<&'p str>,
    /// Which stage a task is for.
    tasks: HashMap<task::Id, usize>,
    /// Until when stages wait for those that are at work already.
    held_until: Instant,
    /// When stages that are still at work after a signal are left.
    leave_at: Option<Instant>,
    interrupt: watch::Receiver<Option<Interrupt>>,
    remakes: Remakes,
    /// Whether a stage has failed.
    failed: bool,
    /// Whether the budget is used up.
    denied: bool,
}

impl<'p> PlanWalk<'p> {
    fn new(plan: &'p Plan, context: &'p Arc<Context>) -> Self {
        let live = names_of_stages(context, |record| record.live);
        let done_names = names_of_stages(context, |record| record.status == Status::Done);
        Self {
            plan,
            context,
            waiting: Waiting::new(plan, &live, &done_names),
            outcomes: BTreeMap::new(),
            running: JoinSet::new(),
            names: BTreeSet::new(),
            tasks: HashMap::new(),
            held_until: Instant::now() + AT_WORK_FIRST,
            leave_at: None,
            interrupt: context.interrupt.clone(),
            remakes: Remakes::default(),
            failed: false,
            denied: false,
        }
    }

    /// Begins all stages that may begin now.
    fn begin_ready_stages(&mut self) {
        let settings = &self.context.settings;
        let stopped = self.denied
            || self.interrupt.borrow_and_update().is_some()
            || self.failed && settings.on_failure == OnFailure::StartNothing;
        if stopped {
            return;
        }
        loop {
            let slot = self.running.len() < settings.parallelism.max(1);
            let is_held_back = Instant::now() < self.held_until && !self.running.is_empty();
            let Some(index) = self.waiting.take_next(slot, is_held_back) else {
                return;
            };
            let planned = &self.plan.stages[index];
            self.names.insert(&planned.name);
            let (context, planned) = (self.context.clone(), planned.clone());
            let stage =
                simulation::inherit(async move { (index, run_stage(&context, &planned).await) });
            self.tasks.insert(self.running.spawn(stage).id(), index);
        }
    }

    /// Waits until a stage ends, or something else has to be done.
    async fn wait(&mut self) -> Woken {
        let (held_until, leave_at) = (self.held_until, self.leave_at);
        let is_held_back = self.waiting.has_urgent() && Instant::now() < held_until;
        tokio::select! {
            biased;
            ended = self.running.join_next() => ended.map_or(Woken::NothingRuns, Woken::Ended),
            Ok(()) = self.interrupt.changed() => Woken::Signalled,
            () = time::sleep_until(held_until), if is_held_back => Woken::NobodyIsHeld,
            () = time::sleep_until(leave_at.unwrap_or_else(Instant::now)), if leave_at.is_some() => {
                Woken::GraceIsOver
            }
        }
    }

    /// Says that stages are being stopped, and by when they are left as they are.
    async fn answer_signal(&mut self) {
        let signal = *self.interrupt.borrow();
        let Some(interrupt) = signal else {
            return;
        };
        let running_names = self.names.iter().map(|name| (*name).to_owned()).collect();
        self.context.observer.notice(&Notice::Stopping {
            interrupt,
            running: running_names,
        });
        let wind_down_end = self.context.settings.grace.saturating_add(WIND_DOWN);
        self.leave_at = Some(self.context.deadlines.signalled().await + wind_down_end);
    }

    fn leave_what_runs(&mut self) {
        self.leave_at = None;
        self.running.abort_all();
    }

    /// What came of the stage whose task has ended.
    fn run_of_ended_task(
        &self,
        ended_task: Result<EndedTask, JoinError>,
    ) -> Result<(usize, StageRun), Error> {
        let error = match ended_task {
            Ok((index, run)) => return Ok((index, run?)),
            Err(error) => error,
        };
        if !error.is_cancelled() {
            return Err(Error::Bug(format!("a stage's task broke: {error}")));
        }
        let index = self.tasks.get(&error.id()).copied();
        let index = index.ok_or_else(|| Error::Bug("a task of no stage was ended".to_owned()))?;
        let message = format!(
            "stage.{}: it could not be brought to an end within the grace: its machine may still be there \
             until its lease ends, and the next apply or destroy goes on from there",
            self.plan.stages[index].name
        );
        self.context.observer.notice(&Notice::Warning { message });
        Ok((index, StageRun::Ended(StageOutcome::Interrupted)))
    }

    /// Takes note of what came of a stage, or has it run again after what it reads is made again.
    fn take_run(&mut self, index: usize, run: StageRun) {
        let plan = self.plan;
        let name = plan.stages[index].name.as_str();
        self.names.remove(name);
        let outcome = match run {
            StageRun::Ended(outcome) => self.remakes.outcome_of_apply(name, outcome),
            StageRun::Remake(producers) => match self.remakes.refuse_remake(&producers, plan) {
                None => {
                    self.waiting
                        .put_back(plan, index, &producers, &mut self.outcomes, &self.names);
                    return;
                }
                Some(message) => self.fail_without_inputs(name, message),
            },
        };
        match &outcome {
            StageOutcome::Done | StageOutcome::Unchanged => self.waiting.note_done(name),
            StageOutcome::Failed { .. } => {
                self.failed = true;
                self.skip_followers(name);
            }
            StageOutcome::Denied { .. } => self.denied = true,
            _ => {}
        }
        self.waiting.note_ended(name);
        self.outcomes.insert(name.to_owned(), outcome);
    }

    /// Says that what a stage reads cannot be made again.
    fn fail_without_inputs(&self, name: &str, message: String) -> StageOutcome {
        self.context.observer.notice(&Notice::Failed {
            stage: name.to_owned(),
            message: message.clone(),
            elapsed: Duration::ZERO,
        });
        StageOutcome::Failed {
            message,
            tail: Vec::new(),
            log: None,
            used_up: false,
        }
    }

    /// Skips all stages that wait for one that failed.
    fn skip_followers(&mut self, failed: &str) {
        let because = format!("stage.{failed} failed");
        for index in self.waiting.take_out_followers(failed, self.plan) {
            let stage = self.plan.stages[index].name.clone();
            self.waiting.note_ended(&stage);
            self.context.observer.notice(&Notice::Skipped {
                stage: stage.clone(),
                because: because.clone(),
            });
            let because = because.clone();
            self.outcomes
                .insert(stage, StageOutcome::Skipped { because });
        }
    }

    /// The outcomes of all stages, also of those that were not begun.
    fn into_outcomes(self) -> BTreeMap<String, StageOutcome> {
        let interrupted = self.interrupt.borrow().is_some();
        let because = match self.denied {
            _ if interrupted => SIGNAL,
            true => "the budget is used up",
            false => "another stage failed (--fail-fast)",
        };
        let mut outcomes = self.outcomes;
        for index in self.waiting.waits.into_keys() {
            let name = self.plan.stages[index].name.clone();
            outcomes.insert(name, StageOutcome::NotBegun { because });
        }
        outcomes
    }
}

/// The names of the stages of the state whose records are of a kind.
fn names_of_stages(context: &Context, is_kind: fn(&StageRecord) -> bool) -> BTreeSet<String> {
    context.recorder.read(|state| {
        let stages = state.stages.iter().filter(|(_, record)| is_kind(record));
        stages.map(|(name, _)| name.clone()).collect()
    })
}
