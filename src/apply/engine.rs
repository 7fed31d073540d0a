//! Walks the DAG: what is ready runs, up to so many at a time; what waits for a failed stage is
//! skipped; everything else goes on.

use super::budget::{self, MachineEnd, MachineTime, Meter, Purse};
use super::calls::{Patience, call, patiently};
use super::check::{Checked, OnFailure, Settings, predecessors};
use super::notice::{Interrupt, Notice, Observer};
use super::record::Recorder;
use super::stage::Ran;
use super::watch::answered;
use super::{Error, depot, gone, stage};
use crate::model::{DataRate, Extras, Millis, Money, PlaceName, Rate};
use crate::plan::{self, Billing, Plan, PlannedStage};
use crate::provider::{self, ErrorKind, Evidence, Owner, Provider, ProviderError, RunStatus, Token};
use crate::state::event::{Call, Event};
use crate::state::journal::Sync;
use crate::state::standing;
use crate::state::{Artifact, Folder, Opened, StageRecord, State, Status};
use crate::transfer::Objects;
use crate::util::secret::Redactor;
use crate::util::tree::Measured;
use crate::util::{clock, simulation, watch};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::task::{self, JoinSet};
use tokio::time::{self, Instant};

/// After a signal and its grace, how long stages have to give back what they hold. Then they are left as if this
/// process had been killed, which loses nothing: the next apply goes on.
const WIND_DOWN: Duration = Duration::from_secs(10);

/// Why a stage is not begun after a signal.
pub(super) const SIGNAL: &str = "interrupted before it began";

/// How often what one stage has made is made again in one apply.
const REMAKES: u32 = 2;

/// How an apply ended, when it could be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every stage of the plan.
    pub stages: BTreeMap<String, StageOutcome>,
    /// What is done, by artifact.
    pub artifacts: BTreeMap<String, Artifact>,
    pub interrupted: Option<Interrupt>,
    /// Addresses of the buckets that are left, by place.
    pub buckets: BTreeMap<PlaceName, String>,
    /// Of the state that was left.
    pub serial: u64,
    pub account: Balance,
}

/// What an apply has cost, beside what was planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub limit: Option<Money>,
    /// By the whole job so far.
    pub spent: Money,
    /// By stage: planned, and what all its attempts have cost.
    pub stages: BTreeMap<String, (Money, Money)>,
    /// Stages of which a machine may still be there, and what an hour of it costs.
    pub billing: BTreeMap<String, Money>,
}

/// How one stage came out of an apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageOutcome {
    /// It was run.
    Done,
    /// It was done before, with the same content.
    Unchanged,
    Failed {
        message: String,
        /// The last lines that it printed.
        tail: Vec<String>,
        /// Where its log is, if it came so far.
        log: Option<String>,
        /// Nothing that the plan has for it is to be had: the rest needs another plan.
        used_up: bool,
    },
    /// The budget does not allow it.
    Denied { message: String },
    /// A stage that it waits for is not done.
    Skipped { because: String },
    /// It was ended by a signal to `sky`.
    Interrupted,
    /// Not begun because of a signal, or because another stage failed and the user wants no more.
    NotBegun { because: &'static str },
}

/// What all stages of one apply share.
pub(super) struct Context {
    pub plan: Plan,
    pub plan_digest: String,
    /// What a gigabyte costs from one place to another.
    pub ways: BTreeMap<(PlaceName, PlaceName), DataRate>,
    purse: Mutex<Purse>,
    pub checked: Checked,
    pub settings: Settings,
    pub owner: Owner,
    pub recorder: Recorder,
    providers: Mutex<BTreeMap<String, Arc<dyn Provider>>>,
    pub objects: Objects,
    pub artifacts: PathBuf,
    /// Where logs and what failed stages have written are kept, by stage and attempt.
    pub kept: PathBuf,
    pub observer: Arc<dyn Observer>,
    pub interrupt: watch::Receiver<Option<Interrupt>>,
    /// Digests of datasets, each read once.
    pub datasets: BTreeMap<String, OnceCell<Measured>>,
    pub depot: depot::Depot,
    /// Takes the values of the job's secrets out of texts.
    pub redactor: Redactor,
    /// Stages that stay as they are, if that is asked.
    pub settled: BTreeSet<String>,
}

