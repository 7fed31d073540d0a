//! The text of `hosts.toml` while it is read: values, and faults at their places.

use super::plain;
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What is wrong with the file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    /// From 1; 0: the file as a whole.
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// The way out.
    pub hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "; {}", self.hint) }
    }
}

impl std::error::Error for Fault {}

/// A decimal, written as a number or as text, with or without the sign of a dollar.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(i64),
    Decimal(f64),
    Text(String),
}

impl Number {
    pub fn text(&self) -> String {
        match self {
            Self::Whole(whole) => whole.to_string(),
            // The shortest text that reads as the same number: what was written.
            Self::Decimal(decimal) => decimal.to_string(),
            Self::Text(text) => text.trim().trim_start_matches('$').to_owned(),
        }
    }
}

/// The file while it is read.
pub(super) struct File<'a> {
    pub path: &'a Path,
    pub text: &'a str,
}

impl File<'_> {
    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, hint: &str) -> Fault {
        let before = self.text.get(..span.start).unwrap_or_default();
        Fault {
            file: self.path.display().to_string(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    /// A text that `fits`, or none.
    pub fn text(
        &self,
        value: &Option<Spanned<String>>,
        fits: impl Fn(&str) -> bool,
        what: &str,
        hint: &str,
    ) -> Result<Option<String>, Fault> {
        let Some(value) = value else { return Ok(None) };
        let text = value.get_ref();
        if text.is_empty() || !fits(text) {
            return Err(self.fault(value.span(), format!("`{}` is no {what}", text.escape_debug()), hint));
        }
        Ok(Some(text.clone()))
    }

    pub fn number<T>(
        &self,
        value: &Option<Spanned<Number>>,
        read: impl Fn(&str) -> Option<T>,
        what: &str,
        hint: &str,
    ) -> Result<Option<T>, Fault> {
        let Some(value) = value else { return Ok(None) };
        let text = value.get_ref().text();
        let fault = || self.fault(value.span(), format!("`{}` is no {what}", text.escape_debug()), hint);
        read(&text).ok_or_else(fault).map(Some)
    }

    /// A path of this machine, for a setting of `ssh`.
    pub fn path(&self, value: &Option<Spanned<String>>) -> Result<Option<PathBuf>, Fault> {
        let hint = "write it without quotes and control characters, relative to this file or from `~/` or `/` on";
        let text = self.text(value, |text| plain(text) && !text.contains('"'), "path of a file", hint)?;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let path = text.map(|text| match (text.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(below), Some(home)) => Path::new(&home).join(below),
            _ => folder.join(text),
        });
        Ok(path.map(|path| std::path::absolute(&path).unwrap_or(path)))
    }
}
