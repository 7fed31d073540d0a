//! Prices beside those of their peers: what one accelerator costs, medians, and how far off a price
//! may be. The findings of a catalog and the importers judge by the same figures.

use crate::model::units::saturate;
use std::collections::BTreeMap;

/// An accelerator's hour costs more than this, in nano-USD. An assumption: the cheapest believable
/// offers, old spot machines with a half-used card, cost twice as much.
pub(crate) const LEAST_PER_CARD: i64 = 10_000_000;

/// A price so many times off the same machine in other regions of its cloud is not believed.
pub(crate) const TIMES_OFF_PEERS: i64 = 5;

/// A price so many times under that of the same accelerator in all clouds is not believed. Clouds
/// differ more from each other than regions of one cloud: V100s of Lambda cost a sixth of the
/// median, and that is their price.
pub(crate) const TIMES_OFF_ELSEWHERE: i64 = 10;

/// Fewer peers than this say nothing.
const LEAST_PEERS: usize = 3;

/// The price of one accelerator of a machine that has so many thousandths of them.
pub(crate) fn per_card(nano: i64, thousandths: u32) -> i64 {
    saturate(i128::from(nano) * 1000 / i128::from(thousandths.max(1)))
}

/// The lower median of each name that has enough figures.
pub(crate) fn medians(figures: impl Iterator<Item = (String, i64)>) -> BTreeMap<String, i64> {
    let mut lists: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (name, figure) in figures {
        lists.entry(name).or_default().push(figure);
    }
    let lists = lists
        .into_iter()
        .filter(|(_, list)| list.len() >= LEAST_PEERS);
    lists
        .map(|(name, mut list)| {
            list.sort_unstable();
            (name, list[(list.len() - 1) / 2])
        })
        .collect()
}
