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
