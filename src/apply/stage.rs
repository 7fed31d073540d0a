//! The life of one stage: is it done already, is it still running, or does it need an attempt;
//! then machine, inputs, command, outputs.

use super::Error;
use super::check::input_names;
use super::engine::{Context, SIGNAL, StageOutcome, abandon, never_begun};
use super::log::Log;
use super::notice::Notice;
use crate::model::{ArtifactRef, canonical};
use crate::plan::PlannedStage;
use crate::provider::{
    Content, ErrorKind, Evidence, Item, MachineSpec, Provider, ProviderError, RunStatus, Task, Token, Worker,
};
use crate::state::event::{Call, Event};
use crate::state::journal::Sync;
use crate::state::summary::definition;
use crate::state::{Artifact, StageRecord, Status};
use crate::util::hash;
use crate::util::tree::{self, Links};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Attempts that may go lost in one apply before the stage counts as failed.
const LOSSES: u32 = 3;
/// How long a machine may live without being renewed.
const LEASE: Duration = Duration::from_secs(3600);
/// Between two words about a stage that runs.
const STILL: Duration = Duration::from_secs(10);

/// What a stage works on, and the digest of all of it.
struct Work {
    task: Task,
    definition: String,
    fingerprint: String,
}

/// How an attempt ended.
enum End {
    Exited(i32),
    Lost(String),
    Interrupted,
    Broken(ProviderError),
}

/// Brings a stage whose predecessors are done to its end.
pub(super) async fn run(context: &Arc<Context>, planned: &PlannedStage) -> Result<StageOutcome, Error> {
    let name = &planned.name;
    let work = match prepare(context, planned).await {
        Ok(work) => work,
        Err(error) => {
            let message = error.to_string();
            let record = never_begun(context, planned, Status::Failed, message.clone());
            context.recorder.record(Event::NotBegun { stage: name.clone(), record }, Sync::Now)?;
            let failed = Notice::Failed { stage: name.clone(), message: message.clone(), elapsed: Duration::ZERO };
            context.observer.notice(&failed);
            return Ok(StageOutcome::Failed { message, tail: Vec::new(), log: None });
        }
    };
    let former = || context.recorder.read(|state| state.stages.get(name).cloned());
    let changed = former().is_some_and(|former| former.attempt > 0);
    let mut resume = None;
    if let Some(former) = former() {
        let same = former.fingerprint == work.fingerprint;
        if former.status == Status::Done && same && complete(context, planned).await? {
            if former.live {
                abandon(context, name, &former, "done").await?;
            }
            context.observer.notice(&Notice::Unchanged { stage: name.clone() });
            return Ok(StageOutcome::Unchanged);
        }
        if former.live && former.status.in_flight() && same && !former.stopping {
            resume = Some(former);
        } else if former.live {
            // A command that was asked to stop may have exited well with half of its outputs.
            let stopped = "an earlier sky set out to stop it";
            let why = if former.stopping { stopped } else { "its command or inputs have changed" };
            abandon(context, name, &former, why).await?;
        }
    }
    for _ in 0..LOSSES {
        if context.interrupt.borrow().is_some() {
            return Ok(StageOutcome::NotBegun { because: SIGNAL });
        }
        let attempt = Attempt::begin(context, planned, &work, resume.take(), changed)?;
        if let Some(outcome) = attempt.run(planned, &work).await? {
            return Ok(outcome);
        }
    }
    let message = format!("it was lost {LOSSES} times; the next apply tries again");
    context.observer.notice(&Notice::Failed { stage: name.clone(), message: message.clone(), elapsed: Duration::ZERO });
    Ok(StageOutcome::Failed { message, tail: Vec::new(), log: None })
}

