//! What egress prices of the shipped catalog must be: the rules that the three large clouds price
//! by, with every exception and its reason.

use crate::catalog::{Catalog, load};
use crate::model::{Bytes, Place};
use std::collections::{BTreeMap, BTreeSet};

/// Nano-USD for the first GB from one place to another, as the catalog's list has it; none: no way
/// is known.
fn price(catalog: &Catalog, from: &Place, to: &Place) -> Option<i64> {
    let id = |place: &Place| catalog.place_id(&place.name).unwrap();
    catalog
        .network
        .tariff(id(from), id(to))
        .map(|tariff| tariff.last_rate(Bytes(1)).0)
}

/// The places of a cloud that are open to all: partitions have prices of their own.
fn open<'a>(catalog: &'a Catalog, cloud: &'a str) -> Vec<&'a Place> {
    let open = |place: &&Place| place.name.cloud == cloud && place.partition().is_empty();
    catalog.places.iter().filter(open).collect()
}

/// Continents as Azure and Google price by them; Google's lists have Indonesia apart.
fn area(place: &Place) -> &'static str {
    match (
        place.name.cloud.as_str(),
        place.country.as_deref().unwrap_or_default(),
    ) {
        ("gcp", "ID") => "Indonesia",
        (_, "CA" | "MX" | "US") => "North America",
        (_, "BR" | "CL") => "South America",
        (_, "AU" | "NZ") => "Oceania",
        (_, "ZA") => "Africa",
        (_, "AE" | "BH" | "IL" | "QA" | "SA") => "Middle East",
        (_, "HK" | "ID" | "IN" | "JP" | "KR" | "MY" | "SG" | "TH" | "TW") => "Asia",
        (
            _,
            "AT" | "BE" | "CH" | "DE" | "DK" | "ES" | "FI" | "FR" | "GB" | "IE" | "IT" | "NL"
            | "NO" | "PL" | "SE",
        ) => "Europe",
        (_, country) => panic!("{}: which continent is {country}?", place.name),
    }
}

/// Pairs of areas with their prices.
fn by_area(
    catalog: &Catalog,
    cloud: &str,
) -> BTreeMap<(&'static str, &'static str), BTreeSet<Option<i64>>> {
    let places = open(catalog, cloud);
    let mut prices: BTreeMap<_, BTreeSet<Option<i64>>> = BTreeMap::new();
    for from in &places {
        for to in places.iter().filter(|to| to.name != from.name) {
            prices
                .entry((area(from), area(to)))
                .or_default()
                .insert(price(catalog, from, to));
        }
    }
    prices
}

/// AWS has one price out of a region to all others: the pairs that differ, both ways.
const AWS_PAIRS: &[(&str, &str, &str)] = &[(
    "us-east-1",
    "us-east-2",
    "N. Virginia and Ohio pay $0.01 between one another, by the list of 2022-12",
)];

#[test]
fn aws_egress_between_regions_depends_on_the_source_alone() {
    let catalog = load::shipped().unwrap();
    let places = open(&catalog, "aws");
    let excepted = |from: &str, to: &str| {
        AWS_PAIRS
            .iter()
            .any(|(a, b, _)| [(a, b), (b, a)].contains(&(&from, &to)))
    };
    let mut pairs = 0;
    for from in &places {
        let others = places.iter().filter(|to| to.name != from.name);
        let others = others.filter(|to| !excepted(&from.name.region, &to.name.region));
        let prices: BTreeSet<Option<i64>> = others.map(|to| price(&catalog, from, to)).collect();
        assert!(
            prices.len() == 1 && !prices.contains(&None),
            "{}: {prices:?}",
            from.name
        );
        pairs += 1;
    }
    assert!(pairs > 30, "{pairs}");
    for (a, b, why) in AWS_PAIRS {
        let find = |region: &str| {
            places
                .iter()
                .find(|place| place.name.region == region)
                .unwrap()
        };
        let both = (
            price(&catalog, find(a), find(b)),
            price(&catalog, find(b), find(a)),
        );
        assert_eq!(both, (Some(10_000_000), Some(10_000_000)), "{why}");
    }
}

