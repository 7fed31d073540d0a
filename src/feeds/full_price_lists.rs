//! What a price list says by what it does not list, and what two lists of one machine say together.
//!
//! A list is full or partial. Of a full list of a region it is known that what it no longer has is
//! no longer sold: rows of older lists that it does not have are dropped. A partial one only adds.

use super::ImportReport;
use super::price_outliers::Prices;
use crate::catalog::catalog_toml::FULL_LIST;
use crate::catalog::draft::{ChangeRow, Draft, Price, PriceRow};
use crate::catalog::format::PPM;
use crate::catalog::peer_prices::medians;
use crate::catalog::price_age::{APART, days_between};
use crate::model::units::{div_half_even, saturate};
use std::collections::BTreeSet;

/// Why a row of an older list is dropped.
const NOT_LISTED: &str = "not in the newer full list of its region";

/// What one list had.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListedRows {
    /// The cloud of the list.
    pub cloud: String,
    /// The id of its source.
    pub id: String,
    /// Whether the list is a full list of the regions that are in it.
    pub full: bool,
    /// The beginning of what its source and its older editions are called: of those, too, what is
    /// not in it any more is gone. Empty: editions are not told apart.
    pub series: String,
    /// Rows of prices on demand, by region and instance type, also if the price was not taken.
    pub on_demand: BTreeSet<(String, String)>,
    /// Rows of spot prices, by region and instance type.
    pub spot: BTreeSet<(String, String)>,
}

impl ListedRows {
    /// Notes that the list has a row.
    pub(super) fn add(&mut self, region: &str, instance_type: &str, spot: bool) {
        let listed_rows = if spot {
            &mut self.spot
        } else {
            &mut self.on_demand
        };
        listed_rows.insert((region.to_owned(), instance_type.to_owned()));
    }
}

/// Whether lists of machines by their own names could have this one: Compute Engine's have neither
/// hosts with GPUs added nor TPUs.
fn is_listed_by_name(cloud: &str, instance_type: &str) -> bool {
    cloud != "gcp" || !(instance_type.contains('+') || instance_type.starts_with("tpu-"))
}

/// Drops what a newer full list says is gone: of the older rows if this list is full, of this
/// list's rows if a newer one is.
pub(crate) fn drop_rows_not_listed(
    draft: &mut Draft,
    prices_before: &Prices,
    listed: &ListedRows,
    report: &mut ImportReport,
) {
    if listed.full || !listed.series.is_empty() {
        drop_unlisted(draft, listed, report);
    }
    drop_outdated(draft, prices_before, listed, report);
}

fn drop_unlisted(draft: &mut Draft, listed: &ListedRows, report: &mut ImportReport) {
    let date = draft.date_of(&listed.id).to_owned();
    let all_rows = || listed.on_demand.iter().chain(&listed.spot);
    let regions: BTreeSet<&String> = all_rows().map(|(region, _)| region).collect();
    let spot_regions: BTreeSet<&String> = listed.spot.iter().map(|(region, _)| region).collect();
    let sources = draft.sources.clone();
    let is_older = |price: &Price| {
        let source = sources.get(&price.1);
        let same_series = listed.full
            || source.is_some_and(|source| source.about.starts_with(listed.series.as_str()));
        same_series && source.is_none_or(|source| source.date < date)
    };
    for region in regions {
        let place = (listed.cloud.clone(), region.clone());
        let Some(rows) = draft.prices.get_mut(&place) else {
            continue;
        };
        // An answer that shares no machine with what is known of the region is not believed to be
        // its full list: a feed that went wrong must not empty a catalog.
        let is_listed = |name: &String| {
            let row_key = (region.clone(), name.clone());
            listed.on_demand.contains(&row_key) || listed.spot.contains(&row_key)
        };
        if !rows.keys().any(is_listed) {
            continue;
        }
        for (name, row) in rows
            .iter_mut()
            .filter(|(name, _)| is_listed_by_name(&listed.cloud, name))
        {
            let row_key = (region.clone(), name.clone());
            let (on_demand, spot) = (
                listed.on_demand.contains(&row_key),
                listed.spot.contains(&row_key),
            );
            let sold = on_demand || spot;
            let mut dropped_rows = 0;
            // A list of spot prices alone says nothing of those on demand, and the other way round;
            // but what is not sold at all is not sold as spot.
            if !on_demand
                && (listed.full || !sold)
                && row.on_demand.as_ref().is_some_and(is_older)
                && !spot
            {
                row.on_demand = None;
                dropped_rows += 1;
            }
            let spot_is_told = !sold || (spot_regions.contains(region) && !spot);
            if spot_is_told && row.spot.as_ref().is_some_and(is_older) {
                row.spot = None;
                dropped_rows += 1;
            }
            for _ in 0..dropped_rows {
                report.leave_of(format!("{}: {NOT_LISTED}", listed.cloud), name);
            }
            if dropped_rows > 0 {
                let reason_key = (
                    listed.cloud.clone(),
                    name.clone(),
                    NOT_LISTED.to_owned(),
                    listed.id.clone(),
                );
                *draft.dropped.entry(reason_key).or_default() += dropped_rows;
            }
        }
        rows.retain(|_, row| *row != PriceRow::default());
    }
    draft.prices.retain(|_, rows| !rows.is_empty());
}

