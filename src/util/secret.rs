//! Values that must not be seen: they cannot be printed, logged or written by accident.

use std::fmt;
use std::path::Path;

/// What stands in the place of a value.
pub const HIDDEN: &str = "(sensitive value)";

/// A value that only its user sees, by [`Secret::reveal`]. It has no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for handing it to whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(HIDDEN)
    }
}

/// Looks up a reference: `env:NAME`, or `file:PATH` relative to `folder`, without its last line's
/// end. The error says what is wrong with the reference, and never holds a value.
pub fn resolve(reference: &str, folder: &Path) -> Result<Secret, String> {
    if let Some(name) = reference.strip_prefix("env:") {
        return match std::env::var(name) {
            Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
            Ok(_) => Err(format!("environment variable {name} is empty")),
            Err(std::env::VarError::NotPresent) => Err(format!("environment variable {name} is not set")),
            Err(std::env::VarError::NotUnicode(_)) => Err(format!("environment variable {name} is not UTF-8")),
        };
    }
    if let Some(path) = reference.strip_prefix("file:") {
        let text = super::file::read_text(&folder.join(path)).map_err(|error| error.to_string())?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value);
        return if value.is_empty() { Err(format!("{path} is empty")) } else { Ok(Secret::new(value)) };
    }
    Err("write env:NAME or file:PATH".to_owned())
}

/// The text without any of the values, however it came by them. Values of fewer than four
/// characters are left: they would be found everywhere.
pub fn redact<'a>(text: &str, secrets: impl IntoIterator<Item = &'a Secret>) -> String {
    let mut values: Vec<&str> = secrets.into_iter().flat_map(|secret| secret.0.lines()).collect();
    values.retain(|value| value.len() >= 4);
    // The longest first: one may be part of another.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.into_iter().fold(text.to_owned(), |text, value| text.replace(value, HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), format!("{HIDDEN} {HIDDEN}"));
        assert_eq!(redact("say hunter2!", [&secret]), format!("say {HIDDEN}!"));
        let longer = Secret::new("hunter2hunter2\nsecond line");
        assert_eq!(redact("hunter2hunter2 second line", [&secret, &longer]), format!("{HIDDEN} {HIDDEN}"));
    }

    #[test]
    fn references_lead_to_files_and_variables() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), "s3cr3t\n").unwrap();
        assert_eq!(resolve("file:key", folder.path()).unwrap().reveal(), "s3cr3t");
        assert!(resolve("file:none", folder.path()).unwrap_err().contains("none"));
        assert!(resolve("env:SKY_NO_SUCH_VARIABLE", folder.path()).unwrap_err().contains("is not set"));
        assert!(resolve("hunter2", folder.path()).unwrap_err().starts_with("write env:"));
    }
}
