//! What has to be over when, after a signal has asked an apply to end.
//!
//! All deadlines count from the moment of the signal, whatever phase an attempt is in, so that no
//! phase gives the next one a time of its own.
//!
//! | until | what |
//! | --- | --- |
//! | the signal | nothing new is begun; inputs that are on their way are given up |
//! | the grace | commands end by themselves, then by force; outputs of those that ended well are copied |
//! | [`SAVING`] later | progress, logs and what a stopped command has written are brought home |
//! | [`WIND_DOWN`] after the grace | machines are given back; what is left then is left as after a crash |
//! | [`SNAPSHOT`] later | the snapshot of the state is written; the journal has all of it before |

use super::notice::Interrupt;
use crate::util::watch;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// After the grace, how long what a stopped command leaves is brought home.
pub(super) const SAVING: Duration = Duration::from_secs(5);
/// After the grace, how long stages have to give back what they hold. Then they are left as if this
/// process had been killed, which loses nothing: the next apply goes on.
pub const WIND_DOWN: Duration = Duration::from_secs(10);
/// After that, how long the store of the state may take to take the last snapshot.
pub const SNAPSHOT: Duration = Duration::from_secs(20);

/// The deadlines of one apply.
#[derive(Clone, Debug)]
pub(super) struct SignalDeadlines {
    interrupt: watch::Receiver<Option<Interrupt>>,
    grace: Duration,
    /// When a signal came.
    came: Arc<OnceLock<Instant>>,
}

impl SignalDeadlines {
    pub(super) fn new(interrupt: watch::Receiver<Option<Interrupt>>, grace: Duration) -> Self {
        Self {
            interrupt,
            grace,
            came: Arc::default(),
        }
    }

    /// Waits for a signal that ends the apply; returns when it came.
    pub(super) async fn signalled(&self) -> Instant {
        let mut interrupt = self.interrupt.clone();
        if interrupt.wait_for(Option::is_some).await.is_err() {
            // Nobody is there who could send one.
            std::future::pending::<()>().await;
        }
        *self.came.get_or_init(Instant::now)
    }

    /// Waits until so long after the grace that stages have after a signal.
    async fn after_grace(&self, time_after_grace: Duration) {
        let signal = self.signalled().await;
        sleep_until(signal + self.grace.saturating_add(time_after_grace)).await;
    }

    /// Waits for the end of the time that stages have after a signal.
    pub(super) async fn grace_is_over(&self) {
        self.after_grace(Duration::ZERO).await;
    }

    /// Waits for the end of the time in which what a stopped command leaves is brought home.
    pub(super) async fn saving_is_over(&self) {
        self.after_grace(SAVING).await;
    }

    /// Waits for the end of the time in which machines are given back after a signal.
    pub(super) async fn wind_down_is_over(&self) {
        self.after_grace(WIND_DOWN).await;
    }

    /// Waits for the end of the time in which the last snapshot is written after a signal.
    pub(super) async fn snapshot_is_late(&self) {
        self.after_grace(WIND_DOWN.saturating_add(SNAPSHOT)).await;
    }

    /// How much is left of the grace; all of it when no signal has come.
    pub(super) fn grace_left(&self) -> Duration {
        match self.came.get() {
            Some(signal) => self.grace.saturating_sub(signal.elapsed()),
            None => self.grace,
        }
    }
}
