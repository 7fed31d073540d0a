//! The text of `hosts.toml` while it is read: values, and faults at their places.

use super::fault::HostsFault;
use super::text_checks::plain;
use serde::Deserialize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A decimal, written as a number or as text, with or without the sign of a dollar.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum WrittenDecimal {
    Whole(i64),
    Decimal(f64),
    Text(String),
}

impl WrittenDecimal {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Whole(whole) => whole.to_string(),
            // The shortest text that reads as the same number: what was written.
            Self::Decimal(decimal) => decimal.to_string(),
            Self::Text(text) => text.trim().trim_start_matches('$').to_owned(),
        }
    }
}

/// The file of the hosts: what it says, and what its paths are relative to.
#[derive(Clone, Copy, Debug)]
pub struct HostsFile<'a> {
    /// The path of the file, as people named it.
    pub path: &'a Path,
    /// The folder that it is in, by its full path.
    pub folder: &'a Path,
    /// The home folder of whoever runs sky; none: `~` is a name like any other.
    pub home: Option<&'a Path>,
    /// The whole text.
    pub text: &'a str,
}

impl HostsFile<'_> {
    /// What is wrong at a place of the text.
    pub(super) fn fault(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: &str,
    ) -> HostsFault {
        let text_before = self.text.get(..span.start).unwrap_or_default();
        HostsFault {
            file: self.path.display().to_string(),
            line: text_before.matches('\n').count() + 1,
            column: text_before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                + 1,
            message: message.into(),
            hint: hint.to_owned(),
        }
    }

    /// A text that `fits`, or none.
    pub(super) fn text(
        &self,
        value: &Option<Spanned<String>>,
        fits: impl Fn(&str) -> bool,
        value_noun: &str,
        hint: &str,
    ) -> Result<Option<String>, HostsFault> {
        let Some(value) = value else { return Ok(None) };
        let text = value.get_ref();
        if text.is_empty() || !fits(text) {
            return Err(self.fault(
                value.span(),
                format!("`{}` is not a valid {value_noun}", text.escape_debug()),
                hint,
            ));
        }
        Ok(Some(text.clone()))
    }

    /// A number that `read` understands, or none.
    pub(super) fn number<T>(
        &self,
        value: &Option<Spanned<WrittenDecimal>>,
        read: impl Fn(&str) -> Option<T>,
        value_noun: &str,
        hint: &str,
    ) -> Result<Option<T>, HostsFault> {
        let Some(value) = value else { return Ok(None) };
        let text = value.get_ref().text();
        let fault = || {
            self.fault(
                value.span(),
                format!("`{}` is not a valid {value_noun}", text.escape_debug()),
                hint,
            )
        };
        read(&text).ok_or_else(fault).map(Some)
    }

    /// A path of this machine, for a setting of `ssh`.
    pub(super) fn path(
        &self,
        value: &Option<Spanned<String>>,
    ) -> Result<Option<PathBuf>, HostsFault> {
        let hint = "write it without quotes and control characters, relative to this file or from `~/` or `/` on";
        let text = self.text(
            value,
            |text| plain(text) && !text.contains('"'),
            "path of a file",
            hint,
        )?;
        Ok(text.map(|text| {
            let path = match (text.strip_prefix("~/"), self.home) {
                (Some(below), Some(home)) => home.join(below),
                _ => self.folder.join(text),
            };
            path.components().collect()
        }))
    }
}
