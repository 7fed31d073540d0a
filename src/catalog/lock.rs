//! `sky.lock`: which catalog plans are made from, by digest and day, with the sources in it.
//!
//! The file is small, sorted and the same for equal catalogs, so that it can be committed and its
//! changes read. This file knows its text; where it lies and what is refused is the command line's.

use crate::catalog::catalog_toml::{self, SourceEntry};
use crate::catalog::files::File;
use crate::catalog::format::CATALOG;
use crate::catalog::{CatalogError, table};
use crate::util::hash::{Digest, Hasher};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write;

/// The name of the file, in the working folder.
pub const LOCK: &str = "sky.lock";

/// The version of the format.
const VERSION: u32 = 1;

const BUILT_IN: &str = "built-in";

/// What a lock pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Where the catalog is.
    pub at: Location,
    /// Digest of the catalog's canonical text.
    pub digest: String,
    /// Day of its newest price, `YYYY-MM-DD`.
    pub date: String,
    /// The sources of the catalog, by id.
    pub sources: BTreeMap<String, LockedSource>,
}

/// Where the catalog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The one that sky was built with.
    BuiltIn,
    /// A folder, relative to the lock.
    Folder(String),
}

/// One source of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedSource {
    /// The day of its figures.
    pub date: String,
    /// Digest of what the catalog has from it.
    pub digest: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Location::BuiltIn => BUILT_IN,
            Location::Folder(folder) => folder,
        })
    }
}

/// The lock of a catalog: its files, and what the loader made of them.
pub fn of(
    files: &[File],
    digest: &str,
    date: &str,
    location: Location,
) -> Result<Lock, CatalogError> {
    Ok(Lock {
        at: location,
        digest: digest.to_owned(),
        date: date.to_owned(),
        sources: locked_sources(files)?,
    })
}

/// The text of a lock.
pub fn text(lock: &Lock) -> String {
    let quoted_location = toml::Value::String(lock.at.to_string());
    let mut text = format!(
        "# Pins the catalog that plans are made from. Written by `sky catalog lock`; commit it.\n\
         version = {VERSION}\n\n[catalog]\nat = {quoted_location}\ndate = \"{}\"\ndigest = \"{}\"\n",
        lock.date, lock.digest
    );
    for (id, source) in &lock.sources {
        let bare = id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        let toml_key = if bare {
            id.clone()
        } else {
            toml::Value::String(id.clone()).to_string()
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n[sources.{toml_key}]\ndate = \"{}\"\ndigest = \"{}\"\n",
            source.date, source.digest
        );
    }
    text
}

#[derive(Deserialize)]
struct Version {
    version: toml::Spanned<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u32,
    catalog: Pinned,
    #[serde(default)]
    sources: BTreeMap<String, LockedSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    at: toml::Spanned<String>,
    date: toml::Spanned<String>,
    digest: toml::Spanned<String>,
}

const AGAIN: &str = "write it again with `sky catalog lock`";

/// Reads a lock; `shown` is its name in messages.
pub fn parse(shown: &str, text: &str) -> Result<Lock, CatalogError> {
    let fault = |message: String, offset: Option<usize>| {
        let text_before = text.get(..offset.unwrap_or(0)).unwrap_or("");
        let line_number = text_before.matches('\n').count() + 1;
        CatalogError {
            line: if offset.is_some() {
                CatalogError::position(line_number)
            } else {
                0
            },
            text: text.lines().nth(line_number - 1).unwrap_or("").to_owned(),
            ..CatalogError::file(shown, message, AGAIN)
        }
    };
    let toml_fault = |error: toml::de::Error| {
        fault(
            error.message().replace('\n', " "),
            error.span().map(|span| span.start),
        )
    };
    let version: Version = toml::from_str(text).map_err(toml_fault)?;
    if *version.version.get_ref() != VERSION {
        let message = format!(
            "version {} of the lock is not known",
            version.version.get_ref()
        );
        let hint =
            format!("this sky reads version {VERSION}: use the sky that wrote it, or {AGAIN}");
        return Err(CatalogError {
            hint,
            ..fault(message, Some(version.version.span().start))
        });
    }
    let document: Document = toml::from_str(text).map_err(toml_fault)?;
    let Pinned { at, date, digest } = document.catalog;
    let hex = |digest: &str| digest.parse::<Digest>().is_ok();
    if !hex(digest.get_ref()) {
        return Err(fault(
            format!("`{}` is not a digest", digest.get_ref()),
            Some(digest.span().start),
        ));
    }
    // A catalog without prices has no day.
    if !date.get_ref().is_empty() && date.get_ref().parse::<jiff::civil::Date>().is_err() {
        return Err(fault(
            format!("`{}` is not a day", date.get_ref()),
            Some(date.span().start),
        ));
    }
    if let Some((id, source)) = document
        .sources
        .iter()
        .find(|(_, source)| !hex(&source.digest))
    {
        return Err(fault(
            format!("`{}`, of source {id}, is not a digest", source.digest),
            None,
        ));
    }
    let location = match at.get_ref().as_str() {
        BUILT_IN => Location::BuiltIn,
        "" => return Err(fault("`at` is empty".to_owned(), Some(at.span().start))),
        folder => Location::Folder(folder.to_owned()),
    };
    Ok(Lock {
        at: location,
        digest: digest.into_inner(),
        date: date.into_inner(),
        sources: document.sources,
    })
}

