//! `catalog.toml`: the version of a catalog and the sources of its figures, read and written.

use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::catalog::format::FORMAT;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

/// `catalog.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CatalogToml {
    /// The version of the format.
    pub format: u32,
    /// The sources of figures, by id.
    #[serde(default)]
    pub sources: BTreeMap<String, SourceEntry>,
    /// The tables of a published catalog, for those who fetch it. Loading a folder does not need
    /// them.
    #[serde(default)]
    pub files: Vec<String>,
}

/// `[sources.ID]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceEntry {
    /// The day of the figures, `YYYY-MM-DD`.
    pub date: String,
    /// What the source is, for people.
    pub about: String,
    /// Where the source can be looked up; may be empty.
    #[serde(default)]
    pub url: String,
    /// The last day that the figures hold; empty: none is known.
    #[serde(default)]
    pub valid_until: String,
    /// `full`: what is not in the source is not sold in the regions that it has; empty: it is a
    /// part of a list.
    #[serde(default)]
    pub list: String,
}

/// The word of `catalog.toml` for a source that is a full list.
pub(crate) const FULL_LIST: &str = "full";

/// The version of the format alone: a newer version may have other keys.
#[derive(Deserialize)]
struct FormatVersion {
    format: toml::Spanned<u32>,
}

/// A fault of `catalog.toml`, at an offset if it is known.
fn fault(file: &File, message: String, offset: Option<Range<usize>>, hint: &str) -> CatalogError {
    let offset = offset.map_or(0, |span| span.start);
    CatalogError::at_offset((&file.shown, &file.text), offset, message, hint)
}

/// Reads `catalog.toml`.
pub(crate) fn read(file: &File) -> Result<CatalogToml, CatalogError> {
    let toml_fault = |error: toml::de::Error| {
        let hint = "a catalog.toml has format and [sources.ID] with date and about";
        fault(file, error.message().replace('\n', " "), error.span(), hint)
    };
    let version: FormatVersion = toml::from_str(&file.text).map_err(toml_fault)?;
    if *version.format.get_ref() != FORMAT {
        let message = format!("format {} is not known", version.format.get_ref());
        let hint = "this program reads format 1; use a newer sky";
        return Err(fault(file, message, Some(version.format.span()), hint));
    }
    let head: CatalogToml = toml::from_str(&file.text).map_err(toml_fault)?;
    for (id, source) in &head.sources {
        check_source(file, id, source)?;
    }
    Ok(head)
}

/// Whether a text is a day, `YYYY-MM-DD`.
fn is_day(text: &str) -> bool {
    text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10
}

fn check_source(file: &File, id: &str, source: &SourceEntry) -> Result<(), CatalogError> {
    let offset_of = |text: &str| file.text.find(text).map(|start| start..start);
    let valid_until = source.valid_until.as_str();
    if !valid_until.is_empty() && !is_day(valid_until) {
        let message = format!("valid_until `{valid_until}` of source `{id}` is not a day");
        return Err(fault(
            file,
            message,
            offset_of(valid_until),
            "write it like 2026-12-31",
        ));
    }
    if !is_day(&source.date) {
        let message = format!("the date `{}` of source `{id}` is not a day", source.date);
        return Err(fault(
            file,
            message,
            offset_of(&source.date),
            "write it like 2026-08-06",
        ));
    }
    let list_word = source.list.as_str();
    if !list_word.is_empty() && list_word != FULL_LIST {
        let message = format!("list `{list_word}` of source `{id}` is not known");
        return Err(fault(
            file,
            message,
            offset_of(list_word),
            "write list = \"full\" or leave it out",
        ));
    }
    if id.is_empty()
        || !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        let message = format!("the source id `{id}` is not plain");
        return Err(fault(
            file,
            message,
            None,
            "use letters, digits, `-`, `_`, `.`",
        ));
    }
    Ok(())
}

/// The canonical text of `catalog.toml`.
pub(crate) fn text(head: &CatalogToml) -> String {
    let mut text = format!("format = {}\n", head.format);
    // Writing to a String cannot fail.
    for (id, source) in &head.sources {
        let _ = write!(
            text,
            "\n[sources.{}]\ndate = {}\nabout = {}\n",
            toml_key(id),
            quoted(&source.date),
            quoted(&source.about)
        );
        if !source.url.is_empty() {
            let _ = writeln!(text, "url = {}", quoted(&source.url));
        }
        if !source.valid_until.is_empty() {
            let _ = writeln!(text, "valid_until = {}", quoted(&source.valid_until));
        }
        if !source.list.is_empty() {
            let _ = writeln!(text, "list = {}", quoted(&source.list));
        }
    }
    text
}

fn toml_key(id: &str) -> String {
    let bare = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { id.to_owned() } else { quoted(id) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
