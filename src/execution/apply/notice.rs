//! What an apply tells whoever watches it.

use crate::execution::state::Status;
use crate::model::PlaceName;
use std::time::Duration;

/// Something that happened. `attempt` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The stage begins; `resumed`: an attempt that an earlier `sky` began.
    Began {
        /// The stage's name.
        stage: String,
        /// The attempt's number, from 1 on.
        attempt: u32,
        /// The place that the stage runs at.
        place: PlaceName,
        /// Whether an earlier `sky` began the attempt.
        resumed: bool,
        /// Whether the stage was done before with other content.
        changed: bool,
    },
    /// The stage moved on.
    Moved {
        /// The stage's name.
        stage: String,
        /// The attempt's number, from 1 on.
        attempt: u32,
        /// The new status of the stage.
        status: Status,
    },
    /// Each ten seconds of running.
    Still {
        /// The stage's name.
        stage: String,
        /// The time since the attempt began.
        elapsed: Duration,
    },
    /// A line that the stage printed.
    Log {
        /// The stage's name.
        stage: String,
        /// The line, without its end.
        line: String,
    },
    /// The stage's machine will be taken away in so long; `saves`: its progress is brought to
    /// safety until then.
    Leaving {
        /// The stage's name.
        stage: String,
        /// The time until the machine is taken away.
        left: Duration,
        /// Whether the progress is brought to safety until then.
        saves: bool,
    },
    /// The stage ended well, and its outputs are in the store.
    Done {
        /// The stage's name.
        stage: String,
        /// The time since the attempt began.
        elapsed: Duration,
    },
    /// The stage failed, and is not tried again.
    Failed {
        /// The stage's name.
        stage: String,
        /// What went wrong, for people.
        message: String,
        /// The time since the attempt began.
        elapsed: Duration,
    },
    /// The attempt went away; the stage is tried again.
    Lost {
        /// The stage's name.
        stage: String,
        /// The attempt's number, from 1 on.
        attempt: u32,
        /// What went wrong, for people.
        message: String,
    },
    /// The stage's command failed, and is run again: for the `retry`th time of at most `times`.
    Retrying {
        /// The stage's name.
        stage: String,
        /// The attempt's number, from 1 on.
        attempt: u32,
        /// What went wrong, for people.
        message: String,
        /// The number of this retry, from 1 on.
        retry: u32,
        /// The most retries that the job allows.
        times: u32,
    },
    /// The offer that the stage wanted to rent is unavailable: it takes the next offer of its
    /// list of alternatives, which took `decided` to choose.
    FailedOver {
        /// The stage's name.
        stage: String,
        /// Why the offer is unavailable.
        why: String,
        /// The place of the next alternative.
        place: PlaceName,
        /// The machine type of the next alternative.
        instance_type: String,
        /// The time that it took to choose the alternative.
        decided: Duration,
    },
    /// The budget does not allow the stage.
    Denied {
        /// The stage's name.
        stage: String,
        /// Why the budget does not allow the stage.
        message: String,
    },
    /// The stage is done already, with the same content.
    Unchanged {
        /// The stage's name.
        stage: String,
    },
    /// The stage is not begun, because a stage that it waits for is not done.
    Skipped {
        /// The stage's name.
        stage: String,
        /// Why the stage is not begun.
        because: String,
    },
    /// A signal came; these stages are being ended.
    Stopping {
        /// The signal.
        interrupt: Interrupt,
        /// The stages that are being ended.
        running: Vec<String>,
    },
    /// The stage was ended by a signal to `sky`.
    Interrupted {
        /// The stage's name.
        stage: String,
        /// The time since the attempt began.
        elapsed: Duration,
    },
    /// Something is odd that stops nothing.
    Warning {
        /// What is odd, for people.
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
    /// Takes a notice; stages wait until the function returns.
    fn notice(&self, notice: &Notice);
}
