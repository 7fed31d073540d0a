//! What an update changed in prices, and what the catalog keeps of a source that failed.

use crate::catalog::draft::{Draft, Price};
use jiff::civil::Date;

/// Prices by what became of them, on demand and spot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangedPrices {
    /// Prices that were not there before.
    pub new: usize,
    /// Prices that rose.
    pub rose: usize,
    /// Prices that fell.
    pub fell: usize,
    /// Prices that stayed, of the same day or a newer one.
    pub same: usize,
    /// Prices that are left out now: no longer believed beside the new ones.
    pub gone: usize,
}

impl ChangedPrices {
    pub(super) fn between(old: &Draft, new: &Draft) -> Self {
        let mut changes = Self::default();
        for (place, rows) in &new.prices {
            let rows_before = old.prices.get(place);
            for (machine, row) in rows {
                let row_before = rows_before.and_then(|rows| rows.get(machine));
                for (old, new) in [
                    (
                        row_before.and_then(|row| row.on_demand.as_ref()),
                        row.on_demand.as_ref(),
                    ),
                    (
                        row_before.and_then(|row| row.spot.as_ref()),
                        row.spot.as_ref(),
                    ),
                ] {
                    changes.count(old, new);
                }
            }
        }
        for (place, rows) in &old.prices {
            let rows_after = new.prices.get(place);
            for machine in rows
                .keys()
                .filter(|machine| rows_after.is_none_or(|rows| !rows.contains_key(*machine)))
            {
                let row_now = &rows[machine];
                changes.gone +=
                    usize::from(row_now.on_demand.is_some()) + usize::from(row_now.spot.is_some());
            }
        }
        changes
    }

    fn count(&mut self, old: Option<&Price>, new: Option<&Price>) {
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => self.new += 1,
            (Some(_), None) => self.gone += 1,
            (Some((old, _)), Some((new, _))) if new > old => self.rose += 1,
            (Some((old, _)), Some((new, _))) if new < old => self.fell += 1,
            (Some((_, old)), Some((_, new))) if old != new => self.same += 1,
            _ => {}
        }
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            new: self.new + other.new,
            rose: self.rose + other.rose,
            fell: self.fell + other.fell,
            same: self.same + other.same,
            gone: self.gone + other.gone,
        }
    }
}

/// What the catalog has of a source that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptRows {
    /// Number of prices; of the spot advisor, of interruption rates.
    pub rows: usize,
    /// The day of the newest row.
    pub newest: Option<Date>,
    /// The age of the newest row in days.
    pub days: Option<i32>,
}

impl KeptRows {
    /// Prices of a cloud and a region; empty: of all regions.
    pub(super) fn prices(draft: &Draft, cloud: &str, region: &str, today: Date) -> Self {
        let price_rows = draft
            .prices
            .iter()
            .filter(|((of, at), _)| of == cloud && (region.is_empty() || at == region));
        let prices = price_rows
            .flat_map(|(_, rows)| rows.values())
            .flat_map(|row| [&row.on_demand, &row.spot])
            .flatten();
        Self::of(
            prices.map(|(_, source)| draft.date_of(source)).collect(),
            today,
        )
    }

    /// Interruption rates of a cloud.
    pub(super) fn interruptions(draft: &Draft, cloud: &str, today: Date) -> Self {
        let rate_rows = draft
            .interruptions
            .iter()
            .filter(|((of, ..), _)| of == cloud);
        Self::of(
            rate_rows
                .map(|(_, (_, source))| draft.date_of(source))
                .collect(),
            today,
        )
    }

    fn of(days: Vec<&str>, today: Date) -> Self {
        let newest: Option<Date> = days.iter().max().and_then(|day| day.parse().ok());
        let age = newest
            .and_then(|day| today.since(day).ok())
            .map(|span| span.get_days());
        Self {
            rows: days.len(),
            newest,
            days: age,
        }
    }
}
