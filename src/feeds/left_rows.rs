//! Rows of a price list that an import leaves out: they are counted in the catalog, by instance
//! type and reason, so that `sky catalog check` can say what of the newest list is not on offer.

use super::price_outliers::Prices;
use crate::catalog::draft::Draft;
use std::collections::{BTreeMap, BTreeSet};

/// Why a row is left out whose instance type nobody gives a size.
pub(crate) const SIZE_UNKNOWN: &str = "vCPUs and memory of the instance type are not known";

/// Why a row is left out whose price is not that of a shared host.
pub(crate) const DEDICATED: &str = "the price of dedicated tenancy, 6 % or 10 % above";

/// Why a row is left out that has no price.
pub(crate) const NO_PRICE: &str = "no price, or a price of 0";

/// Why a row is left out that names a family of machines alone.
pub(crate) const HOST: &str = "the price of a dedicated host, not of a machine type";

/// Why a row is left out that is bought neither on demand nor as spot.
pub(crate) const OTHER_PURCHASE: &str = "bought neither on demand nor as spot";

/// Why a row is left out whose cards nobody names.
pub(crate) const CARDS_UNKNOWN: &str = "which accelerators the instance type has is not known";

/// The reasons that lists give anew with every import.
const REASONS: &[&str] = &[
    SIZE_UNKNOWN,
    CARDS_UNKNOWN,
    HOST,
    DEDICATED,
    NO_PRICE,
    OTHER_PURCHASE,
];

/// The rows of one price list that an import leaves out.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeftRows {
    /// How many rows were left out, by instance type, reason and region.
    rows: BTreeMap<(String, &'static str, String), u64>,
    /// All instance types that the list has.
    listed: BTreeSet<String>,
}

impl LeftRows {
    /// Notes that the list has an instance type.
    pub(crate) fn meet(&mut self, instance_type: &str) {
        if !self.listed.contains(instance_type) {
            self.listed.insert(instance_type.to_owned());
        }
    }

    /// Counts a row that is left out.
    pub(crate) fn leave(&mut self, region: &str, instance_type: &str, reason: &'static str) {
        let row_key = (instance_type.to_owned(), reason, region.to_owned());
        *self.rows.entry(row_key).or_default() += 1;
    }

    /// Puts the counts into the draft, in the place of what older lists of the cloud said of the
    /// same instance types; what newer lists say stays. Regions that had prices of this list
    /// already were counted when they came: importing a list again changes nothing.
    pub(crate) fn note(self, draft: &mut Draft, prices_before: &Prices, cloud: &str, id: &str) {
        let left_machines: BTreeSet<(&str, &str)> = self
            .rows
            .keys()
            .map(|(instance_type, reason, _)| (instance_type.as_str(), *reason))
            .collect();
        let day = draft.date_of(id).to_owned();
        let told_later: BTreeSet<String> = draft
            .dropped
            .keys()
            .filter(|(of, _, reason, source)| {
                of == cloud
                    && REASONS.contains(&reason.as_str())
                    && draft.date_of(source) > day.as_str()
            })
            .map(|(_, instance_type, ..)| instance_type.clone())
            .collect();
        draft
            .dropped
            .retain(|(of, instance_type, reason, source), _| {
                let is_told_anew = of == cloud
                    && self.listed.contains(instance_type)
                    && REASONS.contains(&reason.as_str())
                    && !told_later.contains(instance_type);
                let is_left_still =
                    left_machines.contains(&(instance_type.as_str(), reason.as_str()));
                !is_told_anew || (source == id && is_left_still)
            });
        let is_counted = |region: &String| {
            let rows_before = prices_before.get(&(cloud.to_owned(), region.clone()));
            rows_before.is_some_and(|rows| {
                let of_list = |price: &Option<(i64, String)>| {
                    price.as_ref().is_some_and(|(_, source)| source == id)
                };
                rows.values()
                    .any(|row| of_list(&row.on_demand) || of_list(&row.spot))
            })
        };
        for ((instance_type, reason, region), count) in self.rows {
            if !is_counted(&region) && !told_later.contains(&instance_type) {
                let dropped_key = (
                    cloud.to_owned(),
                    instance_type,
                    reason.to_owned(),
                    id.to_owned(),
                );
                *draft.dropped.entry(dropped_key).or_default() += count;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog_toml::SourceEntry;
    use crate::catalog::draft::PriceRow;

    fn left(regions: &[&str], types: &[&str]) -> LeftRows {
        let mut left = LeftRows::default();
        for instance_type in types {
            left.meet(instance_type);
            for region in regions {
                left.leave(region, instance_type, SIZE_UNKNOWN);
            }
        }
        left
    }

    fn counts(draft: &Draft) -> Vec<(&str, &str, u64)> {
        draft
            .dropped
            .iter()
            .map(|((_, instance_type, _, source), rows)| {
                (instance_type.as_str(), source.as_str(), *rows)
            })
            .collect()
    }

    #[test]
    fn rows_are_counted_once_and_newer_lists_speak_for_older_ones() {
        let mut draft = Draft::default();
        for (id, day) in [("x-1", "2026-01-01"), ("x-2", "2026-02-01")] {
            let source = SourceEntry {
                date: day.to_owned(),
                ..SourceEntry::default()
            };
            draft.sources.insert(id.to_owned(), source);
        }
        let none = Prices::new();
        left(&["a", "b"], &["new", "other"]).note(&mut draft, &none, "x", "x-1");
        assert_eq!(counts(&draft), [("new", "x-1", 2), ("other", "x-1", 2)]);
        // A list of another region of the same day adds, and the same list again does not.
        let price = PriceRow {
            on_demand: Some((1, "x-1".to_owned())),
            spot: None,
        };
        let there = Prices::from([(
            ("x".to_owned(), "a".to_owned()),
            BTreeMap::from([("known".to_owned(), price)]),
        )]);
        left(&["a", "c"], &["new"]).note(&mut draft, &there, "x", "x-1");
        assert_eq!(counts(&draft), [("new", "x-1", 3), ("other", "x-1", 2)]);
        // A newer list has one of them still, and knows the size of the other.
        let mut newer = left(&["a"], &["new"]);
        newer.meet("other");
        newer.note(&mut draft, &none, "x", "x-2");
        assert_eq!(counts(&draft), [("new", "x-2", 1)]);
        left(&["a", "b"], &["new"]).note(&mut draft, &none, "x", "x-1");
        assert_eq!(counts(&draft), [("new", "x-2", 1)], "an older list is late");
        left(&["a"], &["new"]).note(&mut draft, &none, "y", "y-1");
        assert_eq!(counts(&draft), [("new", "x-2", 1), ("new", "y-1", 1)]);
    }
}
