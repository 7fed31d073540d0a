//! Prices and confidential environments: from rows to [`Offer`]s.

use crate::catalog::burstable::BURSTABLE_FILE;
use crate::catalog::extras::EXTRAS_FILE;
use crate::catalog::files::{CATALOG, File};
use crate::catalog::load::{CONFIDENTIAL, Names, PRICES, folder_and_stem};
use crate::catalog::services::{Offered, SERVICES_FILE};
use crate::catalog::table::Table;
use crate::catalog::{Catalog, CatalogError, overlay, rules};
use crate::model::{Machine, Offer, Pattern, Purchase, Rate, Tee, TeeSet};
use rustc_hash::FxHashMap as HashMap;

/// One row of `confidential.csv`, resolved.
pub(crate) struct TeeRule {
    tee: Tee,
    machines: Vec<bool>,
    places: Vec<bool>,
}

/// Reads `confidential.csv`.
pub(crate) fn confidential(file: &File, catalog: &Catalog, places: &[String]) -> Result<Vec<TeeRule>, CatalogError> {
    let mut rules: Vec<TeeRule> = Vec::new();
    let mut table = Table::open(&file.shown, &file.text, CONFIDENTIAL, 5)?;
    while let Some(row) = table.next_row()? {
        let cloud = row.required(0)?;
        let patterns = |column| -> Result<Vec<Pattern>, CatalogError> {
            Ok(row.required(column)?.split(';').map(|part| Pattern(part.trim().to_owned())).collect())
        };
        let tee = row.required(2)?;
        let tee = Tee::parse(tee).ok_or_else(|| {
            let names: Vec<&str> = Tee::ALL.into_iter().map(Tee::name).collect();
            row.error(2, format!("unknown environment `{tee}`"), format!("it is one of {}", names.join(", ")))
        })?;
        let (types, regions) = (patterns(1)?, patterns(3)?);
        rules::source(&row, 4, &catalog.sources)?;
        let machine = |machine: &Machine| {
            machine.service.is_none()
                && machine.cloud == cloud
                && types.iter().any(|pattern| pattern.matches(&machine.instance_type))
        };
        rules.push(TeeRule {
            tee,
            machines: catalog.machines.iter().map(machine).collect(),
            places: places.iter().map(|name| regions.iter().any(|pattern| pattern.matches(name))).collect(),
        });
    }
    Ok(rules)
}

/// Where an offer was read, to name it if it is there twice.
struct Found {
    offer: Offer,
    file: u16,
    line: u32,
}

/// Reads all prices; `catalog` has the rest already.
pub(crate) fn offers(
    files: &[File],
    catalog: &mut Catalog,
    names: &Names,
    tee: &[TeeRule],
    services: &[Offered],
) -> Result<(), CatalogError> {
    let mut found: Vec<Found> = Vec::with_capacity(files.iter().map(|file| file.text.len()).sum::<usize>() / 16);
    let mut reader = PriceReader { catalog, names, tee, cloud: "", types: HashMap::default() };
    for (file, number) in files.iter().zip(0_u16..) {
        let region = match folder_and_stem(&file.name) {
            Some((_, "machines")) => continue,
            Some((cloud, stem)) => Some((cloud, stem)),
            None if file.name == "prices.csv" => None,
            None => {
                known_at_root(file)?;
                continue;
            }
        };
        reader.file(file, number, region, &mut found)?;
    }
    if let Some(number) = files.iter().position(|file| file.name == SERVICES_FILE) {
        for offered in services {
            for place in &offered.places {
                reader.turn_to(&reader.catalog.places[*place as usize].name.cloud);
                let name = offered.machines.iter().find(|machine| machine.cloud == reader.cloud);
                let machine = name.and_then(|machine| reader.types.get(machine.instance_type.as_str()).copied());
                let Some(machine) = machine else { continue };
                let (rate, source) = (offered.rate, offered.source);
                let (place, purchase, tee) = (*place, Purchase::OnDemand, TeeSet::default());
                let offer = Offer { place, machine, purchase, rate, tee, source, estimated: false };
                found.push(Found { offer, file: u16::try_from(number).unwrap_or(0), line: offered.line });
            }
        }
    }
    let key = |found: &Found| (found.offer.place, found.offer.machine, found.offer.purchase);
    found.sort_by_key(key);
    if let Some(pair) = found.windows(2).find(|pair| key(&pair[0]) == key(&pair[1])) {
        let late = if (pair[0].file, pair[0].line) > (pair[1].file, pair[1].line) { &pair[0] } else { &pair[1] };
        let file = &files[usize::from(late.file)];
        let message = format!(
            "`{}` at {} is there twice",
            catalog.machine(&late.offer).instance_type,
            catalog.place(&late.offer).name
        );
        return Err(CatalogError {
            line: late.line,
            text: file.text.lines().nth(late.line.saturating_sub(1) as usize).unwrap_or("").to_owned(),
            ..CatalogError::file(&file.shown, message, "keep one of the rows")
        });
    }
    catalog.offers = found.into_iter().map(|found| found.offer).collect();
    Ok(())
}

