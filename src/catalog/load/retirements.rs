//! Reads `retirements.csv`, and takes retired machine types off the market.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, Retirement};
use crate::model::{Offer, Pattern, Purchase};
use std::collections::BTreeMap;

pub(super) fn retirements(
    file: &File,
    catalog: &Catalog,
) -> Result<BTreeMap<u32, Vec<Retirement>>, CatalogError> {
    let mut retirements_of_machines: BTreeMap<u32, Vec<Retirement>> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, format::RETIREMENTS)?;
    while let Some(row) = table.next_row()? {
        let (cloud, types) = (row.required(0)?, row.required(1)?);
        let day = cells::day(&row, 2)?;
        let source = cells::source(&row, 3, &catalog.sources)?;
        let places = cells::patterns(row.cell(4))
            .into_iter()
            .filter(|pattern| pattern.0 != "*")
            .collect();
        let retirement = Retirement {
            day: day.to_owned(),
            places,
            evidence: row.cell(5).to_owned(),
            told_on: catalog.sources[usize::from(source)].date.clone(),
        };
        for machine in machines_of(catalog, cloud, &cells::patterns(types)) {
            retirements_of_machines
                .entry(machine)
                .or_default()
                .push(retirement.clone());
        }
    }
    retirements_of_machines
        .values_mut()
        .for_each(|retirements| retirements.sort());
    Ok(retirements_of_machines)
}

/// The machines of a cloud that match; most names are not patterns and are looked up.
fn machines_of(catalog: &Catalog, cloud: &str, types: &[Pattern]) -> Vec<u32> {
    let start = catalog
        .machines
        .partition_point(|machine| machine.cloud.as_str() < cloud);
    let cloud_end = catalog
        .machines
        .partition_point(|machine| machine.cloud.as_str() <= cloud);
    let of_cloud = &catalog.machines[start..cloud_end];
    let mut matching_machines = Vec::new();
    for pattern in types {
        if !pattern.0.contains('*') {
            matching_machines.extend(
                of_cloud.binary_search_by(|machine| machine.instance_type.as_str().cmp(&pattern.0)),
            );
            continue;
        }
        let matching = of_cloud
            .iter()
            .enumerate()
            .filter(|(_, machine)| pattern.matches(&machine.instance_type));
        matching_machines.extend(matching.map(|(index, _)| index));
    }
    matching_machines
        .into_iter()
        .filter_map(|index| u32::try_from(start + index).ok())
        .collect()
}

/// Takes offers off the market that are retired by the day of the newest price, or by the day of
/// the source that tells of the retirement.
pub(super) fn retire(catalog: &mut Catalog) {
    let offers = std::mem::take(&mut catalog.offers);
    let has_retired = |offer: &Offer| {
        catalog
            .retires(offer)
            .is_some_and(|retirement| retirement.has_happened(&catalog.date))
    };
    (catalog.retired, catalog.offers) = offers.into_iter().partition(has_retired);
    for offer in catalog
        .retired
        .iter()
        .filter(|offer| offer.purchase == Purchase::Spot)
    {
        catalog.interruptions.remove(&(offer.place, offer.machine));
    }
}
