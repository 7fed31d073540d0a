//! How clouds bill and boot, how often spot machines are interrupted, how long round trips take:
//! from rows to the fields of [`Catalog`].

use crate::catalog::files::File;
use crate::catalog::load::Names;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, Source, Terms, rules};
use crate::model::{Bytes, DataRate, Gigabyte, Millis, Pattern, Place};
use rustc_hash::FxHashMap as HashMap;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const CLOUDS: &[&str] = &[
    "cloud",
    "increment_s",
    "minimum_s",
    "boot_s",
    "free_egress_gb",
    "storage_usd_per_gb_month",
    "source",
    "evidence",
    "gb_bytes",
];
pub(crate) const INTERRUPTIONS: &[&str] = &["cloud", "instance_type", "percent_per_month", "regions", "source"];
pub(crate) const ROUND_TRIPS: &[&str] = &["from", "to", "ms", "source"];

/// Units per second, per GB and per dollar.
pub(crate) const MILLIS: i64 = 1000;
pub(crate) const NANO: i64 = 1_000_000_000;
/// Parts per million in a percent.
pub(crate) const PER_PERCENT: i64 = 10_000;

/// What a GB may be.
pub(crate) const GIGABYTES: [Gigabyte; 2] = [Gigabyte::DECIMAL, Gigabyte::BINARY];

/// Reads `clouds.csv`.
pub(crate) fn clouds(
    file: &File,
    places: &[Place],
    sources: &[Source],
) -> Result<BTreeMap<String, Terms>, CatalogError> {
    let known: BTreeSet<&str> = places.iter().map(|place| place.name.cloud.as_str()).collect();
    let mut clouds = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, CLOUDS, 1)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        if !known.contains(cloud) || cloud == "local" {
            let hint = format!("the clouds with places are {}", list(&known));
            return Err(row.error(0, format!("no place is of a cloud `{cloud}`"), hint));
        }
        let figure = |column, per_unit, example| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, example),
        };
        let gigabyte = match row.cell(8) {
            "" => Gigabyte::DECIMAL,
            _ => Gigabyte(row.number(8, 1, "1073741824")?.unsigned_abs()),
        };
        if !GIGABYTES.contains(&gigabyte) {
            let message = format!("no cloud bills by a GB of {} bytes", row.cell(8));
            return Err(row.error(8, message, "write 1000000000, or 1073741824 for a GiB"));
        }
        let terms = Terms {
            increment: Millis(figure(1, MILLIS, "60")?.unsigned_abs()),
            minimum: Millis(figure(2, MILLIS, "60")?.unsigned_abs()),
            boot: Millis(figure(3, MILLIS, "120")?.unsigned_abs()),
            free_egress: gigabyte.scaled(Bytes(figure(4, NANO, "100")?.unsigned_abs())),
            storage: DataRate(figure(5, NANO, "0.023")?),
            gigabyte,
            source: if row.cell(6).is_empty() { None } else { Some(rules::source(&row, 6, sources)?) },
        };
        if clouds.insert(cloud.to_owned(), terms).is_some() {
            return Err(row.error(0, format!("`{cloud}` is there twice"), "keep one of the rows"));
        }
    }
    Ok(clouds)
}

fn list(clouds: &BTreeSet<&str>) -> String {
    let clouds: Vec<&str> = clouds.iter().copied().filter(|cloud| *cloud != "local").collect();
    clouds.join(", ")
}

