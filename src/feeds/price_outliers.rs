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
    prices_before: &Prices,
    report: &mut ImportReport,
) {
    let usual_prices = UsualPrices::new(draft, cloud);
    for (place, rows) in draft.prices.iter_mut().filter(|((of, _), _)| of == cloud) {
        for (name, row) in rows.iter_mut() {
            let old_row = prices_before.get(place).and_then(|rows| rows.get(name));
            let old_row = old_row.cloned().unwrap_or_default();
            let found_row = row.clone();
            let machine = draft.machines.get(&(cloud.to_owned(), name.clone()));
            let accelerator = machine.and_then(|machine| machine.accelerator.as_ref());
            let price = row.on_demand.as_ref().map(|(nano, _)| *nano);
            if let Some(suspicion) =
                price.and_then(|nano| usual_prices.suspicion(name, nano, accelerator))
            {
                row.on_demand = None;
                match suspicion {
                    Suspicion::NextToNothing => report.leave(next_to_nothing(cloud)),
                    Suspicion::OffPeers => {
                        report.leave(format!("{cloud}: 5 times off the same machine elsewhere"));
                    }
                    Suspicion::OffAccelerator(accelerator) => report.leave_of(
                        format!("{cloud}: under a tenth of what the accelerator costs elsewhere"),
                        accelerator,
                    ),
                }
            }
            if found_row.on_demand != old_row.on_demand
                && found_row.on_demand.is_some()
                && row.on_demand.is_none()
            {
                row.on_demand.clone_from(&old_row.on_demand);
            }
            let spot = row.spot.as_ref().map(|(nano, _)| *nano);
            if spot.is_some_and(|nano| is_next_to_nothing(nano, accelerator)) {
                row.spot = None;
                report.leave(next_to_nothing(cloud));
            }
            // A spot price is judged by the price on demand that stays.
            let believed = row.on_demand.as_ref().map(|(nano, _)| *nano).or(price);
            leave_out_spot(row, believed, cloud, report);
            if found_row.spot != old_row.spot && found_row.spot.is_some() && row.spot.is_none() {
                row.spot.clone_from(&old_row.spot);
                leave_out_spot(row, believed, cloud, report);
            }
        }
        rows.retain(|_, row| *row != PriceRow::default());
    }
    draft.prices.retain(|_, rows| !rows.is_empty());
}

fn next_to_nothing(cloud: &str) -> String {
    format!("{cloud}: next to nothing for an accelerator")
}

/// Why a price on demand cannot be meant.
enum Suspicion<'a> {
    NextToNothing,
    /// Far off the same machine type in the other regions of its cloud.
    OffPeers,
    /// Far under what the accelerator costs elsewhere.
    OffAccelerator(&'a str),
}

/// Medians of prices on demand, in nano-USD an hour.
struct UsualPrices {
    /// Of the machine types of one cloud.
    of_machine: BTreeMap<String, i64>,
    /// Of one accelerator, over all clouds.
    of_accelerator: BTreeMap<String, i64>,
}

impl UsualPrices {
    fn new(draft: &Draft, cloud: &str) -> Self {
        let on_demand = |row: &PriceRow| row.on_demand.as_ref().map(|(nano, _)| *nano);
        let own_rows = draft.prices.iter().filter(|((of, _), _)| of == cloud);
        let of_machine = medians(own_rows.flat_map(|(_, rows)| {
            rows.iter()
                .filter_map(|(name, row)| Some((name.clone(), on_demand(row)?)))
        }));
        let of_accelerator = medians(draft.prices.iter().flat_map(|((of, _), rows)| {
            rows.iter().filter_map(|(name, row)| {
                let machine = draft.machines.get(&(of.clone(), name.clone()))?;
                let (accelerator, count) = machine.accelerator.clone()?;
                Some((accelerator, per_card(on_demand(row)?, count)))
            })
        }));
        Self {
            of_machine,
            of_accelerator,
        }
    }

    /// Returns why a price on demand cannot be meant, if it cannot.
    fn suspicion<'a>(
        &self,
        name: &str,
        price: i64,
        accelerator: Option<&'a (String, u32)>,
    ) -> Option<Suspicion<'a>> {
        if is_next_to_nothing(price, accelerator) {
            return Some(Suspicion::NextToNothing);
        }
        let is_off = |median: &i64| {
            price > median.saturating_mul(TIMES_OFF_PEERS)
                || price.saturating_mul(TIMES_OFF_PEERS) < *median
        };
        if self.of_machine.get(name).is_some_and(is_off) {
            return Some(Suspicion::OffPeers);
        }
        // Big hosts of small cards are dear for good reasons; cheap ones have none.
        let (accelerator, count) = accelerator?;
        let usual_price = self.of_accelerator.get(accelerator)?;
        (per_card(price, *count).saturating_mul(TIMES_OFF_ELSEWHERE) < *usual_price)
            .then_some(Suspicion::OffAccelerator(accelerator))
    }
}

/// Whether a price is less than any accelerator costs.
fn is_next_to_nothing(nano: i64, accelerator: Option<&(String, u32)>) -> bool {
    accelerator.is_some_and(|(_, count)| per_card(nano, *count) < LEAST_PER_CARD)
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