#[test]
fn azure_egress_between_regions_depends_on_the_two_continents_alone() {
    let catalog = load::shipped().unwrap();
    let prices = by_area(&catalog, "azure");
    for (areas, prices) in &prices {
        assert!(
            prices.len() == 1 && !prices.contains(&None),
            "{areas:?}: {prices:?}"
        );
    }
    // It is the source's zone that pays: $0.05 from Europe to Asia, $0.08 back.
    let one = |from, to| prices[&(from, to)].first().copied().flatten();
    assert_eq!(
        (one("Europe", "Asia"), one("Asia", "Europe")),
        (Some(50_000_000), Some(80_000_000))
    );
    assert_eq!(
        (
            one("Europe", "Europe"),
            one("North America", "North America")
        ),
        (Some(20_000_000), Some(20_000_000))
    );
}

#[test]
fn gcp_egress_between_regions_is_the_same_both_ways() {
    let catalog = load::shipped().unwrap();
    let prices = by_area(&catalog, "gcp");
    for ((from, to), there) in &prices {
        // No list has prices between Johannesburg and other regions: see below.
        if *from == "Africa" || *to == "Africa" {
            continue;
        }
        assert!(
            there.len() == 1 && !there.contains(&None),
            "{from} to {to}: {there:?}"
        );
        assert_eq!(
            Some(there),
            prices.get(&(*to, *from)),
            "{from} to {to}, and back"
        );
    }
    assert_eq!(
        prices[&("North America", "North America")].first(),
        Some(&Some(20_000_000))
    );
    assert_eq!(prices[&("Asia", "Europe")].first(), Some(&Some(80_000_000)));
}

#[test]
fn what_no_list_has_costs_what_the_public_way_costs_in_both_directions() {
    let catalog = load::shipped().unwrap();
    let places = open(&catalog, "gcp");
    let of = |name: &str| {
        let mut all = catalog.places.iter();
        all.find(|place| place.name.to_string() == name).unwrap()
    };
    let (johannesburg, elsewhere) = (of("gcp:africa-south1"), of("aws:us-east-1"));
    let mut pairs = 0;
    for other in places.iter().filter(|place| area(place) != "Africa") {
        for (from, to) in [(*other, johannesburg), (johannesburg, *other)] {
            let public = price(&catalog, from, elsewhere);
            assert_eq!(
                price(&catalog, from, to),
                public,
                "{} to {}",
                from.name,
                to.name
            );
            assert!(public.is_some());
            pairs += 1;
        }
    }
    assert!(pairs > 60, "{pairs}");
}

/// The newest lists of pairs of regions.
const LISTED: &str = include_str!("listed_egress.csv");

/// Pairs of two places with the price that the newest list has for them, in nano-USD per GB, and
/// the list.
fn listed_pairs() -> BTreeMap<(String, String), (i64, &'static str)> {
    let rows: Vec<Vec<&str>> = LISTED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let of_cloud = |cloud: &str| -> Vec<&str> {
        let regions = rows.iter().filter_map(|row| row[0].split_once(':'));
        let regions: BTreeSet<&str> = regions
            .filter(|(of, _)| *of == cloud)
            .map(|(_, region)| region)
            .collect();
        regions.into_iter().collect()
    };
    let mut pairs = BTreeMap::new();
    for row in &rows {
        let (from, cloud) = (row[0], row[1]);
        let regions = match row[2] {
            "*" => of_cloud(cloud),
            listed => listed.split(';').collect(),
        };
        let nano = crate::model::units::scaled(row[3], 1_000_000_000).unwrap();
        for to in regions
            .into_iter()
            .map(|region| format!("{cloud}:{region}"))
        {
            if to != from {
                let before = pairs.insert((from.to_owned(), to), (nano, row[4]));
                assert!(before.is_none(), "twice: {row:?}");
            }
        }
    }
    pairs
}

