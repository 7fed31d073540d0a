//! Prices that cannot be meant: left out, and counted.

use super::ImportReport;
use crate::catalog::draft::{Draft, Price, PriceRow};
use crate::catalog::peer_prices::{
    LEAST_PER_CARD, TIMES_OFF_ELSEWHERE, TIMES_OFF_PEERS, medians, per_card,
};
use std::collections::BTreeMap;

/// Prices by cloud and region, then by machine.
pub(super) type Prices = BTreeMap<(String, String), BTreeMap<String, PriceRow>>;

/// Leaves out the suspicious prices of a cloud: spot above on demand, on-demand prices five times
/// off the same machine's median over the regions, or, per accelerator, under a tenth of the median
/// of all clouds; next to nothing for an accelerator; spot prices under a hundredth of the price on
/// demand. What was there `before` stays in its place.
pub(super) fn leave_out(
    draft: &mut Draft,
    cloud: &str,
    before: &Prices,
    report: &mut ImportReport,
) {
    let of_machine = medians(
        draft
            .prices
            .iter()
            .filter(|((of, _), _)| of == cloud)
            .flat_map(|(_, rows)| {
                rows.iter()
                    .filter_map(|(name, row)| Some((name.clone(), row.on_demand.as_ref()?.0)))
            }),
    );
    let of_accelerator = medians(draft.prices.iter().flat_map(|((of, _), rows)| {
        rows.iter().filter_map(|(name, row)| {
            let (accelerator, count) = draft
                .machines
                .get(&(of.clone(), name.clone()))?
                .accelerator
                .clone()?;
            Some((accelerator, per_card(row.on_demand.as_ref()?.0, count)))
        })
    }));
    let far = |price: i64, median: Option<&i64>| {
        median.is_some_and(|median| {
            price > median.saturating_mul(TIMES_OFF_PEERS)
                || price.saturating_mul(TIMES_OFF_PEERS) < *median
        })
    };
    for (place, rows) in draft.prices.iter_mut().filter(|((of, _), _)| of == cloud) {
        for (name, row) in rows.iter_mut() {
            let old = before
                .get(place)
                .and_then(|rows| rows.get(name))
                .cloned()
                .unwrap_or_default();
            let found = row.clone();
            let accelerator = draft
                .machines
                .get(&(cloud.to_owned(), name.clone()))
                .and_then(|row| row.accelerator.clone());
            let nothing = |nano: i64| {
                accelerator
                    .as_ref()
                    .is_some_and(|(_, count)| per_card(nano, *count) < LEAST_PER_CARD)
            };
            let price = row.on_demand.as_ref().map(|(nano, _)| *nano);
            if price.is_some_and(nothing) {
                row.on_demand = None;
                report.leave(format!("{cloud}: next to nothing for an accelerator"));
            } else if price.is_some_and(|nano| far(nano, of_machine.get(name))) {
                row.on_demand = None;
                report.leave(format!("{cloud}: 5 times off the same machine elsewhere"));
            } else if let (Some(nano), Some((accelerator, count))) = (price, &accelerator)
                // Big hosts of small cards are dear for good reasons; cheap ones have none.
                && per_card(nano, *count).saturating_mul(TIMES_OFF_ELSEWHERE) < of_accelerator.get(accelerator).copied().unwrap_or(0)
            {
                row.on_demand = None;
                report.leave_of(
                    format!("{cloud}: under a tenth of what the accelerator costs elsewhere"),
                    accelerator,
                );
            }
            if found.on_demand != old.on_demand
                && found.on_demand.is_some()
                && row.on_demand.is_none()
            {
                row.on_demand.clone_from(&old.on_demand);
            }
            if row.spot.as_ref().is_some_and(|(nano, _)| nothing(*nano)) {
                row.spot = None;
                report.leave(format!("{cloud}: next to nothing for an accelerator"));
            }
            // A spot price is judged by the price on demand that stays.
            let believed = row.on_demand.as_ref().map(|(nano, _)| *nano).or(price);
            leave_out_spot(row, believed, cloud, report);
            if found.spot != old.spot && found.spot.is_some() && row.spot.is_none() {
                row.spot.clone_from(&old.spot);
                leave_out_spot(row, believed, cloud, report);
            }
        }
        rows.retain(|_, row| *row != PriceRow::default());
    }
    draft.prices.retain(|_, rows| !rows.is_empty());
}

fn leave_out_spot(
    row: &mut PriceRow,
    on_demand: Option<i64>,
    cloud: &str,
    report: &mut ImportReport,
) {
    let (Some((spot, _)), Some(on_demand)) = (&row.spot, on_demand) else {
        return;
    };
    if *spot > on_demand {
        row.spot = None;
        report.leave(format!("{cloud}: spot above on demand"));
    } else if spot.saturating_mul(100) < on_demand {
        row.spot = None;
        report.leave(format!("{cloud}: spot under a hundredth of on demand"));
    }
}

/// The lower of two prices.
pub(super) fn cheaper(old: Option<Price>, new: Option<Price>) -> Option<Price> {
    match (old, new) {
        (Some(old), Some(new)) => Some(if new.0 < old.0 { new } else { old }),
        (old, new) => old.or(new),
    }
}