/// Finds inputs and files, and digests them.
async fn prepare(context: &Arc<Context>, planned: &PlannedStage) -> io::Result<Work> {
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    let mut inputs = Vec::new();
    for (read, name) in input_names(planned) {
        let (content, digest) = match read {
            ArtifactRef::Dataset(dataset) => find_dataset(context, dataset).await?,
            ArtifactRef::Output { .. } => {
                let artifact = context.recorder.read(|state| state.artifacts.get(&read.to_string()).cloned());
                let artifact = artifact.ok_or_else(|| io::Error::other(format!("`{read}` is not in the state")))?;
                (Content::Stored(context.objects.path(&artifact.digest, artifact.kind)), artifact.digest)
            }
        };
        digests.insert(format!("input {name}"), digest);
        inputs.push(Item { name, content });
    }
    let files = context.checked.files.get(&planned.name).cloned().unwrap_or_default();
    for file in &files {
        if let Content::Local(path) = &file.content {
            let path = path.clone();
            let measured = blocking(move || tree::measure(&path, Links::Follow)).await?;
            digests.insert(format!("file {}", file.name), format!("{:?} {}", measured.kind, measured.digest));
        }
    }
    let definition = definition(planned);
    digests.insert("definition".to_owned(), definition.clone());
    let fingerprint = hash::digest(canonical::to_text(&digests)?.as_bytes());
    let (index, count) = planned.copy.as_ref().map_or((0, 1), |copy| (copy.index, copy.count));
    let environment = [
        ("SKY_INDEX", index.to_string()),
        ("SKY_COUNT", count.to_string()),
        ("SKY_JOB", context.owner.job.clone()),
        ("SKY_STAGE", planned.name.clone()),
        ("SKY_NODES", planned.nodes.to_string()),
        ("SKY_NODE", "0".to_owned()),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let command = planned.run.clone().unwrap_or_default();
    Ok(Work {
        task: Task { command, environment, files, inputs, secrets: BTreeMap::new(), checkpoint: None },
        definition,
        fingerprint,
    })
}

async fn find_dataset(context: &Arc<Context>, dataset: &str) -> io::Result<(Content, String)> {
    let content = context.checked.datasets.get(dataset).cloned().unwrap_or(Content::Empty);
    let (Content::Local(path), Some(cell)) = (&content, context.datasets.get(dataset)) else {
        return Ok((content, "empty".to_owned()));
    };
    let path = path.clone();
    let measured = cell.get_or_try_init(|| blocking(move || tree::measure(&path, Links::Follow))).await?;
    Ok((content, measured.digest.clone()))
}

/// Whether all outputs of a stage that is done are in the store; those by name are made again.
async fn complete(context: &Arc<Context>, planned: &PlannedStage) -> Result<bool, Error> {
    for output in planned.writes.keys() {
        let artifact =
            context.recorder.read(|state| state.artifacts.get(&format!("{}.{output}", planned.name)).cloned());
        let Some(artifact) = artifact.filter(|artifact| context.objects.has(&artifact.digest, artifact.kind)) else {
            return Ok(false);
        };
        if !context.artifacts.join(&planned.name).join(output).exists() {
            publish(context, &planned.name, output, &artifact).await;
        }
    }
    Ok(true)
}

/// Puts a copy of an output where people look for it. The stage is done without it, too.
async fn publish(context: &Arc<Context>, stage: &str, output: &str, artifact: &Artifact) {
    let (objects, to) = (context.objects.clone(), context.artifacts.join(stage).join(output));
    let (digest, kind) = (artifact.digest.clone(), artifact.kind);
    if let Err(error) = blocking(move || objects.publish(&digest, kind, &to)).await {
        context.observer.notice(&Notice::Warning { message: error.to_string() });
    }
}

/// One attempt under way.
struct Attempt<'a> {
    context: &'a Arc<Context>,
    provider: Arc<dyn Provider>,
    token: Token,
    resumed: Option<StageRecord>,
    begun: Instant,
}