/// Where the catalog has newer prices than the lists of pairs: their source, the cloud that the
/// data leaves, how many pairs, and what is known of them.
const NEWER: &[(&str, &str, usize, &str)] = &[
    (
        "egress-list-2026",
        "azure",
        686,
        "to other clouds: $0.087 since, $0.0875 in the list",
    ),
    (
        "egress-list-2026",
        "gcp",
        20,
        "between regions of North America: $0.02 since, $0.01 in the list",
    ),
    (
        "gcp-skus-2025-03",
        "gcp",
        225,
        "to other clouds: priced by the region that the data leaves since, by its destination in the list",
    ),
];

#[test]
fn every_listed_pair_of_regions_has_the_price_of_the_newest_list_both_ways() {
    let catalog = load::shipped().unwrap();
    let pairs = listed_pairs();
    assert_eq!(pairs.len(), 5020);
    let id = |name: &str| {
        let named = crate::model::PlaceName::parse(name).unwrap();
        catalog
            .place_id(&named)
            .unwrap_or_else(|| panic!("{name} is no place"))
    };
    let mut newer: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for ((from, to), (nano, list)) in &pairs {
        let back = (to.clone(), from.clone());
        assert!(pairs.contains_key(&back), "{to} to {from} is in no list");
        let (tariff, source) = catalog.network.priced(id(from), id(to)).unwrap();
        if tariff.last_rate(Bytes(1)).0 == *nano {
            continue;
        }
        let source = &catalog.sources[usize::from(source.unwrap())];
        let list = catalog.sources.iter().find(|source| source.id == *list);
        let day = &list.unwrap().date;
        assert!(source.date > *day, "{from} to {to}: {} of {day}", source.id);
        let cloud = from.split_once(':').unwrap().0;
        *newer.entry((source.id.as_str(), cloud)).or_default() += 1;
    }
    let expected: BTreeMap<(&str, &str), usize> = NEWER
        .iter()
        .map(|(source, cloud, pairs, _)| ((*source, *cloud), *pairs))
        .collect();
    assert_eq!(newer, expected);
}

#[test]
fn egress_to_the_internet_is_that_of_the_newest_list() {
    let catalog = load::shipped().unwrap();
    let place = |name: &str| {
        catalog
            .places
            .iter()
            .find(|place| place.name.to_string() == name)
            .unwrap()
    };
    // Hundredths of a cent per GB to a region of another cloud in North America.
    for (from, to, rate) in [
        ("gcp:southamerica-east1", "aws:us-east-1", 1900),
        ("gcp:me-central1", "aws:us-east-1", 1500),
        ("gcp:me-central2", "aws:us-east-1", 1900),
        ("gcp:asia-southeast1", "aws:us-east-1", 1200),
        ("gcp:asia-southeast2", "aws:us-east-1", 1900),
        ("gcp:africa-south1", "aws:us-east-1", 1500),
        ("gcp:europe-west1", "aws:us-east-1", 1200),
        ("gcp:us-central1", "aws:us-east-1", 1200),
        // Oceania is dearer from everywhere.
        ("gcp:asia-southeast1", "aws:ap-southeast-2", 1900),
        ("gcp:europe-west1", "aws:ap-southeast-2", 1900),
        ("aws:us-east-1", "gcp:us-central1", 900),
        ("azure:eastus", "gcp:us-central1", 870),
    ] {
        assert_eq!(
            price(&catalog, place(from), place(to)),
            Some(rate * 100_000),
            "{from} to {to}"
        );
    }
    let id = |name: &str| catalog.place_id(&place(name).name).unwrap();
    let far = |from: &str| {
        catalog
            .network
            .tariff(id(from), id("aws:us-east-1"))
            .unwrap()
            .last_rate(Bytes(1 << 50))
            .0
    };
    assert_eq!(
        (far("gcp:europe-west1"), far("gcp:us-central1")),
        (85_000_000, 80_000_000)
    );
}
