//! How hard a verb plans, and until when: the clock that planning itself does not read.
//!
//! Ctrl-C needs no watch here: while `sky` plans, the signal ends the process, and nothing is lost.

use crate::planning::solve::{Effort, Monitor, SolveMonitor};
use std::time::Instant;

/// Returns the effort of a planning that begins now; `time_limit` is in seconds.
pub(super) fn solve_effort(nodes: u32, time_limit: Option<f64>) -> Effort {
    let monitor = time_limit.map(|seconds| {
        Monitor::new(TimeLimit {
            begun: Instant::now(),
            seconds,
        })
    });
    Effort {
        nodes,
        monitor: monitor.unwrap_or_default(),
    }
}

/// A limit in time for all of the planning.
struct TimeLimit {
    begun: Instant,
    seconds: f64,
}

impl TimeLimit {
    fn remaining(&self) -> f64 {
        self.seconds - self.begun.elapsed().as_secs_f64()
    }
}

impl SolveMonitor for TimeLimit {
    fn should_stop(&self) -> bool {
        self.remaining() <= 0.0
    }

    fn remaining_seconds(&self) -> Option<f64> {
        Some(self.remaining())
    }
}