impl<'a> Attempt<'a> {
    /// Journals a new attempt, or goes on with the one that an earlier `sky` began.
    fn begin(
        context: &'a Arc<Context>,
        planned: &PlannedStage,
        work: &Work,
        resumed: Option<StageRecord>,
        changed: bool,
    ) -> Result<Self, Error> {
        let stage = planned.name.clone();
        let (token, name) = match &resumed {
            Some(former) => {
                let (id, attempt) = (former.token.clone(), former.attempt);
                (Token { id, stage: stage.clone(), attempt }, former.provider.clone())
            }
            None => {
                let last = context.recorder.read(|state| state.stages.get(&stage).map_or(0, |former| former.attempt));
                let token = Token::new(&context.plan_digest, &stage, last + 1);
                let provider = context.checked.providers.get(&stage).cloned().unwrap_or_default();
                let event = Event::Attempt {
                    stage: stage.clone(),
                    attempt: token.attempt,
                    token: token.id.clone(),
                    provider: provider.clone(),
                    place: planned.place.clone(),
                    definition: work.definition.clone(),
                    fingerprint: work.fingerprint.clone(),
                    rented: None,
                };
                context.recorder.record(event, Sync::Now)?;
                (token, provider)
            }
        };
        let provider = context.providers.get(&name).cloned();
        let provider = provider.ok_or_else(|| Error::NotReady(vec![format!("this sky has no provider `{name}`")]))?;
        let (attempt, place) = (token.attempt, planned.place.clone());
        context.observer.notice(&Notice::Began { stage, attempt, place, resumed: resumed.is_some(), changed });
        Ok(Self { context, provider, token, resumed, begun: Instant::now() })
    }

    /// Runs it to its end; none if it was lost and the stage needs another.
    async fn run(&self, planned: &PlannedStage, work: &Work) -> Result<Option<StageOutcome>, Error> {
        let name = &planned.name;
        let mut log = Log::default();
        let worker = match self.machine(planned).await? {
            Ok(worker) => worker,
            Err(error) => return self.fail(error.to_string(), log, None).await.map(Some),
        };
        let shown = Some(worker.log_name());
        match self.command(worker.as_ref(), &work.task, &mut log).await? {
            End::Exited(0) => {
                self.context.recorder.record(Event::Exited { stage: name.clone(), code: 0 }, Sync::Later)?;
                match self.collect(planned, worker.as_ref()).await? {
                    Ok(()) => Ok(Some(StageOutcome::Done)),
                    Err(message) => self.fail(message, log, shown).await.map(Some),
                }
            }
            End::Exited(code) => {
                self.context.recorder.record(Event::Exited { stage: name.clone(), code }, Sync::Later)?;
                self.fail(exit_words(code), log, shown).await.map(Some)
            }
            End::Broken(error) => self.fail(error.to_string(), log, shown).await.map(Some),
            End::Interrupted => {
                self.finish(Status::Lost, "interrupted by a signal to sky", Evidence::Keep).await?;
                let elapsed = self.begun.elapsed();
                self.context.observer.notice(&Notice::Interrupted { stage: name.clone(), elapsed });
                Ok(Some(StageOutcome::Interrupted))
            }
            End::Lost(message) => {
                self.finish(Status::Lost, &message, Evidence::Keep).await?;
                let (stage, attempt) = (name.clone(), self.token.attempt);
                self.context.observer.notice(&Notice::Lost { stage, attempt, message });
                Ok(None)
            }
        }
    }

    /// The machine of this attempt, found or made.
    async fn machine(&self, planned: &PlannedStage) -> Result<Result<Box<dyn Worker>, ProviderError>, Error> {
        let spec = MachineSpec {
            owner: self.context.owner.clone(),
            plan: self.context.plan_digest.clone(),
            lease: LEASE,
            place: planned.place.clone(),
            instance_type: planned.instance_type.clone(),
            accelerator: planned.accelerator.clone(),
            nodes: planned.nodes,
            purchase: planned.purchase,
            disk: planned.writes.values().copied().sum(),
        };
        let created = match self.resumed {
            Some(_) => self.provider.get(&self.token).await,
            None => Ok(None),
        };
        let created = match created {
            Ok(Some(machine)) => Ok(machine),
            Ok(None) => {
                let created = self.provider.create(&self.token, &spec).await;
                self.context.recorder.result(&planned.name, &self.token.id, Call::Create, &created)?;
                created
            }
            Err(error) => Err(error),
        };
        Ok(match created {
            Ok(_) => self.provider.worker(&self.token).await,
            Err(error) => Err(error),
        })
    }

