//! What differs between two catalogs: prices one by one, the rest by count.

use crate::catalog::Catalog;
use crate::model::units::div_half_even;
use crate::model::{Machine, Offer, PlaceName, Purchase, Rate};
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

/// Everything that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Prices that rose or fell, the largest share of the old price first; then new and gone ones.
    pub prices: Vec<PriceChange>,
    /// How prices changed, by cloud, of those that have a price in either catalog.
    pub clouds: BTreeMap<String, CloudChange>,
    /// What else differs, and in how many cases: `prices of egress`, `places`, `machines`, …
    pub others: BTreeMap<&'static str, usize>,
}

/// One price that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceChange {
    /// The place of the offer.
    pub place: PlaceName,
    /// The instance type of the offer.
    pub instance_type: String,
    /// On demand or spot.
    pub purchase: Purchase,
    /// The old price; none: there was none.
    pub old: Option<Rate>,
    /// The new price; none: there is none now.
    pub new: Option<Rate>,
    /// The day of the new price, or of the one that is gone.
    pub date: String,
}

/// How many prices of a cloud rose, fell, came, went and stayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CloudChange {
    /// Prices that rose.
    pub risen: usize,
    /// Prices that fell.
    pub fallen: usize,
    /// Prices that were not there before.
    pub new: usize,
    /// Prices that are not there any more.
    pub gone: usize,
    /// Prices that stayed.
    pub same: usize,
}

impl PriceChange {
    /// The change as a share of the old price, in parts per million; none: the price is new or
    /// gone.
    pub fn share(&self) -> Option<i128> {
        let (old, new) = (self.old?, self.new?);
        Some(div_half_even(
            (i128::from(new.0) - i128::from(old.0)) * 1_000_000,
            i128::from(old.0).max(1),
        ))
    }
}

impl Differences {
    /// Whether the catalogs say the same.
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty() && self.others.is_empty()
    }
}

/// Compares two catalogs.
pub fn between(old: &Catalog, new: &Catalog) -> Differences {
    let mut differences = Differences {
        others: other_differences(old, new),
        ..Differences::default()
    };
    let (mut before, mut after) = (old.offers.iter().peekable(), new.offers.iter().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => price_key(old, a).cmp(&price_key(new, b)),
        };
        let dropped_price = if order.is_le() { before.next() } else { None };
        let come = if order.is_ge() { after.next() } else { None };
        let Some((catalog, offer)) = come
            .map(|offer| (new, offer))
            .or(dropped_price.map(|offer| (old, offer)))
        else {
            break;
        };
        let cloud = differences
            .clouds
            .entry(catalog.place(offer).name.cloud.clone())
            .or_default();
        let (was, is) = (
            dropped_price.map(|offer| offer.rate),
            come.map(|offer| offer.rate),
        );
        match (was, is) {
            (Some(was), Some(is)) if was == is => {
                cloud.same += 1;
                continue;
            }
            (Some(was), Some(is)) if was < is => cloud.risen += 1,
            (Some(_), Some(_)) => cloud.fallen += 1,
            (None, _) => cloud.new += 1,
            (_, None) => cloud.gone += 1,
        }
        differences.prices.push(PriceChange {
            place: catalog.place(offer).name.clone(),
            instance_type: catalog.machine(offer).instance_type.clone(),
            purchase: offer.purchase,
            old: was,
            new: is,
            date: catalog
                .sources
                .get(usize::from(offer.source))
                .map_or(String::new(), |source| source.date.clone()),
        });
    }
    // The sort is stable: equal changes stay in the order of names.
    differences.prices.sort_by_key(|change| {
        let kind = (change.old.is_none(), change.new.is_none());
        (kind, Reverse(change.share().map(i128::abs)))
    });
    differences
}

fn price_key<'a>(catalog: &'a Catalog, offer: &Offer) -> (&'a PlaceName, &'a str, Purchase) {
    (
        &catalog.place(offer).name,
        &catalog.machine(offer).instance_type,
        offer.purchase,
    )
}

