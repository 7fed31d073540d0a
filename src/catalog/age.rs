//! What time does to offers: machine types that clouds retire, and prices of one type that are years apart.
//!
//! A list of one region of 2026 and lists of others of 2025 have prices before and after a cut, and a
//! choice between regions would be one between days. A price that is more than [`APART`] days older
//! than the newest of its machine type is scaled by the change that `price_changes.csv` has of that
//! type, and marked as estimated. All of it is measured against the catalog's own days, never a clock.

use crate::catalog::files::File;
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, rules};
use crate::model::units::div_half_even;
use crate::model::{Offer, Pattern, Purchase, Rate};
use jiff::civil::Date;
use std::collections::BTreeMap;

pub(crate) const RETIREMENTS: &[&str] = &["cloud", "instance_types", "retires", "source", "places", "evidence"];
pub(crate) const CHANGES: &[&str] = &["cloud", "instance_type", "from_source", "to_source", "ratio"];
pub(crate) const DROPPED: &[&str] = &["cloud", "instance_type", "reason", "rows", "source"];

/// Days between two prices of one machine type after which they are not compared as they are.
pub const APART: i32 = 365;

/// Prices older than so many days before the newest of the catalog are old, for a plan's account.
pub const OLD: i32 = 90;

/// Parts of a ratio.
pub(crate) const PPM: i64 = 1_000_000;

/// When a cloud stops renting out a machine type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retirement {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// Where; empty: everywhere.
    pub places: Vec<Pattern>,
    pub evidence: String,
}

/// How the price of a machine type changed between two lists, where both have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Indexes into the catalog's sources.
    pub from: u16,
    pub to: u16,
    /// The newer price by the older one, in parts per million.
    pub ratio_ppm: i64,
}

/// Rows of price lists that an import left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    pub cloud: String,
    /// Empty: of several types.
    pub instance_type: String,
    pub reason: String,
    pub rows: u64,
    /// The list that they are not in, or that they are from.
    pub source: String,
}

/// Days from one day to another one, negative if it was before; none: one of them is no day.
pub fn days_between(earlier: &str, later: &str) -> Option<i32> {
    let (earlier, later): (Date, Date) = (earlier.parse().ok()?, later.parse().ok()?);
    later.since(earlier).ok().map(|span| span.get_days())
}

/// Reads the three tables, takes retired offers off the market and scales what is out of date.
pub(crate) fn apply(files: &[File], catalog: &mut Catalog) -> Result<(), CatalogError> {
    let find = |name: &str| files.iter().find(|file| file.name == name);
    if let Some(file) = find("dropped.csv") {
        catalog.dropped = dropped(file, catalog)?;
    }
    if let Some(file) = find("retirements.csv") {
        catalog.retirements = retirements(file, catalog)?;
        retire(catalog);
    }
    if let Some(file) = find("price_changes.csv") {
        catalog.price_changes = changes(file, catalog)?;
        estimate(catalog);
    }
    Ok(())
}

fn day<'a>(row: &crate::catalog::table::Row<'a>, column: usize) -> Result<&'a str, CatalogError> {
    let text = row.required(column)?;
    match text.parse::<Date>() {
        Ok(_) if text.len() == 10 => Ok(text),
        _ => Err(row.error(column, format!("`{text}` is not a day"), "write it like 2026-12-31")),
    }
}

fn patterns(cell: &str) -> Vec<Pattern> {
    cell.split(';').map(str::trim).filter(|part| !part.is_empty()).map(|part| Pattern(part.to_owned())).collect()
}

fn retirements(file: &File, catalog: &Catalog) -> Result<BTreeMap<u32, Vec<Retirement>>, CatalogError> {
    let mut found: BTreeMap<u32, Vec<Retirement>> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, RETIREMENTS, 4)?;
    while let Some(row) = table.next_row()? {
        let (cloud, types) = (row.required(0)?, row.required(1)?);
        let day = day(&row, 2)?;
        rules::source(&row, 3, &catalog.sources)?;
        let places = patterns(row.cell(4)).into_iter().filter(|pattern| pattern.0 != "*").collect();
        let retirement = Retirement { day: day.to_owned(), places, evidence: row.cell(5).to_owned() };
        for machine in machines_of(catalog, cloud, &patterns(types)) {
            found.entry(machine).or_default().push(retirement.clone());
        }
    }
    found.values_mut().for_each(|retirements| retirements.sort());
    Ok(found)
}

