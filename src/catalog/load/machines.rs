//! Reads the tables of machine types.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, folder_and_stem};
use crate::catalog::table::{Row, Table};
use crate::catalog::{Accelerator, Catalog, CatalogError};
use crate::model::{Bytes, Machine};
use rustc_hash::FxHashMap as HashMap;

/// Reads all tables of machine types. Accelerators that no table has are added to the catalog.
pub(super) fn machines(
    files: &[File],
    catalog: &mut Catalog,
) -> Result<Vec<Machine>, CatalogError> {
    let mut machine_rows: Vec<(Machine, Row)> = Vec::new();
    // Names are folded once, not per row.
    let mut canonical: HashMap<&str, String> = HashMap::default();
    for file in files {
        let folder = match folder_and_stem(&file.name) {
            Some((cloud, "machines")) => Some(cloud),
            None if file.name == format::MACHINES.file => None,
            _ => continue,
        };
        let mut table = Table::open(&file.shown, &file.text, format::MACHINES)?;
        if folder.is_none() && !table.has(7) {
            let hint = "add a column `cloud`, or move the file to a folder of the cloud's name";
            return Err(CatalogError::file(
                &file.shown,
                "there is no column `cloud`",
                hint,
            ));
        }
        while let Some(row) = table.next_row()? {
            let cloud = match folder {
                Some(cloud) => cloud,
                None => row.required(7)?,
            };
            if !row.cell(6).is_empty() {
                cells::source(&row, 6, &catalog.sources)?;
            }
            let accelerator = accelerator_of(&row, catalog, &mut canonical)?;
            let arch = architecture_of(&row)?;
            let figure = |column, per_unit, example| {
                cells::figure_or_zero(&row, column, per_unit, example).map(i64::unsigned_abs)
            };
            let machine = Machine {
                cloud: cloud.to_owned(),
                instance_type: row.required(0)?.to_owned(),
                vcpu_thousandths: figure(1, 1000, "8")?,
                memory: Bytes(figure(2, 1 << 30, "32")?),
                accelerator,
                arch: arch.to_owned(),
                baseline_vcpu_thousandths: None,
                service: None,
            };
            machine_rows.push((machine, row));
        }
    }
    sorted_by_name(machine_rows)
}

/// The canonical name of the accelerator of a row, and how many there are in thousandths.
/// `canonical` has the names that were looked up.
fn accelerator_of<'a>(
    row: &Row<'a>,
    catalog: &mut Catalog,
    canonical: &mut HashMap<&'a str, String>,
) -> Result<Option<(String, u32)>, CatalogError> {
    let name = row.cell(3);
    if name.is_empty() {
        return Ok(None);
    }
    let canonical = canonical
        .entry(name)
        .or_insert_with(|| match catalog.accelerator_name(name) {
            Some(known) => known.to_owned(),
            None => {
                catalog
                    .accelerators
                    .insert(name.to_owned(), Accelerator::default());
                name.to_owned()
            }
        });
    let count = match row.cell(4) {
        "" => 1000,
        _ => row.number(4, 1000, "8")?,
    };
    let Some(count) = u32::try_from(count).ok().filter(|count| *count > 0) else {
        let message = format!("`{}` is not a count of accelerators", row.cell(4));
        return Err(row.error(4, message, "write how many there are, such as 8"));
    };
    Ok(Some((canonical.clone(), count)))
}

/// The architecture of a row; empty: unknown.
fn architecture_of<'a>(row: &Row<'a>) -> Result<&'a str, CatalogError> {
    match row.cell(5) {
        text @ ("" | "x86_64" | "arm64") => Ok(text),
        other => {
            let hint = "write x86_64 or arm64; leave it empty if unknown";
            Err(row.error(5, format!("unknown architecture `{other}`"), hint))
        }
    }
}

/// The machine types by cloud and name; an error if one is there twice.
fn sorted_by_name(mut rows: Vec<(Machine, Row)>) -> Result<Vec<Machine>, CatalogError> {
    let name_of = |machine: &Machine| (machine.cloud.clone(), machine.instance_type.clone());
    if !rows
        .is_sorted_by(|(a, _), (b, _)| (&a.cloud, &a.instance_type) <= (&b.cloud, &b.instance_type))
    {
        rows.sort_by_cached_key(|(machine, _)| name_of(machine));
    }
    if let Some(pair) = rows
        .windows(2)
        .find(|pair| name_of(&pair[0].0) == name_of(&pair[1].0))
    {
        let later_row = if pair[0].1.line > pair[1].1.line {
            &pair[0]
        } else {
            &pair[1]
        };
        let message = format!("`{}` is there twice", later_row.0.instance_type);
        return Err(later_row.1.error(0, message, "keep one of the rows"));
    }
    Ok(rows.into_iter().map(|(machine, _)| machine).collect())
}
