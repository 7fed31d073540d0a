//! Egress prices and throughput between pairs of regions.

use super::{Foreign, Options, Report, source};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, EgressRow};
use crate::catalog::load::HeadSource;
use crate::model::offer::CLASSES;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A cloud, its first tier as the older list has it, and its tiers: from GB, price.
type Tiers = (&'static str, i64, &'static [(u64, i64)]);

/// Newer list prices to the internet, per GB in units of 10⁻⁴ USD. They are of 2026; the monthly free gigabytes
/// that come before them are not applied.
const TIERS: &[Tiers] = &[
    ("aws", 900, &[(0, 900), (10_240, 850), (51_200, 700), (153_600, 500)]),
    ("azure", 875, &[(0, 870), (10_240, 830), (51_200, 700), (153_600, 500)]),
    ("gcp", 1200, &[(0, 1200), (1024, 1100), (10_240, 800)]),
];

/// Premium-tier prices of Google's SKUs to the Americas by the region that the data leaves, per GiB in units of
/// 10⁻⁴ USD, as a public price list printed them on [`GCP_SKUS_DAY`]. The regions of North America keep [`TIERS`],
/// which are the same and newer. Tokyo, Osaka and Seoul are left out: the list mixes two of their price tables.
const GCP_SKUS: &[(&str, &[(u64, i64)])] = &[
    ("africa-south1 me-central1 me-west1", &[(0, 1500), (1024, 1300), (10_240, 1100)]),
    (
        "asia-southeast2 australia-southeast1 australia-southeast2 me-central2 southamerica-east1 southamerica-west1",
        &[(0, 1900), (1024, 1800), (10_240, 1500)],
    ),
    (
        "asia-east1 asia-east2 asia-south1 asia-south2 asia-southeast1 europe-central2 europe-north1 europe-north2 \
         europe-southwest1 europe-west1 europe-west10 europe-west12 europe-west2 europe-west3 europe-west4 \
         europe-west6 europe-west8 europe-west9",
        &[(0, 1200), (1024, 1100), (10_240, 850)],
    ),
];
const GCP_SKUS_ID: &str = "gcp-skus-2025-03";
const GCP_SKUS_DAY: &str = "2025-03-06";

/// Nano-USD in the unit of [`TIERS`].
const UNIT: i64 = 100_000;

const NEWER: &str = "egress-list-2026";

/// Price areas, as the clouds draw them.
const AREAS: &[(&str, &str)] = &[
    ("africa", "ZA"),
    ("asia", "CN HK ID IN JP KR MY SG TH TW"),
    ("europe", "AT BE CH CZ DE DK ES FI FR GB GR IE IS IT NL NO PL PT RO SE"),
    ("middle east", "AE BH IL QA SA"),
    ("north america", "CA MX US"),
    ("oceania", "AU NZ"),
    ("south america", "BR CL"),
];

/// A place and where it is. Partitions are countries of their own: they have their own prices.
struct Spot<'a> {
    name: &'a str,
    cloud: &'a str,
    /// Empty: open to all.
    partition: &'a str,
    country: String,
    area: String,
}

fn spots(draft: &Draft) -> Vec<Spot<'_>> {
    let area = |cloud: &str, country: &str| {
        // Google's price lists have Indonesia apart from the rest of Asia.
        if (cloud, country) == ("gcp", "ID") {
            return "indonesia";
        }
        let known = AREAS.iter().find(|(_, countries)| countries.split(' ').any(|known| known == country));
        known.map_or("", |(area, _)| *area)
    };
    draft
        .places
        .iter()
        .filter_map(|(name, row)| {
            let (cloud, _) = name.split_once(':')?;
            let closed = CLASSES.contains(&(row.class.as_str(), false));
            let partition = if closed { row.class.as_str() } else { "" };
            let apart = |text: &str| match (text, partition) {
                ("", _) | (_, "") => text.to_owned(),
                _ => format!("{text} {partition}"),
            };
            let (country, area) = (apart(&row.country), apart(area(cloud, &row.country)));
            Some(Spot { name, cloud, partition, country, area })
        })
        .collect()
}

/// The place that a list means: `gcp:us-west1-a` is in `gcp:us-west1`; a bare region is the
/// given cloud's.
fn place(draft: &Draft, cloud: Option<&str>, text: &str) -> Option<String> {
    let name = match (text.contains(':'), cloud) {
        (true, _) => text.to_owned(),
        (false, Some(cloud)) => format!("{cloud}:{text}"),
        (false, None) => return None,
    };
    if draft.places.contains_key(&name) {
        return Some(name);
    }
    let (region, zone) = name.rsplit_once('-')?;
    (zone.len() == 1 && draft.places.contains_key(region)).then(|| region.to_owned())
}

