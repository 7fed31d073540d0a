//! Reads `price_changes.csv`, and scales prices that are out of date.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, PPM};
use crate::catalog::price_age::{APART, change_for, newest_prices, source_days};
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, PriceRatio};
use crate::model::units::{div_half_even, saturate};
use crate::model::{Purchase, Rate};
use std::collections::BTreeMap;

pub(super) fn changes(
    file: &File,
    catalog: &Catalog,
) -> Result<BTreeMap<u32, Vec<PriceRatio>>, CatalogError> {
    let mut changes_of_machines: BTreeMap<u32, Vec<PriceRatio>> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::PRICE_CHANGES)?;
    while let Some(row) = table.next_row()? {
        let (cloud, name) = (row.required(0)?, row.required(1)?);
        let machine_name = (cloud, name);
        let index = catalog.machines.binary_search_by(|machine| {
            (machine.cloud.as_str(), machine.instance_type.as_str()).cmp(&machine_name)
        });
        let machine_index = index.ok().and_then(|index| u32::try_from(index).ok());
        let Some(machine_index) = machine_index else {
            return Err(row.error(
                1,
                format!("unknown instance type `{name}`"),
                "add it to machines.csv of this cloud",
            ));
        };
        let (from, to) = (
            cells::source(&row, 2, &catalog.sources)?,
            cells::source(&row, 3, &catalog.sources)?,
        );
        let ratio_ppm = row.number(4, PPM, "0.56")?;
        if ratio_ppm <= 0 {
            return Err(row.error(
                4,
                "a ratio is above 0",
                "it is the newer price divided by the older one",
            ));
        }
        changes_of_machines
            .entry(machine_index)
            .or_default()
            .push(PriceRatio {
                from,
                to,
                ratio_ppm,
            });
    }
    changes_of_machines
        .values_mut()
        .for_each(|changes| changes.sort());
    Ok(changes_of_machines)
}

/// Scales prices that are long before the newest of their machine type, and marks them.
pub(super) fn estimate(catalog: &mut Catalog) {
    let days = source_days(catalog);
    let newest = newest_prices(catalog, &days);
    let changes = &catalog.price_changes;
    // The place and machine whose price on demand was scaled last: its spot offer comes next.
    let mut last_scaled = None;
    for offer in &mut catalog.offers {
        let day = days[usize::from(offer.source)];
        let apart = newest[offer.machine as usize].is_some_and(|newest| newest - day > APART);
        // Spot prices follow the price on demand beside them; where that is new, they stand for
        // themselves.
        let follows = offer.purchase == Purchase::OnDemand
            || last_scaled == Some((offer.place, offer.machine));
        if !apart || !follows {
            continue;
        }
        let Some(known) = changes.get(&offer.machine) else {
            continue;
        };
        let Some(change) = change_for(known, &days, day).filter(|change| change.ratio_ppm != PPM)
        else {
            continue;
        };
        let scaled_rate = div_half_even(
            i128::from(offer.rate.0) * i128::from(change.ratio_ppm),
            i128::from(PPM),
        );
        offer.rate = Rate(saturate(scaled_rate).max(1));
        offer.estimated = true;
        last_scaled = Some((offer.place, offer.machine));
    }
}