/// Names a stray file: a misspelt one would be silently without effect.
fn known_at_root(file: &File) -> Result<(), CatalogError> {
    const ROOT: &[&str] = &[
        CATALOG,
        "places.csv",
        "machines.csv",
        "accelerators.csv",
        BURSTABLE_FILE,
        EXTRAS_FILE,
        "certifications.csv",
        "confidential.csv",
        "egress.csv",
        "throughput.csv",
        "clouds.csv",
        "interruptions.csv",
        "round_trips.csv",
        SERVICES_FILE,
        "discounts.csv",
        "quotas.csv",
        "joined.csv",
        "retirements.csv",
        "price_changes.csv",
        "dropped.csv",
    ];
    if ROOT.contains(&file.name.as_str()) {
        return Ok(());
    }
    let hint = "prices are in prices.csv or in CLOUD/REGION.csv; the README of the catalog lists the files";
    Err(CatalogError::file(&file.shown, "this is no file of a catalog", hint))
}

struct PriceReader<'a> {
    catalog: &'a Catalog,
    names: &'a Names<'a>,
    tee: &'a [TeeRule],
    cloud: &'a str,
    /// The machines of `cloud`.
    types: HashMap<&'a str, u32>,
}

impl<'a> PriceReader<'a> {
    fn turn_to(&mut self, cloud: &str) {
        if self.cloud == cloud && !self.types.is_empty() {
            return;
        }
        let machines = &self.catalog.machines;
        let start = machines.partition_point(|machine| machine.cloud.as_str() < cloud);
        let same = machines[start..].iter().take_while(|machine| machine.cloud == cloud);
        self.types = same
            .enumerate()
            .filter_map(|(index, machine)| Some((machine.instance_type.as_str(), u32::try_from(start + index).ok()?)))
            .collect();
        self.cloud = machines.get(start).map_or("", |machine| machine.cloud.as_str());
    }

    fn file(
        &mut self,
        file: &File,
        number: u16,
        region: Option<(&str, &str)>,
        found: &mut Vec<Found>,
    ) -> Result<(), CatalogError> {
        let mut table = Table::open(&file.shown, &file.text, PRICES, 3)?;
        let column = if region.is_some() { 5 } else { 6 };
        if region.is_none() && !table.has(column) {
            let hint = "add a column `place`, or move the file to CLOUD/REGION.csv";
            return Err(CatalogError::file(&file.shown, "there is no column `place`", hint));
        }
        // One place per file, or a column that names it.
        let mut place = None;
        if let Some((cloud, stem)) = region {
            self.turn_to(cloud);
            if !table.has(column) {
                let name = format!("{cloud}:{stem}");
                place = Some(self.names.place(&name).ok_or_else(|| {
                    let message = format!("unknown place `{name}`");
                    CatalogError::file(&file.shown, message, self.names.place_hint(&name))
                })?);
            }
        }
        // Rows of two sources alternate: prices on demand of one day, spot prices of another.
        let mut last = [("", 0); 2];
        while let Some(row) = table.next_row()? {
            let place = match (place, region) {
                (Some(place), _) => place,
                (None, Some((cloud, _))) => {
                    let name = format!("{cloud}:{}", row.required(column)?);
                    self.names.place(&name).ok_or_else(|| {
                        row.error(column, format!("unknown place `{name}`"), self.names.place_hint(&name))
                    })?
                }
                (None, None) => {
                    let name = row.required(column)?;
                    self.turn_to(name.split(':').next().unwrap_or(""));
                    let id = self.names.place(name);
                    id.ok_or_else(|| row.error(column, format!("unknown place `{name}`"), self.names.place_hint(name)))?
                }
            };
            let name = row.required(0)?;
            let Some(machine) = self.types.get(name).copied() else {
                let hint = "add it to machines.csv of this cloud";
                return Err(row.error(0, format!("unknown instance type `{name}`"), hint));
            };
            let tee = self
                .tee
                .iter()
                .filter(|rule| rule.machines[machine as usize] && rule.places[place as usize])
                .fold(TeeSet::default(), |set, rule| set.with(rule.tee));
            for (price, source, purchase) in [(1, 2, Purchase::OnDemand), (3, 4, Purchase::Spot)] {
                if row.cell(price).is_empty() {
                    continue;
                }
                let rate = Rate(row.number(price, 1_000_000_000, "0.768")?);
                if rate.0 == 0 && row.cell(2) != overlay::OWN {
                    let hint = "leave the cell empty if the price is unknown";
                    return Err(row.error(price, "a price of 0 is not believable", hint));
                }
                // The price on demand and its spot price are usually from one source.
                let source = if row.cell(source).is_empty() { 2 } else { source };
                let id = row.cell(source);
                let known = last.iter().find(|(known, _)| !id.is_empty() && *known == id);
                let source = match known {
                    Some((_, source)) => *source,
                    None => {
                        let found = rules::source(&row, source, &self.catalog.sources)?;
                        last = [(id, found), last[0]];
                        found
                    }
                };
                let offer = Offer { place, machine, purchase, rate, tee, source, estimated: false };
                found.push(Found { offer, file: number, line: row.line });
            }
        }
        Ok(())
    }
}