/// Reads pairs of regions and a price; `internet` may be a destination.
///
/// Regions of the same cloud that were not listed take the price of listed ones: of the same
/// country, else of the same area, the dearest if they differ. Their source says so.
pub(super) fn import_egress(
    path: &Path,
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), CatalogError> {
    let id = source(draft, options, report, "egress", None, "Egress list prices between region pairs")?;
    let assumed = format!("{id}-by-area");
    if let Some(row) = draft.sources.get(&id).cloned() {
        let about =
            format!("As {id}, for regions that it does not list: the price of listed ones in the same country or area");
        draft.sources.insert(assumed.clone(), HeadSource { about, ..row });
    }
    let newer = HeadSource {
        date: "2026-11-22".to_owned(),
        about: "Price pages of AWS, Azure and GCP as quoted in 2026: tiers to the internet; GCP between regions of North America"
            .to_owned(),
        ..HeadSource::default()
    };
    draft.sources.insert(NEWER.to_owned(), newer);
    let skus = HeadSource {
        date: GCP_SKUS_DAY.to_owned(),
        about: "Google's SKU prices by region, as printed in the price list of a public cost calculator on that day: boot \
                disks (pd-balanced), external addresses, and the internet by source region (Premium tier, to the Americas)"
            .to_owned(),
        url: "https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator/blob/master/pricing.yml".to_owned(),
        ..HeadSource::default()
    };
    draft.sources.insert(GCP_SKUS_ID.to_owned(), skus);
    let sku_of = |from: &Spot| if draft.date_of(&id) < GCP_SKUS_DAY { gcp_sku(from) } else { None };
    let listed = listed(path, options, draft, report)?;
    let clouds: BTreeSet<&str> = listed.keys().filter_map(|(from, _)| Some(from.split_once(':')?.0)).collect();
    let places = spots(draft);
    let list = Listed::new(&listed, &places);
    let mut rules: BTreeMap<(String, String), EgressRow> = BTreeMap::new();
    for from in places.iter().filter(|from| clouds.contains(from.cloud)) {
        let own = if list.sources.contains(from.name) { &id } else { &assumed };
        let flat =
            |nano: i64, source: &str| EgressRow { tiers: BTreeMap::from([(0, nano)]), source: source.to_owned() };
        let inside = list.prices(from, &places, true);
        // The pattern does not reach into another partition. A closed one has few regions: where
        // no way inside it is listed, the ways out of it must do.
        let near = inside.iter().filter(|(to, ..)| to.partition == from.partition).map(|(_, nano, _)| *nano);
        let (at_home, out) = (usual(near), usual(inside.iter().map(|(_, nano, _)| *nano)));
        if let Some(usual) = at_home.or(out) {
            let own = if at_home.is_some() { own } else { &assumed };
            rules.insert((from.name.to_owned(), format!("{}:*", from.cloud)), flat(usual, own));
            // AWS has one price out of a region to all others of its partition; the exceptions are listed pairs.
            let one_price = |to: &Spot, exact: bool| from.cloud == "aws" && !exact && to.partition == from.partition;
            let named = |to: &Spot, nano: i64, exact: bool| {
                (nano != usual && !one_price(to, exact)) || to.partition != from.partition
            };
            for (to, nano, exact) in inside.iter().filter(|(to, nano, exact)| named(to, *nano, *exact)) {
                // Between regions of North America GCP has doubled its price since, both ways.
                let newer = from.cloud == "gcp" && *nano == 10_000_000 && from.area == "north america";
                let source = if newer {
                    NEWER
                } else if *exact {
                    &id
                } else {
                    &assumed
                };
                let nano = if newer { 20_000_000 } else { *nano };
                rules.insert((from.name.to_owned(), to.name.to_owned()), flat(nano, source));
            }
        }
        let outside = list.prices(from, &places, false);
        let internet = listed.get(&(from.name.to_owned(), "internet".to_owned())).copied();
        let (internet, own) = match internet {
            None if !from.partition.is_empty() => (internet_of_partition(from, &places, &listed), &assumed),
            known => (known, own),
        };
        let (sku, listed_usual) = (sku_of(from), internet.or_else(|| usual(outside.iter().map(|(_, nano, _)| *nano))));
        if let Some(usual) = sku.map(|tiers| tiers[0].1 * UNIT).or(listed_usual) {
            let newer = TIERS.iter().find(|(cloud, first, _)| *cloud == from.cloud && first * UNIT == usual);
            let tiered = |tiers: &[(u64, i64)], source: &str| EgressRow {
                tiers: tiers.iter().map(|(gb, rate)| (gb * 1_000_000_000, rate * UNIT)).collect(),
                source: source.to_owned(),
            };
            let row = match (sku, newer) {
                (Some(tiers), _) => tiered(tiers, GCP_SKUS_ID),
                (None, Some((_, _, tiers))) => tiered(tiers, NEWER),
                (None, None) => flat(usual, own),
            };
            rules.insert((from.name.to_owned(), "internet".to_owned()), row);
            // The SKUs name one price to all but Oceania and China; of the older list only those stay.
            let differs = |to: &Spot, nano: i64| nano != usual && (sku.is_none() || to.area == "oceania");
            for (to, nano, exact) in outside.iter().filter(|(to, nano, _)| internet.is_none() && differs(to, *nano)) {
                let source = if *exact { &id } else { &assumed };
                rules.insert((from.name.to_owned(), to.name.to_owned()), flat(*nano, source));
            }
        } else {
            report.leave_of(format!("{}: no price is known out of a place", from.cloud), from.name);
        }
    }
    let date = draft.date_of(&id);
    // What was there before gives way, but only to prices of the same kind of way.
    let cloud_of = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let kind = |(from, to): &(String, String)| (from.clone(), cloud_of(from) == cloud_of(to));
    let kinds: BTreeSet<(String, bool)> = rules.keys().map(kind).collect();
    let stale: Vec<_> = draft
        .egress
        .iter()
        .filter(|(key, row)| kinds.contains(&kind(key)) && draft.date_of(&row.source) <= date)
        .map(|(key, _)| key.clone())
        .collect();
    for key in stale {
        draft.egress.remove(&key);
    }
    for (key, row) in rules {
        if draft.egress.get(&key).is_none_or(|old| draft.date_of(&old.source) <= draft.date_of(&row.source)) {
            report.take("egress rules");
            draft.egress.insert(key, row);
        }
    }
    Ok(())
}

