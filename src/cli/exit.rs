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
