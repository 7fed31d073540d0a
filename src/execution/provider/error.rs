//! Why calls of providers fail.

use crate::model::Tee;
use std::fmt;

/// The reason why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// The kind of failure, which decides what happens next.
    pub kind: ErrorKind,
    /// What is wrong: a message in lower case, without a full stop, that names what it is about.
    pub message: String,
}

/// Kinds of failure, told apart because the ways out differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Data is not what was written.
    Damaged,
    /// Nothing of this kind is available now: the next alternative may help.
    Stockout,
    /// The account's limit is reached: another place or kind may help.
    Quota,
    /// Credentials or permissions are missing: only the user can help.
    Denied,
    /// Too many calls: later is fine.
    Throttled,
    /// No answer came; the call may or may not have worked, and can be made again.
    Unreachable,
    /// The machine, or what else the call was about, is not there.
    NotFound,
    /// The command's outputs are not what the job says.
    Output,
    /// Anything else: trying again as it is does not help.
    Other,
}

impl ProviderError {
    /// An error of a kind.
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
        }
    }
}

/// What is said of a machine that has not the environment which a stage demands.
pub(super) fn without_tee(
    provider: &str,
    machine_name: impl fmt::Display,
    tee: Tee,
) -> ProviderError {
    let message =
        format!("{provider}: {machine_name} cannot be had with {tee}, which the stage demands");
    ProviderError::new(ErrorKind::Stockout, message)
}

/// The error of a machine that a cloud created, and that is gone when it is looked for.
#[cfg(any(feature = "azure", feature = "gcp"))]
pub(super) fn created_and_gone(machine_name: impl fmt::Display) -> ProviderError {
    ProviderError::new(
        ErrorKind::Stockout,
        format!("{machine_name} was created and is gone already"),
    )
}

/// What came of ending something: that it is gone already is not an error.
pub(super) fn ended_or_gone<T: Default>(
    end_result: Result<T, ProviderError>,
) -> Result<T, ProviderError> {
    match end_result {
        Err(error) if error.kind == ErrorKind::NotFound => Ok(T::default()),
        ended => ended,
    }
}

impl From<std::io::Error> for ProviderError {
    /// The error must already name its file.
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::Other, error)
    }
}