/// Google's newer prices out of a region to the internet, where they are known.
fn gcp_sku(from: &Spot) -> Option<&'static [(u64, i64)]> {
    let region = from.name.strip_prefix("gcp:")?;
    GCP_SKUS.iter().find(|(regions, _)| regions.split(' ').any(|known| known == region)).map(|(_, tiers)| *tiers)
}

fn listed(
    path: &Path,
    options: &Options,
    draft: &Draft,
    report: &mut Report,
) -> Result<BTreeMap<(String, String), i64>, CatalogError> {
    let mut rows = Foreign::open(path)?;
    let from = rows.required(&["src_region", "src", "from"])?;
    let to = rows.required(&["dst_region", "dst", "to"])?;
    let price = rows.required(&["usd_per_gb", "cost"])?;
    let mut listed = BTreeMap::new();
    while rows.advance()? {
        let cloud = options.cloud.as_deref();
        let to = match rows.cell(to) {
            "internet" => Some("internet".to_owned()),
            name => place(draft, cloud, name),
        };
        let (Some(from), Some(to)) = (place(draft, cloud, rows.cell(from)), to) else {
            report.leave("egress: a region that is no place of this catalog");
            continue;
        };
        match rows.nano(price) {
            Some(nano) if from != to => {
                listed.insert((from, to), nano);
            }
            _ => report.leave("egress: no price"),
        }
    }
    Ok(listed)
}

/// The listed pairs, grouped for those that are not.
struct Listed<'a> {
    exact: BTreeMap<(&'a str, &'a str), i64>,
    /// By (cloud, within the cloud, from what, to what): the dearest price.
    groups: BTreeMap<(&'a str, bool, &'a str, &'a str), i64>,
    sources: BTreeSet<&'a str>,
}

impl<'a> Listed<'a> {
    fn new(listed: &'a BTreeMap<(String, String), i64>, places: &'a [Spot<'a>]) -> Self {
        let by_name: BTreeMap<&str, &Spot> = places.iter().map(|place| (place.name, place)).collect();
        let mut list = Listed { exact: BTreeMap::new(), groups: BTreeMap::new(), sources: BTreeSet::new() };
        for ((from, to), nano) in listed {
            list.sources.insert(from);
            let (Some(from), Some(to)) = (by_name.get(from.as_str()), by_name.get(to.as_str())) else { continue };
            list.exact.insert((from.name, to.name), *nano);
            let inside = from.cloud == to.cloud;
            for near in [from.name, &from.country, &from.area] {
                for far in [to.country.as_str(), &to.area] {
                    let dearest = list.groups.entry((from.cloud, inside, near, far)).or_insert(*nano);
                    *dearest = (*dearest).max(*nano);
                }
            }
        }
        list
    }

    /// The price from one place to each other one inside or outside its cloud, and whether it
    /// was listed.
    fn prices(&self, from: &'a Spot<'a>, places: &'a [Spot<'a>], inside: bool) -> Vec<(&'a Spot<'a>, i64, bool)> {
        let others = places.iter().filter(|to| to.name != from.name && (to.cloud == from.cloud) == inside);
        others
            .filter_map(|to| {
                if let Some(nano) = self.exact.get(&(from.name, to.name)) {
                    return Some((to, *nano, true));
                }
                let ways = [from.name, &from.country, &from.area]
                    .into_iter()
                    .flat_map(|near| [(near, to.country.as_str()), (near, &to.area)])
                    .filter(|(near, far)| !near.is_empty() && !far.is_empty());
                let found = ways.filter_map(|(near, far)| self.groups.get(&(from.cloud, inside, near, far))).next();
                found.map(|nano| (to, *nano, false))
            })
            .collect()
    }
}

