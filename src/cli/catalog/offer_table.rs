//! Offers and machines, as tables and as JSON.

use super::cloud_terms;
use crate::catalog::{Catalog, CatalogError, query};
use crate::model::accelerator::count_text;
use crate::model::{AcceleratorNeed, Bytes, Machine, Offer, Purchase, Unit};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn vcpus(machine: &Machine) -> String {
    match u32::try_from(machine.vcpu_thousandths) {
        Ok(0) | Err(_) => "?".to_owned(),
        Ok(thousandths) => count_text(thousandths),
    }
}

/// `2, of which 0.1 sustained (burstable)`.
pub(super) fn sustained_vcpus(machine: &Machine) -> String {
    match machine.baseline_vcpu_thousandths.map(u32::try_from) {
        None => vcpus(machine),
        Some(Ok(0) | Err(_)) => format!("{}, burstable without a known baseline", vcpus(machine)),
        Some(Ok(baseline)) => format!(
            "{}, of which {} sustained (burstable)",
            vcpus(machine),
            count_text(baseline)
        ),
    }
}

pub(super) fn memory(machine: &Machine) -> String {
    match machine.memory.0 {
        0 => "?".to_owned(),
        _ => gib(machine.memory),
    }
}

/// `32 GiB`.
pub(super) fn gib(memory: Bytes) -> String {
    let hundredths = memory.0.saturating_mul(100) >> 30;
    match hundredths {
        0 => "not known".to_owned(),
        _ => {
            let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
        }
    }
}

pub(super) fn accelerator(machine: &Machine) -> String {
    machine
        .accelerator
        .as_ref()
        .map_or(String::new(), |(name, thousandths)| {
            AcceleratorNeed {
                name: name.clone(),
                thousandths: *thousandths,
            }
            .to_string()
        })
}

pub(super) fn machine_json(machine: &Machine) -> Value {
    let mut machine_value = json!({
        "cloud": machine.cloud, "instance_type": machine.instance_type,
        "vcpu_thousandths": machine.vcpu_thousandths, "memory_bytes": machine.memory.0,
        "accelerator": machine.accelerator.as_ref().map(|_| accelerator(machine)), "arch": machine.arch,
    });
    if let Some(baseline) = machine.baseline_vcpu_thousandths {
        machine_value["baseline_vcpu_thousandths"] = json!(baseline);
    }
    if let Some(service) = &machine.service {
        machine_value["service"] = json!(service.name);
        machine_value["version"] = json!(service.version.as_ref().map(ToString::to_string));
        machine_value["unit"] = json!(service.unit);
    }
    machine_value
}

pub(super) fn offer_json(catalog: &Catalog, offer: &Offer) -> Value {
    let source = catalog.sources.get(usize::from(offer.source));
    let mut offer_value = machine_json(catalog.machine(offer));
    offer_value["name"] = json!(query::name(catalog, offer).to_string());
    offer_value["place"] = json!(catalog.place(offer).name);
    offer_value["country"] = json!(catalog.place(offer).country);
    offer_value["purchase"] = json!(offer.purchase);
    match catalog.machine(offer).unit() {
        Unit::Hour => offer_value["nano_usd_per_hour"] = json!(offer.rate.0),
        _ => offer_value["nano_usd_per_unit"] = json!(offer.rate.0),
    }
    if let Some(parts) = cloud_terms::interrupted_ppm(catalog, offer) {
        offer_value["interrupted_ppm_per_month"] = json!(parts);
    }
    offer_value["tee"] = offer.tee.iter().map(|tee| json!(tee)).collect();
    offer_value["source"] = json!(source.map(|source| &source.id));
    offer_value["date"] = json!(source.map(|source| &source.date));
    if offer.estimated {
        offer_value["estimated"] = json!(true);
    }
    if let Some(retirement) = catalog.retires(offer) {
        offer_value["retires"] = json!(retirement.day);
    }
    offer_value
}

