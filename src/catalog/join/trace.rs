//! From a fault of a row that was made of a file to the place in the file that it was made of:
//! whoever wrote the file has never seen the row.

use super::form::{Form, fault};
use super::number::Figure;
use crate::catalog::CatalogError;
use crate::catalog::files::File;
use crate::catalog::load::folder_and_stem;
use crate::catalog::table::cells;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

/// The same fault at the line of the file, if the row is one of its rows.
pub(super) fn back(error: CatalogError, form: &Form, file: &File, out: &Path) -> CatalogError {
    let name = Path::new(&error.file).strip_prefix(out).ok().and_then(Path::to_str).unwrap_or_default();
    match place(form, name, &error) {
        Some(at) => fault(file, at, error.message, error.hint),
        None => CatalogError {
            hint: match error.hint.as_str() {
                "" => String::new(),
                hint => format!("the file does not fit the catalog; {hint}"),
            },
            ..error
        },
    }
}

fn place(form: &Form, name: &str, error: &CatalogError) -> Option<Range<usize>> {
    let row = cells(&error.text);
    let cell = |index: usize| row.get(index).copied().unwrap_or_default();
    let cloud = form.cloud.get_ref().as_str();
    let region = |text: &str| text.strip_prefix(cloud).and_then(|rest| rest.strip_prefix(':')).map(str::to_owned);
    // Messages of cells start with the name of the column.
    let column = error.message.split_once(": ").map_or("", |(column, _)| column);
    let span = |figure: &Option<Figure>| figure.as_ref().map(Spanned::span);
    let either = |value: Option<Range<usize>>, or: Range<usize>| Some(value.unwrap_or(or));
    let lists = |list: &super::form::List, wanted: &str| {
        list.get_ref().iter().any(|place| place.get_ref() == "*" || place.get_ref() == wanted)
    };
    match (name, folder_and_stem(name)) {
        ("places.csv", _) => {
            let (key, place) = form.places.get_key_value(region(cell(0))?.as_str())?;
            let value = match column {
                "country" => place.country.as_ref().map(Spanned::span),
                "parent_country" => place.parent_country.as_ref().map(Spanned::span),
                "us_cloud_act" => place.us_cloud_act.as_ref().map(Spanned::span),
                "class" => place.class.as_ref().map(Spanned::span),
                _ => None,
            };
            either(value, key.span())
        }
        ("clouds.csv", _) if cell(0) == cloud => {
            let terms = &form.terms;
            let value = match column {
                "increment_s" => span(&terms.increment_s),
                "minimum_s" => span(&terms.minimum_s),
                "boot_s" => span(&terms.boot_s),
                "free_egress_gb" => span(&terms.free_egress_gb),
                "storage_usd_per_gb_month" => span(&terms.storage_usd_per_gb_month),
                "gb_bytes" => span(&terms.gb_bytes),
                _ => None,
            };
            either(value, form.cloud.span())
        }
        ("services.csv", _) => {
            let wanted = region(cell(0))?;
            let same = |row: &&super::form::Service| {
                row.service.get_ref() == cell(1)
                    && row.version.as_ref().map_or("", |version| version.get_ref()) == cell(5)
                    && row.product == cell(6)
                    && lists(&row.places, &wanted)
            };
            let row = form.services.iter().find(same)?;
            let value = match column {
                "unit" => Some(row.unit.span()),
                "price" => Some(row.price.span()),
                "version" => row.version.as_ref().map(Spanned::span),
                "vcpus" => span(&row.vcpus),
                "memory_gib" => span(&row.memory_gib),
                _ => None,
            };
            either(value, row.service.span())
        }
        ("egress.csv", _) => {
            let (from, to) = (region(cell(0))?, region(cell(1)).unwrap_or_else(|| cell(1).to_owned()));
            let row = form.egress.iter().find(|row| *row.from.get_ref() == from && *row.to.get_ref() == to)?;
            let value = match column {
                "to" => Some(row.to.span()),
                "above_gb" => span(&row.above_gb),
                "usd_per_gb" => Some(row.usd_per_gb.span()),
                _ => None,
            };
            either(value, row.from.span())
        }
        ("throughput.csv", _) => {
            let end = |text: &str| region(text).unwrap_or_else(|| text.to_owned());
            let (from, to) = (end(cell(0)), end(cell(1)));
            let row = form.throughput.iter().find(|row| *row.from.get_ref() == from && *row.to.get_ref() == to)?;
            let value = match column {
                "to" => Some(row.to.span()),
                "gbps" => Some(row.gbps.span()),
                _ => None,
            };
            either(value, row.from.span())
        }
        ("interruptions.csv", _) if cell(0) == cloud => {
            let row = form
                .prices
                .iter()
                .find(|row| row.instance_type.get_ref() == cell(1) && row.interrupted_percent.is_some())?;
            either(span(&row.interrupted_percent), row.instance_type.span())
        }
        ("quotas.csv", _) => {
            let place = if cell(0) == cloud { None } else { Some(region(cell(0))?) };
            let row = form.quotas.iter().find(|row| match (&row.places, &place) {
                (None, None) => true,
                (Some(places), Some(place)) => places.get_ref().iter().any(|known| known.get_ref() == place),
                _ => false,
            })?;
            let value = match cell(1) {
                "cpus" => span(&row.cpus),
                "instances" => span(&row.instances),
                _ => row.accelerators.as_ref().map(Spanned::span),
            };
            value.or_else(|| row.places.as_ref().map(Spanned::span))
        }
        ("discounts.csv", _) => {
            let percent = |row: &&super::form::Discount| row.percent.get_ref().0 == cell(2);
            form.discounts.iter().find(percent).map(|row| row.percent.span())
        }
        (_, Some((of, "machines"))) if of == cloud => {
            let (key, machine) = form.machines.get_key_value(cell(0))?;
            let value = match column {
                "vcpus" => span(&machine.vcpus),
                "memory_gib" => span(&machine.memory_gib),
                "accelerator" => machine.accelerator.as_ref().map(Spanned::span),
                "count" => span(&machine.count),
                "arch" => machine.arch.as_ref().map(Spanned::span),
                _ => None,
            };
            either(value, key.span())
        }
        (_, Some((of, stem))) if of == cloud => {
            let wanted = if cell(5).is_empty() { stem } else { cell(5) };
            let same = |row: &&super::form::Price| row.instance_type.get_ref() == cell(0) && lists(&row.places, wanted);
            let row = form.prices.iter().find(same)?;
            let value = match column {
                "on_demand" => span(&row.on_demand),
                "spot" => span(&row.spot),
                _ => None,
            };
            either(value, row.instance_type.span())
        }
        _ => None,
    }
}
