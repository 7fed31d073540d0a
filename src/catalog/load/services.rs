//! Reads `services.csv`: services, from rows to machines without hardware and their offers.

use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, NANO};
use crate::catalog::table::{Row, Table};
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

/// Reads `services.csv`. `names` are the places' names, `clouds` their clouds.
pub(super) fn services(
    file: &File,
    clouds: &[&str],
    names: &[String],
    sources: &[Source],
) -> Result<Vec<Offered>, CatalogError> {
    let mut offered_services: Vec<Offered> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, format::SERVICES)?;
    while let Some(row) = table.next_row()? {
        let next_service = offered_by(&row, clouds, names, sources)?;
        no_second_meaning(&row, &next_service, &offered_services)?;
        offered_services.push(next_service);
    }
    Ok(offered_services)
}

/// Reads one row.
fn offered_by(
    row: &Row<'_>,
    clouds: &[&str],
    names: &[String],
    sources: &[Source],
) -> Result<Offered, CatalogError> {
    let offered_places = cells::places(row, 0, names)?;
    let name = row.required(1)?;
    if !service::is_name(name) {
        let message = format!("`{name}` is not a name of a service");
        return Err(row.error(1, message, "use small letters, digits and `-`"));
    }
    let unit = billing_unit(row)?;
    let rate = Rate(row.number(3, NANO, "0.44")?);
    if rate.0 == 0 {
        let hint = "leave the row out if the price is unknown";
        return Err(row.error(3, "a price of 0 is not believable", hint));
    }
    let source = cells::source(row, 4, sources)?;
    let service = Service {
        name: name.to_owned(),
        version: service_version(row)?,
        unit,
    };
    let places: Vec<u32> = (0..)
        .zip(&offered_places)
        .filter(|(_, inside)| **inside)
        .map(|(place, _)| place)
        .collect();
    let mut clouds: Vec<&str> = places.iter().map(|place| clouds[*place as usize]).collect();
    clouds.dedup();
    let machines = clouds
        .into_iter()
        .map(|cloud| service_machine(row, cloud, &service));
    Ok(Offered {
        machines: machines.collect::<Result<_, _>>()?,
        places,
        rate,
        source,
        line: row.line,
    })
}

fn billing_unit(row: &Row<'_>) -> Result<Unit, CatalogError> {
    let unit = row.required(2)?;
    Unit::parse(unit).ok_or_else(|| {
        let units = Unit::ALL.map(Unit::name).join(", ");
        row.error(
            2,
            format!("unknown unit `{unit}`"),
            format!("it is one of {units}"),
        )
    })
}

fn service_version(row: &Row<'_>) -> Result<Option<service::Version>, CatalogError> {
    let text = row.cell(5);
    if text.is_empty() {
        return Ok(None);
    }
    let version = service::Version::parse(text).ok_or_else(|| {
        let hint = "write numbers with dots between, such as 3.5";
        row.error(5, format!("`{text}` is not a version"), hint)
    })?;
    Ok(Some(version))
}

/// The machine that stands for a service at a cloud: it has no hardware.
fn service_machine(row: &Row<'_>, cloud: &str, service: &Service) -> Result<Machine, CatalogError> {
    let figure_or_zero = |column, per_unit| match row.cell(column) {
        "" => Ok(0),
        _ => row.number(column, per_unit, "4").map(i64::unsigned_abs),
    };
    let name = ServiceName {
        service: service.name.clone(),
        version: row.cell(5).to_owned(),
        product: row.cell(6).to_owned(),
    };
    Ok(Machine {
        cloud: cloud.to_owned(),
        instance_type: name.to_string(),
        vcpu_thousandths: figure_or_zero(7, 1000)?,
        memory: Bytes(figure_or_zero(8, 1 << 30)?),
        accelerator: None,
        arch: String::new(),
        baseline_vcpu_thousandths: None,
        service: Some(service.clone()),
    })
}

/// Refuses a row that names a service as an earlier row does, with another unit or size.
fn no_second_meaning(
    row: &Row<'_>,
    next_service: &Offered,
    earlier: &[Offered],
) -> Result<(), CatalogError> {
    let earlier: Vec<&Machine> = earlier.iter().flat_map(|row| &row.machines).collect();
    for machine in &next_service.machines {
        let same_name = |other: &&&Machine| {
            (&other.cloud, &other.instance_type) == (&machine.cloud, &machine.instance_type)
        };
        if earlier
            .iter()
            .find(same_name)
            .is_some_and(|other| **other != *machine)
        {
            let (name, cloud) = (&machine.instance_type, &machine.cloud);
            let message = format!("`{name}` has another unit or size at {cloud}");
            return Err(row.error(1, message, "give one of them a `product` of its own"));
        }
    }
    Ok(())
}
