//! One attempt at a stage: money set aside, machine, inputs, command, outputs, and all of it given
//! back.

use super::Error;
use super::budget::{self, MachineTime, Meter, Refused};
use super::calls::{Patience, patiently};
use super::engine::{Context, StageOutcome, look};
use super::evidence;
use super::ladder::Rung;
use super::lease_keeper::LeaseKeeper;
use super::log::Log;
use super::notice::Notice;
use super::rent::{NoMachine, reserve, usage};
use super::stage::{publish, whole};
use super::staging;
use super::watch::{self, End};
use super::work::{self, Work};
use crate::model::{Bytes, Extras, Millis, Money, PlaceName};
use crate::plan::{PlannedCheckpoint, PlannedStage};
use crate::provider::{
    Content, ErrorKind, Evidence, LOCAL, Provider, ProviderError, RunStatus, SIM, Task, Token, Worker,
};
use crate::state::event::{Call, Event};
use crate::state::journal::Sync;
use crate::state::{Artifact, Rented, StageRecord, State, Status};
use crate::util::clock;
use crate::util::interruptible::blocking;
use crate::util::tree::{Links, Measured};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io};
use tokio::time::Instant;

/// Why an offer is not to be had any more: its machine was taken away.
pub(super) const PREEMPTED: &str = "preempted";

/// How an attempt ended.
pub(super) enum Ended {
    Outcome(StageOutcome),
    /// What it reads of this stage is damaged and cannot be had from elsewhere; nothing of the attempt is left.
    InputLost(String),
    /// It was lost, and all of it is given back: another attempt may be made.
    Lost,
    /// Its command failed, all of it is given back, and the plan has it run again.
    Retried,
    /// What it wanted to rent is not to be had; nothing of it is left.
    Unavailable {
        why: &'static str,
        message: String,
    },
}

/// One attempt under way.
pub(super) struct Attempt<'a> {
    pub context: &'a Arc<Context>,
    pub provider: Arc<dyn Provider>,
    pub token: Token,
    pub meter: Meter,
    /// From asking for the machines to the end of the stage, as planned.
    pub planned: Millis,
    /// What is paid once and was not yet.
    pub once: Money,
    pub begun: Instant,
    /// When its machine may have begun to cost something, RFC 3339.
    started: String,
    /// The longest that its machine was there before this process came to it, if no clock of this host tells.
    pub unseen: Option<Duration>,
    /// From the beginning on, or what is left of it.
    pub lease: Duration,
    pub rung: Rung,
    pub resumed: Option<StageRecord>,
    /// The stage of which an input was found to be lost on the way to the machine.
    pub lost_input: Mutex<Option<String>>,
    /// That its progress cannot be brought to safety was said: once is enough for an attempt.
    warned_of_progress: AtomicBool,
    pub keeper: LeaseKeeper,
    /// How often the command has failed before this attempt, of the times that it may be run again.
    failures: u32,
}

