//! A user's `sky`: the verbs as the command line has them, run by simulated processes on two
//! machines.

use super::case::{Run, Trouble};
use super::cloud::Clouds;
use super::stores::SlowStore;
use super::world::{Watched, World};
use sky::cli::Exit;
use sky::cli::apply::exit;
use sky::cli::state::failure;
use sky::execution::apply::check::OnFailure;
use sky::execution::apply::{
    self, Checked, Interrupt, Notice, Observer, Outcome, Settings, destroy, sweep,
};
use sky::execution::provider::Access;
use sky::execution::state::address::Cloud;
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

/// How long a signal may stay unanswered besides the grace: calls that are on their way and
/// machines given back.
const ANSWERED: Duration = Duration::from_secs(300);
/// The same in a world in which all calls and copies are quick.
const ANSWERED_QUICKLY: Duration = Duration::from_secs(30);
/// The same while every answer of the state's store may take half a minute.
const ANSWERED_SLOWLY: Duration = Duration::from_secs(1200);

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

    fn settings(&self, machine: usize) -> Settings {
        let case = &self.world.case;
        Settings {
            here: self.folders[machine].clone(),
            plan_folder: self.folders[machine].clone(),
            provider: None,
            source: None,
            data: Default::default(),
            stand_ins: false,
            parallelism: case.parallelism,
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
            output_limit: None,
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
        machine: usize,
        interrupted: watch::Receiver<Option<Interrupt>>,
    ) -> Result<Outcome, sky::cli::Failure> {
        let (store, settings, plan) = (self.store(machine), self.settings(machine), &self.plan);
        let fail = |error: apply::Error| failure(error, &store);
        let before = store
            .read_async()
            .await
            .map_err(|error| fail(error.into()))?;
        let checked = apply::check(plan, &settings, before.as_ref()).map_err(fail)?;
        let unready = apply::preflight::ready(plan, checked, &settings)
            .await
            .map_err(fail)?
            .unready;
        let lock = store
            .lock_async("apply", Duration::ZERO)
            .await
            .map_err(|error| fail(error.into()))?;
        let opened = match store.change_async(Some(&lock)).await {
            Ok(opened) => opened,
            Err(error) => {
                lock.release().await;
                return Err(fail(error.into()));
            }
        };
        let checked = apply::check(plan, &settings, Some(&opened.state)).map_err(fail);
        let ran = match checked {
            Ok(checked) => {
                let (checked, observer) = (
                    Checked { unready, ..checked },
                    Arc::new(Teller(self.world.clone())),
                );
                apply::run(
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
        lock.release().await;
        ran
    }

    /// A whole `sky apply` with what comes in its way.
    pub(super) async fn run(self: &Arc<Self>, run: &Run) -> Ended {
        let (world, process) = (&self.world, self.process(run.machine));
        let (interrupt, interrupted) = watch::channel(None);
        let begun = Instant::now();
        let mut work = Box::pin(process.scope(self.apply(run.machine, interrupted)));
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
            tokio::select! {
                biased;
                result = &mut work => break result,
                () = tokio::time::sleep_until(begun + due) => {}
            }
            let Some((_, what)) = next else {
                world.wrong(format!("an apply hangs: {run:?}"));
                process.kill();
                return Ended::Killed;
            };
            world.tell(&format!("{what} of {}", process.pid));
            next = events.next();
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
        let slow = [
            Trouble::SlowCloud,
            Trouble::SlowData,
            Trouble::LostCalls,
            Trouble::Throttling,
            Trouble::SlowBoots,
        ];
        let more = match () {
            () if world.case.has(Trouble::SlowStore) => ANSWERED_SLOWLY,
            () if slow.iter().any(|trouble| world.case.has(*trouble)) => ANSWERED,
            () => ANSWERED_QUICKLY,
        };
        let bound = world.case.grace + more;
        if let Some(at) = signalled.filter(|at| at.elapsed().saturating_sub(stood) > bound) {
            world.wrong(format!(
                "a signal was answered after {} s",
                at.elapsed().as_secs()
            ));
        }
        let ended = match result {
            Ok(outcome) => Ended::Exited(exit(&outcome), String::new(), Some(outcome)),
            Err(failure) => {
                let lost = failure
                    .message
                    .starts_with("the lock of the state was taken from this operation");
                world.lost_lock.fetch_or(lost, Ordering::Relaxed);
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

    /// After a signal nothing is left at work, where no call and no copy takes its time.
    fn check_left_at_work(&self) {
        const TAKES_TIME: [Trouble; 8] = [
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
        let at_work = |machine: &crate::simulation::machine::Machine| {
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
                let destroyed = destroy::run(&store.folder, opened, &found, &access).await;
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

    /// `sky sweep --auto-approve --buckets`, with a while between what is shown and what is
    /// deleted.
    pub(super) async fn sweep(self: &Arc<Self>, machine: usize) -> Result<(), String> {
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
                let found = sweep::look(&opened.state, &names, sweep::Scope::Own, &access).await;
                let mut found = found.map_err(|error| say(&error))?;
                sweep::look_for_buckets(&opened.state, sweep::Scope::Own, &mut found).await;
                tokio::time::sleep(Duration::from_millis(self.world.case.question_ms)).await;
                let swept = sweep::sweep(opened, &found.strays, sweep::Scope::Own, &access).await;
                let failed = swept
                    .map_err(|error| say(&error))?
                    .into_iter()
                    .find_map(|swept| match swept {
                        sweep::Swept::Failed(error) => Some(say(&error)),
                        _ => None,
                    });
                if let Some(error) = failed {
                    return Err(error);
                }
                for stray in &found.buckets {
                    sweep::delete_bucket(stray)
                        .await
                        .map_err(|error| say(&error))?;
                }
                Ok(())
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
