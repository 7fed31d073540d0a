//! Prices that cannot be meant: next to nothing, or far off their peers.

use super::finding::{Finding, Kind};
use crate::catalog::Catalog;
use crate::catalog::peer_prices::{
    LEAST_PER_CARD, TIMES_OFF_ELSEWHERE, TIMES_OFF_PEERS, medians, per_card,
};
use crate::model::{Offer, Purchase, Rate};
use std::collections::BTreeMap;

/// A price per unit of computing under the median of all accelerators by more than this is not
/// believed. An assumption: accelerators of one time lie within ten times of each other.
const OFF_PER_RATE: i64 = 30;

/// Finds suspicious prices; at most one because of peers, and one because of the price on demand.
pub(super) fn check(catalog: &Catalog, findings: &mut Vec<Finding>) {
    let usual_prices = UsualPrices::new(catalog);
    let mut offer_before: Option<&Offer> = None;
    for offer in &catalog.offers {
        // The offer on demand lies just before its spot offer.
        let on_demand = offer_before
            .filter(|before| (before.place, before.machine) == (offer.place, offer.machine));
        let suspicions = [
            usual_prices.suspicion(catalog, offer),
            on_demand.and_then(|on_demand| spot_suspicion(offer, on_demand)),
        ];
        findings.extend(
            suspicions
                .into_iter()
                .flatten()
                .map(|(kind, message)| Finding {
                    kind,
                    name: catalog.place(offer).name.to_string(),
                    instance_type: Some(catalog.machine(offer).instance_type.clone()),
                    message,
                }),
        );
        offer_before = Some(offer);
    }
}

/// Medians of the prices on demand, in nano-USD.
struct UsualPrices {
    /// An hour of each machine type, by the number of the machine.
    of_machine: BTreeMap<String, i64>,
    /// An hour of one accelerator, by its name.
    of_accelerator: BTreeMap<String, i64>,
    /// An hour of a petaflop per second, of all accelerators.
    of_computing: Option<i64>,
}

impl UsualPrices {
    fn new(catalog: &Catalog) -> Self {
        let on_demand = || {
            let offers = catalog.offers.iter();
            offers.filter(|offer| offer.purchase == Purchase::OnDemand)
        };
        let computing =
            on_demand().filter_map(|offer| Some((String::new(), computing_price(catalog, offer)?)));
        Self {
            of_machine: medians(on_demand().map(|offer| (offer.machine.to_string(), offer.rate.0))),
            of_accelerator: medians(on_demand().filter_map(|offer| card_price(catalog, offer))),
            of_computing: medians(computing).get("").copied(),
        }
    }

    /// Returns why a price is next to nothing or far off its peers, if it is.
    fn suspicion(&self, catalog: &Catalog, offer: &Offer) -> Option<(Kind, String)> {
        let card = card_price(catalog, offer);
        if let Some((name, price)) = &card
            && *price < LEAST_PER_CARD
        {
            let message = format!(
                "{} for one {name} and hour, {}",
                Rate(*price),
                offer.purchase
            );
            return Some((Kind::PriceTooLow, message));
        }
        if let (Some(price), Some(usual)) = (computing_price(catalog, offer), self.of_computing)
            && price.saturating_mul(OFF_PER_RATE) < usual
        {
            let message = format!(
                "{} {}, under a {OFF_PER_RATE}th of what computing costs",
                offer.rate, offer.purchase
            );
            return Some((Kind::PriceTooLow, message));
        }
        if offer.purchase != Purchase::OnDemand {
            return None;
        }
        if let Some(peers) = self.of_machine.get(&offer.machine.to_string()).copied()
            && (offer.rate.0 > peers.saturating_mul(TIMES_OFF_PEERS)
                || offer.rate.0.saturating_mul(TIMES_OFF_PEERS) < peers)
        {
            let (rate, peers) = (offer.rate, Rate(peers));
            let message = format!("{rate}, the median of its cloud is {peers}");
            return Some((Kind::OffPeers, message));
        }
        let (name, price) = card?;
        let usual_price = self.of_accelerator.get(&name).copied()?;
        (price.saturating_mul(TIMES_OFF_ELSEWHERE) < usual_price).then(|| {
            let (price, usual) = (Rate(price), Rate(usual_price));
            let message = format!("{price} for one {name}, the median is {usual}");
            (Kind::OffAccelerator, message)
        })
    }
}

/// Returns why a spot price cannot be meant beside the price on demand, if it cannot.
fn spot_suspicion(spot: &Offer, on_demand: &Offer) -> Option<(Kind, String)> {
    let kind = if on_demand.rate < spot.rate {
        Kind::SpotAboveOnDemand
    } else if spot.rate.0.saturating_mul(100) < on_demand.rate.0 {
        Kind::SpotTooLow
    } else {
        return None;
    };
    let message = format!("spot {}, on demand {}", spot.rate, on_demand.rate);
    Some((kind, message))
}

/// The accelerator of an offer, and the price of one of them in nano-USD an hour.
fn card_price(catalog: &Catalog, offer: &Offer) -> Option<(String, i64)> {
    let (name, count) = catalog.machine(offer).accelerator.as_ref()?;
    Some((name.clone(), per_card(offer.rate.0, *count)))
}

/// The price of a petaflop per second (bf16, else fp16) for an hour, in nano-USD.
fn computing_price(catalog: &Catalog, offer: &Offer) -> Option<i64> {
    let (name, price) = card_price(catalog, offer)?;
    let rates = &catalog.accelerators.get(&name)?.gigaflops;
    let gigaflops = rates.get("bf16").or_else(|| rates.get("fp16"))?;
    i64::try_from(i128::from(price) * 1_000_000 / i128::from(*gigaflops).max(1)).ok()
}
