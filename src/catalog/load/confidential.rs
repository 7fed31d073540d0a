//! Reads `confidential.csv`: which machines have a confidential-computing environment, and where.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError};
use crate::model::{Machine, Pattern, Tee};

/// One row of `confidential.csv`, resolved.
pub(super) struct TeeRule {
    /// The environment that machines have.
    pub tee: Tee,
    /// Whether a machine has the environment, by index of the machine.
    pub machines: Vec<bool>,
    /// Whether machines have the environment at a place, by index of the place.
    pub places: Vec<bool>,
}

/// Reads `confidential.csv`.
pub(super) fn confidential(
    file: &File,
    catalog: &Catalog,
    places: &[String],
) -> Result<Vec<TeeRule>, CatalogError> {
    let mut rules: Vec<TeeRule> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::CONFIDENTIAL)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        let patterns = |column| -> Result<Vec<Pattern>, CatalogError> {
            Ok(cells::patterns_or_empty(row.required(column)?))
        };
        let tee = row.required(2)?;
        let tee = Tee::parse(tee).ok_or_else(|| {
            let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
            row.error(
                2,
                format!("unknown environment `{tee}`"),
                format!("it is one of {}", names.join(", ")),
            )
        })?;
        let (types, regions) = (patterns(1)?, patterns(3)?);
        cells::source(&row, 4, &catalog.sources)?;
        let machine = |machine: &Machine| {
            machine.service.is_none()
                && machine.cloud == cloud
                && types
                    .iter()
                    .any(|pattern| pattern.matches(&machine.instance_type))
        };
        rules.push(TeeRule {
            tee,
            machines: catalog.machines.iter().map(machine).collect(),
            places: places
                .iter()
                .map(|name| regions.iter().any(|pattern| pattern.matches(name)))
                .collect(),
        });
    }
    Ok(rules)
}
