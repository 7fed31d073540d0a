//! Prices that are old, scaled or over.

use super::finding::{Finding, Kind};
use crate::catalog::{Catalog, price_age};
use crate::model::Purchase;
use std::collections::{BTreeMap, BTreeSet};

/// Days after which prices are old beside newer ones.
const OLD: i32 = 366;

/// Sources of prices of any kind that are long before the newest price.
pub(super) fn old_sources(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let mut used_sources: BTreeMap<(u16, &str), usize> = BTreeMap::new();
    let mut count = |source: Option<u16>, kind: &'static str| {
        if let Some(source) = source {
            *used_sources.entry((source, kind)).or_default() += 1;
        }
    };
    catalog
        .offers
        .iter()
        .for_each(|offer| count(Some(offer.source), "prices"));
    catalog
        .extras
        .values()
        .for_each(|extras| count(extras.source, "prices of boot disks and addresses"));
    catalog
        .terms
        .values()
        .for_each(|terms| count(terms.source, "prices of storage"));
    let places = 0..catalog.network.places;
    let routes = places
        .clone()
        .flat_map(|from| places.clone().map(move |to| (from, to)));
    routes.for_each(|(from, to)| {
        count(
            catalog
                .network
                .priced(from, to)
                .and_then(|(_, source)| source),
            "prices of egress",
        )
    });
    for ((source, kind), prices) in used_sources {
        let source = &catalog.sources[usize::from(source)];
        // A catalog without prices of machines has no day to compare with.
        let days = price_age::days_between(&source.date, &catalog.date);
        if let Some(days) = days.filter(|days| *days > OLD) {
            let message = format!("{prices} {kind} are {days} days older than the newest");
            findings.push(Finding::of(Kind::OldSource, source.id.clone(), message));
        }
    }
}

/// Sources whose last day is past, and the offers that went with them.
pub(super) fn lapsed_sources(catalog: &Catalog, findings: &mut Vec<Finding>) {
    for (source, id) in catalog.sources.iter().zip(0_u16..) {
        let valid_until = &source.valid_until;
        if valid_until.is_empty() || *valid_until >= catalog.date {
            continue;
        }
        let of_source = || catalog.lapsed.iter().filter(|offer| offer.source == id);
        let mut types: Vec<&str> = of_source()
            .map(|offer| catalog.machine(offer).instance_type.as_str())
            .collect();
        types.sort_unstable();
        types.dedup();
        let lapsed_words = match (of_source().count(), types.as_slice()) {
            (0, _) => "what it says of limits and discounts".to_owned(),
            (1, [one, ..]) => format!("its offer of {one}"),
            (many, [one]) => format!("its {many} offers of {one}"),
            (many, [one, rest @ ..]) => {
                format!("its {many} offers of {one} and {} more", rest.len())
            }
            (many, []) => format!("its {many} offers"),
        };
        let message = format!(
            "{lapsed_words} held until {valid_until}, before the newest price ({}): not offered",
            catalog.date
        );
        findings.push(Finding::of(Kind::Lapsed, source.id.clone(), message));
    }
}

/// Machine types with prices that are more than a year apart.
pub(super) fn years_apart(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let days = price_age::source_days(catalog);
    let newest = price_age::newest_prices(catalog, &days);
    // By machine: places with prices that stand as they are, that were scaled, that did not change.
    let mut types: BTreeMap<u32, (usize, usize, BTreeSet<&str>)> = BTreeMap::new();
    for offer in &catalog.offers {
        let day = days[usize::from(offer.source)];
        let Some(latest) =
            newest[offer.machine as usize].filter(|latest| latest - day > price_age::APART)
        else {
            continue;
        };
        let changes = catalog
            .price_changes
            .get(&offer.machine)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let is_known = price_age::change_for(changes, &days, day).is_some()
            || offer.purchase == Purchase::Spot;
        if !offer.estimated && is_known {
            continue;
        }
        let type_entry = types.entry(offer.machine).or_default();
        type_entry.0 += usize::from(!offer.estimated);
        type_entry.1 += usize::from(offer.estimated);
        type_entry
            .2
            .insert(&catalog.sources[usize::from(offer.source)].date);
        debug_assert!(latest >= day);
    }
    for (machine, (plain, scaled, dates)) in types {
        let machine = &catalog.machines[machine as usize];
        let name = format!("{}:{}", machine.cloud, machine.instance_type);
        let since = dates.first().copied().unwrap_or_default();
        if plain > 0 {
            let message = format!(
                "{plain} prices, the oldest of {since}, are more than a year before the newest of the type, and how \
                 its price changed is not known"
            );
            findings.push(Finding::of(Kind::OldBesideNewer, name.clone(), message));
        }
        if scaled > 0 {
            let message = format!(
                "{scaled} prices, the oldest of {since}, are scaled by how the price of the type changed since"
            );
            findings.push(Finding::of(Kind::Estimated, name, message));
        }
    }
}
