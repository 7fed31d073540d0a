//! Why calls of providers fail.

use crate::model::Tee;
use std::fmt;

/// Why a call failed; the kind decides what happens next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    pub kind: ErrorKind,
    /// Lower case, no full stop, names what it is about.
    pub message: String,
}

/// Kinds of failure, told apart because the ways out differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Data is not what was written.
    Damaged,
    /// Nothing of this kind is to be had now: another rung of the ladder may help.
    Stockout,
    /// The account's limit is reached: another place or kind may help.
    Quota,
    /// Credentials or permissions are missing: only the user can help.
    Denied,
    /// Too many calls: later is fine.
    Throttled,
    /// No answer came; the call may or may not have worked, and can be made again.
    Unreachable,
    /// It is not there.
    NotFound,
    /// The command's outputs are not what the job says.
    Output,
    /// Anything else: trying again as it is does not help.
    Other,
}

impl ProviderError {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }
}

/// What is said of a machine that has not the environment which a stage demands.
pub(super) fn without_tee(provider: &str, what: impl fmt::Display, tee: Tee) -> ProviderError {
    let message = format!("{provider}: {what} cannot be had with {tee}, which the stage demands");
    ProviderError::new(ErrorKind::Stockout, message)
}

impl From<std::io::Error> for ProviderError {
    /// The error must already name its file.
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Other, error)
    }
}
