//! Prices and speeds between sites, and the bills that they are counted on together.
//!
//! A cloud counts the volume of a price list per account and month, so transfers that leave it
//! under the same list share its tiers: they are one [`Pool`]. What the account has used already
//! ([`Account::used_this_month`](crate::model::Account)) is egress to the internet, and moves the
//! tiers of every price list of the links that leave the cloud.
//!
//! A free allowance is one for all price lists of a cloud, and which of them the bill takes it
//! from depends on the order of the transfers. A plan must not promise less than the bill, so the
//! allowance counts on the cheapest list alone: whatever transfers a plan has, the bill takes at
//! least as much off. It is taken off the first bytes of the month, so it counts only when it is
//! known how many there were.
//!
//! Most jobs stay inside one tier. Then there is one price for every byte, and no pool.

use super::places::Places;
use crate::model::{Bytes, Tariff};
use crate::planning::problem::{Artifact, ArtifactId, Links, Pool, Price, PriceId, SiteId};
use crate::util::id_vec::IdVec;
use std::collections::{BTreeMap, BTreeSet};

/// A price list of a cloud: its cloud, whether it is for links that leave it, its prices.
type List<'a> = (&'a str, bool, &'a Tariff);

/// Makes the links between `sites`, which are places of the catalog.
pub(super) fn links(
    places: &Places<'_>,
    sites: &IdVec<SiteId, u32>,
    artifacts: &IdVec<ArtifactId, Artifact>,
) -> Links {
    let network = &places.catalog.network;
    let mut links = Links {
        sites: sites.len(),
        labels: sites
            .iter()
            .map(|place| places.names[*place as usize].clone())
            .collect(),
        ..Links::default()
    };
    let lists = price_lists(places, sites);
    let volume = largest_volume(artifacts, sites.len());
    let mut bills: BTreeMap<List<'_>, Price> = BTreeMap::new();
    for list in &lists {
        let (tariff, used) = counted_list(places, list, &lists);
        let price = match tariff.flat_between(used, Bytes(used.0.saturating_add(volume.0))) {
            Some(rate) => Price {
                tariff: Tariff::flat(tariff.gigabyte(), rate),
                ..Price::default()
            },
            None => {
                let pool = links.pools.push(Pool {
                    tariff: tariff.clone(),
                    used,
                });
                Price {
                    tariff,
                    pool: Some(pool),
                    ..Price::default()
                }
            }
        };
        bills.insert(*list, price);
    }
    let mut classes: BTreeMap<Price, PriceId> = BTreeMap::new();
    for from in sites {
        for to in sites {
            let price = match (
                places.link(*from, *to).filter(|_| from != to),
                network.tariff(*from, *to),
            ) {
                (Some(tariff), _) => Some(Price {
                    tariff,
                    ..Price::default()
                }),
                (None, Some(tariff)) => bills
                    .get(&(places.cloud(*from), places.leaves_cloud(*from, *to), tariff))
                    .cloned(),
                (None, None) => None,
            };
            let class = price.map(|price| {
                let price = Price {
                    keep: places.keep(*to),
                    ..price
                };
                *classes
                    .entry(price)
                    .or_insert_with_key(|price| links.tariffs.push(price.clone()))
            });
            links.tariff.push(class);
            links.bandwidth.push(places.bandwidth(*from, *to));
        }
    }
    links
}

/// The price lists of the catalog's links between the sites.
fn price_lists<'a>(places: &Places<'a>, sites: &IdVec<SiteId, u32>) -> BTreeSet<List<'a>> {
    let network = &places.catalog.network;
    let pairs = sites
        .iter()
        .flat_map(|from| sites.iter().map(move |to| (*from, *to)));
    let price_list = |(from, to)| {
        Some((
            places.cloud(from),
            places.leaves_cloud(from, to),
            network.tariff(from, to)?,
        ))
    };
    pairs.filter_map(price_list).collect()
}

/// A list's prices with the free allowance in them, and the volume that it starts from.
fn counted_list(
    places: &Places<'_>,
    list: &List<'_>,
    lists: &BTreeSet<List<'_>>,
) -> (Tariff, Bytes) {
    let (cloud, leaves, tariff) = *list;
    let used_volume = places
        .policy
        .accounts
        .get(cloud)
        .and_then(|account| account.used_this_month);
    let (Some(used), true) = (used_volume, leaves) else {
        return (tariff.clone(), Bytes(0));
    };
    let free_volume = places
        .catalog
        .terms
        .get(cloud)
        .map_or(Bytes(0), |terms| terms.free_egress);
    // By the price of the first bytes: those are what an allowance takes off.
    let first_rate = |tariff: &Tariff| tariff.last_rate(Bytes(1));
    let charged = lists
        .iter()
        .filter(|(of, leaves, tariff)| *of == cloud && *leaves && first_rate(tariff).0 > 0);
    let cheapest = charged.min_by_key(|(_, _, tariff)| (first_rate(tariff), *tariff));
    (
        if cheapest == Some(list) {
            tariff.with_free(free_volume)
        } else {
            tariff.clone()
        },
        used,
    )
}

/// More than the job can send on any bill: an artifact is copied at most once per reader, and
/// once per site.
fn largest_volume(artifacts: &IdVec<ArtifactId, Artifact>, sites: usize) -> Bytes {
    let copied = |artifact: &Artifact| {
        let transfers = artifact.readers.len().min(sites.saturating_sub(1));
        artifact.bytes.0.saturating_mul(transfers as u64)
    };
    Bytes(artifacts.iter().map(copied).fold(0, u64::saturating_add))
}
