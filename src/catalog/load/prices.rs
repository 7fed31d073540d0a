//! Reads the tables of prices: from rows to [`Offer`]s.

use super::confidential::TeeRule;
use super::place_names::PlaceNames;
use super::services::Offered;
use crate::catalog::cells;
use crate::catalog::files::File;
use crate::catalog::format::{self, CATALOG, NANO, folder_and_stem};
use crate::catalog::host_offers::OWN;
use crate::catalog::table::{Row, Table};
use crate::catalog::{Catalog, CatalogError, Source};
use crate::model::{Offer, Purchase, Rate, TeeSet};
use rustc_hash::FxHashMap as HashMap;

/// An offer and where it was read, to name the row if the offer is there twice.
struct Found {
    offer: Offer,
    file: u16,
    line: u32,
}

/// Reads all prices; `catalog` has the rest already.
pub(super) fn offers(
    files: &[File],
    catalog: &mut Catalog,
    names: &PlaceNames,
    tee: &[TeeRule],
    services: &[Offered],
) -> Result<(), CatalogError> {
    let mut found_offers: Vec<Found> =
        Vec::with_capacity(files.iter().map(|file| file.text.len()).sum::<usize>() / 16);
    let mut reader = PriceReader {
        catalog,
        names,
        tee,
        cloud: "",
        types: HashMap::default(),
    };
    for (file, number) in files.iter().zip(0_u16..) {
        let region = match folder_and_stem(&file.name) {
            Some((_, "machines")) => continue,
            Some((cloud, stem)) => Some((cloud, stem)),
            None if file.name == format::PRICES.file => None,
            None => {
                known_at_root(file)?;
                if file.name == format::SERVICES.file {
                    reader.services(services, number, &mut found_offers);
                }
                continue;
            }
        };
        reader.file(file, number, region, &mut found_offers)?;
    }
    found_offers.sort_by_key(offer_key);
    if let Some(pair) = found_offers
        .windows(2)
        .find(|pair| offer_key(&pair[0]) == offer_key(&pair[1]))
    {
        return Err(there_twice(&pair[0], &pair[1], files, catalog));
    }
    catalog.offers = found_offers.into_iter().map(|found| found.offer).collect();
    Ok(())
}

/// The key of an offer, which orders the catalog; no two offers have the same.
fn offer_key(found_offer: &Found) -> (u32, u32, Purchase) {
    (
        found_offer.offer.place,
        found_offer.offer.machine,
        found_offer.offer.purchase,
    )
}

/// Names the later of two rows with the same offer.
fn there_twice(
    first_offer: &Found,
    other: &Found,
    files: &[File],
    catalog: &Catalog,
) -> CatalogError {
    let later_row = match (first_offer.file, first_offer.line) > (other.file, other.line) {
        true => first_offer,
        false => other,
    };
    let file = &files[usize::from(later_row.file)];
    let row_text = file
        .text
        .lines()
        .nth(later_row.line.saturating_sub(1) as usize);
    let message = format!(
        "`{}` at {} is there twice",
        catalog.machine(&later_row.offer).instance_type,
        catalog.place(&later_row.offer).name
    );
    CatalogError {
        line: later_row.line,
        text: row_text.unwrap_or("").to_owned(),
        ..CatalogError::file(&file.shown, message, "keep one of the rows")
    }
}

/// Names a stray file: a misspelt one would be silently without effect.
fn known_at_root(file: &File) -> Result<(), CatalogError> {
    if file.name == CATALOG || format::TABLES.iter().any(|table| table.file == file.name) {
        return Ok(());
    }
    let hint = "prices are in prices.csv or in CLOUD/REGION.csv; the README of the catalog lists the files";
    Err(CatalogError::file(
        &file.shown,
        "this is not a file of a catalog",
        hint,
    ))
}

