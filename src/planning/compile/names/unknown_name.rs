//! A name in job or policy that matches nothing in the catalog.

use std::fmt;

/// Which of the two files that people write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputFile {
    /// The name is in the job.
    Job,
    /// The name is in the policy.
    Policy,
}

/// A name or a pattern that matches nothing in the catalog.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownName {
    /// The file that the name is written in.
    pub file: InputFile,
    /// Dotted key, as in the spans of a file: `operators.deny.Amazn*`.
    pub key: String,
    /// What is wrong, with the name; lower case, no full stop.
    pub message: String,
    /// The nearest name that the catalog has, as a question.
    pub hint: Option<String>,
    /// Nothing can be planned with it.
    pub is_error: bool,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}

impl UnknownName {
    /// Returns a name that is worth a warning.
    pub(super) fn warning(
        file: InputFile,
        key: String,
        message: String,
        hint: Option<String>,
    ) -> Self {
        Self {
            file,
            key,
            message,
            hint,
            is_error: false,
        }
    }

    /// Returns a name with which nothing can be planned.
    pub(super) fn error(
        file: InputFile,
        key: String,
        message: String,
        hint: Option<String>,
    ) -> Self {
        Self {
            is_error: true,
            ..Self::warning(file, key, message, hint)
        }
    }

    /// Returns the warning that a name in a list of the policy matches nothing in the catalog.
    pub(super) fn matches_nothing(key: &str, name: &str, hint: Option<String>) -> Self {
        Self::warning(
            InputFile::Policy,
            format!("{key}.{name}"),
            format!("{key} `{name}` matches nothing in the catalog"),
            hint,
        )
    }
}
