//! The kinds of sources that can be imported from files, and the import of one into a catalog
//! folder.

use super::{
    GuessedDay, ImportOptions, ImportReport, catalog_folder, confidential_families, egress_prices,
    figure_day, foreign_csv, interruptions, network_measurements, places, price_list, skypilot,
};
use crate::catalog::CatalogError;
use crate::catalog::draft::Draft;
use crate::catalog::files;
use std::collections::BTreeMap;
use std::path::Path;

/// One importer: changes the draft by what it finds at the path.
pub(super) type Importer =
    fn(&Path, &ImportOptions, &mut Draft, &mut ImportReport) -> Result<(), CatalogError>;

/// The kinds of sources, with what each reads.
pub const KINDS: &[(&str, &str, Importer)] = &[
    ("catalog", "a folder in sky's own format", own_format),
    (
        "places",
        "a CSV of regions with countries and operators",
        places::import,
    ),
    (
        "skypilot",
        "a folder of SkyPilot catalogs: CLOUD/vms.csv",
        skypilot::import,
    ),
    (
        "prices",
        "a CSV of region, instance type and price of one cloud",
        price_list::import,
    ),
    (
        "confidential",
        "a CSV of confidential-computing families",
        confidential_families::import,
    ),
    (
        "egress",
        "a CSV of egress prices between region pairs",
        egress_prices::import_egress,
    ),
    (
        "throughput",
        "a CSV of measured throughput between region pairs",
        network_measurements::import_throughput,
    ),
    (
        "round_trips",
        "a CSV of measured round trips between region pairs",
        network_measurements::import_round_trips,
    ),
    (
        "interruptions",
        "AWS's spot advisor feed, JSON",
        interruptions::import,
    ),
];

/// Imports `path` into the catalog in `out`, which is created if it is not there. The result is
/// checked by the loader before a byte is written.
pub fn import(
    kind: &str,
    path: &Path,
    options: &ImportOptions,
    catalog_folder: &Path,
) -> Result<ImportReport, CatalogError> {
    let Some((_, _, importer)) = KINDS.iter().find(|(name, _, _)| *name == kind) else {
        let names: Vec<&str> = KINDS.iter().map(|(name, _, _)| *name).collect();
        let hint = format!("the kinds are {}", names.join(", "));
        return Err(CatalogError::file(kind, "unknown kind of source", hint));
    };
    let mut report = ImportReport::default();
    let mut options = options.clone();
    if !options.dates.iter().any(|text| !text.contains('=')) {
        options.guess = Some(guess_day(kind, path)?);
    }
    let old_files = if catalog_folder.join(files::CATALOG).exists() {
        files::read(catalog_folder)?
    } else {
        Vec::new()
    };
    let mut draft = if old_files.is_empty() {
        new_draft(kind, &options, &mut report)?
    } else {
        Draft::read(&old_files)?
    };
    importer(path, &options, &mut draft, &mut report)?;
    if report.taken.is_empty() {
        return Err(nothing_taken(path, &report));
    }
    draft.drop_idle_interruptions();
    draft.drop_unused_sources();
    report.changed = catalog_folder::save(&old_files, &draft, catalog_folder)?;
    Ok(report)
}

/// The day of figures that come without one.
fn guess_day(kind: &str, path: &Path) -> Result<GuessedDay, CatalogError> {
    std::fs::metadata(path).map_err(|error| foreign_csv::unreadable(path, &error))?;
    match kind {
        "skypilot" => skypilot::guess(path),
        _ => figure_day::guess(path, &[path.to_owned()]),
    }
}

/// What a new catalog starts from. A price list alone cannot be planned on, so it gets the places,
/// accelerators, terms and network of the shipped catalog; and, if it has no sizes of its own, the
/// machines of its cloud.
fn new_draft(
    kind: &str,
    options: &ImportOptions,
    report: &mut ImportReport,
) -> Result<Draft, CatalogError> {
    let machines = match kind {
        "skypilot" => false,
        "prices" => true,
        _ => return Ok(Draft::default()),
    };
    let mut draft = Draft::read(&files::shipped()?)?;
    draft.prices.clear();
    draft.services.clear();
    draft.discounts.clear();
    draft
        .machines
        .retain(|(cloud, _), _| machines && options.cloud.as_deref() == Some(cloud));
    let sizes = if machines { "machine sizes, " } else { "" };
    report.note(format!(
        "The catalog is new: places, {sizes}accelerators, confidential families, terms of clouds, egress, throughput, \
         round trips and interruption rates are those of the shipped catalog, prices are not."
    ));
    Ok(draft)
}

fn nothing_taken(path: &Path, report: &ImportReport) -> CatalogError {
    let hint = report
        .most_left_out()
        .unwrap_or_else(|| "it has a header and no rows".to_owned());
    CatalogError::file(
        path.display().to_string(),
        "there is nothing in it to import",
        hint,
    )
}

/// Another catalog in our own format, laid over this one.
fn own_format(
    path: &Path,
    _: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let other_draft = Draft::read(&files::read(path)?)?;
    for (what, count) in [
        ("places", other_draft.places.len()),
        ("machines", other_draft.machines.len()),
        ("accelerators", other_draft.accelerators.len()),
        ("egress rules", other_draft.egress.len()),
        ("throughput rules", other_draft.throughput.len()),
        ("terms of clouds", other_draft.clouds.len()),
        ("interruption rates", other_draft.interruptions.len()),
        ("round trips", other_draft.round_trips.len()),
        ("services", other_draft.services.len()),
        ("discounts", other_draft.discounts.len()),
        ("quotas", other_draft.quotas.len()),
        ("retirements", other_draft.retirements.len()),
        (
            "price rows",
            other_draft.prices.values().map(BTreeMap::len).sum(),
        ),
    ] {
        if count > 0 {
            report.taken.insert(what.to_owned(), count);
        }
    }
    draft.merge(other_draft);
    Ok(())
}
