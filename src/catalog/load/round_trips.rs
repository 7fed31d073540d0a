//! Reads `round_trips.csv`.

use super::place_names::PlaceNames;
use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{CatalogError, Source};
use crate::model::Millis;
use std::collections::BTreeMap;

/// Reads `round_trips.csv`.
pub(super) fn round_trips(
    file: &File,
    names: &PlaceNames,
    sources: &[Source],
) -> Result<BTreeMap<(u32, u32), Millis>, CatalogError> {
    let mut trips = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::ROUND_TRIPS)?;
    while let Some(row) = table.next_row()? {
        let place = |column: usize| {
            let name = row.required(column)?;
            let known_place = names.place(name);
            known_place.ok_or_else(|| {
                row.error(
                    column,
                    format!("unknown place `{name}`"),
                    names.place_hint(name),
                )
            })
        };
        let pair = (place(0)?, place(1)?);
        cells::source(&row, 3, sources)?;
        let trip = Millis(row.number(2, 1, "90")?.unsigned_abs());
        if pair.0 == pair.1 {
            return Err(row.error(
                1,
                "a place has no distance from itself",
                "leave the row out",
            ));
        }
        if trips.insert(pair, trip).is_some() {
            let message = format!("`{}` to `{}` is there twice", row.cell(0), row.cell(1));
            return Err(row.error(0, message, "keep one of the rows"));
        }
    }
    Ok(trips)
}
