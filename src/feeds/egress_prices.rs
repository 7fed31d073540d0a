//! Egress prices between pairs of regions.

use super::egress_pairs::{ListedPairs, PlaceArea, PriceTo, place_areas};
use super::foreign_csv::ForeignCsv;
use super::import_source::add_source;
use super::region_place::place_of_region;
use super::{ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use crate::catalog::catalog_toml::SourceEntry;
use crate::catalog::draft::{Draft, EgressRow};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A cloud, its first tier as the older list has it, and its tiers: from GB, price.
type Tiers = (&'static str, i64, &'static [(u64, i64)]);

/// Newer list prices to the internet, per GB in units of 10⁻⁴ USD. They are of 2026; the monthly
/// free gigabytes that come before them are not applied.
const TIERS: &[Tiers] = &[
    (
        "aws",
        900,
        &[(0, 900), (10_240, 850), (51_200, 700), (153_600, 500)],
    ),
    (
        "azure",
        875,
        &[(0, 870), (10_240, 830), (51_200, 700), (153_600, 500)],
    ),
    ("gcp", 1200, &[(0, 1200), (1024, 1100), (10_240, 800)]),
];

/// Premium-tier prices of Google's SKUs to the Americas by the region that the data leaves, per GiB
/// in units of 10⁻⁴ USD, as a public price list printed them on [`GCP_SKUS_DAY`]. The regions of
/// North America keep [`TIERS`], which are the same and newer. Tokyo, Osaka and Seoul are left out:
/// the list mixes two of their price tables.
const GCP_SKUS: &[(&str, &[(u64, i64)])] = &[
    (
        "africa-south1 me-central1 me-west1",
        &[(0, 1500), (1024, 1300), (10_240, 1100)],
    ),
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

/// Reads pairs of regions and a price; `internet` may be a destination.
///
/// Regions of the same cloud that were not listed take the price of listed ones: of the same
/// country, else of the same area, the dearest if they differ. Their source says so.
pub(super) fn import_egress(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let id = add_source(
        draft,
        options,
        report,
        "egress",
        None,
        "Egress list prices between region pairs",
    )?;
    let assumed_id = format!("{id}-by-area");
    add_egress_sources(draft, &id, &assumed_id);
    let is_before_skus = draft.date_of(&id) < GCP_SKUS_DAY;
    let listed_prices = read_listed_prices(path, options, draft, report)?;
    let clouds: BTreeSet<&str> = listed_prices
        .keys()
        .filter_map(|(from, _)| Some(from.split_once(':')?.0))
        .collect();
    let places = place_areas(draft);
    let listed_pairs = ListedPairs::new(&listed_prices, &places);
    let mut egress = EgressRules {
        listed: &id,
        assumed: &assumed_id,
        rules: BTreeMap::new(),
    };
    for from in places.iter().filter(|from| clouds.contains(from.cloud)) {
        let own_source: &str = if listed_pairs.sources.contains(from.name) {
            &id
        } else {
            &assumed_id
        };
        let inside_prices = listed_pairs.prices(from, &places, true);
        egress.add_inside(from, own_source, &inside_prices);
        let internet = listed_prices
            .get(&(from.name.to_owned(), "internet".to_owned()))
            .copied();
        let (internet, own) = match internet {
            None if !from.partition.is_empty() => (
                internet_of_partition(from, &places, &listed_prices),
                assumed_id.as_str(),
            ),
            known => (known, own_source),
        };
        let sku = if is_before_skus { gcp_sku(from) } else { None };
        let outside = listed_pairs.prices(from, &places, false);
        if !egress.add_outside(from, own, internet, sku, &outside) {
            report.leave_of(
                format!("{}: no price is known out of a place", from.cloud),
                from.name,
            );
        }
        if !inside_prices.is_empty() {
            egress.add_unlisted(from, &listed_pairs, &places);
        }
    }
    let rules = egress.rules;
    replace_rules(draft, &id, rules, report);
    Ok(())
}

/// Puts the sources of egress prices into the draft, beside that of the list itself.
fn add_egress_sources(draft: &mut Draft, id: &str, assumed: &str) {
    if let Some(row) = draft.sources.get(id).cloned() {
        let about_areas = format!(
            "As {id}, for regions that it does not list: the price of listed ones in the same country or area"
        );
        draft.sources.insert(
            assumed.to_owned(),
            SourceEntry {
                about: about_areas,
                ..row
            },
        );
    }
    let newer_source = SourceEntry {
        date: "2026-11-22".to_owned(),
        about: "Price pages of AWS, Azure and GCP as quoted in 2026: tiers to the internet; GCP between regions of North America"
            .to_owned(),
        ..SourceEntry::default()
    };
    draft.sources.insert(NEWER.to_owned(), newer_source);
    let skus = SourceEntry {
        date: GCP_SKUS_DAY.to_owned(),
        about: "Google's SKU prices by region, as printed in the price list of a public cost calculator on that day: boot \
                disks (pd-balanced), external addresses, and the internet by source region (Premium tier, to the Americas)"
            .to_owned(),
        url: "https://github.com/Cyclenerd/google-cloud-pricing-cost-calculator/blob/master/pricing.yml".to_owned(),
        ..SourceEntry::default()
    };
    draft.sources.insert(GCP_SKUS_ID.to_owned(), skus);
}

/// A price without tiers.
fn flat_price(nano: i64, source: &str) -> EgressRow {
    EgressRow {
        tiers: BTreeMap::from([(0, nano)]),
        source: source.to_owned(),
    }
}

/// A price with tiers, from GB and prices in [`UNIT`].
fn tiered_price(tiers: &[(u64, i64)], source: &str) -> EgressRow {
    EgressRow {
        tiers: tiers
            .iter()
            .map(|(gb, rate)| (gb * 1_000_000_000, rate * UNIT))
            .collect(),
        source: source.to_owned(),
    }
}

/// The egress rules of the list, by `from` and `to`.
struct EgressRules<'a> {
    /// The source of prices that are listed.
    listed: &'a str,
    /// The source of prices that are those of listed neighbours.
    assumed: &'a str,
    rules: BTreeMap<(String, String), EgressRow>,
}

impl EgressRules<'_> {
    fn put(&mut self, from: &PlaceArea, to: &str, row: EgressRow) {
        self.rules
            .insert((from.name.to_owned(), to.to_owned()), row);
    }

    /// Adds the prices from a place to the others of its cloud: the usual one for a pattern, others
    /// by name.
    fn add_inside(&mut self, from: &PlaceArea, own_source: &str, inside_prices: &[PriceTo<'_>]) {
        // The pattern does not reach into another partition. A closed one has few regions: where
        // no route inside it is listed, the routes out of it must do.
        let nearby_prices = inside_prices
            .iter()
            .filter(|(to, ..)| to.partition == from.partition)
            .map(|(_, nano, _)| *nano);
        let (at_home, out) = (
            usual_price(nearby_prices),
            usual_price(inside_prices.iter().map(|(_, nano, _)| *nano)),
        );
        let Some(usual) = at_home.or(out) else { return };
        let home_source = if at_home.is_some() {
            own_source
        } else {
            self.assumed
        };
        self.put(
            from,
            &format!("{}:*", from.cloud),
            flat_price(usual, home_source),
        );
        // AWS has one price out of a region to all others of its partition; the exceptions are
        // listed pairs.
        let one_price = |to: &PlaceArea, exact: bool| {
            from.cloud == "aws" && !exact && to.partition == from.partition
        };
        let needs_own_rule = |to: &PlaceArea, nano: i64, exact: bool| {
            (nano != usual && !one_price(to, exact)) || to.partition != from.partition
        };
        for (to, nano, exact) in inside_prices
            .iter()
            .filter(|(to, nano, exact)| needs_own_rule(to, *nano, *exact))
        {
            // Between regions of North America GCP has doubled its price since, both ways.
            let has_newer_price =
                from.cloud == "gcp" && *nano == 10_000_000 && from.area == "north america";
            let source = if has_newer_price {
                NEWER
            } else {
                self.source_of(*exact)
            };
            let current_nano = if has_newer_price { 20_000_000 } else { *nano };
            let egress_row = flat_price(current_nano, source);
            self.put(from, to.name, egress_row);
        }
    }

    /// Adds prices to places of the same cloud in whose area the list has no place at all: those of
    /// the public way, which is the dearest. AWS has one price out of a region to all.
    fn add_unlisted(&mut self, from: &PlaceArea, list: &ListedPairs<'_>, places: &[PlaceArea<'_>]) {
        let public = (from.name.to_owned(), "internet".to_owned());
        let Some(row) = self.rules.get(&public).cloned() else {
            return;
        };
        let is_unlisted = |to: &&PlaceArea<'_>| {
            (to.cloud, to.partition) == (from.cloud, from.partition)
                && to.name != from.name
                && !list.reaches(to)
        };
        if from.cloud == "aws" {
            return;
        }
        for to in places.iter().filter(is_unlisted) {
            self.put(from, to.name, row.clone());
        }
    }

    /// The source of a price that the list has itself, or that it has of a neighbour.
    fn source_of(&self, exact: bool) -> &str {
        if exact { self.listed } else { self.assumed }
    }

    /// Adds the prices from a place to the internet and to other clouds; false: none is known.
    fn add_outside(
        &mut self,
        from: &PlaceArea,
        own_source: &str,
        internet: Option<i64>,
        sku: Option<&'static [(u64, i64)]>,
        outside: &[PriceTo<'_>],
    ) -> bool {
        let listed_usual =
            internet.or_else(|| usual_price(outside.iter().map(|(_, nano, _)| *nano)));
        let Some(usual) = sku.map(|tiers| tiers[0].1 * UNIT).or(listed_usual) else {
            return false;
        };
        let newer_tiers = TIERS
            .iter()
            .find(|(cloud, first, _)| *cloud == from.cloud && first * UNIT == usual);
        let egress_row = match (sku, newer_tiers) {
            (Some(tiers), _) => tiered_price(tiers, GCP_SKUS_ID),
            (None, Some((_, _, tiers))) => tiered_price(tiers, NEWER),
            (None, None) => flat_price(usual, own_source),
        };
        self.put(from, "internet", egress_row);
        // The SKUs name one price to all but Oceania and China; of the older list only those stay.
        let differs =
            |to: &PlaceArea, nano: i64| nano != usual && (sku.is_none() || to.area == "oceania");
        for (to, nano, exact) in outside
            .iter()
            .filter(|(to, nano, _)| internet.is_none() && differs(to, *nano))
        {
            let egress_row = flat_price(*nano, self.source_of(*exact));
            self.put(from, to.name, egress_row);
        }
        true
    }
}

