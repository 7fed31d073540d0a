//! Why the value of an argument cannot be used.

/// Why the value of an argument cannot be used: what to write, or what is wrong, without a full
/// stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidArgument(String);

impl InvalidArgument {
    /// Makes the error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
