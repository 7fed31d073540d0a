//! The state's lock: one operation that changes things at a time.
//!
//! A lock is a record of who holds it ([`Holder`]) that ends at a certain time unless its holder renews it, which
//! a thread does three times in that time. A record that is over may be taken over, and so may that of a process
//! of this machine that has ended. In a folder ([`flock`](super::flock)) the kernel's lock besides, which ends with
//! its process; in a bucket ([`lease`](super::lease)) the record itself, written on condition.
//!
//! Times are of the machines' clocks, and a holder may be held up at any moment, so a record proves nothing about
//! the one who wrote it: that is what [`Fence`] is for. Whoever writes to the state looks *afterwards* whether the
//! lock is still his, and before that goes on with nothing. What he wrote before the lock was taken over is seen
//! by the one who took it, and what he writes later is seen by himself to be void before he does what it says.

use super::holder::Holder;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a lock lasts that is not renewed, if nothing else is said.
pub const LEASE: Duration = Duration::from_secs(60);

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state is locked by another operation")]
    Held(Option<Box<Holder>>),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A lock that was held is another's, or nobody's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the lock of the state was taken from this operation{}: nothing more is written, and no other call is made", by(.holder))]
pub struct LockLost {
    /// Who has it now; none: it was forced open.
    pub holder: Option<Box<Holder>>,
}

fn by(holder: &Option<Box<Holder>>) -> String {
    let holder = holder.as_ref();
    holder.map_or(String::new(), |holder| {
        format!(" by {} ({}, pid {}, since {})", holder.who, holder.operation, holder.pid, holder.created)
    })
}

impl LockLost {
    /// As an error of writing; [`LockLost::of`] finds it in there.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// The loss that an error tells of.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

/// What a holder can do with a lock.
pub trait Fence: std::fmt::Debug + Send + Sync {
    /// An error ([`LockLost`]) if the lock is not ours any more, or if that cannot be found out.
    fn check(&self) -> io::Result<()>;
    /// Writes that we are still here. What cannot be written is tried again the next time.
    fn renew(&self);
    /// Gives it up, if it is still ours.
    fn release(&self);
}

/// From whom a lock was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// Who it was, and why that could be.
    pub words: String,
    /// Whether it may still be at work, and write.
    pub may_live: bool,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    fence: Arc<dyn Fence>,
    /// Who had it and did not give it up.
    pub former: Option<Former>,
    stop: Option<mpsc::Sender<()>>,
    heart: Option<JoinHandle<()>>,
}

impl Lock {
    /// A lock that was just taken, and is renewed from now on.
    pub(super) fn held(fence: Arc<dyn Fence>, lease: Duration, former: Option<Former>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let beating = fence.clone();
        let beat = move || {
            while stopped.recv_timeout(lease / 3) == Err(mpsc::RecvTimeoutError::Timeout) {
                beating.renew();
            }
        };
        let heart = std::thread::Builder::new().name("lock".to_owned()).spawn(beat)?;
        Ok(Self { fence, former, stop: Some(stop), heart: Some(heart) })
    }

    /// For whoever writes under this lock.
    pub fn fence(&self) -> Arc<dyn Fence> {
        self.fence.clone()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(heart) = self.heart.take() {
            let _ = heart.join();
        }
        self.fence.release();
    }
}

/// What is said of a lock that was taken over.
pub(super) fn taken_over(from: &Holder) -> Former {
    let who = format!("{} ({}, pid {}, since {})", from.who, from.operation, from.pid, from.created);
    let may_live = !from.is_dead();
    let words = match may_live {
        false => format!("the lock of {who} was taken over: its process has ended"),
        true => format!(
            "the lock of {who} was taken over: it was last renewed at {} and ended at {}; if that process still lives, \
             it stops before its next call",
            from.renewed, from.expires
        ),
    };
    Former { words, may_live }
}
