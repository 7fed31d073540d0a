//! Reads `clouds.csv`: how clouds bill and boot.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, GIGABYTES, MILLIS_PER_SECOND, NANO};
use crate::catalog::table::Table;
use crate::catalog::{CatalogError, Source, Terms};
use crate::model::{Bytes, DataRate, Gigabyte, Millis, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Reads `clouds.csv`.
pub(super) fn clouds(
    file: &File,
    places: &[Place],
    sources: &[Source],
) -> Result<BTreeMap<String, Terms>, CatalogError> {
    let known_clouds: BTreeSet<&str> = places
        .iter()
        .map(|place| place.name.cloud.as_str())
        .collect();
    let mut clouds = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::CLOUDS)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        if !known_clouds.contains(cloud) || cloud == "local" {
            let hint = format!(
                "the clouds with places are {}",
                list_of_clouds(&known_clouds)
            );
            return Err(row.error(0, format!("no place is of a cloud `{cloud}`"), hint));
        }
        let figure =
            |column, per_unit, example| cells::figure_or_zero(&row, column, per_unit, example);
        let gigabyte = match row.cell(8) {
            "" => Gigabyte::DECIMAL,
            _ => Gigabyte(row.number(8, 1, "1073741824")?.unsigned_abs()),
        };
        if !GIGABYTES.contains(&gigabyte) {
            let message = format!("no cloud bills by a GB of {} bytes", row.cell(8));
            return Err(row.error(8, message, "write 1000000000, or 1073741824 for a GiB"));
        }
        let terms = Terms {
            increment: Millis(figure(1, MILLIS_PER_SECOND, "60")?.unsigned_abs()),
            minimum: Millis(figure(2, MILLIS_PER_SECOND, "60")?.unsigned_abs()),
            boot: Millis(figure(3, MILLIS_PER_SECOND, "120")?.unsigned_abs()),
            free_egress: gigabyte.scaled(Bytes(figure(4, NANO, "100")?.unsigned_abs())),
            storage: DataRate(figure(5, NANO, "0.023")?),
            gigabyte,
            source: cells::optional_source(&row, 6, sources)?,
        };
        if clouds.insert(cloud.to_owned(), terms).is_some() {
            return Err(row.error(
                0,
                format!("`{cloud}` is there twice"),
                "keep one of the rows",
            ));
        }
    }
    Ok(clouds)
}

fn list_of_clouds(clouds: &BTreeSet<&str>) -> String {
    let clouds: Vec<&str> = clouds
        .iter()
        .copied()
        .filter(|cloud| *cloud != "local")
        .collect();
    clouds.join(", ")
}