/// Puts the rules into the draft. What was there before gives way, but only to prices of the same
/// kind: inside a cloud, or out of it.
fn replace_rules(
    draft: &mut Draft,
    id: &str,
    rules: BTreeMap<(String, String), EgressRow>,
    report: &mut ImportReport,
) {
    let date = draft.date_of(id);
    let cloud_of = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let kind = |(from, to): &(String, String)| (from.clone(), cloud_of(from) == cloud_of(to));
    let kinds: BTreeSet<(String, bool)> = rules.keys().map(kind).collect();
    let stale_rules: Vec<_> = draft
        .egress
        .iter()
        .filter(|(key, row)| kinds.contains(&kind(key)) && draft.date_of(&row.source) <= date)
        .map(|(key, _)| key.clone())
        .collect();
    for key in stale_rules {
        draft.egress.remove(&key);
    }
    for (key, row) in rules {
        if draft
            .egress
            .get(&key)
            .is_none_or(|old| draft.date_of(&old.source) <= draft.date_of(&row.source))
        {
            report.take("egress rules");
            draft.egress.insert(key, row);
        }
    }
}

/// Google's newer prices out of a region to the internet, where they are known.
fn gcp_sku(from: &PlaceArea) -> Option<&'static [(u64, i64)]> {
    let region = from.name.strip_prefix("gcp:")?;
    GCP_SKUS
        .iter()
        .find(|(regions, _)| regions.split(' ').any(|known| known == region))
        .map(|(_, tiers)| *tiers)
}

