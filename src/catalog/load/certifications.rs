//! What places are certified by.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{CatalogError, Source};
use crate::model::{Pattern, Place};
use std::collections::BTreeSet;

/// Statuses, and whether a place has the certification then. What is only claimed, sought, or of a
/// part of a cloud's services is written down and counts for nothing.
const STATUSES: [(&str, bool); 8] = [
    ("attested", true),
    ("authorized", true),
    ("certified", true),
    ("qualified", true),
    ("assessed", false),
    ("claimed", false),
    ("partial", false),
    ("in-progress", false),
];

/// Reads `certifications.csv` into the places, and returns all schemes that it has a row about.
/// Patterns reach open places only: one of a closed class is named in full.
pub(super) fn apply(
    file: &File,
    places: &mut [Place],
    sources: &[Source],
) -> Result<BTreeSet<String>, CatalogError> {
    let mut schemes = BTreeSet::new();
    let mut table = Table::open(&file.shown, &file.text, format::CERTIFICATIONS)?;
    while let Some(row) = table.next_row()? {
        let scheme = row.required(0)?.to_lowercase();
        schemes.insert(scheme.clone());
        let status = row.required(1)?;
        let Some((_, counts)) = STATUSES.iter().find(|(known, _)| *known == status) else {
            let hint = format!("write {}", STATUSES.map(|(name, _)| name).join(", "));
            return Err(row.error(1, format!("unknown status `{status}`"), hint));
        };
        row.required(2)?;
        cells::source(&row, 3, sources)?;
        let (operator, patterns) = (row.cell(4), cells::list(row.cell(2)));
        for place in places
            .iter_mut()
            .filter(|place| operator.is_empty() || place.operator == operator)
        {
            let name = place.name.to_string();
            let reaches = |pattern: &String| match pattern.contains('*') {
                true => place.partition().is_empty() && Pattern(pattern.clone()).matches(&name),
                false => *pattern == name,
            };
            if *counts && patterns.iter().any(reaches) {
                place.certifications.insert(scheme.clone());
            }
        }
    }
    Ok(schemes)
}