/// Applies a plan that [`check`](super::check::check) found ready, to a state that is locked. The state that is left
/// is on disk whatever happens; dropping the future leaves what runs running, for the next apply.
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
        observer.notice(&Notice::Warning { message: message.clone() });
    }
    let mut context = Arc::new(context(plan, checked, settings, folder, opened, observer, interrupt)?);
    let settled = gone::settled(&context).await;
    if let Some(context) = Arc::get_mut(&mut context) {
        context.settled = settled;
    }
    let known = context
        .recorder
        .read(|state| state.plan.as_ref() == Some(&context.plan_digest) && state.job.as_ref() == Some(&plan.job));
    if !known {
        let (job, plan) = (Some(plan.job.clone()), Some(context.plan_digest.clone()));
        let continues = context.plan.from_state.is_some();
        context
            .recorder
            .record(Event::Begun { operation: "apply".to_owned(), job, plan, continues }, Sync::Later)
            .await?;
    }
    abandon_strays(plan, &context).await?;
    let stages = walk(plan, &context).await?;
    wind_down(plan, &context, &stages).await?;
    depot::close(&context, &stages).await?;
    let interrupted = *context.interrupt.borrow();
    let context = Arc::into_inner(context).ok_or_else(|| Error::Bug("a stage is still at work".to_owned()))?;
    let mut opened = context.recorder.into_inner();
    if opened.journal.length() > 0 {
        opened.compact().await?;
    }
    let state = opened.state;
    let progress = state.stages.values().filter_map(|record| record.checkpoint.as_ref());
    let kept = state.artifacts.values().chain(progress);
    let keep: BTreeSet<PathBuf> = kept.map(|artifact| context.objects.path(&artifact.digest, artifact.kind)).collect();
    context.objects.sweep(&|object| keep.contains(object))?;
    let serial = state.serial;
    let account = account(plan, &context.purse.into_inner().unwrap_or_else(PoisonError::into_inner), &state);
    let (artifacts, buckets) = (state.artifacts, state.buckets);
    Ok(Outcome { stages, artifacts, interrupted, buckets, serial, account })
}

/// The sums at the end of an apply.
fn account(plan: &Plan, purse: &Purse, state: &State) -> Balance {
    let cost = |stage: &PlannedStage| {
        let spent = state.stages.get(&stage.name).map_or(Money(0), |record| record.spent_micro_usd);
        (stage.name.clone(), (purse.planned(&stage.name), spent))
    };
    let live = state.stages.iter().filter(|(_, record)| record.live);
    let billing = live.map(|(name, record)| {
        let hourly = record.rented.as_ref().map_or(Money(0), |rented| {
            let hour = Millis(3_600_000);
            rented.rate_nano_usd_per_hour.cost(rented.nodes, hour) + rented.extras.cost(rented.nodes, hour)
        });
        (name.clone(), hourly)
    });
    Balance {
        limit: purse.limit(),
        spent: state.spent_micro_usd,
        stages: plan.stages.iter().map(cost).collect(),
        billing: billing.collect(),
    }
}

