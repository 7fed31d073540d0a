//! How clouds bill and boot, and how often spot machines are interrupted, as text and as JSON.

use crate::catalog::{Catalog, Terms};
use crate::model::units::div_half_even;
use crate::model::{Offer, Place, Purchase};
use serde_json::{Value, json};

/// The terms of a cloud, one a line; none if the catalog does not say.
pub(super) fn lines(catalog: &Catalog, cloud: &str) -> Vec<(&'static str, String)> {
    let Some(terms) = catalog.terms.get(cloud) else { return Vec::new() };
    let free = match terms.free_egress.0 {
        0 => "none known".to_owned(),
        _ => format!("{} a month", terms.free_egress),
    };
    vec![
        ("billing", billing(terms)),
        ("boot", terms.boot.to_string()),
        ("free egress", free),
        ("storage", format!("{} per GB and month", terms.storage)),
    ]
}

/// `in steps of 1 s, at least 1 m`.
fn billing(terms: &Terms) -> String {
    let steps = match terms.increment.0 {
        0 => "to the millisecond".to_owned(),
        _ => format!("in steps of {}", terms.increment),
    };
    match terms.minimum.0 {
        0 => steps,
        _ => format!("{steps}, at least {}", terms.minimum),
    }
}

pub(super) fn to_json(catalog: &Catalog, cloud: &str) -> Value {
    catalog.terms.get(cloud).map_or(Value::Null, |terms| {
        json!({
            "increment_ms": terms.increment, "minimum_ms": terms.minimum, "boot_ms": terms.boot,
            "free_egress_bytes": terms.free_egress, "storage_nano_usd_per_gb_month": terms.storage,
        })
    })
}

/// Share of such machines interrupted in a month, in parts per million; none on demand and where
/// it is not known.
pub(super) fn interrupted(catalog: &Catalog, offer: &Offer) -> Option<u32> {
    let known = || catalog.interruptions.get(&(offer.place, offer.machine)).copied();
    (offer.purchase == Purchase::Spot).then(known).flatten()
}

/// `12.5 %`.
pub(super) fn percent(parts: u32) -> String {
    let hundredths = div_half_even(i128::from(parts), 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `+12.5 %`, of a difference in parts per million.
pub(super) fn percent_of(parts: i128) -> String {
    let hundredths = div_half_even(parts.abs(), 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let sign = if parts < 0 { '-' } else { '+' };
    format!("{sign}{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The nearest places by measured round trip.
pub(super) fn round_trips(catalog: &Catalog, place: &Place) -> Option<String> {
    let here = catalog.place_id(&place.name)?;
    let mut trips: Vec<(u64, String)> = catalog
        .round_trips
        .iter()
        .filter_map(|((a, b), trip)| {
            let other = if *a == here { *b } else { Some(*a).filter(|_| *b == here)? };
            Some((trip.0, catalog.places[other as usize].name.to_string()))
        })
        .collect();
    trips.sort();
    let nearest: Vec<String> = trips.iter().take(3).map(|(trip, name)| format!("{trip} ms to {name}")).collect();
    match trips.len() {
        0 => None,
        few @ 1..=3 => Some(nearest[..few].join(", ")),
        many => Some(format!("{} and {} more", nearest.join(", "), many - 3)),
    }
}
