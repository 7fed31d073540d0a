//! A user's `sky`: the verbs as the command line has them, run by simulated processes on two
//! machines.

use super::case::{Run, Trouble, Verb};
use super::cloud::Clouds;
use super::inside::OUTPUT_LIMIT;
use super::stores::SlowStore;
use super::world::{Carried, Load, Watched, World};
use sky::cli::apply::exit;
use sky::cli::state::failure;
use sky::cli::{Exit, Failure};
use sky::execution::apply::OnFailure;
use sky::execution::apply::signal_deadlines::{SNAPSHOT, WIND_DOWN};
use sky::execution::apply::stray::{Scope, Swept};
use sky::execution::apply::stray_buckets::look_for_buckets;
use sky::execution::apply::{
    self, Checked, Interrupt, Notice, Observer, Outcome, Settings, destroy, refresh, sweep,
};
use sky::execution::provider::Access;
use sky::execution::state::address::Cloud;
use sky::execution::state::lock::RELEASE;
use sky::execution::state::{Cipher, Folder, Store, bucket};
use sky::execution::storage::Staging;
use sky::plan::Plan;
use sky::util::simulation::{Machine, Process};
use sky::util::watch;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// By how much a deadline may be missed.
const TOLERANCE: Duration = Duration::from_millis(10);
/// How long after the grace what a stopped command leaves may be copied.
const SAVING: Duration = Duration::from_secs(5);

/// A user with a plan, two machines, and a state.
pub(super) struct User {
    pub world: Arc<World>,
    pub plan: Plan,
    machines: [Arc<Machine>; 2],
    folders: [PathBuf; 2],
    bucket: Option<bucket::Bucket>,
    pids: AtomicU32,
}

/// How a process ended.
#[derive(Debug)]
pub(super) enum Ended {
    Killed,
    /// With this exit code; and what came of the plan, if it got so far.
    Exited(Exit, String, Option<Outcome>),
}

struct Teller(Arc<World>);

impl Observer for Teller {
    fn notice(&self, notice: &Notice) {
        if let Notice::Warning { message } = notice
            && message.contains("the budget allows no longer lease")
            && self.0.case.budget.is_none()
        {
            self.0
                .wrong(format!("there is no budget, and yet: {message}"));
        }
        if self.0.tells && !matches!(notice, Notice::Log { .. } | Notice::Still { .. }) {
            self.0.tell(&format!("said: {notice:?}"));
        }
    }
}

impl User {
    pub(super) fn new(world: &Arc<World>) -> Self {
        let machine =
            |number: usize, name: &str| Machine::new(name, world.began, world.case.skews[number]);
        let folders = ["one", "two"].map(|name| world.scratch.join(name));
        folders
            .iter()
            .for_each(|folder| std::fs::create_dir_all(folder).unwrap());
        let open =
            || bucket::Bucket::over(Arc::new(SlowStore::new(world)), Cloud::S3, "team", "job");
        Self {
            world: world.clone(),
            plan: world.case.plan(),
            machines: [machine(0, "one"), machine(1, "two")],
            folders,
            bucket: world.case.in_bucket.then(open),
            pids: AtomicU32::new(1),
        }
    }

    pub(super) fn store(&self, machine: usize) -> Store {
        let folder = &self.folders[machine];
        let store = match &self.bucket {
            Some(bucket) => Store::over(Folder::resolve(folder, None), bucket.clone()),
            None => Store::open(folder, None, None, Cipher::default()).unwrap(),
        };
        store.lasting(self.world.case.lock_lease)
    }

    fn access(&self, machine: usize) -> Access {
        let registry = Arc::new(Clouds(self.world.clone()));
        Access {
            root: self.folders[machine].join(".sky"),
            registry: Some(registry),
            ..Access::default()
        }
    }

    fn settings(&self, machine: usize, parallelism: Option<usize>) -> Settings {
        let case = &self.world.case;
        Settings {
            here: self.folders[machine].clone(),
            plan_folder: self.folders[machine].clone(),
            provider: None,
            source: None,
            data: Default::default(),
            stand_ins: false,
            parallelism: parallelism.unwrap_or(case.parallelism),
            on_failure: OnFailure::GoOn,
            grace: case.grace,
            log_limit: 0,
            budget: None,
            access: self.access(machine),
            staging: if case.staging_in_buckets {
                Staging::Buckets
            } else {
                Staging::Home
            },
            chunk_bytes: 1 << 20,
            keep_buckets: false,
            output_limit: Some(OUTPUT_LIMIT),
        }
    }

