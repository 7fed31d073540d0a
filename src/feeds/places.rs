//! Regions with their country, operator and the reach of the US CLOUD Act.

use super::foreign_csv::ForeignCsv;
use super::import_source::add_source;
use super::{ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, PlaceRow};
use crate::model::offer::CLASSES;
use std::path::Path;

/// Places that are in no price list and rented to nobody who would need one.
const CLASSIFIED: &str = "classified";

/// Reads `key,cloud,location,country,operator,…` by header names.
pub(super) fn import(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let id = add_source(
        draft,
        options,
        report,
        "places",
        None,
        "Regions with countries, operators and the reach of foreign law",
    )?;
    let mut csv_rows = ForeignCsv::open(path)?;
    let key_column = csv_rows.required(&["key", "place"])?;
    let country = csv_rows.required(&["country"])?;
    let column = |name| csv_rows.optional(&[name]);
    let (location, operator, parent) = (
        column("location"),
        column("operator"),
        column("ultimate_parent"),
    );
    let parent_country = column("parent_country");
    let (reach, class, evidence) = (
        column("us_cloud_act"),
        csv_rows.optional(&["cls", "class"]),
        column("source"),
    );
    while csv_rows.advance()? {
        let name = csv_rows.cell(key_column);
        if csv_rows.cell(class) == CLASSIFIED {
            report.leave("classified region");
            continue;
        }
        if !csv_rows.cell(class).is_empty()
            && !CLASSES
                .iter()
                .any(|(known, _)| *known == csv_rows.cell(class))
        {
            report.leave_of("unknown class of region", csv_rows.cell(class));
            continue;
        }
        if crate::model::PlaceName::parse(name).is_none() {
            report.leave("not a `cloud:region` name");
            continue;
        }
        let place = PlaceRow {
            country: csv_rows.cell(country).to_owned(),
            location: csv_rows.cell(location).to_owned(),
            operator: csv_rows.cell(operator).to_owned(),
            us_cloud_act: csv_rows.cell(reach).to_owned(),
            parent: csv_rows.cell(parent).to_owned(),
            parent_country: csv_rows.cell(parent_country).to_owned(),
            class: csv_rows.cell(class).to_owned(),
            evidence: csv_rows.cell(evidence).to_owned(),
            source: id.clone(),
        };
        report.take("places");
        draft.places.insert(name.to_owned(), place);
    }
    Ok(())
}
