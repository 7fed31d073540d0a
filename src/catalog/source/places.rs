//! Regions with their country, operator and the reach of the US CLOUD Act.

use super::{Foreign, Options, Report, source};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, PlaceRow};
use std::path::Path;

/// Partitions with accounts and networks of their own: no price list here is of them.
const APART: [&str; 3] = ["classified", "us-gov", "cn-operated"];

/// Reads `key,cloud,location,country,operator,…` by header names.
pub(super) fn import(
    path: &Path,
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), CatalogError> {
    let id = source(draft, options, "places", None, "Regions with countries, operators and the reach of foreign law")?;
    let mut rows = Foreign::open(path)?;
    let key = rows.required(&["key", "place"])?;
    let country = rows.required(&["country"])?;
    let column = |name| rows.column(&[name]).unwrap_or(usize::MAX);
    let (location, operator, parent) = (column("location"), column("operator"), column("ultimate_parent"));
    let (reach, class, evidence) = (column("us_cloud_act"), column("cls"), column("source"));
    while rows.advance()? {
        let name = rows.cell(key);
        if APART.contains(&rows.cell(class)) {
            report.leave(format!("region of a separate partition ({})", rows.cell(class)));
            continue;
        }
        if crate::model::PlaceName::parse(name).is_none() {
            report.leave("not a `cloud:region` name");
            continue;
        }
        let place = PlaceRow {
            country: rows.cell(country).to_owned(),
            location: rows.cell(location).to_owned(),
            operator: rows.cell(operator).to_owned(),
            us_cloud_act: rows.cell(reach).to_owned(),
            parent: rows.cell(parent).to_owned(),
            class: rows.cell(class).to_owned(),
            evidence: rows.cell(evidence).to_owned(),
            source: id.clone(),
        };
        report.take("places");
        draft.places.insert(name.to_owned(), place);
    }
    Ok(())
}