pub(super) fn offer_table(catalog: &Catalog, offers: &[&Offer]) -> String {
    if offers.is_empty() {
        return String::new();
    }
    let mut table = new_table(&[
        "PLACE",
        "COUNTRY",
        "INSTANCE TYPE",
        "VCPUS",
        "MEMORY",
        "ACCELERATOR",
        "TEE",
        "PURCHASE",
        "USD/H",
        "INTERRUPTED",
        "AS OF",
        "REMARKS",
    ]);
    for offer in offers {
        let (place, machine) = (catalog.place(offer), catalog.machine(offer));
        let interrupted = cloud_terms::interrupted_ppm(catalog, offer);
        let tee: Vec<&str> = offer.tee.iter().map(|tee| tee.name()).collect();
        table.add_row([
            place.name.to_string(),
            place.country.clone().unwrap_or_else(|| "?".to_owned()),
            machine.instance_type.clone(),
            vcpus(machine),
            memory(machine),
            accelerator(machine),
            tee.join(" "),
            offer.purchase.to_string(),
            match machine.unit() {
                Unit::Hour => offer.rate.to_string(),
                unit => format!("{}{}", offer.rate, unit.after_price()),
            },
            interrupted.map_or(String::new(), |parts| {
                format!("{} a month", cloud_terms::percent_text(parts))
            }),
            catalog
                .sources
                .get(usize::from(offer.source))
                .map_or(String::new(), |source| source.date.clone()),
            remarks(catalog, offer),
        ]);
    }
    align_right(&mut table, &[3, 4, 8, 9]);
    if offers.iter().all(|offer| offer.tee == Default::default()) {
        hide_column(&mut table, 6);
    }
    if offers
        .iter()
        .all(|offer| offer.purchase == Purchase::OnDemand)
    {
        hide_column(&mut table, 7);
    }
    if offers
        .iter()
        .all(|offer| cloud_terms::interrupted_ppm(catalog, offer).is_none())
    {
        hide_column(&mut table, 9);
    }
    if offers
        .iter()
        .all(|offer| remarks(catalog, offer).is_empty())
    {
        hide_column(&mut table, 11);
    }
    table_text(&table)
}

/// `estimated, retires 2026-09-30`.
pub(super) fn remarks(catalog: &Catalog, offer: &Offer) -> String {
    let estimated = offer.estimated.then(|| "estimated".to_owned());
    let retires = catalog
        .retires(offer)
        .map(|retirement| format!("retires {}", retirement.day));
    estimated
        .into_iter()
        .chain(retires)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Offers that would be there and have ended, a line for each day; empty if there are none.
pub(super) fn lapsed_text(catalog: &Catalog, lapsed: &[&Offer]) -> String {
    let mut by_day: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for offer in lapsed {
        by_day
            .entry(catalog.held_until(offer))
            .or_default()
            .push(query::name(catalog, offer).to_string());
    }
    let day_line = |(day, names): (&str, Vec<String>)| {
        let (count, more) = match names.len() {
            1 => ("1 offer".to_owned(), String::new()),
            many => (format!("{many} offers"), format!(" and {} more", many - 1)),
        };
        format!(
            "{count} held until {day} only, and the catalog has prices of {}: {}{more}.\n",
            catalog.date, names[0]
        )
    };
    let day_lines: Vec<String> = by_day.into_iter().map(day_line).collect();
    match day_lines.is_empty() {
        true => String::new(),
        false => {
            day_lines.concat()
                + "A newer file of who offers them brings them back: sky catalog register FILE\n"
        }
    }
}

pub(super) fn lapsed_json(catalog: &Catalog, lapsed: &[&Offer]) -> Vec<Value> {
    let lapsed_value = |offer: &&Offer| {
        let mut offer_value = offer_json(catalog, offer);
        offer_value["held_until"] = json!(catalog.held_until(offer));
        offer_value
    };
    lapsed.iter().map(lapsed_value).collect()
}

/// The table's lines, without the padding of the last column.
pub(super) fn table_text(table: &Table) -> String {
    table
        .lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

pub(super) fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.to_vec());
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table
}

pub(super) fn align_right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn hide_column(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_constraint(comfy_table::ColumnConstraint::Hidden);
    }
}

/// Names and values, one a line.
pub(super) fn fields(lines: &[(&str, String)]) -> String {
    lines
        .iter()
        .map(|(name, value)| format!("{name:<15} {value}").trim_end().to_owned() + "\n")
        .collect()
}

pub(super) fn pretty(value: &Value) -> String {
    crate::model::canonical::text_of_value(value)
}

/// What `--accelerator` says.
pub(super) fn accelerator_flag(
    catalog: &Catalog,
    text: &str,
) -> Result<AcceleratorNeed, CatalogError> {
    let fault = |message: String, hint: String| CatalogError::file("--accelerator", message, hint);
    let need =
        AcceleratorNeed::parse(text).map_err(|error| fault(error.to_string(), String::new()))?;
    if catalog.accelerator_name(&need.name).is_none() {
        let nearest_name = query::nearest(catalog, &need.name);
        let hint = nearest_name.map_or(String::new(), |near| format!("did you mean `{near}`?"));
        return Err(fault(format!("unknown accelerator `{}`", need.name), hint));
    }
    Ok(need)
}