    /// Starts the command unless it was, and stays with it until its end.
    async fn command(&self, worker: &dyn Worker, task: &Task, log: &mut Log) -> Result<End, Error> {
        let (context, name, id) = (self.context, &self.token.stage, &self.token.id);
        let status = match worker.status().await {
            Ok(status) => status,
            Err(error) => return Ok(End::Broken(error)),
        };
        if status == RunStatus::NotStarted {
            let was_running = self.resumed.as_ref().is_some_and(|former| former.status == Status::StagingOut);
            if was_running {
                return Ok(End::Lost("its folder was emptied".to_owned()));
            }
            self.moved(Status::StagingIn)?;
            if let Err(error) = worker.stage_in(task).await {
                return Ok(End::Broken(error));
            }
            if context.interrupt.borrow().is_some() {
                return Ok(End::Interrupted);
            }
            context.recorder.intend(name, id, Call::Start)?;
            let started = worker.start(task).await;
            context.recorder.result(name, id, Call::Start, &started)?;
            if let Err(error) = started {
                return Ok(End::Broken(error));
            }
        } else if let Ok(length) = worker.log_length().await {
            // Its former lines were told by the former sky; the last are read for a failure's sake.
            *log = Log::resumed(length);
        }
        self.moved(Status::Running)?;
        self.watch(worker, log).await
    }

