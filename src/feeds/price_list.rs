//! Newer price lists, laid over machines whose size is known.
//!
//! A list of GCP counts the GPUs of a2, a3 and g2 machines in (g2-standard-4 in us-central1:
//! 0.70683 = 0.14679 for the host + 0.56004 for the L4), so its figure is the whole price.
//! N1 hosts with a GPU and TPUs are not rows of such lists and keep their figures.

use super::foreign_csv::ForeignCsv;
use super::full_price_lists::{self, ListedRows};
use super::import_source::add_source;
use super::{ImportOptions, ImportReport, price_outliers, vendor_facts};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, PriceRow};
use std::path::Path;

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
    let mut rows = ForeignCsv::open(path)?;
    let region = rows.required(&["region"])?;
    let machine = rows.required(&["instance_type", "machine_type", "sku"])?;
    let price = rows.required(&["usd_per_hour", "price"])?;
    let purchase = rows.column(&["purchase"]).unwrap_or(usize::MAX);
    let before = draft.prices.clone();
    let mut listed = ListedRows {
        cloud: cloud.clone(),
        id: id.clone(),
        full: options.full,
        ..ListedRows::default()
    };
    while rows.advance()? {
        let place = (cloud.clone(), rows.cell(region).to_owned());
        if !draft
            .places
            .contains_key(&format!("{}:{}", place.0, place.1))
        {
            report.leave_of(format!("{cloud}: unknown region"), &place.1);
            continue;
        }
        let is_spot = rows.cell(purchase) == "spot";
        listed.add(&place.1, rows.cell(machine), is_spot);
        let key = (cloud.clone(), rows.cell(machine).to_owned());
        if !vendor_facts::machine(draft, &cloud, &key.1, report)?
            && !draft.machines.contains_key(&key)
        {
            report.leave(format!(
                "{cloud}: vCPUs and memory of the instance type are not known"
            ));
            continue;
        }
        let Some(nano) = rows.nano(price).filter(|nano| *nano > 0) else {
            report.leave(format!("{cloud}: no price, or a price of 0"));
            continue;
        };
        let older = before
            .get(&place)
            .and_then(|rows| rows.get(&key.1))
            .and_then(|row| row.on_demand.as_ref());
        if !is_spot
            && older.is_some_and(|(usual, from)| {
                *from != id && full_price_lists::is_dedicated(&cloud, nano, *usual)
            })
        {
            report.leave_of(
                format!("{cloud}: the price of dedicated tenancy, 6 % or 10 % above"),
                &key.1,
            );
            continue;
        }
        let price = Some((nano, id.clone()));
        let row = match rows.cell(purchase) {
            "" | "on_demand" => PriceRow {
                on_demand: price,
                spot: None,
            },
            "spot" => PriceRow {
                on_demand: None,
                spot: price,
            },
            other => {
                report.leave(format!("{cloud}: purchase {other}"));
                continue;
            }
        };
        draft.put_price(&cloud, &place.1, &key.1, row);
        report.take(format!("{cloud}: prices"));
    }
    full_price_lists::drop_rows_not_listed(draft, &before, &listed, report);
    price_outliers::leave_out(draft, &cloud, &before, report);
    full_price_lists::note_price_changes(draft, &before, &listed);
    Ok(())
}