struct PriceReader<'a> {
    catalog: &'a Catalog,
    names: &'a PlaceNames<'a>,
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
        let same_cloud = machines[start..]
            .iter()
            .take_while(|machine| machine.cloud == cloud);
        self.types = same_cloud
            .enumerate()
            .filter_map(|(index, machine)| {
                Some((
                    machine.instance_type.as_str(),
                    u32::try_from(start + index).ok()?,
                ))
            })
            .collect();
        self.cloud = machines
            .get(start)
            .map_or("", |machine| machine.cloud.as_str());
    }

    /// The place that a row names in a column; without a cloud's folder, the row names the cloud
    /// too.
    fn place_of_row(
        &mut self,
        row: &Row,
        column: usize,
        region: Option<(&str, &str)>,
    ) -> Result<u32, CatalogError> {
        let unknown_place = |name: &str| {
            row.error(
                column,
                format!("unknown place `{name}`"),
                self.names.place_hint(name),
            )
        };
        let text = row.required(column)?;
        if let Some((cloud, _)) = region {
            let name = format!("{cloud}:{text}");
            return self.names.place(&name).ok_or_else(|| unknown_place(&name));
        }
        let place = self.names.place(text).ok_or_else(|| unknown_place(text));
        self.turn_to(text.split(':').next().unwrap_or(""));
        place
    }

    /// Reads a file of prices; `region`: the cloud and the stem of a file in a cloud's folder.
    fn file(
        &mut self,
        file: &File,
        number: u16,
        region: Option<(&str, &str)>,
        found_offers: &mut Vec<Found>,
    ) -> Result<(), CatalogError> {
        let mut table = Table::open(&file.shown, &file.text, format::PRICES)?;
        let column = if region.is_some() { 5 } else { 6 };
        let has_places = table.has(column);
        if region.is_none() && !has_places {
            let hint = "add a column `place`, or move the file to CLOUD/REGION.csv";
            return Err(CatalogError::file(
                &file.shown,
                "there is no column `place`",
                hint,
            ));
        }
        // One place per file, or a column that names it.
        let mut place = None;
        if let Some((cloud, stem)) = region {
            self.turn_to(cloud);
            if !has_places {
                place = Some(self.place_of_file(file, &format!("{cloud}:{stem}"))?);
            }
        }
        let mut sources = RecentSources::default();
        while let Some(row) = table.next_row()? {
            let place = match place {
                Some(place) => place,
                None => self.place_of_row(&row, column, region)?,
            };
            let offers = self.offers_of_row(&row, place, &mut sources)?;
            found_offers.extend(offers.into_iter().flatten().map(|offer| Found {
                offer,
                file: number,
                line: row.line,
            }));
        }
        Ok(())
    }

    fn place_of_file(&self, file: &File, name: &str) -> Result<u32, CatalogError> {
        self.names.place(name).ok_or_else(|| {
            let message = format!("unknown place `{name}`");
            CatalogError::file(&file.shown, message, self.names.place_hint(name))
        })
    }

    /// Reads the price on demand and the spot price of a row, as far as they are there.
    fn offers_of_row<'t>(
        &self,
        row: &Row<'t>,
        place: u32,
        sources: &mut RecentSources<'t>,
    ) -> Result<[Option<Offer>; 2], CatalogError> {
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
        let mut offers = [None; 2];
        let columns = [(1, 2, Purchase::OnDemand), (3, 4, Purchase::Spot)];
        for (offer, (price, source, purchase)) in offers.iter_mut().zip(columns) {
            if row.cell(price).is_empty() {
                continue;
            }
            let rate = Rate(row.number(price, NANO, "0.768")?);
            if rate.0 == 0 && row.cell(2) != OWN {
                let hint = "leave the cell empty if the price is unknown";
                return Err(row.error(price, "a price of 0 is not believable", hint));
            }
            // The price on demand and its spot price are usually from one source.
            let source = match row.cell(source).is_empty() {
                true => 2,
                false => source,
            };
            *offer = Some(Offer {
                place,
                machine,
                purchase,
                rate,
                tee,
                source: sources.number(row, source, &self.catalog.sources)?,
                estimated: false,
            });
        }
        Ok(offers)
    }

    /// Adds the offers of services, which stand in the file with this number.
    fn services(&mut self, services: &[Offered], file: u16, found_offers: &mut Vec<Found>) {
        for offered in services {
            for place in &offered.places {
                self.turn_to(&self.catalog.places[*place as usize].name.cloud);
                let machine = offered
                    .machines
                    .iter()
                    .find(|machine| machine.cloud == self.cloud)
                    .and_then(|machine| self.types.get(machine.instance_type.as_str()).copied());
                let Some(machine) = machine else { continue };
                let offer = Offer {
                    place: *place,
                    machine,
                    purchase: Purchase::OnDemand,
                    rate: offered.rate,
                    tee: TeeSet::default(),
                    source: offered.source,
                    estimated: false,
                };
                found_offers.push(Found {
                    offer,
                    file,
                    line: offered.line,
                });
            }
        }
    }
}

/// The two sources that were named last, with their numbers: rows of two sources alternate, prices
/// on demand of one day and spot prices of another.
#[derive(Default)]
struct RecentSources<'t>([(&'t str, u16); 2]);

impl<'t> RecentSources<'t> {
    /// Returns the number of the source that a row names in a column.
    fn number(
        &mut self,
        row: &Row<'t>,
        column: usize,
        sources: &[Source],
    ) -> Result<u16, CatalogError> {
        let id = row.cell(column);
        let known_source = self
            .0
            .iter()
            .find(|(known, _)| !id.is_empty() && *known == id);
        if let Some((_, number)) = known_source {
            return Ok(*number);
        }
        let source_number = cells::source(row, column, sources)?;
        self.0 = [(id, source_number), self.0[0]];
        Ok(source_number)
    }
}