/// Where a catalog has other sources or other figures than a lock says; a line each.
pub fn differences(locked: &Lock, lock_now: &Lock) -> Vec<String> {
    let mut difference_lines = Vec::new();
    for (id, source) in &locked.sources {
        match lock_now.sources.get(id) {
            None => difference_lines.push(format!("{id} ({}) is gone", source.date)),
            Some(new) if new.date != source.date => {
                difference_lines.push(format!("{id} is of {}, was of {}", new.date, source.date))
            }
            Some(new) if new.digest != source.digest => {
                difference_lines.push(format!("{id} ({}) has other figures", source.date))
            }
            Some(_) => {}
        }
    }
    let new = lock_now
        .sources
        .iter()
        .filter(|(id, _)| !locked.sources.contains_key(*id));
    difference_lines.extend(new.map(|(id, source)| format!("{id} ({}) is new", source.date)));
    if difference_lines.is_empty() && locked.digest != lock_now.digest {
        difference_lines.push("what has no source, such as sizes of machines".to_owned());
    }
    difference_lines
}

/// What a catalog has from each source: a digest over its rows, whatever their order.
fn locked_sources(files: &[File]) -> Result<BTreeMap<String, LockedSource>, CatalogError> {
    let mut rows_by_source: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.name.ends_with(".csv")) {
        let mut table_lines = file.text.lines().filter(|line| !table::is_blank(line));
        let header = table::cells(
            table_lines
                .next()
                .unwrap_or("")
                .trim_start_matches('\u{feff}'),
        );
        let column = |name: &str| header.iter().position(|cell| *cell == name);
        let Some(source) = column("source") else {
            continue;
        };
        let (spot, spot_source) = (column("spot"), column("spot_source"));
        for line in table_lines {
            let cells = table::cells(line);
            let cell_of = |column: Option<usize>| {
                column
                    .and_then(|column| cells.get(column).copied())
                    .unwrap_or("")
            };
            // A price on demand and its spot price may be from two sources: each counts for its
            // own.
            let split = !cell_of(spot).is_empty()
                && !cell_of(spot_source).is_empty()
                && cell_of(spot_source) != cell_of(Some(source));
            let mut put_row = |id, without: &[Option<usize>]| {
                let mut row_text = file.name.clone();
                for (name, cell) in header
                    .iter()
                    .zip(&cells)
                    .enumerate()
                    .filter(|(at, (_, cell))| !cell.is_empty() && !without.contains(&Some(*at)))
                    .map(|(_, pair)| pair)
                {
                    let _ = write!(row_text, "\u{1f}{name}={cell}");
                }
                rows_by_source.entry(id).or_default().push(row_text);
            };
            if split {
                put_row(cell_of(Some(source)), &[spot, spot_source]);
                put_row(cell_of(spot_source), &[column("on_demand"), Some(source)]);
            } else {
                put_row(cell_of(Some(source)), &[spot_source]);
            }
        }
    }
    let head_file = files.iter().find(|file| file.name == CATALOG);
    let catalog_head = head_file
        .map(catalog_toml::read)
        .transpose()?
        .unwrap_or_default();
    let digest = |id: &str, source: &SourceEntry| {
        let source_rows = rows_by_source.get(id).cloned().unwrap_or_default();
        digest_of_source(source, source_rows)
    };
    let locked = |(id, source): (&String, &SourceEntry)| {
        (
            id.clone(),
            LockedSource {
                date: source.date.clone(),
                digest: digest(id, source).into(),
            },
        )
    };
    Ok(catalog_head.sources.iter().map(locked).collect())
}

