//! The state's lock: one operation that changes things at a time.
//!
//! A lock is a record of who holds it ([`Holder`]) that ends at a certain time unless its holder
//! renews it, which a thread does three times in that time. A record that is over may be taken
//! over, and so may that of a process of this machine that has ended. In a folder
//! ([`flock`](super::flock)) the kernel's lock besides, which ends with its process; in a bucket
//! ([`lease`](super::lease)) the record itself, written on condition.
//!
//! Times are of the machines' clocks, and a holder may be held up at any moment, so a record proves
//! nothing about the one who wrote it: that is what [`Fence`] is for. Whoever writes to the state
//! looks *afterwards* whether the lock is still his, and before that goes on with nothing. What he
//! wrote before the lock was taken over is seen by the one who took it, and what he writes later is
//! seen by himself to be void before he does what it says.

use super::bucket::wait;
use super::holder::Holder;
use crate::util::{simulation, task};
use async_trait::async_trait;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// How long a lock lasts that is not renewed, if nothing else is said.
pub const LEASE: Duration = Duration::from_secs(60);

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another operation holds the lock; `None`: nobody knows which.
    #[error("the state is locked by another operation")]
    Held(Option<Box<Holder>>),
    /// The lock could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A lock that was held is another's, or nobody's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the lock of the state was taken from this operation{}: nothing more is written, and no other call is made", by_whom(.holder))]
pub struct LockLost {
    /// Who has it now; none: it was forced open.
    pub holder: Option<Box<Holder>>,
}

fn by_whom(holder: &Option<Box<Holder>>) -> String {
    let holder = holder.as_ref();
    holder.map_or(String::new(), |holder| {
        format!(
            " by {} ({}, pid {}, since {})",
            holder.who, holder.operation, holder.pid, holder.created
        )
    })
}

impl LockLost {
    /// Returns the loss as an error of writing, in which [`LockLost::of`] finds it.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The loss that an error tells of.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

/// A lock as its holder sees it.
#[async_trait]
pub trait Fence: std::fmt::Debug + Send + Sync {
    /// An error ([`LockLost`]) if the lock is not ours any more, or if that cannot be found out.
    async fn check(&self) -> io::Result<()>;
    /// Checks the lock without waiting, which only the lock of a folder can do: that of a bucket
    /// always returns an error.
    fn check_now(&self) -> io::Result<()>;
    /// Writes that we are still here. What cannot be written is tried again the next time.
    async fn renew(&self);
    /// Gives it up, if it is still ours.
    async fn release(&self);
}

/// From whom a lock was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Who it was, and why that could be.
    pub words: String,
    /// Whether it may still be at work, and write.
    pub may_live: bool,
}

/// A lock that is held until it is released or dropped.
#[derive(Debug)]
pub struct Lock {
    fence: Arc<dyn Fence>,
    /// Who had it and did not give it up.
    pub former: Option<Former>,
    heart: Option<Heart>,
}

/// How long the store may take when a lock is given up. One that is not given up in time ends as
/// that of a process that was killed.
pub const RELEASE: Duration = Duration::from_secs(10);

/// The task that renews a lock.
#[derive(Debug)]
enum Heart {
    /// A thread, which goes on while the runtime is busy.
    Thread {
        stop: mpsc::Sender<()>,
        /// Disconnected when the thread has ended; in a mutex, so that a lock can be shared.
        ended: Mutex<mpsc::Receiver<()>>,
    },
    /// A task of a simulated process.
    Task(tokio::task::JoinHandle<()>),
}

impl Heart {
    fn begin(fence: Arc<dyn Fence>, every: Duration) -> io::Result<Self> {
        if simulation::is_on() {
            return Ok(Self::Task(task::spawn(async move {
                loop {
                    tokio::time::sleep(every).await;
                    fence.renew().await;
                }
            })));
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let (at_work, ended) = mpsc::channel::<()>();
        let beat = move || {
            let _at_work = at_work;
            while stopped.recv_timeout(every) == Err(mpsc::RecvTimeoutError::Timeout) {
                wait(fence.renew());
            }
        };
        std::thread::Builder::new()
            .name("lock".to_owned())
            .spawn(beat)?;
        Ok(Self::Thread {
            stop,
            ended: Mutex::new(ended),
        })
    }

    fn end(self) {
        match self {
            Self::Thread { stop, ended } => {
                drop(stop);
                // A renewal that is under way may wait for a store that does not answer. What comes
                // of it does not matter: only a lock that is still ours is written.
                let ended_fence = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
                let _ = ended_fence.recv_timeout(RELEASE);
            }
            Self::Task(task) => task.abort(),
        }
    }
}

impl Lock {
    /// A lock that was just taken, and is renewed from now on.
    pub(super) fn held(
        fence: Arc<dyn Fence>,
        lease: Duration,
        former: Option<Former>,
    ) -> io::Result<Self> {
        let heart = Heart::begin(fence.clone(), lease / 3)?;
        Ok(Self {
            fence,
            former,
            heart: Some(heart),
        })
    }

    /// For whoever writes under this lock.
    pub fn fence(&self) -> Arc<dyn Fence> {
        self.fence.clone()
    }
}

impl Lock {
    /// Gives the lock up.
    pub async fn release(mut self) {
        if let Some(heart) = self.heart.take() {
            heart.end();
            let _ = tokio::time::timeout(RELEASE, self.fence.release()).await;
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(heart) = self.heart.take() else {
            return;
        };
        // A simulated process that drops its lock was killed: its record stays.
        let killed = matches!(heart, Heart::Task(_));
        heart.end();
        if !killed {
            wait(async { drop(tokio::time::timeout(RELEASE, self.fence.release()).await) });
        }
    }
}

/// Returns the message about a lock that was taken over.
pub(super) fn taken_over(from: &Holder) -> Former {
    let who = format!(
        "{} ({}, pid {}, since {})",
        from.who, from.operation, from.pid, from.created
    );
    let may_live = !from.is_dead();
    let taken_words = match may_live {
        false => format!("the lock of {who} was taken over: its process has ended"),
        true => format!(
            "the lock of {who} was taken over: it was last renewed at {} and ended at {}; if that process still lives, \
             it stops before its next call",
            from.renewed, from.expires
        ),
    };
    Former {
        words: taken_words,
        may_live,
    }
}
