//! Importers: foreign figures into our own format. One file per source; a new one is one file
//! and one line in [`KINDS`].

pub mod check;
mod confidential;
mod day;
mod foreign;
mod gcp;
mod interruptions;
pub mod live;
mod network;
mod places;
mod prices;
mod report;
mod settle;
mod skypilot;
mod store;
#[cfg(test)]
mod tests;
mod vendor;

#[cfg(test)]
pub(crate) use vendor::machines as vendor_machines;

pub use day::Guess;
pub(crate) use foreign::Foreign;
pub use report::{LeftOut, Report};

use crate::catalog::draft::Draft;
use crate::catalog::files;
use crate::catalog::load::HeadSource;
use crate::catalog::{CatalogError, edit};
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
    /// A price list that is full: what it does not have is not sold in the regions that it has.
    pub full: bool,
    /// The day where `dates` has none; found by [`import`].
    pub guess: Option<Guess>,
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
    ("round_trips", "a CSV of measured round trips between region pairs", network::import_round_trips),
    ("interruptions", "AWS's spot advisor feed, JSON", interruptions::import),
];

/// Imports `path` into the catalog in `out`, which is created if it is not there. The result is
/// checked by the loader before a byte is written.
pub fn import(kind: &str, path: &Path, options: &Options, out: &Path) -> Result<Report, CatalogError> {
    let Some((_, _, importer)) = KINDS.iter().find(|(name, _, _)| *name == kind) else {
        let names: Vec<&str> = KINDS.iter().map(|(name, _, _)| *name).collect();
        let hint = format!("the kinds are {}", names.join(", "));
        return Err(CatalogError::file(kind, "unknown kind of source", hint));
    };
    let mut report = Report::default();
    let mut options = options.clone();
    if !options.dates.iter().any(|text| !text.contains('=')) {
        options.guess = Some(guess(kind, path)?);
    }
    let old = if out.join(files::CATALOG).exists() { files::read(out)? } else { Vec::new() };
    let mut draft = if old.is_empty() { start(kind, &options, &mut report)? } else { Draft::read(&old)? };
    importer(path, &options, &mut draft, &mut report)?;
    if report.taken.is_empty() {
        return Err(nothing_taken(path, &report));
    }
    draft.drop_idle_interruptions();
    draft.drop_unused_sources();
    report.changed = save(&old, &draft, out)?;
    Ok(report)
}

/// Writes a draft over the files of the catalog in `out`, after the loader has checked it; the names
/// of the files that are new or changed. Nothing is written that the loader refuses, and what
/// people wrote into the files stays ([`edit`]).
pub(crate) fn save(old: &[files::File], draft: &Draft, out: &Path) -> Result<Vec<String>, CatalogError> {
    let new = edit::files(old, draft)?;
    store::check(&new, out)?;
    store::write(out, old, &new)
}

/// The day of figures that come without one.
fn guess(kind: &str, path: &Path) -> Result<Guess, CatalogError> {
    std::fs::metadata(path).map_err(|error| foreign::unreadable(path, &error))?;
    match kind {
        "skypilot" => skypilot::guess(path),
        _ => day::guess(path, &[path.to_owned()]),
    }
}

/// What a new catalog starts from. A price list alone cannot be planned on, so it gets the places,
/// accelerators, terms and network of the shipped catalog; and, if it has no sizes of its own, the machines of its cloud.
fn start(kind: &str, options: &Options, report: &mut Report) -> Result<Draft, CatalogError> {
    let machines = match kind {
        "skypilot" => false,
        "prices" => true,
        _ => return Ok(Draft::default()),
    };
    let mut draft = Draft::read(&files::shipped()?)?;
    draft.prices.clear();
    draft.services.clear();
    draft.discounts.clear();
    draft.machines.retain(|(cloud, _), _| machines && options.cloud.as_deref() == Some(cloud));
    let sizes = if machines { "machine sizes, " } else { "" };
    report.note(format!(
        "The catalog is new: places, {sizes}accelerators, confidential families, terms of clouds, egress, throughput, \
         round trips and interruption rates are those of the shipped catalog, prices are not."
    ));
    Ok(draft)
}

/// Why most rows of a source were left out.
fn most_left_out(report: &Report) -> Option<String> {
    let most = report.left_out.values().map(|left| left.rows).max();
    match report.reasons().into_iter().find(|(rows, _)| Some(*rows) == most)? {
        (1, why) => Some(format!("left out: {why}")),
        (rows, why) => Some(format!("left out, {rows} times: {why}")),
    }
}

fn nothing_taken(path: &Path, report: &Report) -> CatalogError {
    let hint = most_left_out(report).unwrap_or_else(|| "it has a header and no rows".to_owned());
    CatalogError::file(path.display().to_string(), "there is nothing in it to import", hint)
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
        ("terms of clouds", other.clouds.len()),
        ("interruption rates", other.interruptions.len()),
        ("round trips", other.round_trips.len()),
        ("services", other.services.len()),
        ("discounts", other.discounts.len()),
        ("quotas", other.quotas.len()),
        ("retirements", other.retirements.len()),
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
    report: &mut Report,
    name: &str,
    cloud: Option<&str>,
    about: &str,
) -> Result<String, CatalogError> {
    let date = day::of(options, cloud, report)?;
    let id = format!("{name}-{date}");
    let about = options.about.clone().unwrap_or_else(|| about.to_owned());
    let url = options.url.clone().unwrap_or_default();
    let list = if options.full { settle::FULL.to_owned() } else { String::new() };
    let row = HeadSource { date: date.to_string(), about, url, list, ..HeadSource::default() };
    draft.sources.insert(id.clone(), row);
    Ok(id)
}