/// Leaves out rows that came with this list only, where a newer full list of the region was there
/// before.
fn drop_outdated(
    draft: &mut Draft,
    prices_before: &Prices,
    listed: &ListedRows,
    report: &mut ImportReport,
) {
    let date = draft.date_of(&listed.id).to_owned();
    let is_newer = |price: &Price| {
        let source = draft.sources.get(&price.1);
        source.is_some_and(|source| source.list == FULL_LIST && source.date > date)
    };
    let covered: BTreeSet<(String, String)> = prices_before
        .iter()
        .filter(|((cloud, _), rows)| {
            *cloud == listed.cloud
                && rows
                    .values()
                    .any(|row| row.on_demand.as_ref().is_some_and(is_newer))
        })
        .map(|(place, _)| place.clone())
        .collect();
    for place in covered {
        let (Some(rows), Some(old)) = (draft.prices.get_mut(&place), prices_before.get(&place))
        else {
            continue;
        };
        rows.retain(|name, _| {
            let row_stays = old.contains_key(name) || !is_listed_by_name(&place.0, name);
            if !row_stays {
                report.leave_of(format!("{}: {NOT_LISTED}", listed.cloud), name);
            }
            row_stays
        });
    }
}

/// Whether one price is another one with AWS's surcharge for dedicated tenancy, 6 % or 10 %: lists
/// that are put together from AWS's offer files have it here and there for the price of a shared
/// host. Prices are rounded, so the share is not exact.
pub(crate) fn is_dedicated(cloud: &str, price: i64, usual: i64) -> bool {
    if cloud != "aws" || usual <= 0 {
        return false;
    }
    let ppm = div_half_even(i128::from(price) * i128::from(PPM), i128::from(usual));
    (1_095_000..=1_105_000).contains(&ppm) || (1_055_000..=1_068_000).contains(&ppm)
}

/// Notes how prices of each machine type changed between an older list and this one, more than a
/// year later: the lower median over the regions that have both.
pub(crate) fn note_price_changes(draft: &mut Draft, prices_before: &Prices, listed: &ListedRows) {
    let date = draft.date_of(&listed.id).to_owned();
    let mut found_changes: Vec<(String, i64)> = Vec::new();
    for ((cloud, region), rows) in draft
        .prices
        .iter()
        .filter(|((cloud, _), _)| *cloud == listed.cloud)
    {
        let Some(old) = prices_before.get(&(cloud.clone(), region.clone())) else {
            continue;
        };
        for (name, row) in rows {
            let was = old.get(name).and_then(|row| row.on_demand.as_ref());
            let (Some((new, id)), Some((old, from))) = (&row.on_demand, was) else {
                continue;
            };
            let apart = days_between(draft.date_of(from), &date).is_some_and(|days| days > APART);
            let surcharge = is_dedicated(cloud, *old, *new) || is_dedicated(cloud, *new, *old);
            if *id == listed.id && apart && !surcharge && *old > 0 {
                let ratio = div_half_even(i128::from(*new) * i128::from(PPM), i128::from(*old));
                found_changes.push((format!("{name}\n{from}"), saturate(ratio)));
            }
        }
    }
    for (key, ratio_ppm) in lower_medians(found_changes) {
        let Some((name, from)) = key.split_once('\n') else {
            continue;
        };
        let change_key = (listed.cloud.clone(), name.to_owned(), from.to_owned());
        draft.changes.insert(
            change_key,
            ChangeRow {
                to: listed.id.clone(),
                ratio_ppm,
            },
        );
    }
}

/// Medians of lists however short.
fn lower_medians(figures: Vec<(String, i64)>) -> Vec<(String, i64)> {
    // `medians` wants three peers: each figure three times has the same median.
    let thrice = figures
        .into_iter()
        .flat_map(|figure| [figure.clone(), figure.clone(), figure]);
    medians(thrice).into_iter().collect()
}
