//! The world around `sky`: one clock, machines, buckets, and what goes wrong on the way to them.

use super::case::{Case, Trouble};
use super::chance::Chance;
use super::machine::Machine;
use sky::execution::provider::{ErrorKind, ProviderError};
use sky::util::{simulation, watch};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that a call to a cloud is on its way, and its answer, each.
pub(super) const CALL: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub case: Case,
    pub began: Instant,
    /// For what is read and written as files.
    pub scratch: PathBuf,
    chance: Mutex<Chance>,
    /// For the store of the state alone.
    store_chance: Mutex<Chance>,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
    machines: Mutex<Vec<Machine>>,
    buckets: Mutex<BTreeMap<String, BTreeMap<String, Vec<u8>>>>,
    /// What is wrong with `sky`.
    wrong: Mutex<Vec<String>>,
    /// What has happened, if anybody wants to know.
    told: Mutex<Vec<String>>,
    pub tells: bool,
    /// When processes that apply were there and not stopped.
    pub watched: Mutex<Vec<Watched>>,
    /// When signals came to processes that apply.
    pub signals: Mutex<Vec<u64>>,
    /// What was copied by which process, and when that ended.
    pub carried: Mutex<Vec<Carried>>,
    /// Somebody has written to a bucket that a sweep has found.
    pub stray_written: AtomicBool,
    /// How many snapshots of the state were sent to its bucket.
    pub snapshots: (watch::Sender<u32>, watch::Receiver<u32>),
    /// How many processes have applied.
    pub applies: AtomicU32,
    /// An apply that stood still has lost its lock to another: what it had collected is forgotten.
    pub lost_lock: AtomicBool,
}

/// While a process that applies was there and not stopped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// On which of the user's machines.
    pub machine: usize,
    pub from: u64,
    pub to: u64,
}

/// Data that a process had copied between a machine and somewhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub pid: u32,
    pub what: Load,
    pub until: u64,
}

/// What is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    Inputs,
    Outputs,
    Progress,
}

/// What becomes of a call.
enum Way {
    Through,
    AnswerLost,
    Lost,
    Throttled,
}

impl World {
    pub(super) fn new(case: Case, scratch: PathBuf, tells: bool) -> Arc<Self> {
        let chance = Mutex::new(Chance::new(case.seed ^ 0x0DD5));
        let store_chance = Mutex::new(Chance::new(case.seed ^ 0x5702E));
        Arc::new(Self {
            case,
            began: Instant::now(),
            scratch,
            chance,
            store_chance,
            calm: AtomicBool::new(false),
            machines: Mutex::default(),
            buckets: Mutex::default(),
            wrong: Mutex::default(),
            told: Mutex::default(),
            tells,
            watched: Mutex::default(),
            signals: Mutex::default(),
            carried: Mutex::default(),
            applies: AtomicU32::new(0),
            snapshots: watch::channel(0),
            stray_written: AtomicBool::new(false),
            lost_lock: AtomicBool::new(false),
        })
    }

    /// Milliseconds since the world began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    pub(super) fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap()
    }

    pub(super) fn machines(&self) -> MutexGuard<'_, Vec<Machine>> {
        self.machines.lock().unwrap()
    }

    pub(super) fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Vec<u8>>>> {
        self.buckets.lock().unwrap()
    }

    pub(super) fn store_chance(&self) -> MutexGuard<'_, Chance> {
        self.store_chance.lock().unwrap()
    }

    /// Whether that kind of trouble comes now.
    pub(super) fn trouble(&self, kind: Trouble, percent: u64) -> bool {
        let drawn = self.chance().percent(percent);
        drawn && self.case.has(kind) && !self.is_calm()
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// A delay of up to `most`, if that kind of trouble is on.
    pub(super) fn delay(&self, kind: Trouble, most: Duration) -> Duration {
        let drawn = self.chance().delay(most);
        if self.case.has(kind) && !self.is_calm() {
            drawn
        } else {
            Duration::ZERO
        }
    }

    /// How long a call to a cloud, or its answer, is on its way.
    fn call_delay(&self) -> Duration {
        if self.case.has(Trouble::SluggishCloud) && !self.is_calm() {
            let most = u64::try_from(CALL.as_millis()).unwrap();
            return Duration::from_millis(self.chance().below(most));
        }
        self.delay(Trouble::SlowCloud, CALL)
    }

    /// Writes down that `sky` did wrong.
    pub(super) fn wrong(&self, what: String) {
        self.tell(&format!("WRONG: {what}"));
        self.wrong.lock().unwrap().push(what);
    }

    pub(super) fn wrongs(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// Writes down what happens.
    pub(super) fn tell(&self, what: &str) {
        if self.tells {
            let now = self.now();
            let who = simulation::current()
                .map_or(String::new(), |process| format!(" [{}]", process.pid));
            let what = what.replace(&self.scratch.display().to_string(), "~");
            let line = format!("{:>6}.{:03}{who} {what}", now / 1000, now % 1000);
            self.told.lock().unwrap().push(line);
        }
    }

    pub(super) fn story(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Makes a call to a cloud. Once it is on its way it is made, whatever becomes of the caller.
    pub(super) async fn call<T: Send + 'static>(
        self: &Arc<Self>,
        what: impl Fn() -> String + Send + Sync,
        effect: impl FnOnce(&Self) -> Result<T, ProviderError> + Send + 'static,
    ) -> Result<T, ProviderError> {
        let way = match () {
            () if self.trouble(Trouble::Throttling, 8) => Way::Throttled,
            () if self.trouble(Trouble::LostCalls, 5) => Way::Lost,
            () if self.trouble(Trouble::LostCalls, 5) => Way::AnswerLost,
            () => Way::Through,
        };
        let (there, back) = (self.call_delay(), self.call_delay());
        let failed = |kind, why: &str| {
            let message = format!("{}: {why}", what());
            self.tell(&message);
            Err(ProviderError::new(kind, message))
        };
        match way {
            Way::Throttled => return failed(ErrorKind::Throttled, "too many calls"),
            Way::Lost => {
                tokio::time::sleep(there).await;
                return failed(ErrorKind::Unreachable, "the call did not arrive");
            }
            Way::Through | Way::AnswerLost => {}
        }
        let done = if there.is_zero() {
            effect(self)
        } else {
            let (world, process) = (self.clone(), simulation::current());
            let sent = async move {
                tokio::time::sleep(there).await;
                match process {
                    Some(process) => process.run(|| effect(&world)),
                    None => effect(&world),
                }
            };
            tokio::spawn(sent).await.unwrap()
        };
        if !back.is_zero() {
            tokio::time::sleep(back).await;
        }
        if matches!(way, Way::AnswerLost) {
            return failed(ErrorKind::Unreachable, "the answer was lost");
        }
        if self.tells {
            match &done {
                // Most calls are looks at what goes on as before.
                Ok(_) if what().starts_with("status") => {}
                Ok(_) => self.tell(&what()),
                Err(error) => self.tell(&format!("{}: {error}", what())),
            }
        }
        done
    }
}