    pub(super) fn process(&self, machine: usize) -> Arc<Process> {
        let pid = self.pids.fetch_add(1, Ordering::Relaxed);
        Process::begin(
            &self.machines[machine],
            pid,
            self.world.case.seed ^ (u64::from(pid) << 32),
        )
    }

    /// `sky apply PLAN`.
    async fn apply(
        &self,
        (machine, parallelism): (usize, Option<usize>),
        interrupted: watch::Receiver<Option<Interrupt>>,
    ) -> Result<Outcome, Failure> {
        let (store, settings, plan) = (
            self.store(machine),
            self.settings(machine, parallelism),
            &self.plan,
        );
        let fail = |error: apply::Error| failure(error, &store);
        let prepared = async {
            let before = store
                .read_async()
                .await
                .map_err(|error| fail(error.into()))?;
            let checked = apply::check(plan, &settings, before.as_ref()).map_err(fail)?;
            let unready = apply::preflight::check_providers(plan, checked, &settings)
                .await
                .map_err(fail)?
                .unready;
            let lock = store
                .lock_async("apply", Duration::ZERO)
                .await
                .map_err(|error| fail(error.into()))?;
            match store.change_async(Some(&lock)).await {
                Ok(opened) => Ok((unready, lock, opened)),
                Err(error) => {
                    lock.release().await;
                    Err(fail(error.into()))
                }
            }
        };
        let mut signal = interrupted.clone();
        let (unready, lock, opened) = tokio::select! {
            biased;
            prepared = prepared => prepared?,
            _ = signal.wait_for(Option::is_some) => {
                let message = "ended before anything was begun";
                return Err(Failure::new(Exit::Terminated, message));
            }
        };
        let checked = apply::check(plan, &settings, Some(&opened.state)).map_err(fail);
        let ran = match checked {
            Ok(checked) => {
                let (checked, observer) = (
                    Checked { unready, ..checked },
                    Arc::new(Teller(self.world.clone())),
                );
                apply::apply_plan(
                    plan,
                    checked,
                    settings,
                    &store.folder,
                    opened,
                    observer,
                    interrupted,
                )
                .await
                .map_err(fail)
            }
            Err(error) => Err(error),
        };
        match &ran {
            // Its lock ends as that of a process that was killed.
            Ok(outcome) if outcome.snapshot_is_late => drop(lock),
            _ => lock.release().await,
        }
        ran
    }

    /// A whole `sky refresh`, which a signal ends as a kill does.
    async fn run_refresh(self: &Arc<Self>, run: &Run) -> Ended {
        let (world, process) = (&self.world, self.process(run.machine));
        world.tell(&format!("sky refresh begins as {}", process.pid));
        let work = process.scope(async {
            let (store, access) = (self.store(run.machine), self.access(run.machine));
            let fail = |error: apply::Error| failure(error, &store);
            let lock = store
                .lock_async("refresh", Duration::ZERO)
                .await
                .map_err(|error| fail(error.into()))?;
            let refreshed = match store.change_async(Some(&lock)).await {
                Ok(opened) => refresh::refresh(opened, &access).await.map_err(fail),
                Err(error) => Err(fail(error.into())),
            };
            lock.release().await;
            refreshed
        });
        let at = [run.kill_after_ms, run.signal_after_ms];
        let at = at.into_iter().flatten().min();
        let at = Duration::from_millis(at.unwrap_or(60 * 86_400_000));
        let ended = tokio::time::timeout(at, work).await;
        let ended = match ended {
            Err(_) => {
                process.kill();
                self.cut_power(&process);
                Ended::Killed
            }
            Ok(Ok(_)) => Ended::Exited(Exit::Success, String::new(), None),
            Ok(Err(failure)) => Ended::Exited(failure.exit, failure.message, None),
        };
        process.end();
        world.tell(&format!("sky refresh ends: {ended:?}"));
        ended
    }

