//! Reads `services.csv`: services, from rows to machines without hardware and their offers.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, NANO};
use crate::catalog::table::Table;
use crate::catalog::{CatalogError, Source};
use crate::model::uniform::ServiceName;
use crate::model::{Bytes, Machine, Rate, Service, Unit, service};

/// A row of `services.csv`.
pub(super) struct Offered {
    /// One per cloud that has it.
    pub machines: Vec<Machine>,
    pub places: Vec<u32>,
    pub rate: Rate,
    pub source: u16,
    pub line: u32,
}

/// Reads `services.csv`. `names` are the places' names.
pub(super) fn services(
    file: &File,
    clouds: &[&str],
    names: &[String],
    sources: &[Source],
) -> Result<Vec<Offered>, CatalogError> {
    let mut offered = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::SERVICES)?;
    while let Some(row) = table.next_row()? {
        let inside = cells::places(&row, 0, names)?;
        let name = row.required(1)?;
        if !service::is_name(name) {
            return Err(row.error(
                1,
                format!("`{name}` is not a name of a service"),
                "use small letters, digits and `-`",
            ));
        }
        let unit = row.required(2)?;
        let unit = Unit::parse(unit).ok_or_else(|| {
            let units = Unit::ALL.map(Unit::name).join(", ");
            row.error(
                2,
                format!("unknown unit `{unit}`"),
                format!("it is one of {units}"),
            )
        })?;
        let rate = Rate(row.number(3, NANO, "0.44")?);
        if rate.0 == 0 {
            let hint = "leave the row out if the price is unknown";
            return Err(row.error(3, "a price of 0 is not believable", hint));
        }
        let source = cells::source(&row, 4, sources)?;
        let version = match row.cell(5) {
            "" => None,
            text => Some(service::Version::parse(text).ok_or_else(|| {
                row.error(
                    5,
                    format!("`{text}` is not a version"),
                    "write numbers with dots between, such as 3.5",
                )
            })?),
        };
        let figure = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "4").map(i64::unsigned_abs),
        };
        let full = ServiceName {
            service: name.to_owned(),
            version: row.cell(5).to_owned(),
            product: row.cell(6).to_owned(),
        };
        let places: Vec<u32> = (0..)
            .zip(&inside)
            .filter(|(_, inside)| **inside)
            .map(|(place, _)| place)
            .collect();
        let mut of: Vec<&str> = places.iter().map(|place| clouds[*place as usize]).collect();
        of.dedup();
        let machine = |cloud: &str| -> Result<Machine, CatalogError> {
            Ok(Machine {
                cloud: cloud.to_owned(),
                instance_type: full.to_string(),
                vcpu_thousandths: figure(7, 1000)?,
                memory: Bytes(figure(8, 1 << 30)?),
                accelerator: None,
                arch: String::new(),
                baseline_vcpu_thousandths: None,
                service: Some(Service {
                    name: name.to_owned(),
                    version: version.clone(),
                    unit,
                }),
            })
        };
        let machines: Vec<Machine> = of.into_iter().map(machine).collect::<Result<_, _>>()?;
        for machine in &machines {
            let same = |other: &&Machine| {
                (&other.cloud, &other.instance_type) == (&machine.cloud, &machine.instance_type)
            };
            let other = offered
                .iter()
                .flat_map(|offered: &Offered| &offered.machines)
                .find(same);
            if other.is_some_and(|other| other != machine) {
                let message = format!("`{full}` has another unit or size at {}", machine.cloud);
                return Err(row.error(1, message, "give one of them a `product` of its own"));
            }
        }
        offered.push(Offered {
            machines,
            places,
            rate,
            source,
            line: row.line,
        });
    }
    Ok(offered)
}