/// Reads `interruptions.csv`: parts per million by place and machine.
pub(crate) fn interruptions(
    file: &File,
    catalog: &Catalog,
    names: &Names,
) -> Result<BTreeMap<(u32, u32), u32>, CatalogError> {
    let mut found: Vec<((u32, u32), u32)> = Vec::new();
    let mut cloud = Regions::default();
    let mut table = Table::open(&file.shown, &file.text, INTERRUPTIONS, 5)?;
    let mut lines: Vec<u32> = Vec::new();
    while let Some(row) = table.next_row()? {
        let name = row.required(0)?;
        if cloud.name != name {
            cloud = Regions::of(name, catalog);
        }
        let Some(machine) = cloud.machines.get(row.required(1)?).copied() else {
            let message = format!("`{name}` has no instance type `{}`", row.cell(1));
            return Err(row.error(1, message, "add it to machines.csv of this cloud"));
        };
        let share = row.number(2, PER_PERCENT, "15")?;
        let share = u32::try_from(share).ok().filter(|share| *share < 1_000_000);
        let Some(share) = share else {
            return Err(row.error(
                2,
                format!("{} % is not less than all", row.cell(2)),
                "write a percentage below 100",
            ));
        };
        rules::source(&row, 4, &catalog.sources)?;
        for region in row.required(3)?.split(';').map(str::trim) {
            if region.contains('*') {
                let pattern = Pattern(region.to_owned());
                let matching = cloud.places.iter().filter(|(name, _)| pattern.matches(name));
                found.extend(matching.map(|(_, place)| ((*place, machine), share)));
            } else {
                let place = cloud.places.get(region).copied().ok_or_else(|| {
                    let place = format!("{name}:{region}");
                    row.error(3, format!("unknown place `{place}`"), names.place_hint(&place))
                })?;
                found.push(((place, machine), share));
            }
        }
        lines.resize(found.len(), row.line);
    }
    let mut order: Vec<usize> = (0..found.len()).collect();
    order.sort_by_key(|index| found[*index].0);
    if let Some(pair) = order.windows(2).find(|pair| found[pair[0]].0 == found[pair[1]].0) {
        let ((place, machine), _) = found[pair[1]];
        let machine = &catalog.machines[machine as usize].instance_type;
        let message = format!("`{machine}` at {} is there twice", catalog.places[place as usize].name);
        let line = lines[pair[1]];
        return Err(CatalogError {
            line,
            text: file.text.lines().nth(line.saturating_sub(1) as usize).unwrap_or("").to_owned(),
            ..CatalogError::file(&file.shown, message, "keep one of the rows")
        });
    }
    Ok(order.into_iter().map(|index| found[index]).collect())
}

/// The machines and regions of one cloud.
#[derive(Default)]
struct Regions<'a> {
    name: &'a str,
    machines: HashMap<&'a str, u32>,
    /// By region.
    places: BTreeMap<&'a str, u32>,
}

impl<'a> Regions<'a> {
    fn of(name: &'a str, catalog: &'a Catalog) -> Self {
        let machines = catalog.machines.iter().zip(0..).filter(|(machine, _)| machine.cloud == name);
        let places = catalog.places.iter().zip(0..).filter(|(place, _)| place.name.cloud == name);
        Self {
            name,
            machines: machines.map(|(machine, id)| (machine.instance_type.as_str(), id)).collect(),
            places: places.map(|(place, id)| (place.name.region.as_str(), id)).collect(),
        }
    }
}

/// Reads `round_trips.csv`.
pub(crate) fn round_trips(
    file: &File,
    names: &Names,
    sources: &[Source],
) -> Result<BTreeMap<(u32, u32), Millis>, CatalogError> {
    let mut trips = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, ROUND_TRIPS, 4)?;
    while let Some(row) = table.next_row()? {
        let place = |column: usize| {
            let name = row.required(column)?;
            let known = names.place(name);
            known.ok_or_else(|| row.error(column, format!("unknown place `{name}`"), names.place_hint(name)))
        };
        let pair = (place(0)?, place(1)?);
        rules::source(&row, 3, sources)?;
        let trip = Millis(row.number(2, 1, "90")?.unsigned_abs());
        if pair.0 == pair.1 {
            return Err(row.error(1, "a place is no way from itself", "leave the row out"));
        }
        if trips.insert(pair, trip).is_some() {
            let message = format!("`{}` to `{}` is there twice", row.cell(0), row.cell(1));
            return Err(row.error(0, message, "keep one of the rows"));
        }
    }
    Ok(trips)
}
