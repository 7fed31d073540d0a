//! How long to wait between looks at what takes its time.

use std::time::Duration;

/// Pauses that never end: each is half as long again as the one before, up to a bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Begins with the first pause.
    pub(super) fn new(first_pause: Duration, longest: Duration) -> Self {
        Self {
            next: first_pause,
            longest,
        }
    }

    /// Waits for the next pause.
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(self.longest);
    }
}
