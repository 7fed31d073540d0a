//! The seam through which a test runs `sky` in a simulated world: time, chance and identity come
//! from there, not from this machine.
//!
//! A test runs several simulated processes on one thread, under tokio's paused clock. Each future
//! that belongs to a process is polled inside [`Process::scope`]; [`inherit`] hands that on to what
//! the process spawns. Outside of a simulation all functions here answer "none", and whoever asks
//! uses the machine's own clock, chance and identity.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// The moment at which every simulated world begins: 2026-01-01T00:00:00Z, in milliseconds since
/// 1970.
const BEGINNING: i64 = 1_767_225_600_000;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
}

/// A simulated machine: its processes share a clock, which may be wrong.
#[derive(Debug)]
pub struct Machine {
    /// The machine's name, by which its processes are told from those of others.
    pub name: String,
    began: Instant,
    skew: AtomicI64,
    living: Mutex<BTreeSet<u32>>,
}

impl Machine {
    /// A machine whose clock is ahead of the world's by so many milliseconds. Needs tokio's
    /// runtime.
    pub fn new(name: &str, began: Instant, skew: i64) -> Arc<Self> {
        let (name, skew) = (name.to_owned(), AtomicI64::new(skew));
        Arc::new(Self {
            name,
            began,
            skew,
            living: Mutex::default(),
        })
    }

    /// Sets the machine's clock: ahead of the world's by so many milliseconds from now on.
    pub fn set_skew(&self, skew: i64) {
        self.skew.store(skew, Ordering::Relaxed);
    }

    /// Whether the process with this number has not ended.
    pub fn lives(&self, pid: u32) -> bool {
        self.living
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&pid)
    }

    fn now(&self) -> jiff::Timestamp {
        let passed_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let skew = jiff::SignedDuration::from_millis(self.skew.load(Ordering::Relaxed));
        time(passed_ms)
            .saturating_add(skew)
            .unwrap_or(jiff::Timestamp::MAX)
    }
}

/// A simulated process of `sky`.
#[derive(Debug)]
pub struct Process {
    /// The machine that the process runs on.
    pub machine: Arc<Machine>,
    /// The id of the process.
    pub pid: u32,
    random: AtomicU64,
    killed: AtomicBool,
    paused: AtomicBool,
    /// What wants to go on once it is no longer paused.
    waiting: Mutex<Vec<Waker>>,
    /// Files of which only so many bytes are sure to survive a power cut.
    synced: Mutex<BTreeMap<PathBuf, u64>>,
}

impl Process {
    /// A process that begins now, with its own source of chance.
    pub fn begin(machine: &Arc<Machine>, pid: u32, seed: u64) -> Arc<Self> {
        machine
            .living
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pid);
        Arc::new(Self {
            machine: machine.clone(),
            pid,
            random: AtomicU64::new(seed),
            killed: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            waiting: Mutex::default(),
            synced: Mutex::default(),
        })
    }

    /// Ends the process as SIGKILL does: nothing that it has spawned is polled again.
    pub fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
        self.end();
    }

    /// Notes that the process has come to its end.
    pub fn end(&self) {
        self.machine
            .living
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.pid);
    }

    /// Lets the process stand still, as SIGSTOP does.
    pub fn pause(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.paused.store(false, Ordering::Relaxed);
        let waiting_tasks =
            std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting_tasks.into_iter().for_each(Waker::wake);
    }

    /// The files of which only so many bytes are sure to survive a power cut.
    pub fn synced(&self) -> BTreeMap<PathBuf, u64> {
        self.synced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Runs a future as a part of the process.
    pub fn scope<F: Future>(self: &Arc<Self>, future: F) -> Scope<F> {
        Scope {
            process: Some(self.clone()),
            future: Some(Box::pin(future)),
        }
    }

    /// Runs a function as a part of the process.
    pub fn run<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let former_simulation = CURRENT.replace(Some(self.clone()));
        let work_result = work();
        CURRENT.set(former_simulation);
        work_result
    }

    /// A number that only the seed decides (SplitMix64).
    fn random(&self) -> u64 {
        let random_state = self
            .random
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (random_state ^ (random_state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// A future that belongs to the simulated process in which it was made, or to none.
#[derive(Debug)]
pub struct Scope<F> {
    process: Option<Arc<Process>>,
    /// None: its process was killed.
    future: Option<Pin<Box<F>>>,
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let process = self.process.clone();
        if process
            .as_ref()
            .is_some_and(|process| process.killed.load(Ordering::Relaxed))
        {
            self.future = None;
        }
        if let Some(process) = process
            .as_ref()
            .filter(|process| process.paused.load(Ordering::Relaxed))
        {
            process
                .waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(context.waker().clone());
            return Poll::Pending;
        }
        let Some(future) = &mut self.future else {
            return Poll::Pending;
        };
        match process {
            Some(process) => process.run(|| future.as_mut().poll(context)),
            None => future.as_mut().poll(context),
        }
    }
}

/// Makes a future that is about to be spawned a part of the current simulated process, if there is
/// one.
pub fn inherit<F: Future>(future: F) -> Scope<F> {
    Scope {
        process: current(),
        future: Some(Box::pin(future)),
    }
}

/// The true time, so many milliseconds after the world began.
pub fn time(passed: u64) -> jiff::Timestamp {
    let passed_ms = i64::try_from(passed).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(BEGINNING.saturating_add(passed_ms))
        .unwrap_or(jiff::Timestamp::MAX)
}

/// The simulated process that this code is a part of; none outside of a simulation.
pub fn current() -> Option<Arc<Process>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Whether this code is a part of a simulated process.
pub fn is_on() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// The time by the clock of the simulated machine.
pub fn now() -> Option<jiff::Timestamp> {
    current().map(|process| process.machine.now())
}

/// How long the simulated machine has been up.
pub fn uptime() -> Option<Duration> {
    current().map(|process| process.machine.began.elapsed())
}

/// Notes that so many bytes of a file are sure to survive a power cut.
pub fn note_synced(path: &Path, length: u64) {
    if let Some(process) = current() {
        process
            .synced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), length);
    }
}

/// A number from the seed of the simulated process.
pub fn random() -> Option<u64> {
    current().map(|process| process.random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_chance_and_identity_are_those_of_the_process() {
        let machine = Machine::new("one", Instant::now(), 5_000);
        let process = Process::begin(&machine, 7, 1);
        assert!(now().is_none() && random().is_none());
        let inside = process.scope(async {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let spawned = tokio::spawn(inherit(async {
                (crate::util::clock::timestamp(), random())
            }));
            spawned.await.unwrap()
        });
        let (time, first) = inside.await;
        assert_eq!(time, "2026-01-01T01:00:05.000Z");
        assert_eq!(first, Process::begin(&machine, 8, 1).run(random));
        assert!(machine.lives(7));
        let forever = process.scope(std::future::pending::<()>());
        process.kill();
        assert!(!machine.lives(7));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), forever)
                .await
                .is_err()
        );
    }
}
