//! What is wrong with a catalog, and where.

use std::fmt;

/// One fault in one file of a catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogError {
    /// The file, as people can open it.
    pub file: String,
    /// From 1; 0: the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0: the line as a whole.
    pub column: u32,
    /// The text of that line.
    pub text: String,
    /// What is wrong, with the text at fault; lower case, no full stop.
    pub message: String,
    /// What to do about the fault; may be empty.
    pub hint: String,
}

impl CatalogError {
    /// A fault of a whole file.
    pub fn file(
        file: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            message: message.into(),
            hint: hint.into(),
            ..Self::default()
        }
    }

    /// A fault at an offset in the text of a file.
    pub(crate) fn at_offset(
        (shown, text): (&str, &str),
        offset: usize,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let text_before = text.get(..offset).unwrap_or("");
        let line_start = text_before.rfind('\n').map_or(0, |newline| newline + 1);
        let lines_before = text_before.matches('\n').count();
        Self {
            line: Self::position(lines_before + 1),
            column: Self::position(text_before[line_start..].chars().count() + 1),
            text: text.lines().nth(lines_before).unwrap_or("").to_owned(),
            ..Self::file(shown, message, hint)
        }
    }

    /// A line or a column as errors have it; one that is too large for it is not known, which is 0.
    pub(crate) fn position(count: usize) -> u32 {
        u32::try_from(count).unwrap_or(0)
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        write!(f, ": {}", self.message)?;
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogError {}