    async fn watch(&self, worker: &dyn Worker, log: &mut Log) -> Result<End, Error> {
        let mut interrupt = self.context.interrupt.clone();
        let mut told = STILL;
        // Quick commands are not made to wait for a long interval.
        let mut pause = Duration::from_millis(2).min(worker.interval());
        loop {
            // The status first: what was printed before the end is then in the log.
            let status = worker.status().await;
            self.pump(worker, log).await;
            match status {
                Ok(RunStatus::Exited(code)) => {
                    log.flush(&mut |line| self.printed(line));
                    return Ok(End::Exited(code));
                }
                Ok(RunStatus::Lost) => {
                    return Ok(End::Lost("its process is gone without an exit code, or its outputs are".to_owned()));
                }
                Ok(RunStatus::Preempted) => return Ok(End::Lost("its machine was taken away".to_owned())),
                Ok(RunStatus::Expired) => return Ok(End::Lost("its lease ended".to_owned())),
                Ok(RunStatus::NotStarted) => return Ok(End::Lost("its machine forgot the command".to_owned())),
                Ok(RunStatus::Running) => {}
                // The connection may come back; the command goes on meanwhile.
                Err(error) if matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Throttled) => {}
                Err(error) => return Ok(End::Broken(error)),
            }
            if interrupt.borrow_and_update().is_some() {
                let (name, id) = (&self.token.stage, &self.token.id);
                self.context.recorder.intend(name, id, Call::Stop)?;
                let stopped = worker.stop(self.context.settings.grace).await;
                self.context.recorder.result(name, id, Call::Stop, &stopped)?;
                self.pump(worker, log).await;
                return Ok(stopped.map_or_else(End::Broken, |()| End::Interrupted));
            }
            if self.begun.elapsed() >= told {
                let elapsed = Duration::from_secs(self.begun.elapsed().as_secs());
                self.context.observer.notice(&Notice::Still { stage: self.token.stage.clone(), elapsed });
                told += STILL;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(worker.interval()),
                _ = interrupt.changed() => {}
            }
        }
    }

    /// Tells what was printed since the last look.
    async fn pump(&self, worker: &dyn Worker, log: &mut Log) {
        while let Ok(piece) = worker.log(log.offset()).await {
            if piece.is_empty() {
                break;
            }
            log.take(&piece, &mut |line| self.printed(line));
        }
    }

    fn printed(&self, line: &str) {
        let (stage, line) = (self.token.stage.clone(), line.to_owned());
        self.context.observer.notice(&Notice::Log { stage, line });
    }

    /// Puts the outputs into the store and ends the attempt well; or says what is wrong with them.
    async fn collect(&self, planned: &PlannedStage, worker: &dyn Worker) -> Result<Result<(), String>, Error> {
        let context = self.context;
        self.moved(Status::StagingOut)?;
        let names: Vec<String> = planned.writes.keys().cloned().collect();
        let contents = match worker.collect(&names).await {
            Ok(contents) => contents,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut outputs = BTreeMap::new();
        for (name, content) in names.into_iter().zip(contents) {
            let (Content::Local(path) | Content::Stored(path)) = content else { continue };
            let objects = context.objects.clone();
            match blocking(move || objects.put(&path)).await {
                Ok(measured) => {
                    let (digest, bytes, kind) = (measured.digest, measured.bytes, measured.kind);
                    outputs.insert(name, Artifact { digest, bytes, kind, attempt: self.token.attempt });
                }
                Err(error) => return Ok(Err(format!("output `{name}`: {error}"))),
            }
        }
        let done = Event::Done { stage: planned.name.clone(), outputs: outputs.clone() };
        context.recorder.record(done, Sync::Now)?;
        for (output, artifact) in &outputs {
            publish(context, &planned.name, output, artifact).await;
        }
        self.release(Evidence::Drop).await?;
        context.observer.notice(&Notice::Done { stage: planned.name.clone(), elapsed: self.begun.elapsed() });
        Ok(Ok(()))
    }

    async fn fail(&self, message: String, log: Log, shown: Option<String>) -> Result<StageOutcome, Error> {
        self.finish(Status::Failed, &message, Evidence::Keep).await?;
        let (stage, elapsed) = (self.token.stage.clone(), self.begun.elapsed());
        self.context.observer.notice(&Notice::Failed { stage, message: message.clone(), elapsed });
        Ok(StageOutcome::Failed { message, tail: log.into_tail(), log: shown })
    }

    async fn finish(&self, status: Status, message: &str, evidence: Evidence) -> Result<(), Error> {
        let (stage, message) = (self.token.stage.clone(), message.to_owned());
        self.context.recorder.record(Event::Ended { stage, status, message }, Sync::Now)?;
        self.release(evidence).await
    }

    async fn release(&self, evidence: Evidence) -> Result<(), Error> {
        match self.provider.release(&self.token, evidence).await {
            Ok(()) => {
                let released = Event::Released { stage: self.token.stage.clone() };
                Ok(self.context.recorder.record(released, Sync::Later)?)
            }
            // It stays live in the state: the next apply and destroy come back to it.
            Err(error) => {
                let message = format!("stage.{}: cannot clean up: {error}", self.token.stage);
                self.context.observer.notice(&Notice::Warning { message });
                Ok(())
            }
        }
    }

    fn moved(&self, status: Status) -> io::Result<()> {
        let stage = self.token.stage.clone();
        self.context.recorder.record(Event::Moved { stage: stage.clone(), status }, Sync::Later)?;
        self.context.observer.notice(&Notice::Moved { stage, attempt: self.token.attempt, status });
        Ok(())
    }
}

fn exit_words(code: i32) -> String {
    let signals = [(1, "HUP"), (2, "INT"), (6, "ABRT"), (9, "KILL"), (11, "SEGV"), (13, "PIPE"), (15, "TERM")];
    match signals.iter().find(|(number, _)| code == 128 + number) {
        Some((_, name)) => format!("its command ended with exit code {code} (signal {name})"),
        None => format!("its command ended with exit code {code}"),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
