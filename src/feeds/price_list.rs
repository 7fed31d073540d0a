//! Newer price lists, laid over machines whose size is known.
//!
//! A list of GCP counts the GPUs of a2, a3 and g2 machines in (g2-standard-4 in us-central1:
//! 0.70683 = 0.14679 for the host + 0.56004 for the L4), so its figure is the whole price.
//! N1 hosts with a GPU and TPUs are not rows of such lists and keep their figures.

use super::foreign_csv::ForeignCsv;
use super::full_price_lists::{self, ListedRows};
use super::import_source::add_source;
use super::left_rows::{DEDICATED, HOST, LeftRows, NO_PRICE, OTHER_PURCHASE, SIZE_UNKNOWN};
use super::{ImportOptions, ImportReport, listed_names, price_outliers, vendor_facts};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, Price, PriceRow};
use std::path::Path;

/// A row of the list, with the name that its machine type is ordered by.
struct ListedPrice {
    region: String,
    instance_type: String,
    /// Nano-USD per hour; none: there is no price.
    nano: Option<i64>,
    /// `on_demand` or `spot`; empty: on demand.
    purchase: String,
}

/// Reads `region, instance type, price` and, if there, `purchase` (`on_demand` or `spot`).
pub(super) fn import(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let Some(cloud) = options.cloud.clone() else {
        return Err(CatalogError::file(
            "--cloud",
            "the cloud of the price list is not given",
            "give --cloud aws",
        ));
    };
    let id = add_source(
        draft,
        options,
        report,
        &cloud,
        Some(&cloud),
        &format!("List prices of {cloud}"),
    )?;
    let prices_before = draft.prices.clone();
    let mut listed_rows = ListedRows {
        cloud: cloud.clone(),
        id: id.clone(),
        full: options.full,
        ..ListedRows::default()
    };
    let mut left_rows = LeftRows::default();
    for row in listed_prices(path, &cloud)? {
        let place = (cloud.clone(), row.region.clone());
        if !draft
            .places
            .contains_key(&format!("{}:{}", place.0, place.1))
        {
            report.leave_of(format!("{cloud}: unknown region"), &place.1);
            continue;
        }
        listed_rows.add(&row.region, &row.instance_type, row.purchase == "spot");
        left_rows.meet(&row.instance_type);
        let older = prices_before
            .get(&place)
            .and_then(|rows| rows.get(&row.instance_type))
            .and_then(|row| row.on_demand.as_ref())
            .filter(|(_, from)| *from != id);
        match price_row(&row, (&cloud, &id), older, draft, report)? {
            ListedRow::Price(prices) => {
                draft.put_price(&cloud, &row.region, &row.instance_type, prices);
                report.take(format!("{cloud}: prices"));
            }
            ListedRow::LeftOut(reason) => {
                left_rows.leave(&row.region, &row.instance_type, reason);
                let full_reason = format!("{cloud}: {reason}");
                if reason == DEDICATED {
                    report.leave_of(full_reason, &row.instance_type);
                } else {
                    report.leave(full_reason);
                }
            }
        }
    }
    left_rows.note(draft, &prices_before, &cloud, &id);
    full_price_lists::drop_rows_not_listed(draft, &prices_before, &listed_rows, report);
    price_outliers::leave_out(draft, &cloud, &prices_before, report);
    full_price_lists::note_price_changes(draft, &prices_before, &listed_rows);
    Ok(())
}

/// The rows of the list. Those that have a machine type under another name come first, so that a
/// row of the type itself speaks last.
fn listed_prices(path: &Path, cloud: &str) -> Result<Vec<ListedPrice>, CatalogError> {
    let mut csv_rows = ForeignCsv::open(path)?;
    let region = csv_rows.required(&["region"])?;
    let machine = csv_rows.required(&["instance_type", "machine_type", "sku"])?;
    let price = csv_rows.required(&["usd_per_hour", "price"])?;
    let purchase = csv_rows.optional(&["purchase"]);
    let (mut otherwise_named, mut found) = (Vec::new(), Vec::new());
    while csv_rows.advance()? {
        let (instance_type, is_other_name) =
            listed_names::ordered_name(cloud, csv_rows.cell(machine))?;
        let target_rows = if is_other_name {
            &mut otherwise_named
        } else {
            &mut found
        };
        target_rows.push(ListedPrice {
            region: csv_rows.cell(region).to_owned(),
            instance_type: instance_type.to_owned(),
            nano: csv_rows.nano(price).filter(|nano| *nano > 0),
            purchase: csv_rows.cell(purchase).to_owned(),
        });
    }
    otherwise_named.append(&mut found);
    Ok(otherwise_named)
}

/// What is made of a row of a list.
enum ListedRow {
    /// The price on demand, or the spot price.
    Price(PriceRow),
    /// The row is left out for this reason.
    LeftOut(&'static str),
}

/// The price of a row of the source of a cloud, or why the row is left out; `older` is the price on
/// demand that another list has.
fn price_row(
    row: &ListedPrice,
    (cloud, id): (&str, &str),
    older: Option<&Price>,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<ListedRow, CatalogError> {
    // AWS's lists have whole hosts by their family: `g5` beside `g5.xlarge`.
    if cloud == "aws" && !row.instance_type.contains('.') {
        return Ok(ListedRow::LeftOut(HOST));
    }
    let machine_key = (cloud.to_owned(), row.instance_type.clone());
    if !vendor_facts::machine(draft, cloud, &row.instance_type, report)?
        && !draft.machines.contains_key(&machine_key)
    {
        return Ok(ListedRow::LeftOut(SIZE_UNKNOWN));
    }
    let Some(nano) = row.nano else {
        return Ok(ListedRow::LeftOut(NO_PRICE));
    };
    let is_spot = row.purchase == "spot";
    if !is_spot
        && older.is_some_and(|(usual, _)| full_price_lists::is_dedicated(cloud, nano, *usual))
    {
        return Ok(ListedRow::LeftOut(DEDICATED));
    }
    let price = Some((nano, id.to_owned()));
    Ok(match row.purchase.as_str() {
        "" | "on_demand" => ListedRow::Price(PriceRow {
            on_demand: price,
            spot: None,
        }),
        "spot" => ListedRow::Price(PriceRow {
            on_demand: None,
            spot: price,
        }),
        _ => ListedRow::LeftOut(OTHER_PURCHASE),
    })
}
