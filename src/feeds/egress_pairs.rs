//! The pairs of regions that a list of egress prices has, and what they say of those that it has
//! not: a region without a row takes the price of listed ones of its country, else of its area.

use crate::catalog::draft::Draft;
use crate::model::offer::CLASSES;
use std::collections::{BTreeMap, BTreeSet};

/// Price areas, as the clouds draw them.
const AREAS: &[(&str, &str)] = &[
    ("africa", "ZA"),
    ("asia", "CN HK ID IN JP KR MY SG TH TW"),
    (
        "europe",
        "AT BE CH CZ DE DK ES FI FR GB GR IE IS IT NL NO PL PT RO SE",
    ),
    ("middle east", "AE BH IL QA SA"),
    ("north america", "CA MX US"),
    ("oceania", "AU NZ"),
    ("south america", "BR CL"),
];

/// A place, its country and its price area. Partitions are countries of their own: they have their
/// own prices.
pub(super) struct PlaceArea<'a> {
    pub name: &'a str,
    pub cloud: &'a str,
    /// Empty: open to all.
    pub partition: &'a str,
    pub country: String,
    pub area: String,
}

/// All places of a draft with their price areas.
pub(super) fn place_areas(draft: &Draft) -> Vec<PlaceArea<'_>> {
    let area = |cloud: &str, country: &str| {
        // Google's price lists have Indonesia apart from the rest of Asia.
        if (cloud, country) == ("gcp", "ID") {
            return "indonesia";
        }
        let known_area = AREAS
            .iter()
            .find(|(_, countries)| countries.split(' ').any(|known| known == country));
        known_area.map_or("", |(area, _)| *area)
    };
    draft
        .places
        .iter()
        .filter_map(|(name, row)| {
            let (cloud, _) = name.split_once(':')?;
            let is_closed = CLASSES.contains(&(row.class.as_str(), false));
            let partition = if is_closed { row.class.as_str() } else { "" };
            let apart = |text: &str| match (text, partition) {
                ("", _) | (_, "") => text.to_owned(),
                _ => format!("{text} {partition}"),
            };
            let (country, area) = (apart(&row.country), apart(area(cloud, &row.country)));
            Some(PlaceArea {
                name,
                cloud,
                partition,
                country,
                area,
            })
        })
        .collect()
}

/// A place, the price of data that goes there in nano-USD per GB, and whether the list has the pair
/// itself.
pub(super) type PriceTo<'a> = (&'a PlaceArea<'a>, i64, bool);

/// The listed pairs, grouped for those that are not.
pub(super) struct ListedPairs<'a> {
    exact: BTreeMap<(&'a str, &'a str), i64>,
    /// By (cloud, within the cloud, from what, to what): the dearest price.
    groups: BTreeMap<(&'a str, bool, &'a str, &'a str), i64>,
    /// The places out of which the list has a price.
    pub sources: BTreeSet<&'a str>,
}

impl<'a> ListedPairs<'a> {
    pub(super) fn new(
        listed: &'a BTreeMap<(String, String), i64>,
        places: &'a [PlaceArea<'a>],
    ) -> Self {
        let by_name: BTreeMap<&str, &PlaceArea> =
            places.iter().map(|place| (place.name, place)).collect();
        let mut listed_pairs = ListedPairs {
            exact: BTreeMap::new(),
            groups: BTreeMap::new(),
            sources: BTreeSet::new(),
        };
        for ((from, to), nano) in listed {
            listed_pairs.sources.insert(from);
            let (Some(from), Some(to)) = (by_name.get(from.as_str()), by_name.get(to.as_str()))
            else {
                continue;
            };
            listed_pairs.exact.insert((from.name, to.name), *nano);
            let inside_cloud = from.cloud == to.cloud;
            for near in [from.name, &from.country, &from.area] {
                for far in [to.country.as_str(), &to.area] {
                    let dearest = listed_pairs
                        .groups
                        .entry((from.cloud, inside_cloud, near, far))
                        .or_insert(*nano);
                    *dearest = (*dearest).max(*nano);
                }
            }
        }
        listed_pairs
    }

    /// Whether the list has a pair inside the cloud that ends in the country or the area of a
    /// place.
    pub(super) fn reaches(&self, to: &PlaceArea<'_>) -> bool {
        self.groups.keys().any(|(cloud, inside, _, far)| {
            *inside && *cloud == to.cloud && (*far == to.country || *far == to.area)
        })
    }

    /// The price from one place to each other one inside or outside its cloud, and whether it
    /// was listed.
    pub(super) fn prices(
        &self,
        from: &'a PlaceArea<'a>,
        places: &'a [PlaceArea<'a>],
        inside_cloud: bool,
    ) -> Vec<(&'a PlaceArea<'a>, i64, bool)> {
        let other_places = places
            .iter()
            .filter(|to| to.name != from.name && (to.cloud == from.cloud) == inside_cloud);
        other_places
            .filter_map(|to| {
                if let Some(nano) = self.exact.get(&(from.name, to.name)) {
                    return Some((to, *nano, true));
                }
                let groups = [from.name, &from.country, &from.area]
                    .into_iter()
                    .flat_map(|near| [(near, to.country.as_str()), (near, &to.area)])
                    .filter(|(near, far)| !near.is_empty() && !far.is_empty());
                let group_prices = groups
                    .filter_map(|(near, far)| {
                        self.groups.get(&(from.cloud, inside_cloud, near, far))
                    })
                    .next();
                group_prices.map(|nano| (to, *nano, false))
            })
            .collect()
    }
}