/// The machines of a cloud that match; most names are no patterns and are looked up.
fn machines_of(catalog: &Catalog, cloud: &str, types: &[Pattern]) -> Vec<u32> {
    let start = catalog.machines.partition_point(|machine| machine.cloud.as_str() < cloud);
    let end = catalog.machines.partition_point(|machine| machine.cloud.as_str() <= cloud);
    let of_cloud = &catalog.machines[start..end];
    let mut found = Vec::new();
    for pattern in types {
        if !pattern.0.contains('*') {
            found.extend(of_cloud.binary_search_by(|machine| machine.instance_type.as_str().cmp(&pattern.0)));
            continue;
        }
        let matching = of_cloud.iter().enumerate().filter(|(_, machine)| pattern.matches(&machine.instance_type));
        found.extend(matching.map(|(index, _)| index));
    }
    found.into_iter().filter_map(|index| u32::try_from(start + index).ok()).collect()
}

/// Takes offers off the market whose last day is not after the catalog's.
fn retire(catalog: &mut Catalog) {
    let offers = std::mem::take(&mut catalog.offers);
    let gone = |offer: &Offer| catalog.retires(offer).is_some_and(|retirement| retirement.day <= catalog.date);
    (catalog.retired, catalog.offers) = offers.into_iter().partition(gone);
    for offer in catalog.retired.iter().filter(|offer| offer.purchase == Purchase::Spot) {
        catalog.interruptions.remove(&(offer.place, offer.machine));
    }
}

fn changes(file: &File, catalog: &Catalog) -> Result<BTreeMap<u32, Vec<Change>>, CatalogError> {
    let mut found: BTreeMap<u32, Vec<Change>> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, CHANGES, 5)?;
    while let Some(row) = table.next_row()? {
        let (cloud, name) = (row.required(0)?, row.required(1)?);
        let key = (cloud, name);
        let index = catalog
            .machines
            .binary_search_by(|machine| (machine.cloud.as_str(), machine.instance_type.as_str()).cmp(&key));
        let Ok(index) = index else {
            return Err(row.error(
                1,
                format!("unknown instance type `{name}`"),
                "add it to machines.csv of this cloud",
            ));
        };
        let (from, to) = (rules::source(&row, 2, &catalog.sources)?, rules::source(&row, 3, &catalog.sources)?);
        let ratio_ppm = row.number(4, PPM, "0.56")?;
        if ratio_ppm <= 0 {
            return Err(row.error(4, "a ratio is above 0", "it is the newer price divided by the older one"));
        }
        found.entry(u32::try_from(index).unwrap_or(u32::MAX)).or_default().push(Change { from, to, ratio_ppm });
    }
    found.values_mut().for_each(|changes| changes.sort());
    Ok(found)
}

/// Days of sources as numbers: since the first of them.
pub(crate) fn source_days(catalog: &Catalog) -> Vec<i32> {
    let first = catalog.sources.iter().map(|source| source.date.as_str()).min().unwrap_or_default();
    catalog.sources.iter().map(|source| days_between(first, &source.date).unwrap_or(0)).collect()
}

/// By machine: the day of its newest price on demand, as in `days`; none: it has no price.
pub(crate) fn newest_prices(catalog: &Catalog, days: &[i32]) -> Vec<Option<i32>> {
    let mut newest = vec![None; catalog.machines.len()];
    for offer in catalog.offers.iter().filter(|offer| offer.purchase == Purchase::OnDemand) {
        let day = Some(days[usize::from(offer.source)]);
        let known: &mut Option<i32> = &mut newest[offer.machine as usize];
        *known = day.max(*known);
    }
    newest
}

/// The change that carries a price of a machine type to the day of its newest one: the latest of
/// those that begin nearest to the price's own day.
pub(crate) fn change_for(changes: &[Change], days: &[i32], day: i32) -> Option<Change> {
    let later = changes.iter().filter(|change| days[usize::from(change.to)] - day > APART);
    later
        .min_by_key(|change| {
            let (from, to) = (days[usize::from(change.from)], days[usize::from(change.to)]);
            (std::cmp::Reverse(to), (from - day).abs(), change.from)
        })
        .copied()
}

/// Scales prices that are long before the newest of their machine type, and marks them.
fn estimate(catalog: &mut Catalog) {
    let days = source_days(catalog);
    let newest = newest_prices(catalog, &days);
    let changes = &catalog.price_changes;
    // The place and machine whose price on demand was scaled last: its spot offer comes next.
    let mut last = None;
    for offer in &mut catalog.offers {
        let day = days[usize::from(offer.source)];
        let apart = newest[offer.machine as usize].is_some_and(|newest| newest - day > APART);
        // Spot prices follow the price on demand beside them; where that is new, they stand for themselves.
        let follows = offer.purchase == Purchase::OnDemand || last == Some((offer.place, offer.machine));
        if !apart || !follows {
            continue;
        }
        let Some(known) = changes.get(&offer.machine) else { continue };
        let Some(change) = change_for(known, &days, day).filter(|change| change.ratio_ppm != PPM) else { continue };
        let scaled = div_half_even(i128::from(offer.rate.0) * i128::from(change.ratio_ppm), i128::from(PPM));
        offer.rate = Rate(i64::try_from(scaled).unwrap_or(i64::MAX).max(1));
        offer.estimated = true;
        last = Some((offer.place, offer.machine));
    }
}

