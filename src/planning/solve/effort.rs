//! How hard a placement is searched for.

use super::monitor::{Monitor, SolveMonitor};

/// When a search ends before its proof: after counts, which are deterministic, or when its monitor
/// says so, which may differ from run to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Effort {
    /// The most branch-and-bound nodes of one program.
    pub nodes: u32,
    /// The caller's time limit and wish to stop.
    pub monitor: Monitor,
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            nodes: 200_000,
            monitor: Monitor::default(),
        }
    }
}

impl Effort {
    /// Returns whether to stop now and to go on with what is known.
    pub fn should_stop(&self) -> bool {
        self.monitor.should_stop()
    }

    /// Returns the seconds that are left for all of the planning; `None` when there is no limit.
    pub fn remaining_seconds(&self) -> Option<f64> {
        self.monitor.remaining_seconds()
    }

    /// Returns whether the planning has a limit in time, so that its result may differ from run to
    /// run.
    pub fn is_time_limited(&self) -> bool {
        self.remaining_seconds().is_some()
    }
}
