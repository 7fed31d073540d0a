//! Newer price lists, laid over machines whose size is known.
//!
//! A list of GCP counts the GPUs of a2, a3 and g2 machines in (g2-standard-4 in us-central1:
//! 0.70683 = 0.14679 for the host + 0.56004 for the L4), so its figure is the whole price.
//! N1 hosts with a GPU and TPUs are no rows of such lists and keep their figures.

use super::settle::{self, Listed};
use super::{Foreign, Options, Report, check, source, vendor};
use crate::catalog::CatalogError;
use crate::catalog::draft::{Draft, PriceRow};
use std::path::Path;

/// Reads `region, instance type, price` and, if there, `purchase` (`on_demand` or `spot`).
pub(super) fn import(
    path: &Path,
    options: &Options,
    draft: &mut Draft,
    report: &mut Report,
) -> Result<(), CatalogError> {
    let Some(cloud) = options.cloud.clone() else {
        return Err(CatalogError::file("--cloud", "the cloud of the price list is not given", "give --cloud aws"));
    };
    let id = source(draft, options, report, &cloud, Some(&cloud), &format!("List prices of {cloud}"))?;
    let mut rows = Foreign::open(path)?;
    let region = rows.required(&["region"])?;
    let machine = rows.required(&["instance_type", "machine_type", "sku"])?;
    let price = rows.required(&["usd_per_hour", "price"])?;
    let purchase = rows.column(&["purchase"]).unwrap_or(usize::MAX);
    let before = draft.prices.clone();
    let mut listed = Listed { cloud: cloud.clone(), id: id.clone(), full: options.full, ..Listed::default() };
    while rows.advance()? {
        let place = (cloud.clone(), rows.cell(region).to_owned());
        if !draft.places.contains_key(&format!("{}:{}", place.0, place.1)) {
            report.leave_of(format!("{cloud}: unknown region"), &place.1);
            continue;
        }
        let is_spot = rows.cell(purchase) == "spot";
        listed.add(&place.1, rows.cell(machine), is_spot);
        let key = (cloud.clone(), rows.cell(machine).to_owned());
        if !vendor::machine(draft, &cloud, &key.1, report)? && !draft.machines.contains_key(&key) {
            report.leave(format!("{cloud}: vCPUs and memory of the instance type are not known"));
            continue;
        }
        let Some(nano) = rows.nano(price).filter(|nano| *nano > 0) else {
            report.leave(format!("{cloud}: no price, or a price of 0"));
            continue;
        };
        let older = before.get(&place).and_then(|rows| rows.get(&key.1)).and_then(|row| row.on_demand.as_ref());
        if !is_spot && older.is_some_and(|(usual, from)| *from != id && settle::is_dedicated(&cloud, nano, *usual)) {
            report.leave_of(format!("{cloud}: the price of dedicated tenancy, 6 % or 10 % above"), &key.1);
            continue;
        }
        let price = Some((nano, id.clone()));
        let row = match rows.cell(purchase) {
            "" | "on_demand" => PriceRow { on_demand: price, spot: None },
            "spot" => PriceRow { on_demand: None, spot: price },
            other => {
                report.leave(format!("{cloud}: purchase {other}"));
                continue;
            }
        };
        draft.put_price(&cloud, &place.1, &key.1, row);
        report.take(format!("{cloud}: prices"));
    }
    settle::gone(draft, &before, &listed, report);
    check::leave_out(draft, &cloud, &before, report);
    settle::changes(draft, &before, &listed);
    Ok(())
}
