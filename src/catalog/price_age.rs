//! What time does to offers: machine types that clouds retire, and prices of one type that are
//! years apart.
//!
//! A list of one region of 2026 and lists of others of 2025 have prices before and after a cut, and
//! a choice between regions would be one between days. A price that is more than [`APART`] days
//! older than the newest of its machine type is scaled by the change that `price_changes.csv` has
//! of that type, and marked as estimated. All of it is measured against the catalog's own days,
//! never a clock.

use crate::catalog::{Catalog, PriceRatio, Source};
use crate::model::Purchase;
use jiff::civil::Date;

/// Days between two prices of one machine type after which they are not compared as they are.
pub const APART: i32 = 365;

/// Prices older than so many days before the newest of the catalog are old, for a plan's account.
pub const OLD: i32 = 90;

/// Days from one day to another one, negative if it was before; none: one of them is not a day.
pub fn days_between(earlier: &str, later: &str) -> Option<i32> {
    let (earlier, later): (Date, Date) = (earlier.parse().ok()?, later.parse().ok()?);
    later.since(earlier).ok().map(|span| span.get_days())
}

/// The day of each source, in days since the first of them.
pub(crate) fn source_days(catalog: &Catalog) -> Vec<i32> {
    let first_day = catalog
        .sources
        .iter()
        .map(|source| source.date.as_str())
        .min();
    let day = |source: &Source| days_between(first_day?, &source.date);
    catalog
        .sources
        .iter()
        .map(|source| day(source).expect("a catalog whose sources have other dates is not loaded"))
        .collect()
}

/// The day of the newest price on demand of each machine, as in `days`; none: the machine has no
/// price.
pub(crate) fn newest_prices(catalog: &Catalog, days: &[i32]) -> Vec<Option<i32>> {
    let mut newest = vec![None; catalog.machines.len()];
    for offer in catalog
        .offers
        .iter()
        .filter(|offer| offer.purchase == Purchase::OnDemand)
    {
        let day = Some(days[usize::from(offer.source)]);
        let newest_day: &mut Option<i32> = &mut newest[offer.machine as usize];
        *newest_day = day.max(*newest_day);
    }
    newest
}

/// The change that carries a price of a machine type to the day of its newest one: the latest of
/// those that begin nearest to the price's own day.
pub(crate) fn change_for(changes: &[PriceRatio], days: &[i32], day: i32) -> Option<PriceRatio> {
    let later_changes = changes
        .iter()
        .filter(|change| days[usize::from(change.to)] - day > APART);
    later_changes
        .min_by_key(|change| {
            let (from, to) = (days[usize::from(change.from)], days[usize::from(change.to)]);
            (std::cmp::Reverse(to), (from - day).abs(), change.from)
        })
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::files::File;
    use crate::catalog::load;
    use crate::model::Offer;

    fn catalog(tables: &[(&str, &str)]) -> Catalog {
        let head = "format = 1\n[sources.new]\ndate = \"2026-07-20\"\nabout = \"New\"\n\
                    [sources.old]\ndate = \"2025-03-02\"\nabout = \"Old\"\n\
                    [sources.older]\ndate = \"2024-11-03\"\nabout = \"Older\"\n";
        let plain = [
            ("catalog.toml", head),
            ("places.csv", "place,country\nx:a,DE\nx:b,DE\nx:c,DE\n"),
            (
                "machines.csv",
                "cloud,instance_type,vcpus,memory_gib\nx,big,8,32\nx,same,8,32\nx,unknown,8,32\n",
            ),
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
            let (place, machine) = (
                &catalog.place(offer).name,
                &catalog.machine(offer).instance_type,
            );
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
        let offered = |name: &str| {
            catalog
                .offers
                .iter()
                .filter(|offer| catalog.machine(offer).instance_type == name)
                .count()
        };
        assert_eq!(
            (offered("big"), offered("same"), catalog.retired.len()),
            (1, 2, 4)
        );
        let same = catalog
            .offers
            .iter()
            .find(|offer| catalog.machine(offer).instance_type == "same")
            .unwrap();
        assert_eq!(catalog.retires(same).unwrap().day, "2026-07-21");
    }
}
