//! The environment variables of this process. No other file reads them, and those that sky itself
//! has a use for are read by their entry in the registry ([`super::variables`]).

use super::variables::Variable;
use std::env::VarError;
use std::ffi::OsString;

/// Returns the text of a variable; `None` if the variable is not set, is empty, or is not UTF-8.
pub fn text(variable: Variable) -> Option<String> {
    exact_text(variable).ok().filter(|value| !value.is_empty())
}

/// Returns the text of a variable, which may be empty.
///
/// # Errors
/// The variable is not set, or its value is not UTF-8.
pub fn exact_text(variable: Variable) -> Result<String, VarError> {
    text_named_by_a_job(variable.name)
}

/// Returns the bytes of a variable, as a path needs them; `None` if the variable is not set or is
/// empty.
pub fn bytes(variable: Variable) -> Option<OsString> {
    bytes_to_hand_on(variable.name)
}

/// Returns whether a variable is set to something that is not empty.
pub fn is_set(variable: Variable) -> bool {
    bytes(variable).is_some()
}

/// Returns the text of a variable that a job or a plan names, which may be empty.
///
/// # Errors
/// The variable is not set, or its value is not UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn text_named_by_a_job(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

/// Returns the bytes of a variable that a command on this machine gets as it is; `None` if the
/// variable is not set or is empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn bytes_to_hand_on(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns all variables that are set, with their values.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads variables"
)]
pub fn all() -> std::env::VarsOs {
    std::env::vars_os()
}
