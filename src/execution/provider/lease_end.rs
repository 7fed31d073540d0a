//! When a machine's lease ends.

use crate::util::clock;
use std::time::Duration;
use tokio::time::Instant;

/// The moment at which a lease is to end, by the monotonic clock of this process.
///
/// Machines are told how long their lease lasts from the moment at which they hear of it, because
/// their clocks may differ from ours. So a provider asks for [`left`](Self::left) just before each
/// call that it makes: a call that is made again, or that waits for others, does not make the lease
/// longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseEnd(Instant);

impl LeaseEnd {
    /// The lease ends when so much time has passed from now on.
    pub fn after(lease: Duration) -> Self {
        Self(Instant::now() + lease)
    }

    /// The time that is left from now on; zero once the lease is over.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The end by this machine's wall clock, as an RFC 3339 timestamp in UTC, to the second.
    pub fn timestamp(self) -> String {
        clock::after(self.left())
    }

    /// The end by the monotonic clock.
    pub fn instant(self) -> Instant {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_made_later_asks_for_less() {
        let end = LeaseEnd::after(Duration::from_secs(60));
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(end.left(), Duration::from_secs(15));
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(end.left(), Duration::ZERO);
    }
}
