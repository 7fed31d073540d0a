//! Reads `interruptions.csv`: how often spot machines are interrupted.

use super::place_names::PlaceNames;
use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, PPM_PER_PERCENT};
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError};
use crate::model::Pattern;
use rustc_hash::FxHashMap as HashMap;
use std::collections::BTreeMap;

/// Reads `interruptions.csv`: parts per million by place and machine.
pub(super) fn interruptions(
    file: &File,
    catalog: &Catalog,
    names: &PlaceNames,
) -> Result<BTreeMap<(u32, u32), u32>, CatalogError> {
    let mut read_rates: Vec<((u32, u32), u32)> = Vec::new();
    let mut cloud = Regions::default();
    let mut table = Table::open(&file.shown, &file.text, format::INTERRUPTIONS)?;
    let mut line_numbers: Vec<u32> = Vec::new();
    while let Some(row) = table.next_row()? {
        let name = row.required(0)?;
        if cloud.name != name {
            cloud = Regions::of(name, catalog);
        }
        let Some(machine) = cloud.machines.get(row.required(1)?).copied() else {
            let message = format!("`{name}` has no instance type `{}`", row.cell(1));
            return Err(row.error(1, message, "add it to machines.csv of this cloud"));
        };
        let share = row.number(2, PPM_PER_PERCENT, "15")?;
        let share = u32::try_from(share).ok().filter(|share| *share < 1_000_000);
        let Some(share) = share else {
            return Err(row.error(
                2,
                format!("{} % is not less than all", row.cell(2)),
                "write a percentage below 100",
            ));
        };
        cells::source(&row, 4, &catalog.sources)?;
        for region in row.required(3)?.split(';').map(str::trim) {
            if region.contains('*') {
                let pattern = Pattern(region.to_owned());
                let matching = cloud
                    .places
                    .iter()
                    .filter(|(name, _)| pattern.matches(name));
                read_rates.extend(matching.map(|(_, place)| ((*place, machine), share)));
            } else {
                let place = cloud.places.get(region).copied().ok_or_else(|| {
                    let place = format!("{name}:{region}");
                    row.error(
                        3,
                        format!("unknown place `{place}`"),
                        names.place_hint(&place),
                    )
                })?;
                read_rates.push(((place, machine), share));
            }
        }
        line_numbers.resize(read_rates.len(), row.line);
    }
    let mut order: Vec<usize> = (0..read_rates.len()).collect();
    order.sort_by_key(|index| read_rates[*index].0);
    if let Some(pair) = order
        .windows(2)
        .find(|pair| read_rates[pair[0]].0 == read_rates[pair[1]].0)
    {
        let ((place, machine), _) = read_rates[pair[1]];
        let machine = &catalog.machines[machine as usize].instance_type;
        let message = format!(
            "`{machine}` at {} is there twice",
            catalog.places[place as usize].name
        );
        let second_line = line_numbers[pair[1]];
        return Err(CatalogError {
            line: second_line,
            text: file
                .text
                .lines()
                .nth(second_line.saturating_sub(1) as usize)
                .unwrap_or("")
                .to_owned(),
            ..CatalogError::file(&file.shown, message, "keep one of the rows")
        });
    }
    Ok(order.into_iter().map(|index| read_rates[index]).collect())
}

/// The machines and regions of one cloud.
#[derive(Default)]
struct Regions<'a> {
    name: &'a str,
    machines: HashMap<&'a str, u32>,
    /// Places of the cloud, by region.
    places: BTreeMap<&'a str, u32>,
}

impl<'a> Regions<'a> {
    fn of(name: &'a str, catalog: &'a Catalog) -> Self {
        let machines = catalog
            .machines
            .iter()
            .zip(0..)
            .filter(|(machine, _)| machine.cloud == name);
        let places = catalog
            .places
            .iter()
            .zip(0..)
            .filter(|(place, _)| place.name.cloud == name);
        Self {
            name,
            machines: machines
                .map(|(machine, id)| (machine.instance_type.as_str(), id))
                .collect(),
            places: places
                .map(|(place, id)| (place.name.region.as_str(), id))
                .collect(),
        }
    }
}
