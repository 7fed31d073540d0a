//! Reads `discounts.csv`.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, PPM, PPM_PER_PERCENT};
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError};
use crate::model::units::{div_half_even, saturate};
use crate::model::{Machine, Rate};

/// Applies `discounts.csv`: of those that match an offer the greatest counts. Those of a source
/// that has ended by `today` do not.
pub(super) fn discounts(
    file: &File,
    catalog: &mut Catalog,
    names: &[String],
    ended_sources: &[bool],
) -> Result<(), CatalogError> {
    let mut read_discounts: Vec<(Vec<bool>, Vec<bool>, i64)> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::DISCOUNTS)?;
    while let Some(row) = table.next_row()? {
        let discounted_places = cells::places(&row, 0, names)?;
        let types = cells::patterns_or_empty(row.required(1)?);
        let discount_ppm = row.number(2, PPM_PER_PERCENT, "10")?;
        if discount_ppm <= 0 || discount_ppm >= PPM {
            let hint = "write a percentage above 0 and below 100";
            return Err(row.error(2, format!("{} % is not a discount", row.cell(2)), hint));
        }
        let source = cells::source(&row, 3, &catalog.sources)?;
        let machine = |machine: &Machine| {
            types
                .iter()
                .any(|pattern| pattern.matches(&machine.instance_type))
        };
        if !ended_sources[usize::from(source)] {
            read_discounts.push((
                discounted_places,
                catalog.machines.iter().map(machine).collect(),
                discount_ppm,
            ));
        }
    }
    for offer in &mut catalog.offers {
        let matching = read_discounts.iter().filter(|(places, machines, _)| {
            places[offer.place as usize] && machines[offer.machine as usize]
        });
        if let Some(parts) = matching.map(|(_, _, parts)| *parts).max() {
            let rate = i128::from(offer.rate.0) * i128::from(PPM - parts);
            offer.rate = Rate(saturate(div_half_even(rate, i128::from(PPM))));
        }
    }
    Ok(())
}
