//! Importers: foreign figures into our own format. One file per source; a new one is one file
//! and one line in [`KINDS`].

pub mod check;
mod confidential;
mod gcp;
mod network;
mod places;
mod prices;
mod skypilot;
#[cfg(test)]
mod tests;

use crate::catalog::draft::Draft;
use crate::catalog::files;
use crate::catalog::load::HeadSource;
use crate::catalog::{CatalogError, load, write};
use std::collections::BTreeMap;
use std::path::Path;

/// What an import is told beside its path.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The cloud that a price list is of.
    pub cloud: Option<String>,
    /// The day of the figures; a bare day, or `cloud=day` for one of several clouds.
    pub dates: Vec<String>,
    /// What the source is, for people.
    pub about: Option<String>,
    /// Where the source can be looked up.
    pub url: Option<String>,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rows taken, by what they are.
    pub taken: BTreeMap<String, usize>,
    /// Rows left out, by why.
    pub left_out: BTreeMap<String, usize>,
    /// Files whose text is new or changed.
    pub changed: Vec<String>,
}

impl Report {
    pub(crate) fn take(&mut self, what: impl Into<String>) {
        *self.taken.entry(what.into()).or_default() += 1;
    }

    pub(crate) fn leave(&mut self, why: impl Into<String>) {
        *self.left_out.entry(why.into()).or_default() += 1;
    }
}

/// One importer: changes the draft by what it finds at the path.
type Importer = fn(&Path, &Options, &mut Draft, &mut Report) -> Result<(), CatalogError>;

/// The kinds of sources, with what each reads.
pub const KINDS: &[(&str, &str, Importer)] = &[
    ("catalog", "a folder in sky's own format", own),
    ("places", "a CSV of regions with countries and operators", places::import),
    ("skypilot", "a folder of SkyPilot catalogs: CLOUD/vms.csv", skypilot::import),
    ("prices", "a CSV of region, instance type and price of one cloud", prices::import),
    ("confidential", "a CSV of confidential-computing families", confidential::import),
    ("egress", "a CSV of egress prices between region pairs", network::import_egress),
    ("throughput", "a CSV of measured throughput between region pairs", network::import_throughput),
];

/// Imports `path` into the catalog in `out`, which is created if it is not there. The result is
/// checked by the loader before a byte is written.
pub fn import(kind: &str, path: &Path, options: &Options, out: &Path) -> Result<Report, CatalogError> {
    let Some((_, _, importer)) = KINDS.iter().find(|(name, _, _)| *name == kind) else {
        let names: Vec<&str> = KINDS.iter().map(|(name, _, _)| *name).collect();
        let hint = format!("the kinds are {}", names.join(", "));
        return Err(CatalogError::file(kind, "unknown kind of source", hint));
    };
    let old = if out.join(files::CATALOG).exists() { files::read(out)? } else { Vec::new() };
    let mut draft = Draft::read(&old)?;
    let mut report = Report::default();
    importer(path, options, &mut draft, &mut report)?;
    draft.drop_unused_sources();
    let new = write::files(&draft);
    let loadable: Result<Vec<_>, _> = new
        .iter()
        .map(|(name, text)| files::file(name.clone(), out.join(name).display().to_string(), text.clone().into_bytes()))
        .collect();
    load::from_files(&loadable?)?;
    let text_of = |name: &str| old.iter().find(|file| file.name == name).map(|file| file.text.as_str());
    let changed: Vec<(&String, &String)> =
        new.iter().filter(|(name, text)| text_of(name) != Some(text.as_str())).collect();
    let fault = |error: std::io::Error| CatalogError::file(out.display().to_string(), error.to_string(), "");
    for (name, text) in &changed {
        crate::util::file::write_below(out, name, text.as_bytes()).map_err(fault)?;
    }
    for file in old.iter().filter(|file| !new.contains_key(&file.name)) {
        crate::util::file::remove(&out.join(&file.name)).map_err(fault)?;
    }
    report.changed = changed.into_iter().map(|(name, _)| name.clone()).collect();
    Ok(report)
}

/// Another catalog in our own format, laid over this one.
fn own(path: &Path, _: &Options, draft: &mut Draft, report: &mut Report) -> Result<(), CatalogError> {
    let other = Draft::read(&files::read(path)?)?;
    for (what, count) in [
        ("places", other.places.len()),
        ("machines", other.machines.len()),
        ("accelerators", other.accelerators.len()),
        ("egress rules", other.egress.len()),
        ("throughput rules", other.throughput.len()),
        ("price rows", other.prices.values().map(BTreeMap::len).sum()),
    ] {
        if count > 0 {
            report.taken.insert(what.to_owned(), count);
        }
    }
    draft.merge(other);
    Ok(())
}

/// Puts a source into the draft; its id. `name` and the day make the id.
pub(crate) fn source(
    draft: &mut Draft,
    options: &Options,
    name: &str,
    cloud: Option<&str>,
    about: &str,
) -> Result<String, CatalogError> {
    let of_cloud = |text: &&String| cloud.is_some_and(|cloud| text.starts_with(&format!("{cloud}=")));
    let date = options.dates.iter().find(of_cloud).or_else(|| options.dates.iter().find(|text| !text.contains('=')));
    let date = date.map(|text| text.rsplit('=').next().unwrap_or(text));
    let Some(date) = date.filter(|date| date.parse::<jiff::civil::Date>().is_ok()) else {
        let message = match date {
            Some(date) => format!("the date `{date}` is not a day"),
            None => format!("the day of {name} is not given"),
        };
        return Err(CatalogError::file("--date", message, "every figure is dated: give --date 2026-08-06"));
    };
    let id = format!("{name}-{date}");
    let about = options.about.clone().unwrap_or_else(|| about.to_owned());
    let row = HeadSource { date: date.to_owned(), about, url: options.url.clone().unwrap_or_default() };
    draft.sources.insert(id.clone(), row);
    Ok(id)
}

/// A foreign CSV file with its columns by name.
pub(crate) struct Foreign {
    file: String,
    reader: csv::Reader<std::fs::File>,
    header: Vec<String>,
    record: csv::StringRecord,
}

impl Foreign {
    pub(crate) fn open(path: &Path) -> Result<Self, CatalogError> {
        let file = path.display().to_string();
        let fault = |error: csv::Error| CatalogError::file(&file, format!("cannot read it: {error}"), "");
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(fault)?;
        let header = reader.headers().map_err(fault)?.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { file, reader, header, record: csv::StringRecord::new() })
    }

    /// The index of the first of these columns that is there.
    pub(crate) fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.header.iter().position(|known| known == name))
    }

    pub(crate) fn required(&self, names: &[&str]) -> Result<usize, CatalogError> {
        self.column(names).ok_or_else(|| {
            let message = format!("there is no column `{}`", names.join("` or `"));
            CatalogError::file(&self.file, message, format!("its columns are {}", self.header.join(", ")))
        })
    }

    /// Moves to the next row.
    pub(crate) fn advance(&mut self) -> Result<bool, CatalogError> {
        self.reader.read_record(&mut self.record).map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            CatalogError {
                line: u32::try_from(line).unwrap_or(0),
                ..CatalogError::file(&self.file, format!("cannot read a row: {error}"), "")
            }
        })
    }

    /// A cell of this row; empty if it has none.
    pub(crate) fn cell(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or("").trim()
    }

    /// A cell in units of 10⁻⁹; `None`: empty or not a number.
    pub(crate) fn nano(&self, column: usize) -> Option<i64> {
        crate::model::units::scaled(self.cell(column), 1_000_000_000).ok()
    }
}