fn context(
    plan: &Plan,
    checked: Checked,
    settings: Settings,
    folder: &Folder,
    opened: Opened,
    observer: Arc<dyn Observer>,
    interrupt: watch::Receiver<Option<Interrupt>>,
) -> Result<Context, Error> {
    let plan_digest =
        plan::file::digest(plan).map_err(|error| Error::Bug(format!("cannot write the plan: {error}")))?;
    let mut ways: BTreeMap<(PlaceName, PlaceName), DataRate> = BTreeMap::new();
    for copy in &plan.transfers {
        let rate = copy.billed_gb_bytes.decimal_rate(copy.rate_nano_usd_per_gb);
        ways.insert((copy.from.clone(), copy.to.clone()), rate);
    }
    for way in &plan.ways {
        ways.insert((way.from.clone(), way.to.clone()), way.rate_nano_usd_per_gb);
    }
    let before = plan.from_state.as_ref().map_or(0, |from| from.spent_micro_usd.0);
    let planned = plan.limits.budget_micro_usd.map(|limit| Money(limit.0.saturating_add(before)));
    let limit = settings.budget.or(planned);
    let redactor = Redactor::new(checked.secrets.values().flat_map(BTreeMap::values));
    let context = Context {
        plan: plan.clone(),
        ways,
        purse: Mutex::new(Purse::new(limit, plan, &opened.state)),
        plan_digest,
        owner: Owner { job: plan.job.clone(), lineage: opened.state.lineage.clone() },
        datasets: checked.datasets.keys().map(|name| (name.clone(), OnceCell::new())).collect(),
        checked,
        settings,
        recorder: Recorder::new(opened),
        providers: Mutex::default(),
        objects: Objects::at(folder.objects()),
        artifacts: folder.artifacts(),
        kept: folder.stages(),
        observer,
        interrupt,
        depot: depot::Depot::default(),
        redactor,
        settled: BTreeSet::new(),
    };
    // All that may be needed is opened before anything is begun.
    let held = context.recorder.read(|state| {
        state.stages.values().filter(|record| record.live).map(|record| record.provider.clone()).collect::<Vec<_>>()
    });
    let wanted: BTreeSet<String> = context.checked.providers.values().cloned().chain(held).collect();
    for name in wanted {
        context.open(&name)?;
    }
    Ok(context)
}

impl Context {
    /// The name of the provider for the places of a cloud; else what is missing.
    pub fn provider(&self, cloud: &str) -> Result<String, String> {
        let chosen = self.settings.provider.clone();
        let own = || provider::of_cloud(cloud, &self.settings.access).map(str::to_owned);
        let name = chosen.or_else(own).ok_or_else(|| format!("this sky has no provider for {cloud}"))?;
        self.checked.unready.get(&name).map_or(Ok(name), |why| Err(why.clone()))
    }

    /// The provider of that name.
    pub fn open(&self, name: &str) -> Result<Arc<dyn Provider>, Error> {
        let mut providers = self.providers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = providers.get(name) {
            return Ok(open.clone());
        }
        let opened = provider::open(name, &self.settings.access)?;
        let opened = opened.ok_or_else(|| Error::NotReady(vec![provider::unknown(name)]))?;
        providers.insert(name.to_owned(), opened.clone());
        Ok(opened)
    }

    /// What the job may still cost. Locked after the recorder, never before.
    pub fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the machine of a live attempt comes to its end: whether it is still there, when its lease is over by the
    /// state. To be asked before it is given back.
    pub async fn end_of_machine(&self, provider: &dyn Provider, token: &Token) -> MachineEnd {
        let held = |state: &State| state.stages.get(&token.stage).filter(|held| held.token == token.id).cloned();
        // A machine whose creation has certainly failed has none.
        let Some(lease_end) = self.recorder.read(held).and_then(|held| held.lease_end) else {
            return MachineEnd::Never;
        };
        if clock::between(&clock::timestamp(), &lease_end) > budget::ROUNDING {
            return MachineEnd::Now;
        }
        match provider.get(token).await {
            Ok(None) => MachineEnd::ByLease { lease_end, overrun: provider.overrun() },
            Ok(Some(machine)) if machine.ended => MachineEnd::ByLease { lease_end, overrun: provider.overrun() },
            // What cannot be asked may be there, and cost something.
            Ok(Some(_)) | Err(_) => MachineEnd::Now,
        }
    }

    /// Writes down that a machine is gone, and what it has cost.
    pub async fn settle(&self, token: &Token, meter: &Meter, time: &MachineTime<'_>) -> Result<(), Error> {
        let stage = token.stage.clone();
        let settled = self
            .recorder
            .decide(|state| {
                let record = state.stages.get(&stage).filter(|record| record.token == token.id);
                let reserved = record.map_or(Money(0), |record| record.reserved_micro_usd);
                let micro_usd = budget::charge(meter, time, reserved);
                let stage = stage.clone();
                Ok::<_, ()>(((micro_usd, reserved), vec![Event::Released { stage, micro_usd }]))
            })
            .await?;
        let (paid, reserved) = settled.map_err(|()| Error::Bug("nothing was decided".to_owned()))?;
        if paid > reserved {
            let more = Money(paid.0.saturating_sub(reserved.0));
            let message = format!(
                "stage.{stage}: its machine was there for longer than its lease: it has cost {paid}, {more} more than \
                 was set aside"
            );
            self.observer.notice(&Notice::Warning { message });
        }
        Ok(())
    }