    /// A whole `sky apply` with what comes in its way.
    pub(super) async fn run(self: &Arc<Self>, run: &Run) -> Ended {
        match run.verb {
            Verb::Apply => self.run_apply(run).await,
            Verb::Refresh => self.run_refresh(run).await,
        }
    }

    async fn run_apply(self: &Arc<Self>, run: &Run) -> Ended {
        let (world, process) = (&self.world, self.process(run.machine));
        world.applies.fetch_add(1, Ordering::Relaxed);
        let (interrupt, interrupted) = watch::channel(None);
        let begun = Instant::now();
        let mut work =
            Box::pin(process.scope(self.apply((run.machine, run.parallelism), interrupted)));
        let mut snapshots = world.snapshots.1.clone();
        let sent = *snapshots.borrow();
        let last_snapshot = run.kill_in_snapshot.map(|number| sent + number);
        let mut events: Vec<(u64, &str)> = Vec::new();
        events.extend(run.kill_after_ms.map(|at| (at, "kill")));
        events.extend(run.signal_after_ms.map(|at| (at, "signal")));
        events.extend(
            run.pause_ms
                .iter()
                .flat_map(|(from, long)| [(*from, "pause"), (*from + *long, "resume")]),
        );
        events.sort_unstable();
        let mut events = events.into_iter();
        let mut next = events.next();
        let (mut signalled, mut paused, mut since) = (None, None, world.now());
        let mut stood = Duration::ZERO;
        world.tell(&format!(
            "sky apply begins as {} on machine {}",
            process.pid, run.machine
        ));
        let result = loop {
            let due = next.map_or(Duration::from_secs(60 * 86_400), |(at, _)| {
                Duration::from_millis(at)
            });
            let what = tokio::select! {
                biased;
                result = &mut work => break result,
                Ok(_) = snapshots.wait_for(|sent| last_snapshot.is_some_and(|last| *sent >= last)) => {
                    "kill"
                }
                () = tokio::time::sleep_until(begun + due) => {
                    let Some((_, what)) = next else {
                        world.wrong(format!("an apply hangs: {run:?}"));
                        process.kill();
                        return Ended::Killed;
                    };
                    next = events.next();
                    what
                }
            };
            world.tell(&format!("{what} of {}", process.pid));
            match what {
                "kill" => {
                    if paused.is_none() {
                        let (from, to) = (since, world.now());
                        world.watched.lock().unwrap().push(Watched {
                            machine: run.machine,
                            from,
                            to,
                        });
                    }
                    process.kill();
                    drop(work);
                    self.cut_power(&process);
                    return Ended::Killed;
                }
                "signal" => {
                    signalled = Some(Instant::now());
                    world.signals.lock().unwrap().push(world.now());
                    interrupt.send(Some(Interrupt::Terminate));
                }
                "pause" => {
                    world.watched.lock().unwrap().push(Watched {
                        machine: run.machine,
                        from: since,
                        to: world.now(),
                    });
                    paused = Some(Instant::now());
                    process.pause();
                }
                _ => {
                    since = world.now();
                    stood += paused.take().map_or(Duration::ZERO, |from| from.elapsed());
                    process.resume();
                }
            }
        };
        world.watched.lock().unwrap().push(Watched {
            machine: run.machine,
            from: since,
            to: world.now(),
        });
        process.end();
        if let Some(at) = signalled {
            self.check_answer(process.pid, (at.elapsed(), stood));
        }
        let ended = match result {
            Ok(outcome) => Ended::Exited(exit(&outcome), String::new(), Some(outcome)),
            Err(failure) => {
                let lost = failure
                    .message
                    .starts_with("the lock of the state was taken from this operation");
                world.lost_lock.fetch_or(lost, Ordering::Relaxed);
                let alone = |run: &Run| run.overlap_ms.is_none() && run.pause_ms.is_none();
                if lost && world.case.runs.iter().all(alone) {
                    let message = &failure.message;
                    world.wrong(format!("nobody else had the lock, and yet: {message}"));
                }
                Ended::Exited(failure.exit, failure.message, None)
            }
        };
        if world.tells {
            world.tell(&format!("sky apply ends: {ended:?}"));
        }
        if let Ended::Exited(code, _, outcome) = &ended {
            self.check_exit(*code, outcome.as_ref(), signalled.is_some());
            if signalled.is_some() && stood.is_zero() && outcome.is_some() {
                self.check_left_at_work();
            }
        }
        ended
    }