/// The dearest listed price to the internet among the places of the same partition.
fn internet_of_partition(
    from: &Spot<'_>,
    places: &[Spot<'_>],
    listed: &BTreeMap<(String, String), i64>,
) -> Option<i64> {
    let alike = places.iter().filter(|place| (place.cloud, place.partition) == (from.cloud, from.partition));
    alike.filter_map(|place| listed.get(&(place.name.to_owned(), "internet".to_owned())).copied()).max()
}

/// The most frequent price; of several, the dearest.
fn usual(prices: impl Iterator<Item = i64>) -> Option<i64> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for price in prices {
        *counts.entry(price).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(price, count)| (*count, *price)).map(|(price, _)| price)
}

/// Reads pairs of regions and the Gbit/s that one machine sent to another.
pub(super) fn import_throughput(
    path: &Path,
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), CatalogError> {
    let id = source(
        draft,
        options,
        report,
        "throughput",
        None,
        "Measured throughput between region pairs, from machine to machine",
    )?;
    let mut rows = Foreign::open(path)?;
    let from = rows.required(&["src_region", "src", "from"])?;
    let to = rows.required(&["dst_region", "dst", "to"])?;
    let speed = rows.required(&["gbps_sent", "gbps"])?;
    while rows.advance()? {
        let cloud = options.cloud.as_deref();
        let ways = (place(draft, cloud, rows.cell(from)), place(draft, cloud, rows.cell(to)));
        let (Some(from), Some(to)) = ways else {
            report.leave("throughput: a region that is no place of this catalog");
            continue;
        };
        let Some(bits) = rows.nano(speed).filter(|bits| *bits > 0 && from != to) else {
            report.leave("throughput: no figure");
            continue;
        };
        let key = (from, to);
        let date = draft.date_of(&id);
        if draft.throughput.get(&key).is_some_and(|(_, source)| draft.date_of(source) > date) {
            report.leave("throughput: older than what is there");
            continue;
        }
        draft.throughput.insert(key, (bits.unsigned_abs(), id.clone()));
        report.take("throughput pairs");
    }
    Ok(())
}

/// Reads pairs of regions and their average round trip in milliseconds.
///
/// A round trip is the same from both ends, so a pair is kept once, with the longer of its two
/// figures, rounded up to a millisecond: a place is never called nearer than it was measured.
pub(super) fn import_round_trips(
    path: &Path,
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), CatalogError> {
    let id = source(draft, options, report, "round-trips", None, "Measured round trips between region pairs")?;
    let mut rows = Foreign::open(path)?;
    let from = rows.required(&["src_region", "src", "from"])?;
    let to = rows.required(&["dst_region", "dst", "to"])?;
    let trip = rows.required(&["rtt_ms_avg", "rtt_ms", "ms"])?;
    let mut longest: BTreeMap<(String, String), i64> = BTreeMap::new();
    while rows.advance()? {
        let cloud = options.cloud.as_deref();
        let ways = (place(draft, cloud, rows.cell(from)), place(draft, cloud, rows.cell(to)));
        let (Some(from), Some(to)) = ways else {
            report.leave("round trips: a region that is no place of this catalog");
            continue;
        };
        let Some(nano) = rows.nano(trip).filter(|nano| *nano > 0 && from != to) else {
            report.leave("round trips: no figure");
            continue;
        };
        let trip = longest.entry(if from < to { (from, to) } else { (to, from) }).or_default();
        *trip = nano.unsigned_abs().div_ceil(1_000_000_000).try_into().unwrap_or(i64::MAX).max(*trip);
    }
    let date = draft.date_of(&id).to_owned();
    for (pair, trip) in longest {
        if draft.round_trips.get(&pair).is_some_and(|(_, source)| draft.date_of(source) > date.as_str()) {
            report.leave("round trips: older than what is there");
            continue;
        }
        draft.round_trips.insert(pair, (trip, id.clone()));
        report.take("round trips");
    }
    Ok(())
}