    /// A text without the values of the job's secrets.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.redact(text)
    }
}

/// The stages of a plan that were not begun, by their number in the plan.
#[derive(Default)]
struct Waiting {
    /// How many stages each still waits for.
    waits: BTreeMap<usize, usize>,
    /// Those that wait for none.
    ready: BTreeSet<usize>,
    /// By name: who waits for it.
    followers: BTreeMap<String, Vec<usize>>,
    /// Stages whose machines an earlier `sky` has left at work: nobody renews their leases until they begin.
    live: BTreeSet<usize>,
    /// Those, and all that has to be looked at before them.
    urgent: BTreeSet<usize>,
}

impl Waiting {
    fn new(plan: &Plan, live: &BTreeSet<String>) -> Self {
        let known: BTreeSet<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
        let mut waiting = Self::default();
        for (index, stage) in plan.stages.iter().enumerate() {
            // What is done by the state that the plan goes on from is not waited for.
            let before = predecessors(stage).into_iter().filter(|name| known.contains(name));
            let mut count = 0;
            for name in before {
                waiting.followers.entry(name.to_owned()).or_default().push(index);
                count += 1;
            }
            waiting.waits.insert(index, count);
            if count == 0 {
                waiting.ready.insert(index);
            }
        }
        let at: BTreeMap<&str, usize> = plan.stages.iter().map(|stage| stage.name.as_str()).zip(0..).collect();
        waiting.live = live.iter().filter_map(|name| at.get(name.as_str()).copied()).collect();
        let mut found: Vec<usize> = waiting.live.iter().copied().collect();
        while let Some(index) = found.pop() {
            if waiting.urgent.insert(index) {
                found.extend(predecessors(&plan.stages[index]).iter().filter_map(|name| at.get(name).copied()));
            }
        }
        waiting
    }

    /// The first that may begin, taken out. What is at work already goes on at once, also if there is no slot left; what
    /// comes before it is next. Nothing else begins in its place while that is `held`.
    fn next(&mut self, slot: bool, held: bool) -> Option<usize> {
        let first = |of: &BTreeSet<usize>| self.ready.intersection(of).next().copied();
        let index = match first(&self.live) {
            Some(index) => index,
            None if !slot => return None,
            None => match first(&self.urgent) {
                Some(index) => index,
                None if held && self.has_urgent() => return None,
                None => *self.ready.first()?,
            },
        };
        self.ready.remove(&index);
        self.waits.remove(&index);
        Some(index)
    }

    /// Whether a stage that is at work already still waits for others.
    fn has_urgent(&self) -> bool {
        self.urgent.iter().any(|index| self.waits.contains_key(index))
    }