    /// A signal is answered in time, whatever takes its time: nothing is copied after the grace but
    /// what a stopped command leaves, and nothing is waited for without end.
    fn check_answer(&self, pid: u32, (took, stood): (Duration, Duration)) {
        let world = &self.world;
        let took = took.saturating_sub(stood);
        let slow = [Trouble::SlowStore, Trouble::StoreFails];
        let store = if slow.iter().any(|trouble| world.case.has(*trouble)) {
            SNAPSHOT + RELEASE
        } else {
            Duration::ZERO
        };
        let grace = world.case.grace + TOLERANCE;
        if took > grace + WIND_DOWN + store {
            world.wrong(format!("a signal was answered after {} s", took.as_secs()));
        }
        if !stood.is_zero() {
            return;
        }
        let signal = world.now() - u64::try_from(took.as_millis()).unwrap();
        let late = |one: &&Carried| {
            let more = match one.what {
                Load::Inputs => Duration::ZERO,
                Load::Outputs => world.case.grace,
                Load::Progress => world.case.grace + SAVING,
            };
            let until = signal + u64::try_from((more + TOLERANCE).as_millis()).unwrap();
            one.pid == pid && one.until > until
        };
        let late = world.carried.lock().unwrap().iter().find(late).copied();
        if let Some(Carried { what, until, .. }) = late {
            world.wrong(format!(
                "after a signal copying went on: {what:?} for {} ms",
                until - signal
            ));
        }
    }

    /// After a signal nothing is left at work, where no call and no copy takes its time.
    fn check_left_at_work(&self) {
        const TAKES_TIME: [Trouble; 10] = [
            Trouble::SluggishCloud,
            Trouble::StoreFails,
            Trouble::SlowStore,
            Trouble::LostCalls,
            Trouble::Throttling,
            Trouble::SlowCloud,
            Trouble::SlowBoots,
            Trouble::SlowData,
            Trouble::LockedOut,
            Trouble::DeletionsFail,
        ];
        if TAKES_TIME
            .iter()
            .any(|trouble| self.world.case.has(*trouble))
        {
            return;
        }
        let now = self.world.now();
        let at_work = |machine: &crate::execution::simulation::machine::Machine| {
            let ours =
                machine.kept_until.is_none() && machine.provider != sky::execution::provider::LOCAL;
            ours && machine.lives() && !machine.orphan && machine.effect(now).is_none()
        };
        let left: Vec<String> = self
            .world
            .machines()
            .iter_mut()
            .filter_map(|machine| {
                machine.settle(now);
                at_work(machine).then(|| machine.token.stage.clone())
            })
            .collect();
        if !left.is_empty() {
            self.world.wrong(format!(
                "after a signal these are still at work: {}",
                left.join(", ")
            ));
        }
    }

    /// The exit code says what has happened.
    fn check_exit(&self, code: Exit, outcome: Option<&Outcome>, signalled: bool) {
        let now = self.world.now();
        let Some(outcome) = outcome else {
            if code == Exit::Success {
                self.world.wrong("exit 0 without an outcome".to_owned());
            }
            return;
        };
        let is_done = |one: &apply::StageOutcome| {
            matches!(
                one,
                apply::StageOutcome::Done | apply::StageOutcome::Unchanged
            )
        };
        let machines = self.world.machines();
        for (name, _) in outcome.stages.iter().filter(|(_, one)| is_done(one)) {
            let ran = machines
                .iter()
                .any(|machine| machine.token.stage == *name && machine.effect(now).is_some());
            let oversized = self.world.case.stage(name).is_some_and(|one| one.oversized);
            if oversized {
                drop(machines);
                return self.world.wrong(format!(
                    "stage.{name} is told to be done, and its outputs are over the limit"
                ));
            }
            if !ran {
                drop(machines);
                return self.world.wrong(format!(
                    "stage.{name} is told to be done, and never ended well"
                ));
            }
        }
        drop(machines);
        let all =
            outcome.stages.values().all(is_done) && outcome.stages.len() == self.plan.stages.len();
        if all != (code == Exit::Success) {
            self.world
                .wrong(format!("exit {code:?} for {:?}", outcome.stages));
        }
        if code == Exit::Terminated && !signalled {
            self.world.wrong("exit 143 without a signal".to_owned());
        }
    }

