//! Why a source of prices has failed.

/// Why a source has failed: lower case, no full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);