    fn done(&mut self, name: &str) {
        for index in self.followers.get(name).into_iter().flatten() {
            let Some(count) = self.waits.get_mut(index) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.ready.insert(*index);
            }
        }
    }

    /// Puts stages back whose outputs are needed again, the one that reads them, and all that depend on either and are
    /// not at work: these are looked at anew, and run again if what they read is not the same any more.
    fn again(
        &mut self,
        plan: &Plan,
        reader: usize,
        producers: &BTreeSet<String>,
        outcomes: &mut BTreeMap<String, StageOutcome>,
        running: &BTreeSet<&str>,
    ) {
        let done =
            |outcome: Option<&StageOutcome>| matches!(outcome, Some(StageOutcome::Done | StageOutcome::Unchanged));
        let mut again: BTreeSet<usize> = BTreeSet::from([reader]);
        let mut found: Vec<usize> =
            (0..plan.stages.len()).filter(|index| producers.contains(&plan.stages[*index].name)).collect();
        while let Some(index) = found.pop() {
            let name = plan.stages[index].name.as_str();
            let open = done(outcomes.get(name)) || self.waits.contains_key(&index) || index == reader;
            if open && !running.contains(name) && (again.insert(index) || index == reader) {
                found.extend(self.followers.get(name).into_iter().flatten().filter(|next| !again.contains(next)));
            }
        }
        for index in &again {
            outcomes.remove(&plan.stages[*index].name);
        }
        let known: BTreeSet<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
        for index in again {
            let before = predecessors(&plan.stages[index]).into_iter().filter(|name| known.contains(name));
            let count = before.filter(|name| !done(outcomes.get(*name))).count();
            self.waits.insert(index, count);
            match count {
                0 => self.ready.insert(index),
                _ => self.ready.remove(&index),
            };
        }
    }

    /// Takes out all that wait for a failed stage, directly or not, in the order of the plan.
    fn without(&mut self, failed: &str, plan: &Plan) -> BTreeSet<usize> {
        let mut gone = BTreeSet::new();
        let mut names = vec![failed];
        while let Some(name) = names.pop() {
            for index in self.followers.get(name).into_iter().flatten() {
                if self.waits.remove(index).is_some() {
                    self.ready.remove(index);
                    gone.insert(*index);
                    names.push(&plan.stages[*index].name);
                }
            }
        }
        gone
    }
}

/// Stages that were run again since what they had made was lost.
#[derive(Default)]
struct Remakes {
    times: BTreeMap<String, u32>,
    /// Those that were run in this apply.
    ran: BTreeSet<String>,
}

impl Remakes {
    /// How a stage came out of this apply as a whole: it may have been looked at more than once.
    fn outcome(&mut self, name: &str, outcome: StageOutcome) -> StageOutcome {
        match outcome {
            StageOutcome::Unchanged if self.ran.contains(name) => StageOutcome::Done,
            StageOutcome::Done => {
                self.ran.insert(name.to_owned());
                StageOutcome::Done
            }
            other => other,
        }
    }

    /// Counts; why one of the stages cannot be run again.
    fn refused(&mut self, producers: &BTreeSet<String>, plan: &Plan) -> Option<String> {
        for name in producers {
            if plan.stages.iter().all(|stage| stage.name != *name) {
                return Some(format!(
                    "what stage.{name} made is damaged or lost, and the plan does not have that stage: plan the whole job \
                     again, without --from-state"
                ));
            }
            let times = self.times.entry(name.clone()).or_default();
            *times += 1;
            if *times > REMAKES {
                return Some(format!(
                    "what stage.{name} made was damaged {REMAKES} times in this apply: is the disk failing?"
                ));
            }
        }
        None
    }
}

/// How long stages that are not at work yet wait until those that are go on: what these wait for is mostly done, and only
/// has to be looked at.
const AT_WORK_FIRST: Duration = Duration::from_secs(60);