    /// What was written and not synced is lost, in whole or in part.
    fn cut_power(&self, process: &Process) {
        let world = &self.world;
        if !world.case.has(Trouble::PowerCuts) || world.is_calm() {
            return;
        }
        for (path, synced) in process.synced() {
            let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            if length > synced {
                let kept = synced + world.chance().below(length - synced + 1);
                let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                file.set_len(kept).unwrap();
                world.tell(&format!(
                    "power cut: the journal keeps {kept} of {length} bytes"
                ));
            }
        }
    }

    /// `sky destroy --auto-approve`.
    pub(super) async fn destroy(self: &Arc<Self>, machine: usize) -> Result<(), String> {
        let process = self.process(machine);
        let world = self.world.clone();
        world.tell("sky destroy begins");
        let work = async {
            let (store, access) = (self.store(machine), self.access(machine));
            let say = |error: &dyn std::fmt::Display| error.to_string();
            let lock = store
                .lock_async("destroy", Duration::ZERO)
                .await
                .map_err(|error| say(&error))?;
            let destroyed = async {
                let opened = store
                    .change_async(Some(&lock))
                    .await
                    .map_err(|error| say(&error))?;
                let found = destroy::inventory(&store.folder, &opened.state, &access).await;
                let found = found.map_err(|error| say(&error))?;
                if found.is_empty() {
                    return Ok(());
                }
                let destroyed = destroy::destroy_all(&store.folder, opened, &found, &access).await;
                let left = destroyed.map_err(|error| say(&error))?.left;
                let left: Vec<String> = left
                    .iter()
                    .map(|left| format!("{}: {}", left.what, left.why))
                    .collect();
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(left.join("; "))
                }
            };
            let destroyed = destroyed.await;
            lock.release().await;
            destroyed
        };
        let destroyed = process.scope(work).await;
        process.end();
        world.tell(&format!("sky destroy ends: {destroyed:?}"));
        destroyed
    }

    /// The lineage of the state; empty if there is no state.
    pub(super) async fn lineage(&self, machine: usize) -> String {
        let process = self.process(machine);
        let read = process.scope(async { self.store(machine).read_async().await });
        let state = read.await.ok().flatten();
        process.end();
        state.map_or_else(String::new, |state| state.lineage)
    }

    /// `sky sweep --auto-approve --buckets`, with a while between what is shown and what is
    /// deleted.
    pub(super) async fn sweep(
        self: &Arc<Self>,
        machine: usize,
        question: Duration,
    ) -> Result<(), String> {
        let process = self.process(machine);
        let world = self.world.clone();
        world.tell("sky sweep begins");
        let work = async {
            let (store, access) = (self.store(machine), self.access(machine));
            let say = |error: &dyn std::fmt::Display| error.to_string();
            let lock = store
                .lock_async("sweep", Duration::ZERO)
                .await
                .map_err(|error| say(&error))?;
            let swept = async {
                let opened = store
                    .change_async(Some(&lock))
                    .await
                    .map_err(|error| say(&error))?;
                let names: Vec<String> = access.names().into_iter().map(str::to_owned).collect();
                let found =
                    sweep::look_for_machines(&opened.state, &names, Scope::Own, &access).await;
                let mut found = found.map_err(|error| say(&error))?;
                look_for_buckets(&opened.state, Scope::Own, &mut found).await;
                tokio::time::sleep(question).await;
                let opened = store
                    .change_async(Some(&lock))
                    .await
                    .map_err(|error| say(&error))?;
                let swept = sweep::sweep(opened, &found, Scope::Own, &access).await;
                let failed = swept
                    .map_err(|error| say(&error))?
                    .into_iter()
                    .find_map(|swept| match swept {
                        Swept::Failed(error) => Some(say(&error)),
                        _ => None,
                    });
                failed.map_or(Ok(()), Err)
            };
            let swept = swept.await;
            lock.release().await;
            swept
        };
        let swept = process.scope(work).await;
        process.end();
        world.tell(&format!("sky sweep ends: {swept:?}"));
        swept
    }
}
