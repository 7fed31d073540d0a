//! Services, discounts and quotas: from rows to offers and limits.

use crate::catalog::files::File;
use crate::catalog::table::{Row, Table};
use crate::catalog::{Catalog, CatalogError, Source, rules, terms};
use crate::model::uniform::ServiceName;
use crate::model::units::div_half_even;
use crate::model::{Bytes, Machine, Pattern, Quota, Rate, Service, Unit, service};
use std::collections::BTreeMap;

pub(crate) const SERVICES: &[&str] =
    &["places", "service", "unit", "price", "source", "version", "product", "vcpus", "memory_gib", "evidence"];
pub(crate) const DISCOUNTS: &[&str] = &["places", "instance_types", "percent", "source", "evidence"];
pub(crate) const QUOTAS: &[&str] = &["where", "what", "most", "source", "evidence"];
/// Who joined; nothing of it is needed to plan.
pub(crate) const JOINED: &[&str] =
    &["cloud", "about", "date", "valid_from", "valid_until", "key", "file_sha256", "url", "revision"];

/// The file of services.
pub(crate) const SERVICES_FILE: &str = "services.csv";

/// A row of `services.csv`.
pub(crate) struct Offered {
    /// One per cloud that has it.
    pub machines: Vec<Machine>,
    pub places: Vec<u32>,
    pub rate: Rate,
    pub source: u16,
    pub line: u32,
}

/// Patterns separated by `;`.
fn patterns(text: &str) -> Vec<Pattern> {
    text.split(';').map(|part| Pattern(part.trim().to_owned())).collect()
}

/// The places that a cell with patterns names; each pattern must match one.
fn places(row: &Row, column: usize, names: &[String]) -> Result<Vec<bool>, CatalogError> {
    let mut inside = vec![false; names.len()];
    for pattern in patterns(row.required(column)?) {
        let mut any = false;
        for (inside, name) in inside.iter_mut().zip(names) {
            if pattern.matches(name) && name != "local:here" {
                (*inside, any) = (true, true);
            }
        }
        if !any {
            let hint = "write places such as aws:us-east-1, or patterns such as aws:eu-*, several separated by `;`";
            return Err(row.error(column, format!("no place matches `{pattern}`"), hint));
        }
    }
    Ok(inside)
}

/// Reads `services.csv`. `names` are the places' names.
pub(crate) fn services(
    file: &File,
    clouds: &[&str],
    names: &[String],
    sources: &[Source],
) -> Result<Vec<Offered>, CatalogError> {
    let mut offered = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, SERVICES, 5)?;
    while let Some(row) = table.next_row()? {
        let inside = places(&row, 0, names)?;
        let name = row.required(1)?;
        if !service::is_name(name) {
            return Err(row.error(1, format!("`{name}` is no name of a service"), "use small letters, digits and `-`"));
        }
        let unit = row.required(2)?;
        let unit = Unit::parse(unit).ok_or_else(|| {
            let units = Unit::ALL.map(Unit::name).join(", ");
            row.error(2, format!("unknown unit `{unit}`"), format!("it is one of {units}"))
        })?;
        let rate = Rate(row.number(3, terms::NANO, "0.44")?);
        if rate.0 == 0 {
            let hint = "leave the row out if the price is unknown";
            return Err(row.error(3, "a price of 0 is not believable", hint));
        }
        let source = rules::source(&row, 4, sources)?;
        let version = match row.cell(5) {
            "" => None,
            text => Some(service::Version::parse(text).ok_or_else(|| {
                row.error(5, format!("`{text}` is no version"), "write numbers with dots between, such as 3.5")
            })?),
        };
        let figure = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "4").map(i64::unsigned_abs),
        };
        let full =
            ServiceName { service: name.to_owned(), version: row.cell(5).to_owned(), product: row.cell(6).to_owned() };
        let places: Vec<u32> = (0..).zip(&inside).filter(|(_, inside)| **inside).map(|(place, _)| place).collect();
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
                service: Some(Service { name: name.to_owned(), version: version.clone(), unit }),
            })
        };
        let machines: Vec<Machine> = of.into_iter().map(machine).collect::<Result<_, _>>()?;
        for machine in &machines {
            let same =
                |other: &&Machine| (&other.cloud, &other.instance_type) == (&machine.cloud, &machine.instance_type);
            let other = offered.iter().flat_map(|offered: &Offered| &offered.machines).find(same);
            if other.is_some_and(|other| other != machine) {
                let message = format!("`{full}` has another unit or size at {}", machine.cloud);
                return Err(row.error(1, message, "give one of them a `product` of its own"));
            }
        }
        offered.push(Offered { machines, places, rate, source, line: row.line });
    }
    Ok(offered)
}