/// Runs all stages in the order that the DAG allows: first those whose machines are at work already, then earlier in the
/// plan first.
async fn walk(plan: &Plan, context: &Arc<Context>) -> Result<BTreeMap<String, StageOutcome>, Error> {
    let live = context.recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live);
        live.map(|(name, _)| name.clone()).collect::<BTreeSet<String>>()
    });
    let mut waiting = Waiting::new(plan, &live);
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
            let Some(index) = waiting.next(slot, held) else { break };
            let (context, planned) = (context.clone(), plan.stages[index].clone());
            names.insert(&plan.stages[index].name);
            let stage = simulation::inherit(async move { (index, stage::run(&context, &planned).await) });
            tasks.insert(running.spawn(stage).id(), index);
        }
        let joined = tokio::select! {
            biased;
            joined = running.join_next() => joined,
            Ok(()) = interrupt.changed() => {
                if let Some(signal) = *interrupt.borrow() {
                    let running = names.iter().map(|name| (*name).to_owned()).collect();
                    context.observer.notice(&Notice::Stopping { interrupt: signal, running });
                    leave_at = Some(Instant::now() + context.settings.grace.saturating_add(WIND_DOWN));
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
                let index = index.ok_or_else(|| Error::Bug("a task of no stage was ended".to_owned()))?;
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
                    context.observer.notice(&Notice::Failed { stage, message: message.clone(), elapsed });
                    StageOutcome::Failed { message, tail: Vec::new(), log: None, used_up: false }
                }
            },
        };
        match &outcome {
            StageOutcome::Done | StageOutcome::Unchanged => waiting.done(name),
            StageOutcome::Failed { .. } => {
                failed = true;
                for index in waiting.without(name, plan) {
                    let (stage, because) = (plan.stages[index].name.clone(), format!("stage.{name} failed"));
                    context.observer.notice(&Notice::Skipped { stage: stage.clone(), because: because.clone() });
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
        outcomes.insert(plan.stages[index].name.clone(), StageOutcome::NotBegun { because });
    }
    Ok(outcomes)
}

/// Ends attempts of earlier applies that this one did not come to, and notes what was not begun.
async fn wind_down(plan: &Plan, context: &Context, outcomes: &BTreeMap<String, StageOutcome>) -> Result<(), Error> {
    let not_reached = |(name, _): &(&String, &StageRecord)| {
        matches!(outcomes.get(*name), Some(StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. }))
    };
    let left: Vec<(String, StageRecord)> = context.recorder.read(|state| {
        let live = state.stages.iter().filter(|(_, record)| record.live).filter(not_reached);
        live.map(|(name, record)| (name.clone(), record.clone())).collect()
    });
    let looks = left.iter().map(|(name, former)| async move { (name.clone(), look(context, name, former).await) });
    let looks: BTreeMap<String, Look> = futures_util::future::join_all(looks).await.into_iter().collect();
    for planned in &plan.stages {
        let message = match outcomes.get(&planned.name) {
            Some(StageOutcome::Skipped { because }) => because.clone(),
            Some(StageOutcome::NotBegun { because }) => (*because).to_owned(),
            _ => continue,
        };
        let former = context.recorder.read(|state| state.stages.get(&planned.name).cloned());
        match former {
            Some(former) if former.live => {
                match looks.get(&planned.name).map(|look| look.left_as_it_is(&planned.name)) {
                    Some(Some(message)) => context.observer.notice(&Notice::Warning { message }),
                    _ => abandon_or_warn(context, &planned.name, &former, &message).await?,
                }
            }
            Some(_) => {}
            None if matches!(outcomes.get(&planned.name), Some(StageOutcome::Skipped { .. })) => {
                let record = never_begun(context, planned, Status::Skipped, message);
                context.recorder.record(Event::NotBegun { stage: planned.name.clone(), record }, Sync::Later).await?;
            }
            None => {}
        }
    }
    Ok(())
}

/// How long machines may take to say whether their commands have ended.
const LOOK: Duration = Duration::from_secs(8);

/// What has become of the command of an attempt that an earlier `sky` has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// It has done its work, and is not run again.
    EndedWell,
    /// It may be ended: it is at work or has failed, or there is none.
    OfNoUse,
    /// Its machine does not answer.
    Unknown,
}

impl Look {
    /// What is said of an attempt that is left as it is; none: it is of no use.
    pub fn left_as_it_is(self, stage: &str) -> Option<String> {
        let why = match self {
            Self::EndedWell => "is done, and its outputs are still on its machine: the next apply copies them",
            Self::Unknown => "may be done, but its machine does not answer: the next apply goes on from there",
            Self::OfNoUse => return None,
        };
        Some(format!("stage.{stage} {why}, unless its lease ends before; `sky destroy` gives the machine back"))
    }
}

/// Looks whether the command of an attempt that an earlier `sky` has left has done its work.
pub(super) async fn look(context: &Context, name: &str, former: &StageRecord) -> Look {
    // A process that was killed may not have come to write down that the command runs.
    if former.stopping || !former.status.in_flight() || former.status == Status::Provisioning {
        return Look::OfNoUse;
    }
    let token = Token { id: former.token.clone(), stage: name.to_owned(), attempt: former.attempt };
    let Ok(provider) = context.open(&former.provider) else { return Look::OfNoUse };
    let answer = async {
        let worker = patiently(Patience::Through, || provider.worker(&token)).await?;
        answered(worker.as_ref()).await
    };
    match time::timeout(LOOK, answer).await {
        Ok(Ok(RunStatus::Exited(0))) => Look::EndedWell,
        Ok(Err(error)) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => Look::Unknown,
        Ok(_) => Look::OfNoUse,
        Err(_) => Look::Unknown,
    }
}

