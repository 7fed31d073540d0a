//! Reads `dropped.csv`: rows of price lists that imports left out.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, DroppedRows};

pub(super) fn dropped(file: &File, catalog: &Catalog) -> Result<Vec<DroppedRows>, CatalogError> {
    let mut dropped_rows = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::DROPPED_ROWS)?;
    while let Some(row) = table.next_row()? {
        cells::source(&row, 4, &catalog.sources)?;
        dropped_rows.push(DroppedRows {
            cloud: row.required(0)?.to_owned(),
            instance_type: row.cell(1).to_owned(),
            reason: row.required(2)?.to_owned(),
            rows: row.number(3, 1, "12")?.unsigned_abs(),
            source: row.cell(4).to_owned(),
        });
    }
    dropped_rows.sort();
    Ok(dropped_rows)
}