fn read_listed_prices(
    path: &Path,
    options: &ImportOptions,
    draft: &Draft,
    report: &mut ImportReport,
) -> Result<BTreeMap<(String, String), i64>, CatalogError> {
    let mut csv_rows = ForeignCsv::open(path)?;
    let from_column = csv_rows.required(&["src_region", "src", "from"])?;
    let to_column = csv_rows.required(&["dst_region", "dst", "to"])?;
    let price = csv_rows.required(&["usd_per_gb", "cost"])?;
    let mut listed_prices = BTreeMap::new();
    while csv_rows.advance()? {
        let cloud = options.cloud.as_deref();
        let to_name = match csv_rows.cell(to_column) {
            "internet" => Some("internet".to_owned()),
            name => place_of_region(draft, cloud, name),
        };
        let (Some(from), Some(to)) = (
            place_of_region(draft, cloud, csv_rows.cell(from_column)),
            to_name,
        ) else {
            report.leave("egress: a region that is not a place of this catalog");
            continue;
        };
        match csv_rows.nano(price) {
            Some(nano) if from != to => {
                listed_prices.insert((from, to), nano);
            }
            _ => report.leave("egress: no price"),
        }
    }
    Ok(listed_prices)
}

/// The dearest listed price to the internet among the places of the same partition.
fn internet_of_partition(
    from: &PlaceArea<'_>,
    places: &[PlaceArea<'_>],
    listed: &BTreeMap<(String, String), i64>,
) -> Option<i64> {
    let alike = places
        .iter()
        .filter(|place| (place.cloud, place.partition) == (from.cloud, from.partition));
    alike
        .filter_map(|place| {
            listed
                .get(&(place.name.to_owned(), "internet".to_owned()))
                .copied()
        })
        .max()
}

/// The most frequent price; of several, the dearest.
fn usual_price(prices: impl Iterator<Item = i64>) -> Option<i64> {
    let mut price_counts: BTreeMap<i64, usize> = BTreeMap::new();
    for price in prices {
        *price_counts.entry(price).or_default() += 1;
    }
    price_counts
        .into_iter()
        .max_by_key(|(price, count)| (*count, *price))
        .map(|(price, _)| price)
}