/// Ends attempts of stages that the plan no longer has. Their outputs stay until a destroy.
async fn abandon_strays(plan: &Plan, context: &Context) -> Result<(), Error> {
    let planned: BTreeSet<&str> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
    let live = |(name, record): (&String, &StageRecord)| {
        (record.live && !planned.contains(name.as_str())).then(|| (name.clone(), record.clone()))
    };
    let strays: Vec<_> = context.recorder.read(|state| state.stages.iter().filter_map(live).collect());
    for (name, record) in strays {
        let message = format!("stage.{name} is no longer in the plan: what runs of it is ended");
        context.observer.notice(&Notice::Warning { message });
        abandon_or_warn(context, &name, &record, "it is no longer in the plan").await?;
    }
    Ok(())
}

/// Ends an attempt that is of no use any more. An attempt that cannot be ended stays live in the state, so that the next
/// apply and destroy come back to it; the inner error says why.
pub(super) async fn abandon(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Result<Result<(), ProviderError>, Error> {
    let token = Token { id: former.token.clone(), stage: name.to_owned(), attempt: former.attempt };
    let provider = context.open(&former.provider)?;
    let evidence = if former.status == Status::Done { Evidence::Drop } else { Evidence::Keep };
    let call_of = (name, token.id.as_str(), Call::Release);
    let end = context.end_of_machine(provider.as_ref(), &token).await;
    let released = call(&context.recorder, call_of, Patience::Through, || provider.release(&token, evidence)).await?;
    if let Err(error) = released {
        return Ok(Err(error));
    }
    if former.status.in_flight() {
        let (stage, message) = (name.to_owned(), why.to_owned());
        context.recorder.record(Event::Ended { stage, status: Status::Lost, message }, Sync::Later).await?;
    }
    let time = MachineTime::of(former, end);
    context.settle(&token, &meter(former), &time).await?;
    Ok(Ok(()))
}

/// The same, where nothing else depends on it: an attempt that cannot be ended is told in a warning.
pub(super) async fn abandon_or_warn(
    context: &Context,
    name: &str,
    former: &StageRecord,
    why: &str,
) -> Result<(), Error> {
    if let Err(error) = abandon(context, name, former, why).await? {
        let message = format!("stage.{name}: cannot clean up: {error}; the next apply or destroy tries it again");
        context.observer.notice(&Notice::Warning { message });
    }
    Ok(())
}

/// What the machine of an attempt costs by its time.
pub(super) fn meter(record: &StageRecord) -> Meter {
    match &record.rented {
        Some(rented) => Meter {
            rate: rented.rate_nano_usd_per_hour,
            extras: rented.extras,
            nodes: rented.nodes,
            billing: rented.billing,
        },
        None => Meter { rate: Rate(0), extras: Extras::default(), nodes: 1, billing: Billing::default() },
    }
}

/// The record of a stage of which no attempt was ever made.
pub(super) fn never_begun(
    context: &Context,
    planned: &PlannedStage,
    status: Status,
    message: String,
) -> Box<StageRecord> {
    Box::new(StageRecord {
        status,
        attempt: 0,
        token: String::new(),
        live: false,
        provider: context.checked.providers.get(&planned.name).cloned().unwrap_or_default(),
        place: planned.place.clone(),
        definition: standing::Content::new(planned.into(), |_| None, |_| None).definition,
        fingerprint: String::new(),
        exit_code: None,
        failures: 0,
        stopping: false,
        rented: None,
        lease_end: None,
        lease_ms: None,
        started_host: None,
        reserved_micro_usd: Money(0),
        usage_paid: false,
        spent_micro_usd: Money(0),
        checkpoint: None,
        message: Some(message),
        started: clock::timestamp(),
        ended: None,
    })
}
