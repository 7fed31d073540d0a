//! How clouds bill and boot, and how often spot machines are interrupted, as text and as JSON.

use crate::catalog::{Catalog, Source, Terms};
use crate::model::units::{div_half_even, grouped};
use crate::model::{Bandwidth, Gigabyte, Offer, Place, Purchase};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The terms of a cloud, one a line; none if the catalog does not say.
pub(super) fn terms_lines(catalog: &Catalog, cloud: &str) -> Vec<(&'static str, String)> {
    let Some(terms) = catalog.terms.get(cloud) else {
        return Vec::new();
    };
    let unit = if terms.gigabyte == Gigabyte::BINARY {
        "GiB"
    } else {
        "GB"
    };
    let free_words = match terms.free_egress.0 {
        0 => "none known".to_owned(),
        bytes if bytes % terms.gigabyte.0 == 0 => {
            format!(
                "{} {unit} a month",
                grouped((bytes / terms.gigabyte.0).into())
            )
        }
        _ => format!("{} a month", terms.free_egress),
    };
    vec![
        ("billing", billing_words(terms)),
        ("boot", terms.boot.to_string()),
        ("free egress", free_words),
        ("storage", format!("{} per {unit} and month", terms.storage)),
    ]
}

/// `in steps of 1 s, at least 1 m`.
fn billing_words(terms: &Terms) -> String {
    let steps = match terms.increment.0 {
        0 => "to the millisecond".to_owned(),
        _ => format!("in steps of {}", terms.increment),
    };
    match terms.minimum.0 {
        0 => steps,
        _ => format!("{steps}, at least {}", terms.minimum),
    }
}

pub(super) fn terms_json(catalog: &Catalog, cloud: &str) -> Value {
    catalog.terms.get(cloud).map_or(Value::Null, |terms| {
        json!({
            "increment_ms": terms.increment, "minimum_ms": terms.minimum, "boot_ms": terms.boot,
            "free_egress_bytes": terms.free_egress, "storage_nano_usd_per_gb_month": terms.storage,
            "billed_gb_bytes": terms.gigabyte,
        })
    })
}

/// Share of such machines interrupted in a month, in parts per million; none on demand and where
/// it is not known.
pub(super) fn interrupted_ppm(catalog: &Catalog, offer: &Offer) -> Option<u32> {
    let known_rate = || {
        catalog
            .interruptions
            .get(&(offer.place, offer.machine))
            .copied()
    };
    (offer.purchase == Purchase::Spot)
        .then(known_rate)
        .flatten()
}

/// `12.5 %`.
pub(super) fn percent_text(parts: u32) -> String {
    let hundredths = div_half_even(i128::from(parts), 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `+12.5 %`, of a difference in parts per million.
pub(super) fn percent_of(parts: i128) -> String {
    let hundredths = div_half_even(parts.abs(), 100);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let sign_mark = if parts < 0 { '-' } else { '+' };
    format!(
        "{sign_mark}{} %",
        text.trim_end_matches('0').trim_end_matches('.')
    )
}

/// Throughput of the routes out of a place that one source states.
pub(super) struct StatedThroughput<'a> {
    source: Option<&'a Source>,
    routes: usize,
    /// The slowest and the fastest.
    range: (Bandwidth, Bandwidth),
}

/// Throughput of the routes out of a place, by source; without one, what is assumed.
pub(super) fn throughput<'a>(catalog: &'a Catalog, place: &Place) -> Vec<StatedThroughput<'a>> {
    let Some(from) = catalog.place_id(&place.name) else {
        return Vec::new();
    };
    let mut stated_throughputs: BTreeMap<Option<u16>, StatedThroughput> = BTreeMap::new();
    let other_places = catalog
        .places
        .iter()
        .zip(0_u32..)
        .filter(|(other, id)| *id != from && other.name.cloud != "local");
    for (_, to) in other_places {
        let speed = catalog.network.speed(from, to);
        let bandwidth = catalog.network.bandwidth(from, to);
        let source = speed.and_then(|speed| catalog.sources.get(usize::from(speed.source)));
        let source_entry = stated_throughputs.entry(speed.map(|speed| speed.source));
        let stated_throughput = source_entry.or_insert(StatedThroughput {
            source,
            routes: 0,
            range: (bandwidth, bandwidth),
        });
        stated_throughput.routes += 1;
        stated_throughput.range = (
            stated_throughput.range.0.min(bandwidth),
            stated_throughput.range.1.max(bandwidth),
        );
    }
    stated_throughputs.into_values().collect()
}

/// The source that is named where no row of the catalog speaks.
const NO_ROW: &str = "an assumption, not a measurement";

/// `62 ways, 0.4 to 12 Gbit/s (measured …)`, one for each source.
pub(super) fn throughput_lines(
    stated_throughputs: &[StatedThroughput],
) -> Vec<(&'static str, String)> {
    let gbps = |speed: Bandwidth| {
        let thousandths = div_half_even(i128::from(speed.0), 1_000_000);
        let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let throughput_line = |one: &StatedThroughput| {
        let (low, high) = (gbps(one.range.0), gbps(one.range.1));
        let range = if low == high {
            low
        } else {
            format!("{low} to {high}")
        };
        let about_source = one.source.map_or(NO_ROW, |source| &source.about);
        format!("{} ways, {range} Gbit/s ({about_source})", one.routes)
    };
    stated_throughputs
        .iter()
        .map(|one| ("throughput", throughput_line(one)))
        .collect()
}

/// The throughput out of a place as JSON, for programs.
pub(super) fn throughput_json(stated_throughputs: &[StatedThroughput]) -> Value {
    let one = |one: &StatedThroughput| {
        json!({
            "source": one.source.map(|source| &source.id), "about": one.source.map_or(NO_ROW, |source| &source.about),
            "ways": one.routes, "least_bits_per_second": one.range.0, "most_bits_per_second": one.range.1,
        })
    };
    stated_throughputs.iter().map(one).collect()
}

/// The nearest places by measured round trip.
pub(super) fn round_trips(catalog: &Catalog, place: &Place) -> Option<String> {
    let place_id = catalog.place_id(&place.name)?;
    let mut trips: Vec<(u64, String)> = catalog
        .round_trips
        .iter()
        .filter_map(|((a, b), trip)| {
            let other_end = if *a == place_id {
                *b
            } else {
                Some(*a).filter(|_| *b == place_id)?
            };
            Some((trip.0, catalog.places[other_end as usize].name.to_string()))
        })
        .collect();
    trips.sort();
    let nearest_trips: Vec<String> = trips
        .iter()
        .take(3)
        .map(|(trip, name)| format!("{trip} ms to {name}"))
        .collect();
    match trips.len() {
        0 => None,
        few @ 1..=3 => Some(nearest_trips[..few].join(", ")),
        many => Some(format!(
            "{} and {} more",
            nearest_trips.join(", "),
            many - 3
        )),
    }
}