fn dropped(file: &File, catalog: &Catalog) -> Result<Vec<Dropped>, CatalogError> {
    let mut found = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, DROPPED, 5)?;
    while let Some(row) = table.next_row()? {
        rules::source(&row, 4, &catalog.sources)?;
        found.push(Dropped {
            cloud: row.required(0)?.to_owned(),
            instance_type: row.cell(1).to_owned(),
            reason: row.required(2)?.to_owned(),
            rows: row.number(3, 1, "12")?.unsigned_abs(),
            source: row.cell(4).to_owned(),
        });
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::load;

    fn catalog(tables: &[(&str, &str)]) -> Catalog {
        let head = "format = 1\n[sources.new]\ndate = \"2026-07-20\"\nabout = \"New\"\n\
                    [sources.old]\ndate = \"2025-03-02\"\nabout = \"Old\"\n\
                    [sources.older]\ndate = \"2024-11-03\"\nabout = \"Older\"\n";
        let plain = [
            ("catalog.toml", head),
            ("places.csv", "place,country\nx:a,DE\nx:b,DE\nx:c,DE\n"),
            ("machines.csv", "cloud,instance_type,vcpus,memory_gib\nx,big,8,32\nx,same,8,32\nx,unknown,8,32\n"),
            (
                "prices.csv",
                "place,instance_type,on_demand,source,spot,spot_source\n\
                 x:a,big,55.04,new,50,older\nx:b,big,98.32,old,40,older\nx:c,big,100,older,,\n\
                 x:a,same,1,new,,\nx:b,same,1.1,old,,\nx:a,unknown,1,new,,\nx:b,unknown,2,old,,\n",
            ),
        ];
        let file = |(name, text): &(&str, &str)| File {
            name: (*name).to_owned(),
            shown: (*name).to_owned(),
            text: (*text).to_owned(),
        };
        let mut files: Vec<File> = plain.iter().chain(tables).map(file).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        load::from_files(&files).unwrap()
    }

    fn prices(catalog: &Catalog) -> Vec<String> {
        let text = |offer: &Offer| {
            let mark = if offer.estimated { " estimated" } else { "" };
            let (place, machine) = (&catalog.place(offer).name, &catalog.machine(offer).instance_type);
            format!("{place} {machine} {} {}{mark}", offer.purchase, offer.rate)
        };
        catalog.offers.iter().map(text).collect()
    }

    #[test]
    fn prices_a_year_apart_are_scaled_by_the_newest_known_change_and_marked() {
        let changes = "cloud,instance_type,from_source,to_source,ratio\n\
                       x,big,old,new,0.56\nx,big,older,new,0.5\nx,same,old,new,1\n";
        assert_eq!(
            prices(&catalog(&[("price_changes.csv", changes)])),
            [
                "x:a big on-demand $55.04",
                "x:a big spot $50.00",
                "x:a same on-demand $1.00",
                "x:a unknown on-demand $1.00",
                "x:b big on-demand $55.0592 estimated",
                "x:b big spot $20.00 estimated",
                "x:b same on-demand $1.10",
                "x:b unknown on-demand $2.00",
                "x:c big on-demand $50.00 estimated",
            ]
        );
    }

    #[test]
    fn retired_types_are_not_offered_from_their_day_on() {
        let rows = "cloud,instance_types,retires,source,places,evidence\n\
                    x,bi*,2026-07-20,new,x:a;x:b,seen\nx,same,2026-07-21,new,*,\nx,none,2020-01-01,new,,\n";
        let catalog = catalog(&[("retirements.csv", rows)]);
        let offered =
            |name: &str| catalog.offers.iter().filter(|offer| catalog.machine(offer).instance_type == name).count();
        assert_eq!((offered("big"), offered("same"), catalog.retired.len()), (1, 2, 4));
        let same = catalog.offers.iter().find(|offer| catalog.machine(offer).instance_type == "same").unwrap();
        assert_eq!(catalog.retires(same).unwrap().day, "2026-07-21");
    }
}
