//! Messages about a place in a file.

use crate::util::text::shortened;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// A file that people wrote: its name as they gave it, its text, and where its entries are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// The name of the file, as given on the command line.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Byte spans by dotted key: `stages.train.needs.memory`, `limits.deadline`. An entry of a
    /// list of texts is keyed by its text: `clouds.deny.oci`, `stages.train.reads.process.tokens`.
    pub spans: BTreeMap<String, Range<usize>>,
}

impl SourceFile {
    /// The span of an entry, or of its nearest parent that has one.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        let mut key = key;
        loop {
            if let Some(span) = self.spans.get(key) {
                return Some(span.clone());
            }
            key = key.rsplit_once('.')?.0;
        }
    }

    /// Line and column (in characters), both from 1, of a byte offset.
    pub fn line_column(&self, offset: usize) -> (usize, usize) {
        let text_before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = text_before.rfind('\n').map_or(0, |at| at + 1);
        (
            text_before.matches('\n').count() + 1,
            text_before[line_start..].chars().count() + 1,
        )
    }

    /// `policy.toml:4:1` for an entry; the bare file name if it is not there.
    pub fn location(&self, key: &str) -> String {
        match self.span(key) {
            Some(span) => {
                let (line, column) = self.line_column(span.start);
                format!("{}:{line}:{column}", self.name)
            }
            None => self.name.clone(),
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and may not mean what was meant.
    Warning,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// Lower case, no full stop.
    pub message: String,
    /// Said at the span itself.
    pub label: String,
    /// The way out.
    pub hint: Option<String>,
    /// Bytes of the file's text.
    pub span: Range<usize>,
}

impl Diagnostic {
    /// An error at `span`; label and hint are added by the methods below.
    pub fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        let message = shortened(&message.into()).into_owned();
        Self {
            severity: Severity::Error,
            message,
            label: String::new(),
            hint: None,
            span,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// The text at the span itself.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The way out; an empty one counts as none.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        self
    }
}

/// All messages about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    /// The file that the messages are about.
    pub source: SourceFile,
    /// The messages, in the order of the file.
    pub list: Vec<Diagnostic>,
}

impl fmt::Display for Diagnostics {
    /// One line a message: `job.toml:5:1: error: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            let (line, column) = self.source.line_column(diagnostic.span.start);
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let separator = if index == 0 { "" } else { "\n" };
            write!(
                f,
                "{separator}{}:{line}:{column}: {severity}: {}",
                self.source.name, diagnostic.message
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