/// A digest over what the catalog says of a source, and over its rows in any order.
fn digest_of_source(source: &SourceEntry, mut rows: Vec<String>) -> Digest {
    rows.sort_unstable();
    let mut hasher = Hasher::default();
    for line in [&source.date, &source.about, &source.url]
        .into_iter()
        .chain(&rows)
    {
        hasher.update(line.as_bytes());
        hasher.update(b"\n");
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "format = 1\n[sources.a]\ndate = \"2026-01-01\"\nabout = \"A\"\n\
                        [sources.\"b.c\"]\ndate = \"2026-02-02\"\nabout = \"B\"\n";
    const PRICES: &str = "place,instance_type,on_demand,source,spot,spot_source\n\
                          x:n,big,2,a,1,b.c\nx:n,small,1,a,0.5,\nx:s,big,3,b.c,,\n";

    fn locked(prices: &str) -> Lock {
        let file = |name: &str, text: &str| File {
            name: name.to_owned(),
            shown: name.to_owned(),
            text: text.to_owned(),
        };
        let digest = crate::util::hash::digest(prices.as_bytes());
        let files = [file(CATALOG, HEAD), file("prices.csv", prices)];
        of(
            &files,
            &digest,
            "2026-02-02",
            Location::Folder("./catalog".to_owned()),
        )
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let lock = locked(PRICES);
        assert_eq!(lock.sources.len(), 2);
        assert_eq!(parse(LOCK, &text(&lock)).unwrap(), lock);
        let built_in = Lock {
            at: Location::BuiltIn,
            date: String::new(),
            sources: BTreeMap::new(),
            ..lock
        };
        assert_eq!(parse(LOCK, &text(&built_in)).unwrap(), built_in);
    }

    #[test]
    fn a_source_is_what_it_says_itself() {
        let old = locked(PRICES);
        let changed = |from: &str, to: &str| differences(&old, &locked(&PRICES.replace(from, to)));
        assert_eq!(
            changed("x:n,big,2,a,1,", "x:n,big,2.5,a,1,"),
            ["a (2026-01-01) has other figures"]
        );
        assert_eq!(
            changed("x:n,big,2,a,1,", "x:n,big,2,a,1.5,"),
            ["b.c (2026-02-02) has other figures"]
        );
        assert_eq!(
            changed("x:n,small,1,a,0.5,", "x:n,small,1,a,0.4,"),
            ["a (2026-01-01) has other figures"]
        );
        // A source that is repeated says nothing new, and neither does the order of rows.
        assert_eq!(
            old.sources,
            locked(&PRICES.replace("0.5,\n", "0.5,a\n")).sources
        );
        let (header, rows) = PRICES.split_once('\n').unwrap();
        let mut rows: Vec<&str> = rows.lines().collect();
        rows.reverse();
        assert_eq!(
            old.sources,
            locked(&format!("{header}\n{}\n", rows.join("\n"))).sources
        );
        let mut other = old.clone();
        other.sources.remove("a");
        other
            .sources
            .insert("d".to_owned(), old.sources["a"].clone());
        assert_eq!(
            differences(&old, &other),
            ["a (2026-01-01) is gone", "d (2026-01-01) is new"]
        );
        let unsourced = Lock {
            digest: format!("sha256:{}", "0".repeat(64)),
            ..old.clone()
        };
        assert_eq!(
            differences(&old, &unsourced),
            ["what has no source, such as sizes of machines"]
        );
        assert!(differences(&old, &old).is_empty());
    }

    #[test]
    fn a_broken_lock_names_the_line() {
        let good = text(&locked(PRICES));
        let broken = |from: &str, to: &str| {
            parse("sky.lock", &good.replacen(from, to, 1))
                .unwrap_err()
                .to_string()
        };
        assert!(
            broken("version = 1", "version = 7")
                .starts_with("sky.lock:2: version 7 of the lock is not known;")
        );
        assert!(broken("sha256:", "md5:").starts_with("sky.lock:7: `md5:"));
        assert!(
            broken("date = \"2026-02-02\"", "date = \"soon\"")
                .starts_with("sky.lock:6: `soon` is not a day")
        );
        assert!(broken("at =", "path =").starts_with("sky.lock:"));
        assert!(broken("\"./catalog\"", "\"\"").starts_with("sky.lock:5: `at` is empty"));
        assert!(broken("[catalog]", "<<<<<<< HEAD\n[catalog]").starts_with("sky.lock:4:"));
        assert!(broken(&good, "").ends_with("write it again with `sky catalog lock`"));
    }
}
