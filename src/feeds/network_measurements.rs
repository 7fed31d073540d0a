//! Measured throughput and round trips between pairs of regions.

use super::foreign_csv::ForeignCsv;
use super::import_source::add_source;
use super::region_place::place_of_region;
use super::{ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use crate::catalog::draft::Draft;
use std::collections::BTreeMap;
use std::path::Path;

/// Reads pairs of regions and the Gbit/s that one machine sent to another.
pub(super) fn import_throughput(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let id = add_source(
        draft,
        options,
        report,
        "throughput",
        None,
        "Measured throughput between region pairs, from machine to machine",
    )?;
    let mut csv_rows = ForeignCsv::open(path)?;
    let from_column = csv_rows.required(&["src_region", "src", "from"])?;
    let to_column = csv_rows.required(&["dst_region", "dst", "to"])?;
    let speed = csv_rows.required(&["gbps_sent", "gbps"])?;
    while csv_rows.advance()? {
        let cloud = options.cloud.as_deref();
        let pair = (
            place_of_region(draft, cloud, csv_rows.cell(from_column)),
            place_of_region(draft, cloud, csv_rows.cell(to_column)),
        );
        let (Some(from), Some(to)) = pair else {
            report.leave("throughput: a region that is not a place of this catalog");
            continue;
        };
        let Some(bits) = csv_rows.nano(speed).filter(|bits| *bits > 0 && from != to) else {
            report.leave("throughput: no figure");
            continue;
        };
        let pair_key = (from, to);
        let date = draft.date_of(&id);
        if draft
            .throughput
            .get(&pair_key)
            .is_some_and(|(_, source)| draft.date_of(source) > date)
        {
            report.leave("throughput: older than what is there");
            continue;
        }
        draft
            .throughput
            .insert(pair_key, (bits.unsigned_abs(), id.clone()));
        report.take("throughput pairs");
    }
    Ok(())
}

/// Reads pairs of regions and their average round trip in milliseconds.
///
/// A round trip is the same from both ends, so a pair is kept once, with the longer of its two
/// figures, rounded up to a millisecond: a place is never called nearer than it was measured.
pub(super) fn import_round_trips(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let id = add_source(
        draft,
        options,
        report,
        "round-trips",
        None,
        "Measured round trips between region pairs",
    )?;
    let mut csv_rows = ForeignCsv::open(path)?;
    let from_column = csv_rows.required(&["src_region", "src", "from"])?;
    let to_column = csv_rows.required(&["dst_region", "dst", "to"])?;
    let trip = csv_rows.required(&["rtt_ms_avg", "rtt_ms", "ms"])?;
    let mut longest_trips: BTreeMap<(String, String), i64> = BTreeMap::new();
    while csv_rows.advance()? {
        let cloud = options.cloud.as_deref();
        let pair = (
            place_of_region(draft, cloud, csv_rows.cell(from_column)),
            place_of_region(draft, cloud, csv_rows.cell(to_column)),
        );
        let (Some(from), Some(to)) = pair else {
            report.leave("round trips: a region that is not a place of this catalog");
            continue;
        };
        let Some(nano) = csv_rows.nano(trip).filter(|nano| *nano > 0 && from != to) else {
            report.leave("round trips: no figure");
            continue;
        };
        let trip = longest_trips
            .entry(if from < to { (from, to) } else { (to, from) })
            .or_default();
        *trip = nano
            .unsigned_abs()
            .div_ceil(1_000_000_000)
            .try_into()
            .unwrap_or(i64::MAX)
            .max(*trip);
    }
    let date = draft.date_of(&id).to_owned();
    for (pair, trip) in longest_trips {
        if draft
            .round_trips
            .get(&pair)
            .is_some_and(|(_, source)| draft.date_of(source) > date.as_str())
        {
            report.leave("round trips: older than what is there");
            continue;
        }
        draft.round_trips.insert(pair, (trip, id.clone()));
        report.take("round trips");
    }
    Ok(())
}
