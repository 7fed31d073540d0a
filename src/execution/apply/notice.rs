//! What an apply tells whoever watches it.

use crate::execution::state::Status;
use crate::model::PlaceName;
use std::time::Duration;

/// Something that happened. `attempt` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The stage begins; `resumed`: an attempt that an earlier `sky` began.
    Began {
        stage: String,
        attempt: u32,
        place: PlaceName,
        resumed: bool,
        changed: bool,
    },
    /// The stage moved on.
    Moved {
        stage: String,
        attempt: u32,
        status: Status,
    },
    /// Each ten seconds of running.
    Still {
        stage: String,
        elapsed: Duration,
    },
    /// A line that the stage printed.
    Log {
        stage: String,
        line: String,
    },
    /// The stage's machine will be taken away in so long; `saves`: its progress is brought to
    /// safety until then.
    Leaving {
        stage: String,
        left: Duration,
        saves: bool,
    },
    Done {
        stage: String,
        elapsed: Duration,
    },
    Failed {
        stage: String,
        message: String,
        elapsed: Duration,
    },
    /// The attempt went away; the stage is tried again.
    Lost {
        stage: String,
        attempt: u32,
        message: String,
    },
    /// The stage's command failed, and is run again: for the `retry`th time of at most `times`.
    Retrying {
        stage: String,
        attempt: u32,
        message: String,
        retry: u32,
        times: u32,
    },
    /// The offer that the stage wanted to rent is unavailable: it takes the next rung of its ladder, which
    /// took `decided` to choose.
    FailedOver {
        stage: String,
        why: String,
        place: PlaceName,
        instance_type: String,
        decided: Duration,
    },
    /// The budget does not allow the stage.
    Denied {
        stage: String,
        message: String,
    },
    /// The stage is done already, with the same content.
    Unchanged {
        stage: String,
    },
    Skipped {
        stage: String,
        because: String,
    },
    /// A signal came; these stages are being ended.
    Stopping {
        interrupt: Interrupt,
        running: Vec<String>,
    },
    /// The stage was ended by a signal to `sky`.
    Interrupted {
        stage: String,
        elapsed: Duration,
    },
    Warning {
        message: String,
    },
}

/// A signal that ends an apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    HangUp,
}

impl Interrupt {
    /// The signal's name.
    pub fn name(self) -> &'static str {
        match self {
            Interrupt::Interrupt => "SIGINT",
            Interrupt::Terminate => "SIGTERM",
            Interrupt::HangUp => "SIGHUP",
        }
    }
}

/// Whoever watches. It must be quick: stages wait for it.
pub trait Observer: Send + Sync {
    fn notice(&self, notice: &Notice);
}
