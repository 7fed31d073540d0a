//! The environment variables of this process. No other file reads them, so that one search finds
//! every variable that changes what `sky` does.

use std::ffi::OsString;

/// Returns the text of a variable; `None` if the variable is not set, is empty, or is not UTF-8.
pub fn text(name: &str) -> Option<String> {
    exact_text(name).ok().filter(|value| !value.is_empty())
}

/// Returns the text of a variable, which may be empty.
///
/// # Errors
/// The variable is not set, or its value is not UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn exact_text(name: &str) -> Result<String, std::env::VarError> {
    std::env::var(name)
}

/// Returns the bytes of a variable, as a path needs them; `None` if the variable is not set or is
/// empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn bytes(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns whether a variable is set to something that is not empty.
pub fn is_set(name: &str) -> bool {
    bytes(name).is_some()
}

/// Returns all variables that are set, with their values.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn all() -> std::env::VarsOs {
    std::env::vars_os()
}
