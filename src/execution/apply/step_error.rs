//! Why a step of an attempt did not succeed, and who has to answer for that.

use super::Error;
use crate::execution::provider::ProviderError;
use std::io;

/// Why a step of an attempt did not succeed.
#[derive(Debug)]
pub(super) enum StepError {
    /// The machine, its provider or a bucket did not do what the attempt needs: the attempt ends,
    /// and other stages go on.
    Attempt(ProviderError),
    /// The state cannot be written, or something else without which no stage can go on: the whole
    /// apply ends.
    Apply(Error),
}

/// The result of a step of an attempt. A [`ProviderError`] is never converted by `?`: each place
/// says whether the attempt or the apply ends by it.
pub(super) type Step<T> = Result<T, StepError>;

impl StepError {
    /// Returns the error that the caller answers for, that of the attempt; an error that ends the
    /// whole apply is passed on.
    pub(super) fn of_attempt(self) -> Result<ProviderError, Error> {
        match self {
            Self::Attempt(error) => Ok(error),
            Self::Apply(error) => Err(error),
        }
    }
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        Self::Apply(error)
    }
}

impl From<io::Error> for StepError {
    fn from(error: io::Error) -> Self {
        Self::Apply(error.into())
    }
}
