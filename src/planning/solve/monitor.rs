//! How a caller watches and stops the planning.
//!
//! Planning reads no clock, no signal and no environment. Time limits and Ctrl-C reach it as a
//! [`SolveMonitor`], which it asks between two steps of its work, and to which it reports progress.

use std::fmt;
use std::sync::Arc;

/// What a caller of the planning knows about time and about its user.
pub trait SolveMonitor: Send + Sync {
    /// Returns whether to stop the search now and to go on with the best placement that is known.
    fn should_stop(&self) -> bool;

    /// Returns the seconds that are left for all of the planning, for solvers that are stopped by a
    /// clock of their own; negative when the limit is past, `None` when there is no limit.
    fn remaining_seconds(&self) -> Option<f64> {
        None
    }

    /// Takes note of progress: the value of the best placement that is known, and a bound that no
    /// placement is below. Both are of the figure that is being minimised, in micro-USD or in
    /// milliseconds; `None` when not known.
    fn report(&self, _incumbent: Option<i64>, _bound: Option<i64>) {}
}

/// A shared monitor, or none: then nothing stops the planning before its own counts do.
#[derive(Clone, Default)]
pub struct Monitor(Option<Arc<dyn SolveMonitor>>);

impl Monitor {
    /// Shares a monitor.
    pub fn new(monitor: impl SolveMonitor + 'static) -> Self {
        Self(Some(Arc::new(monitor)))
    }
}

impl SolveMonitor for Monitor {
    fn should_stop(&self) -> bool {
        self.0.as_ref().is_some_and(|monitor| monitor.should_stop())
    }

    fn remaining_seconds(&self) -> Option<f64> {
        self.0
            .as_ref()
            .and_then(|monitor| monitor.remaining_seconds())
    }

    fn report(&self, incumbent: Option<i64>, bound: Option<i64>) {
        if let Some(monitor) = &self.0 {
            monitor.report(incumbent, bound);
        }
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monitor").finish_non_exhaustive()
    }
}

impl PartialEq for Monitor {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (None, None) => true,
            _ => false,
        }
    }
}
