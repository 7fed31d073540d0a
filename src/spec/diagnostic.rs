//! Messages about a place in a file.

use std::collections::BTreeMap;
use std::ops::Range;

/// A file that people wrote: its name as they gave it, its text, and where its entries are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// As given on the command line.
    pub name: String,
    pub text: String,
    /// Byte spans by dotted key: `stages.train.needs.memory`, `limits.deadline`.
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
        let before = &self.text[..offset.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
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
    Error,
    Warning,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
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

/// All messages about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    pub source: SourceFile,
    pub list: Vec<Diagnostic>,
}