impl<'a> Attempt<'a> {
    /// Sets money aside and journals a new attempt, or goes on with the one that an earlier `sky`
    /// began.
    pub async fn begin(
        context: &'a Arc<Context>,
        planned: &PlannedStage,
        rung: &Rung,
        work: &Work,
        resumed: Option<StageRecord>,
        (changed, failures): (bool, u32),
    ) -> Result<Result<Self, Refused>, Error> {
        let stage = planned.name.clone();
        let name = match &resumed {
            Some(former) => former.provider.clone(),
            None => context.provider(&rung.place.cloud).map_err(|missing| Error::NotReady(vec![missing]))?,
        };
        let provider = context.open(&name)?;
        let free = if provider.bills() { 1 } else { 0 };
        let rate = crate::model::Rate(rung.rate.0 * free);
        let extras = if provider.bills() { rung.extras } else { Extras::default() };
        let meter = Meter { rate, extras, nodes: planned.nodes, billing: rung.billing };
        let storage = Money(planned.storage_micro_usd.0 * free);
        let begun = Instant::now();
        let attempt = |token: Token, started: String, lease: Duration, resumed: Option<StageRecord>| Self {
            context,
            provider: provider.clone(),
            token,
            meter,
            planned: rung.duration,
            once: storage,
            begun,
            started,
            unseen: resumed.as_ref().and_then(budget::unseen),
            lease,
            rung: rung.clone(),
            resumed,
            lost_input: Mutex::default(),
            warned_of_progress: AtomicBool::new(false),
            keeper: LeaseKeeper::default(),
            failures,
        };
        let tell = |attempt: u32, resumed: bool| {
            let place = rung.place.clone();
            context.observer.notice(&Notice::Began { stage: stage.clone(), attempt, place, resumed, changed });
        };
        if let Some(former) = resumed {
            let token = Token { id: former.token.clone(), stage: stage.clone(), attempt: former.attempt };
            let now = clock::timestamp();
            let left = former.lease_end.as_deref().map_or(0, |end| clock::between(&now, end));
            context.purse().begin(&stage);
            tell(former.attempt, true);
            return Ok(Ok(attempt(token, former.started.clone(), Duration::from_millis(left), Some(former))));
        }
        let reserved = context
            .recorder
            .decide(|state| {
                let last = state.stages.get(&stage).map_or(0, |former| former.attempt);
                let token = Token::new(&state.lineage, &context.plan_digest, &stage, last + 1);
                let rented = Rented {
                    instance_type: rung.instance_type.clone(),
                    purchase: rung.purchase,
                    nodes: planned.nodes,
                    rate_nano_usd_per_hour: rate,
                    extras,
                    billing: rung.billing,
                    rung: rung.number,
                };
                let (given, reserved) = reserve(context, planned, rung, (&meter, provider.as_ref()), state, &token)?;
                let attempt = Event::Attempt {
                    stage: stage.clone(),
                    attempt: token.attempt,
                    token: token.id.clone(),
                    provider: name.clone(),
                    place: rung.place.clone(),
                    definition: work.content.definition.clone(),
                    fingerprint: work.fingerprint.clone(),
                    rented: Some(rented),
                    failures,
                };
                Ok(((token, given), vec![attempt, reserved]))
            })
            .await?;
        let (token, lease) = match reserved {
            Ok(reserved) => reserved,
            Err(refused) => return Ok(Err(refused)),
        };
        tell(token.attempt, false);
        Ok(Ok(attempt(token, clock::timestamp(), lease, None)))
    }

    /// Runs it to its end, and renews its machine's lease as long as that takes.
    pub async fn run(&self, planned: &PlannedStage, work: &Work) -> Result<Ended, Error> {
        tokio::select! {
            biased;
            ended = self.live(planned, work) => ended,
            error = self.keeper.keep(self) => Err(error),
        }
    }