/// What differs beside prices. Routes between places count where both catalogs have both places.
fn other_differences(old: &Catalog, new: &Catalog) -> BTreeMap<&'static str, usize> {
    let mut changed_counts = BTreeMap::new();
    let mut add_count = |what, count| {
        if count > 0 {
            changed_counts.insert(what, count);
        }
    };
    add_count(
        "places",
        differing_keys(
            &by_key(&old.places, |place| &place.name),
            &by_key(&new.places, |place| &place.name),
        ),
    );
    fn machine(machine: &Machine) -> (&str, &str) {
        (&machine.cloud, &machine.instance_type)
    }
    add_count(
        "machines",
        differing_keys(
            &by_key(&old.machines, machine),
            &by_key(&new.machines, machine),
        ),
    );
    add_count(
        "accelerators",
        differing_keys(&old.accelerators, &new.accelerators),
    );
    add_count("terms of clouds", differing_keys(&old.terms, &new.terms));
    add_count(
        "sources",
        differing_keys(
            &by_key(&old.sources, |source| &source.id),
            &by_key(&new.sources, |source| &source.id),
        ),
    );
    let common_places: Vec<(u32, u32)> = old
        .places
        .iter()
        .zip(0..)
        .filter_map(|(place, id)| Some((id, new.place_id(&place.name)?)))
        .collect();
    let mut routes = [0; 3];
    for (from, from_now) in &common_places {
        for (to, to_now) in &common_places {
            let trip = |catalog: &Catalog, from: u32, to: u32| {
                catalog.round_trips.get(&(from, to)).copied()
            };
            let differs = [
                old.network.tariff(*from, *to) != new.network.tariff(*from_now, *to_now),
                old.network.bandwidth(*from, *to) != new.network.bandwidth(*from_now, *to_now),
                trip(old, *from, *to) != trip(new, *from_now, *to_now),
            ];
            routes
                .iter_mut()
                .zip(differs)
                .for_each(|(count, differs)| *count += usize::from(differs));
        }
    }
    for (what, count) in ["prices of egress", "throughputs", "round trips"]
        .into_iter()
        .zip(routes)
    {
        add_count(what, count);
    }
    add_count(
        "rates of interruption",
        differing_keys(&interruption_rates(old), &interruption_rates(new)),
    );
    add_count(
        "confidential machines",
        differing_keys(&environments_by_place(old), &environments_by_place(new)),
    );
    changed_counts
}

type AtPlace<'a> = (&'a PlaceName, &'a str);

fn interruption_rates(catalog: &Catalog) -> BTreeMap<AtPlace<'_>, u32> {
    let name = |place: u32, machine: u32| {
        (
            &catalog.places[place as usize].name,
            catalog.machines[machine as usize].instance_type.as_str(),
        )
    };
    catalog
        .interruptions
        .iter()
        .map(|((place, machine), share)| (name(*place, *machine), *share))
        .collect()
}

/// Machines with an environment, by place.
fn environments_by_place(catalog: &Catalog) -> BTreeMap<AtPlace<'_>, Vec<&'static str>> {
    let confidential_offers = catalog
        .offers
        .iter()
        .filter(|offer| offer.tee != Default::default());
    confidential_offers
        .map(|offer| {
            let name = (
                &catalog.place(offer).name,
                catalog.machine(offer).instance_type.as_str(),
            );
            (name, offer.tee.iter().map(|tee| tee.name()).collect())
        })
        .collect()
}

fn by_key<'a, T, K: Ord>(all_items: &'a [T], key: impl Fn(&'a T) -> K) -> BTreeMap<K, &'a T> {
    all_items.iter().map(|one| (key(one), one)).collect()
}

/// How many keys have another value, or one in one of the maps only.
fn differing_keys<K: Ord, V: PartialEq>(old: &BTreeMap<K, V>, new: &BTreeMap<K, V>) -> usize {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .filter(|key| old.get(key) != new.get(key))
        .count()
}
