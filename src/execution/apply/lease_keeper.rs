//! Knows the lease of one attempt's machine: when it ends, when it is due, whether the budget
//! allows a longer one.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The time that is left of a lease when it is renewed, at most.
pub(super) const EARLY: Duration = Duration::from_secs(300);

/// Knows the lease of one attempt, and renews it.
#[derive(Debug, Default)]
pub(super) struct LeaseKeeper {
    /// None: there is no machine yet, or it is about to be given back.
    pub(super) lease: Mutex<Option<Lease>>,
    /// A lease has begun or ended.
    pub(super) changed: Notify,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    pub(super) end: Instant,
    /// When it is to be renewed.
    pub(super) due: Instant,
    /// Whether the budget allows a longer one.
    pub(super) renewable: bool,
}

impl LeaseKeeper {
    /// The machine is there, and lives for so long from now on unless its lease is renewed.
    /// `resumed`: an earlier `sky` rented it, and its lease may be about to end.
    pub(super) fn begin_lease(&self, lease: Duration, resumed: bool) {
        let begun_at = Instant::now();
        let early = if resumed { lease } else { EARLY.min(lease / 4) };
        let renewal_due = begun_at + (lease - early);
        *self.lock() = Some(Lease {
            end: begun_at + lease,
            due: renewal_due,
            renewable: true,
        });
        self.changed.notify_one();
    }

    /// The machine is about to be given back: its lease is not renewed any more.
    pub(super) fn end_lease(&self) {
        *self.lock() = None;
        self.changed.notify_one();
    }

    /// Whether the budget allows a longer lease, as far as is known.
    pub(super) fn is_renewable(&self) -> bool {
        self.lock().is_none_or(|lease| lease.renewable)
    }

    /// How long ago the lease ended; zero if it has not.
    pub(super) fn overdue(&self) -> Duration {
        let checked_at = Instant::now();
        self.lock().map_or(Duration::ZERO, |lease| {
            checked_at.saturating_duration_since(lease.end)
        })
    }

    pub(super) fn change_lease(&self, change: impl FnOnce(&mut Lease)) {
        if let Some(lease) = self.lock().as_mut() {
            change(lease);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Lease>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