    async fn live(&self, planned: &PlannedStage, work: &Work) -> Result<Ended, Error> {
        let name = &planned.name;
        let mut log = Log::new(self.context.redactor.clone());
        let worker = match self.machine(planned).await? {
            Ok(found) => found,
            Err(NoMachine::Provider(error)) => return self.no_machine(error, log).await,
            Err(NoMachine::Budget(refused)) => {
                let message = refused.to_string();
                self.finish(Status::Lost, &message, Evidence::Keep).await?;
                self.context.observer.notice(&Notice::Denied { stage: name.clone(), message: message.clone() });
                return Ok(Ended::Outcome(StageOutcome::Denied { message }));
            }
        };
        let worker_ref = worker.as_ref();
        let fail = |message: String, log: Log| async move {
            let evidence = evidence::bring(self, planned, worker_ref).await;
            self.fail(message, log, evidence.log).await.map(Ended::Outcome)
        };
        match self.command(planned, worker.as_ref(), &work.task, &mut log).await? {
            End::Exited(0) => {
                self.context.recorder.record(Event::Exited { stage: name.clone(), code: 0 }, Sync::Later).await?;
                match self.collect_patiently(planned, worker.as_ref()).await? {
                    Ok(true) => Ok(Ended::Outcome(StageOutcome::Done)),
                    Ok(false) => Ok(Ended::Outcome(self.collecting_was_interrupted())),
                    Err(error) if error.kind == ErrorKind::NotFound => self.lost(&error.to_string()).await,
                    Err(error) if error.kind == ErrorKind::Output => {
                        let evidence = evidence::bring(self, planned, worker_ref).await;
                        let message = format!("{error}{}", evidence.words());
                        self.fail(message, log, evidence.log).await.map(Ended::Outcome)
                    }
                    Err(error) => fail(error.to_string(), log).await,
                }
            }
            End::Exited(code) => {
                self.context.recorder.record(Event::Exited { stage: name.clone(), code }, Sync::Later).await?;
                match &planned.retries {
                    Some(retries) if retries.allow(code, self.failures.saturating_add(1)) && !self.interrupted() => {
                        self.retry(planned, worker.as_ref(), (code, retries.times)).await
                    }
                    _ => fail(exit_words(code), log).await,
                }
            }
            End::Broken(error) => {
                let lost = self.lost_input.lock().unwrap_or_else(PoisonError::into_inner).take();
                let Some(producer) = lost else { return fail(error.to_string(), log).await };
                if !self.finish(Status::Lost, &error.to_string(), Evidence::Keep).await? {
                    return Ok(self.stuck());
                }
                self.tell_lost(&error.to_string());
                Ok(Ended::InputLost(producer))
            }
            End::Interrupted => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.finish(Status::Lost, "interrupted by a signal to sky", Evidence::Keep).await?;
                let elapsed = self.begun.elapsed();
                self.context.observer.notice(&Notice::Interrupted { stage: name.clone(), elapsed });
                Ok(Ended::Outcome(StageOutcome::Interrupted))
            }
            End::Lost(message) => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.lost(&message).await
            }
            End::Preempted(why) => {
                let message = why.to_owned();
                if !self.finish(Status::Lost, &message, Evidence::Keep).await? {
                    return Ok(self.stuck());
                }
                self.tell_lost(&message);
                Ok(Ended::Unavailable { why: PREEMPTED, message })
            }
            End::Unaffordable(message) => {
                self.save(planned, worker.as_ref()).await?;
                evidence::bring(self, planned, worker.as_ref()).await;
                self.finish(Status::Lost, &message, Evidence::Keep).await?;
                let stage = name.clone();
                self.context.observer.notice(&Notice::Denied { stage, message: message.clone() });
                Ok(Ended::Outcome(StageOutcome::Denied { message }))
            }
        }
    }

    /// What follows when there is no machine.
    async fn no_machine(&self, error: ProviderError, log: Log) -> Result<Ended, Error> {
        let why = match error.kind {
            ErrorKind::Stockout => "stockout",
            ErrorKind::Quota => "quota",
            ErrorKind::NotFound => return self.lost(&error.to_string()).await,
            _ if self.interrupted() => return self.interrupted_without_machine().await,
            _ => return self.fail(error.to_string(), log, None).await.map(Ended::Outcome),
        };
        let message = error.to_string();
        if !self.finish(Status::Lost, &message, Evidence::Keep).await? {
            return Ok(self.stuck());
        }
        Ok(Ended::Unavailable { why, message })
    }

    /// Ends an attempt for a signal that came before its machine was reached. One that an earlier `sky` began may be
    /// done: then it is left for the next apply.
    async fn interrupted_without_machine(&self) -> Result<Ended, Error> {
        let stage = &self.token.stage;
        let left = match &self.resumed {
            Some(former) => look(self.context, stage, former).await.left_as_it_is(stage),
            None => None,
        };
        match left {
            Some(message) => self.context.observer.notice(&Notice::Warning { message }),
            None => {
                self.finish(Status::Lost, "interrupted by a signal to sky", Evidence::Keep).await?;
            }
        }
        Ok(Ended::Outcome(StageOutcome::Interrupted))
    }

    /// Ends an attempt whose command failed, for another one.
    async fn retry(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        (code, times): (i32, u32),
    ) -> Result<Ended, Error> {
        self.save(planned, worker).await?;
        evidence::bring(self, planned, worker).await;
        let message = exit_words(code);
        if !self.finish(Status::Failed, &message, Evidence::Keep).await? {
            return Ok(self.stuck());
        }
        let (stage, attempt) = (self.token.stage.clone(), self.token.attempt);
        let retry = self.failures.saturating_add(1);
        self.context.observer.notice(&Notice::Retrying { stage, attempt, message, retry, times });
        Ok(Ended::Retried)
    }

    /// Collects the outputs of a command that ended well. It is not run again as long as they can be had: while its
    /// machine does not answer it is asked again, until its lease is over.
    async fn collect_patiently(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Result<Result<bool, ProviderError>, Error> {
        let mut pause = Duration::from_secs(1);
        loop {
            let error = match self.collect(planned, worker).await? {
                Ok(done) => return Ok(Ok(done)),
                Err(error) => error,
            };
            let passes = matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled);
            if !passes || self.keeper.overdue() > watch::PATIENCE {
                return Ok(Err(error));
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(30)),
                () = self.grace_is_over() => return Ok(Ok(false)),
            }
        }
    }

    /// Does what may be left half-way when a signal comes; none: one came.
    pub async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut interrupt = self.context.interrupt.clone();
        tokio::select! {
            biased;
            _ = interrupt.wait_for(Option::is_some) => None,
            done = work => Some(done),
        }
    }

    /// Starts the command unless it was, and stays with it until its end.
    async fn command(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &Task,
        log: &mut Log,
    ) -> Result<End, Error> {
        let (context, name, id) = (self.context, &self.token.stage, &self.token.id);
        let status = match patiently(self.patience(), || worker.status()).await {
            Ok(status) => status,
            Err(error) => return Ok(self.broken(error)),
        };
        if status == RunStatus::NotStarted {
            let was_running = self.resumed.as_ref().is_some_and(|former| former.status == Status::StagingOut);
            if was_running {
                return Ok(End::Lost("its folder was emptied".to_owned()));
            }
            self.moved(Status::StagingIn).await?;
            self.pay_for_inputs(planned).await?;
            let mut task = Task { checkpoint: self.checkpoint().await?, ..task.clone() };
            let staged = tokio::select! {
                biased;
                staged = self.stage_in(planned, worker, &mut task) => staged?,
                // What is on its way may take hours, and is of no use without the rest.
                () = self.signalled() => return Ok(End::Interrupted),
            };
            if let Err(error) = staged {
                return Ok(self.broken(error));
            }
            if self.interrupted() {
                return Ok(End::Interrupted);
            }
            context.recorder.intend(name, id, Call::Start).await?;
            let started = patiently(self.patience(), || worker.start(&task)).await;
            context.recorder.result(name, id, Call::Start, &started).await?;
            if let Err(error) = started {
                return Ok(self.broken(error));
            }
        } else if let Ok(length) = worker.log_length().await {
            // Its former lines were told by the former sky; the last are read for a failure's sake.
            *log = Log::resumed(length, self.context.redactor.clone());
        }
        // A command that has ended is not said to run again.
        if !matches!(status, RunStatus::Exited(_)) {
            self.moved(Status::Running).await?;
        }
        watch::watch(self, worker, planned.checkpoint, log).await
    }

    /// What a call's failure means: a signal, a machine that is gone, or trouble.
    fn broken(&self, error: ProviderError) -> End {
        match error.kind {
            _ if self.interrupted() => End::Interrupted,
            ErrorKind::NotFound => End::Lost(error.to_string()),
            _ => End::Broken(error),
        }
    }

    /// Puts copies of inputs at this place and what a service takes on the account: they are paid
    /// for whether or not they arrive.
    async fn pay_for_inputs(&self, planned: &PlannedStage) -> io::Result<()> {
        if !self.provider.bills() {
            return Ok(());
        }
        let (stage, token) = (&self.token.stage, &self.token.id);
        let paid = self
            .context
            .recorder
            .decide(|state| {
                let copies = work::copies(self.context, planned, &self.rung, state).into_iter();
                let mut events: Vec<Event> = copies
                    .map(|copy| Event::Copied {
                        stage: stage.clone(),
                        token: token.clone(),
                        artifact: copy.artifact,
                        to: self.rung.place.clone(),
                        bytes: copy.bytes,
                        micro_usd: copy.cost,
                    })
                    .collect();
                let usage = usage(&self.rung);
                let paid = state.stages.get(stage).is_some_and(|record| record.usage_paid);
                if usage.0 > 0 && !paid {
                    events.push(Event::Charged { stage: stage.clone(), token: token.clone(), micro_usd: usage });
                }
                Ok::<_, ()>(((), events))
            })
            .await?;
        paid.map_err(|()| io::Error::other("nothing was decided"))
    }

    /// Lays out on the machine what the command reads.
    async fn stage_in(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
        task: &mut Task,
    ) -> Result<Result<(), ProviderError>, Error> {
        if let Err(error) = staging::inputs(self, planned, worker, task).await? {
            return Ok(Err(error));
        }
        Ok(patiently(self.patience(), || worker.stage_in(task)).await)
    }

    /// Puts the way home of outputs on the account, as large as they are.
    async fn pay_for_homeward(&self, planned: &PlannedStage, outputs: &BTreeMap<String, Artifact>) -> io::Result<()> {
        if !self.provider.bills() {
            return Ok(());
        }
        let paid = self
            .context
            .recorder
            .decide(|state| {
                let sizes = outputs.iter().map(|(output, artifact)| (output.as_str(), artifact.bytes));
                let copies = work::homeward(self.context, planned, &self.rung.place, state, sizes).into_iter();
                let events = copies.map(|copy| Event::Copied {
                    stage: self.token.stage.clone(),
                    token: self.token.id.clone(),
                    artifact: copy.artifact,
                    to: PlaceName::here(),
                    bytes: copy.bytes,
                    micro_usd: copy.cost,
                });
                Ok::<_, ()>(((), events.collect()))
            })
            .await?;
        paid.map_err(|()| io::Error::other("nothing was decided"))
    }

    /// The progress that an earlier attempt has brought to safety.
    async fn checkpoint(&self) -> Result<Option<Content>, Error> {
        let record = |state: &State| state.stages.get(&self.token.stage).cloned();
        let Some(saved) = self.context.recorder.read(record).and_then(|record| record.checkpoint) else {
            return Ok(None);
        };
        let name = format!("the progress of stage.{}", self.token.stage);
        let whole = whole(self.context, &name, &saved).await?;
        Ok(whole.then(|| Content::Stored(self.context.objects.path(&saved.digest, saved.kind))))
    }

    /// Waits for a signal that ends the apply.
    pub async fn signalled(&self) {
        let mut interrupt = self.context.interrupt.clone();
        if interrupt.wait_for(Option::is_some).await.is_err() {
            // Nobody is there who could send one.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for the end of the time that stages have after such a signal.
    pub async fn grace_is_over(&self) {
        self.signalled().await;
        tokio::time::sleep(self.context.settings.grace).await;
    }

    /// What is said when a signal came before all outputs were here: the attempt stays as it is, and the next apply goes
    /// on with what the command has written.
    fn collecting_was_interrupted(&self) -> StageOutcome {
        let stage = self.token.stage.clone();
        let kept = match self.provider.bills() {
            true => {
                " Its machine is kept until the end of its lease, and costs what it costs; `sky destroy` gives it back"
            }
            false => "",
        };
        let message = format!(
            "stage.{stage} is done, but a signal came before its outputs were copied: the next apply copies them.{kept}"
        );
        self.context.observer.notice(&Notice::Warning { message });
        self.context.observer.notice(&Notice::Interrupted { stage, elapsed: self.begun.elapsed() });
        StageOutcome::Interrupted
    }

    /// Brings the command's progress to safety, if it saves any and there is news.
    pub async fn save(&self, planned: &PlannedStage, worker: &dyn Worker) -> Result<(), Error> {
        let kept_away = planned.checkpoints_kept_from_home_by.is_some() && !self.rehearses();
        match planned.checkpoint {
            Some(checkpoint) if !kept_away => self.save_progress(worker, checkpoint).await,
            _ => Ok(()),
        }
    }

    /// Whether the provider stands in for the plan's places on this machine.
    fn rehearses(&self) -> bool {
        [LOCAL, SIM].contains(&self.provider.name())
    }

    /// As [`Attempt::save`], of a stage that does save.
    pub async fn save_progress(&self, worker: &dyn Worker, planned: PlannedCheckpoint) -> Result<(), Error> {
        let warn = |why: &dyn fmt::Display| {
            if self.warned_of_progress.swap(true, Ordering::Relaxed) {
                return;
            }
            let message = format!("stage.{}: its progress is not brought to safety: {why}", self.token.stage);
            self.context.observer.notice(&Notice::Warning { message });
        };
        let most = evidence::most_of_progress(self.context.settings.output_limit, planned.bytes);
        let content = match worker.checkpoint(most).await {
            Ok(Some(content)) => content,
            Err(error) if error.kind == ErrorKind::Output => {
                warn(&format_args!(
                    "{error}; declare its size in `checkpoint`, or raise the limit of {} with --output-limit",
                    Bytes(most)
                ));
                return Ok(());
            }
            // What cannot be read now may be later; without it, more is done again.
            _ => return Ok(()),
        };
        let measured = match self.take_in(content, None).await {
            Ok(measured) => measured,
            Err(error) => {
                warn(&error);
                return Ok(());
            }
        };
        let artifact = Artifact {
            digest: measured.digest,
            bytes: measured.bytes,
            kind: measured.kind,
            attempt: self.token.attempt,
            staged: BTreeMap::new(),
            away: false,
        };
        let stage = self.token.stage.clone();
        let known = self.context.recorder.read(|state| {
            let known = state.stages.get(&stage).and_then(|record| record.checkpoint.as_ref());
            known.is_some_and(|known| known.digest == artifact.digest)
        });
        if known {
            return Ok(());
        }
        Ok(self.context.recorder.record(Event::Checkpointed { stage, artifact }, Sync::Now).await?)
    }

    /// Puts what a command wrote into the store.
    async fn take_in(&self, content: Content, most: Option<u64>) -> io::Result<Measured> {
        let objects = self.context.objects.clone();
        let (path, links) = match content {
            Content::Local(path) => (path, Links::Resolve),
            Content::Stored(path) => (path, Links::Keep),
            Content::Empty | Content::Fetched(_) => return Err(io::Error::other("there is nothing to be taken in")),
        };
        blocking(move |bounds| objects.put_within(&path, links, &bounds.within(most))).await
    }

    /// Puts the outputs into the store and ends the attempt well; or says what is wrong with them. False: a signal came
    /// before all of them were there.
    async fn collect(&self, planned: &PlannedStage, worker: &dyn Worker) -> Result<Result<bool, ProviderError>, Error> {
        let context = self.context;
        self.moved(Status::StagingOut).await?;
        let gathered = tokio::select! {
            biased;
            gathered = self.gather(planned, worker) => gathered?,
            () = self.grace_is_over() => return Ok(Ok(false)),
        };
        let outputs = match gathered {
            Ok(outputs) => outputs,
            Err(error) => return Ok(Err(error)),
        };
        self.pay_for_homeward(planned, &outputs).await?;
        let stage = planned.name.clone();
        let done = Event::Done { stage, outputs: outputs.clone(), storage_micro_usd: self.once };
        context.recorder.record(done, Sync::Now).await?;
        // The machine costs something, and what is left to do needs it no more.
        self.release(Evidence::Drop).await?;
        let publishing = async {
            for (output, artifact) in &outputs {
                let homeward = artifact.away && work::goes_home(planned, output);
                if homeward && let Err(error) = staging::deliver(context, &format!("{}.{output}", planned.name)).await?
                {
                    let message = format!("output `{output}` is not here yet, the next apply brings it: {error}");
                    context.observer.notice(&Notice::Warning { message });
                    continue;
                }
                if homeward || !artifact.away {
                    publish(context, &planned.name, output, artifact).await;
                }
            }
            Ok::<(), Error>(())
        };
        tokio::select! {
            biased;
            published = publishing => published?,
            // The next apply does it.
            () = self.grace_is_over() => {}
        }
        context.observer.notice(&Notice::Done { stage: planned.name.clone(), elapsed: self.begun.elapsed() });
        Ok(Ok(true))
    }

    /// Puts the outputs into the store, or into the bucket of their place.
    async fn gather(
        &self,
        planned: &PlannedStage,
        worker: &dyn Worker,
    ) -> Result<Result<BTreeMap<String, Artifact>, ProviderError>, Error> {
        let through = |name: &String| staging::goes_through(self, planned, name, worker);
        let (through, names): (Vec<String>, Vec<String>) = planned.writes.keys().cloned().partition(through);
        let written = match patiently(self.patience(), || worker.written()).await {
            Ok(written) => written,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(error) = evidence::check_sizes(self, planned, &written) {
            return Ok(Err(error));
        }
        let mut outputs = match staging::outputs(self, worker, &through).await? {
            Ok(outputs) => outputs,
            Err(error) => return Ok(Err(error)),
        };
        let contents = match patiently(self.patience(), || worker.collect(&names)).await {
            Ok(contents) => contents,
            Err(error) => return Ok(Err(error)),
        };
        for (name, content) in names.into_iter().zip(contents) {
            let declared = planned.writes.get(&name).map_or(0, |declared| declared.0);
            let most = evidence::most(self.context.settings.output_limit, declared);
            match self.take_in(content, Some(most)).await {
                Ok(measured) => {
                    let (digest, bytes, kind) = (measured.digest, measured.bytes, measured.kind);
                    let (attempt, staged) = (self.token.attempt, BTreeMap::new());
                    outputs.insert(name, Artifact { digest, bytes, kind, attempt, staged, away: false });
                }
                Err(error) => {
                    let message = format!("output `{name}`: {error}");
                    return Ok(Err(ProviderError::new(ErrorKind::Output, message)));
                }
            }
        }
        evidence::warn_of_undeclared(self, planned, &written);
        Ok(Ok(outputs))
    }

    async fn fail(&self, message: String, log: Log, shown: Option<String>) -> Result<StageOutcome, Error> {
        let message = self.context.redact(&message);
        self.finish(Status::Failed, &message, Evidence::Keep).await?;
        let (stage, elapsed) = (self.token.stage.clone(), self.begun.elapsed());
        self.context.observer.notice(&Notice::Failed { stage, message: message.clone(), elapsed });
        let tail = log.into_tail();
        Ok(StageOutcome::Failed { message, tail, log: shown, used_up: false })
    }

    async fn lost(&self, message: &str) -> Result<Ended, Error> {
        if !self.finish(Status::Lost, message, Evidence::Keep).await? {
            return Ok(self.stuck());
        }
        self.tell_lost(message);
        Ok(Ended::Lost)
    }

    fn tell_lost(&self, message: &str) {
        let (stage, attempt) = (self.token.stage.clone(), self.token.attempt);
        self.context.observer.notice(&Notice::Lost { stage, attempt, message: message.to_owned() });
    }

    /// A machine that cannot be given back must not be forgotten over another attempt.
    fn stuck(&self) -> Ended {
        let message = "its machine could not be given back; the next apply and `sky destroy` try again".to_owned();
        let (stage, elapsed) = (self.token.stage.clone(), self.begun.elapsed());
        self.context.observer.notice(&Notice::Failed { stage, message: message.clone(), elapsed });
        Ended::Outcome(StageOutcome::Failed { message, tail: Vec::new(), log: None, used_up: false })
    }

    /// Ends the attempt; whether nothing of it is left.
    async fn finish(&self, status: Status, message: &str, evidence: Evidence) -> Result<bool, Error> {
        let (stage, message) = (self.token.stage.clone(), self.context.redact(message));
        self.context.recorder.record(Event::Ended { stage, status, message }, Sync::Now).await?;
        self.release(evidence).await
    }

    /// Gives the machine back and charges for its time; whether that went well.
    async fn release(&self, evidence: Evidence) -> Result<bool, Error> {
        self.keeper.end();
        let end = self.context.end_of_machine(self.provider.as_ref(), &self.token).await;
        match patiently(Patience::Through, || self.provider.release(&self.token, evidence)).await {
            Ok(()) => {
                let time = MachineTime { started: &self.started, seen: self.begun.elapsed(), unseen: self.unseen, end };
                self.context.settle(&self.token, &self.meter, &time).await?;
                Ok(true)
            }
            // It stays live in the state: the next apply and destroy come back to it.
            Err(error) => {
                let message = format!("stage.{}: cannot clean up: {error}", self.token.stage);
                self.context.observer.notice(&Notice::Warning { message });
                Ok(false)
            }
        }
    }

    /// The time since its machine may have begun to cost something.
    pub fn age(&self) -> Duration {
        let by_clock = clock::between(&self.started, &clock::timestamp());
        let seen = self.begun.elapsed();
        Duration::from_millis(by_clock).max(self.unseen.unwrap_or_default().saturating_add(seen))
    }

    async fn moved(&self, status: Status) -> io::Result<()> {
        let stage = self.token.stage.clone();
        self.context.recorder.record(Event::Moved { stage: stage.clone(), status }, Sync::Later).await?;
        self.context.observer.notice(&Notice::Moved { stage, attempt: self.token.attempt, status });
        Ok(())
    }

    pub fn patience(&self) -> Patience {
        Patience::UntilSignal(self.context.interrupt.clone())
    }

    fn interrupted(&self) -> bool {
        self.context.interrupt.borrow().is_some()
    }
}

fn exit_words(code: i32) -> String {
    let signals = [(1, "HUP"), (2, "INT"), (6, "ABRT"), (9, "KILL"), (11, "SEGV"), (13, "PIPE"), (15, "TERM")];
    match signals.iter().find(|(number, _)| code == 128 + number) {
        Some((_, name)) => format!("its command ended with exit code {code} (signal {name})"),
        None => format!("its command ended with exit code {code}"),
    }
}
