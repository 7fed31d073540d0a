//! Reads `quotas.csv`: what clouds rent out at most to one account.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError};
use crate::model::{Pattern, Quota};
use std::collections::BTreeMap;

/// Reads `quotas.csv`: what a provider rents out at most to one account.
pub(super) fn quotas(
    file: &File,
    catalog: &Catalog,
    names: &[String],
    ended_sources: &[bool],
) -> Result<BTreeMap<Pattern, Quota>, CatalogError> {
    let mut quotas: BTreeMap<Pattern, Quota> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::QUOTAS)?;
    while let Some(row) = table.next_row()? {
        let text = row.required(0)?;
        let pattern = Pattern(text.to_owned());
        let is_known = match text.contains(':') {
            true => names.iter().any(|name| pattern.matches(name)),
            false => catalog.places.iter().any(|place| place.name.cloud == text),
        };
        if !is_known {
            return Err(row.error(
                0,
                format!("`{text}` is not a cloud and matches no place"),
                "write aws, or aws:us-east-1",
            ));
        }
        let limited_unit = row.required(1)?;
        let most_units = row.number(2, 1, "64")?.unsigned_abs();
        let source = cells::source(&row, 3, &catalog.sources)?;
        if ended_sources[usize::from(source)] {
            continue;
        }
        let quota = quotas.entry(pattern).or_default();
        let old_limit = match limited_unit {
            "cpus" => quota
                .vcpu_thousandths
                .replace(most_units.saturating_mul(1000)),
            "instances" => quota.instances.replace(most_units),
            "accelerators" => quota.accelerators.replace(most_units),
            name => match catalog.accelerator_name(name) {
                Some(known) => quota.by_accelerator.insert(known.to_owned(), most_units),
                None => {
                    let hint = "write cpus, instances, accelerators, or the name of an accelerator";
                    return Err(row.error(1, format!("`{name}` is nothing that is counted"), hint));
                }
            },
        };
        if old_limit.is_some() {
            return Err(row.error(
                1,
                format!("`{text}` has two quotas of {limited_unit}"),
                "keep one of the rows",
            ));
        }
    }
    Ok(quotas)
}