/// Applies `discounts.csv`: of those that match an offer the greatest counts. Those of a source
/// that has ended by `today` do not.
pub(crate) fn discounts(
    file: &File,
    catalog: &mut Catalog,
    names: &[String],
    ended: &[bool],
) -> Result<(), CatalogError> {
    /// All of a price, in parts per million.
    const WHOLE: i64 = 1_000_000;
    let mut found: Vec<(Vec<bool>, Vec<bool>, i64)> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, DISCOUNTS, 4)?;
    while let Some(row) = table.next_row()? {
        let inside = places(&row, 0, names)?;
        let types = patterns(row.required(1)?);
        let parts = row.number(2, terms::PER_PERCENT, "10")?;
        if parts <= 0 || parts >= WHOLE {
            let hint = "write a percentage above 0 and below 100";
            return Err(row.error(2, format!("{} % is no discount", row.cell(2)), hint));
        }
        let source = rules::source(&row, 3, &catalog.sources)?;
        let machine = |machine: &Machine| types.iter().any(|pattern| pattern.matches(&machine.instance_type));
        if !ended[usize::from(source)] {
            found.push((inside, catalog.machines.iter().map(machine).collect(), parts));
        }
    }
    for offer in &mut catalog.offers {
        let matching = found
            .iter()
            .filter(|(places, machines, _)| places[offer.place as usize] && machines[offer.machine as usize]);
        if let Some(parts) = matching.map(|(_, _, parts)| *parts).max() {
            let rate = i128::from(offer.rate.0) * i128::from(WHOLE - parts);
            offer.rate = Rate(crate::model::units::saturate(div_half_even(rate, i128::from(WHOLE))));
        }
    }
    Ok(())
}

/// Reads `quotas.csv`: what a provider rents out at most to one account.
pub(crate) fn quotas(
    file: &File,
    catalog: &Catalog,
    names: &[String],
    ended: &[bool],
) -> Result<BTreeMap<Pattern, Quota>, CatalogError> {
    let mut quotas: BTreeMap<Pattern, Quota> = BTreeMap::new();
    let mut table = Table::open(&file.shown, &file.text, QUOTAS, 4)?;
    while let Some(row) = table.next_row()? {
        let text = row.required(0)?;
        let pattern = Pattern(text.to_owned());
        let known = match text.contains(':') {
            true => names.iter().any(|name| pattern.matches(name)),
            false => catalog.places.iter().any(|place| place.name.cloud == text),
        };
        if !known {
            return Err(row.error(
                0,
                format!("`{text}` is no cloud and matches no place"),
                "write aws, or aws:us-east-1",
            ));
        }
        let what = row.required(1)?;
        let most = row.number(2, 1, "64")?.unsigned_abs();
        let source = rules::source(&row, 3, &catalog.sources)?;
        if ended[usize::from(source)] {
            continue;
        }
        let quota = quotas.entry(pattern).or_default();
        let old = match what {
            "cpus" => quota.vcpu_thousandths.replace(most.saturating_mul(1000)),
            "instances" => quota.instances.replace(most),
            "accelerators" => quota.accelerators.replace(most),
            name => match catalog.accelerator_name(name) {
                Some(known) => quota.by_accelerator.insert(known.to_owned(), most),
                None => {
                    let hint = "write cpus, instances, accelerators, or the name of an accelerator";
                    return Err(row.error(1, format!("`{name}` is nothing that is counted"), hint));
                }
            },
        };
        if old.is_some() {
            return Err(row.error(1, format!("`{text}` has two quotas of {what}"), "keep one of the rows"));
        }
    }
    Ok(quotas)
}
