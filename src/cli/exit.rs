//! Exit codes, and failures on their way to one.

use crate::util::{file, text};
use std::fmt;
use std::path::Path;

/// How `sky` ends. The numbers are a contract; 2 is never an error, and errors of use are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; with `--detailed-exitcode`: nothing to change.
    Success = 0,
    /// Bad input, or an operation that failed.
    Error = 1,
    /// `--detailed-exitcode`: there are changes; `--check`: the plan would differ.
    Changes = 2,
    /// No plan satisfies job, policy and catalog.
    Infeasible = 3,
    /// Policy or budget forbids the operation.
    Denied = 4,
    /// The plan no longer fits the state or its inputs.
    Stale = 5,
    /// Another operation holds the state's lock.
    Locked = 6,
    /// Some stages are done, some are not.
    Partial = 7,
    /// SIGHUP.
    HungUp = 129,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// All exit codes, by number.
    pub const ALL: [Self; 11] = [
        Self::Success,
        Self::Error,
        Self::Changes,
        Self::Infeasible,
        Self::Denied,
        Self::Stale,
        Self::Locked,
        Self::Partial,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// Returns what the code means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done",
            Self::Error => "error, also in the command line",
            Self::Changes => "there are differences",
            Self::Infeasible => "no plan is possible",
            Self::Denied => "budget or policy forbids it",
            Self::Stale => "the plan is out of date",
            Self::Locked => "the state is locked",
            Self::Partial => "some stages are done, others are not",
            Self::HungUp => "ended by SIGHUP",
            Self::Interrupted => "ended by Ctrl-C (SIGINT)",
            Self::Terminated => "ended by SIGTERM",
        }
    }

    /// Returns when the code occurs and what to do then, in Markdown for the guide.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Success => {
                "The command did what it was asked to. With `--detailed-exitcode` it also means \
                 that there is nothing to change."
            }
            Self::Error => {
                "The input is wrong, or the operation failed. The message on stderr names the \
                 place and the way out. A mistake in the command line has this code too."
            }
            Self::Changes => {
                "This is an answer, not an error. With `--detailed-exitcode` there is something to \
                 do, or something differs; `sky plan --check` would write other bytes; `sky catalog \
                 check` found suspicious rows; `sky catalog lock --check` would change the lock; \
                 `sky sweep --dry-run` found something to delete."
            }
            Self::Infeasible => {
                "No plan satisfies job, policy and catalog. The message on stderr shows the lines \
                 that clash, and what would be enough. See `sky guide no-plan`."
            }
            Self::Denied => {
                "An operation would cost more than the budget, or break a rule of the policy, and \
                 was not begun. The table says what does not fit."
            }
            Self::Stale => {
                "The plan was made from other inputs than there are now, the state does not follow \
                 from it, or `sky.lock` pins another catalog. Plan again."
            }
            Self::Locked => {
                "Another operation works on the state, or this one lost its lock. `sky lock show` \
                 says who it is; wait, or see `sky guide state`."
            }
            Self::Partial => {
                "Some stages are done, and some failed or were skipped. Mend the cause and apply \
                 again: what is done is not repeated. For `sky catalog update`: some sources failed."
            }
            Self::HungUp | Self::Interrupted | Self::Terminated => {
                "A signal ended the operation. `sky apply` stopped its stages first and saved the \
                 state; the next `sky apply` goes on. See `sky guide apply`."
            }
        }
    }

    /// Returns the list of all exit codes as one paragraph, for `sky --help`.
    pub fn summary() -> String {
        let codes = Self::ALL.map(|exit| format!("{} {}", exit as u8, exit.meaning()));
        format!("Exit codes: {}.", codes.join("; "))
    }
}

/// Why a verb ends early: what to say on stderr, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// Lower case, no full stop; a whole report when it starts with `error:`.
    pub message: String,
    /// The way out, a line each.
    pub hints: Vec<String>,
    /// Whether a verb with `--json` has said it on stdout already.
    pub told: bool,
}

impl Failure {
    /// A failure of any kind.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: text::shortened(&message.into()).into_owned(),
            hints: Vec::new(),
            told: false,
        }
    }

    /// Bad input or a failed operation.
    pub fn error(message: impl fmt::Display) -> Self {
        Self::new(Exit::Error, message.to_string())
    }

    /// A file that cannot be used.
    pub fn file(path: &Path, verb: &str, error: std::io::Error) -> Self {
        Self::error(file::named(path, verb, error))
    }

    /// Marks the failure as one that was said on stdout already, for `--json`.
    pub fn told(self) -> Self {
        Self { told: true, ..self }
    }

    /// Marks the failure as said where the verb has answered with `--json` before it failed: the
    /// answer is the one object on stdout.
    pub fn told_if(self, answered: bool) -> Self {
        if answered { self.told() } else { self }
    }

    /// With a way out.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<std::io::Error> for Failure {
    /// The error must already name its file. A closed pipe on stdout is not a failure.
    fn from(error: std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::BrokenPipe {
            Exit::Success
        } else {
            Exit::Error
        };
        Self::new(
            exit,
            if exit == Exit::Success {
                String::new()
            } else {
                error.to_string()
            },
        )
    }
}
