//! Reads the rows of a catalog's files into a [`Draft`], without resolving the names in them.

use crate::catalog::draft::{
    AcceleratorRow, CertificationRow, ChangeRow, CloudRow, ConfidentialRow, Draft, MachineRow,
    PlaceRow, Price, PriceRow, RegisteredRow, RetirementRow, ServiceRow,
};
use crate::catalog::files::File;
use crate::catalog::format::{
    self, CATALOG, MILLIS_PER_SECOND, NANO, PPM, PPM_PER_PERCENT, TableFormat, folder_and_stem,
};
use crate::catalog::table::{Row, Table};
use crate::catalog::{CatalogError, catalog_toml, cells};

/// Reads one row of a table into the draft.
type RowReader = fn(&mut Draft, &Row) -> Result<(), CatalogError>;

/// The tables beside `catalog.toml` that are not about one cloud, and how their rows are read.
const ROW_READERS: [(TableFormat, RowReader); 18] = [
    (format::PLACES, Draft::place),
    (format::ACCELERATORS, Draft::accelerator),
    (format::CONFIDENTIAL, Draft::environment),
    (format::BURSTABLE, Draft::baseline),
    (format::MACHINE_EXTRAS, Draft::extra),
    (format::CERTIFICATIONS, Draft::certified),
    (format::EGRESS, Draft::tier),
    (format::THROUGHPUT, Draft::speed),
    (format::CLOUDS, Draft::cloud),
    (format::INTERRUPTIONS, Draft::interruption),
    (format::ROUND_TRIPS, Draft::round_trip),
    (format::SERVICES, Draft::service),
    (format::DISCOUNTS, Draft::discount),
    (format::QUOTAS, Draft::quota),
    (format::REGISTERED, Draft::registration),
    (format::RETIREMENTS, Draft::retirement),
    (format::PRICE_CHANGES, Draft::changed_price),
    (format::DROPPED_ROWS, Draft::dropped_row),
];

impl Draft {
    /// Reads the rows of a catalog's files. Names are not resolved:
    /// [`crate::catalog::load::from_files`] does.
    pub fn read(files: &[File]) -> Result<Self, CatalogError> {
        let mut draft = Draft::default();
        for file in files {
            if file.name == CATALOG {
                draft.sources = catalog_toml::read(file)?.sources;
            } else if let Some((table, read_row)) = ROW_READERS
                .iter()
                .find(|(table, _)| table.file == file.name)
            {
                read_rows(file, *table, |row| read_row(&mut draft, row))?;
            } else {
                draft.machines_or_prices(file)?;
            }
        }
        Ok(draft)
    }

    /// Reads a table of machine types or prices, of one cloud in a folder of its name or of all
    /// clouds; other files are left alone.
    fn machines_or_prices(&mut self, file: &File) -> Result<(), CatalogError> {
        match folder_and_stem(&file.name) {
            Some((cloud, "machines")) => {
                read_rows(file, format::MACHINES, |row| self.machine(row, cloud))
            }
            Some((cloud, stem)) => read_rows(file, format::PRICES, |row| {
                let region = if row.cell(5).is_empty() {
                    stem
                } else {
                    row.cell(5)
                };
                self.price(row, cloud, region)
            }),
            None if file.name == format::MACHINES.file => {
                read_rows(file, format::MACHINES, |row| self.machine(row, row.cell(7)))
            }
            None if file.name == format::PRICES.file => read_rows(file, format::PRICES, |row| {
                let (cloud, region) = row.cell(6).split_once(':').unwrap_or((row.cell(6), ""));
                self.price(row, cloud, region)
            }),
            None => Ok(()),
        }
    }

    fn place(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let place = PlaceRow {
            country: text(1),
            location: text(2),
            operator: text(3),
            us_cloud_act: text(4),
            source: text(5),
            parent: text(6),
            class: text(7),
            evidence: text(8),
            parent_country: text(9),
        };
        self.places.insert(row.required(0)?.to_owned(), place);
        Ok(())
    }

    fn accelerator(&mut self, row: &Row) -> Result<(), CatalogError> {
        let memory = if row.cell(7).is_empty() {
            0
        } else {
            row.number(7, 1 << 30, "80")?
        };
        let mut accelerator = AcceleratorRow {
            aliases: cells::list(row.cell(1)),
            source: row.cell(6).to_owned(),
            memory: memory.unsigned_abs(),
            interconnect: row.cell(8).to_owned(),
            topology: row.cell(9).to_owned(),
            frameworks: cells::list(row.cell(10)),
            evidence: row.cell(11).to_owned(),
            kinds: cells::list(row.cell(12)),
            ..AcceleratorRow::default()
        };
        for (rate, column) in accelerator.gigaflops.iter_mut().zip(2..) {
            if !row.cell(column).is_empty() {
                *rate = Some(row.number(column, 1000, "312")?.unsigned_abs());
            }
        }
        self.accelerators
            .insert(row.required(0)?.to_owned(), accelerator);
        Ok(())
    }

    fn environment(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let environment = ConfidentialRow {
            places: text(3),
            source: text(4),
            evidence: text(5),
        };
        self.confidential
            .insert((text(0), text(1), text(2)), environment);
        Ok(())
    }

    fn extra(&mut self, row: &Row) -> Result<(), CatalogError> {
        let cells = [1, 2, 3, 4, 5, 6, 7].map(|column| row.cell(column).to_owned());
        self.extras
            .insert((row.required(0)?.to_owned(), row.cell(8).to_owned()), cells);
        Ok(())
    }

    fn baseline(&mut self, row: &Row) -> Result<(), CatalogError> {
        let baseline = if row.cell(2).is_empty() {
            None
        } else {
            Some(row.number(2, 1000, "0.4")?)
        };
        let row_key = (row.required(0)?.to_owned(), row.required(1)?.to_owned());
        self.burstable.insert(
            row_key,
            (baseline, row.cell(3).to_owned(), row.cell(4).to_owned()),
        );
        Ok(())
    }

    fn certified(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let certified = CertificationRow {
            status: text(1),
            source: text(3),
            since: text(5),
            evidence: text(6),
        };
        self.certifications
            .insert((text(0), text(2), text(4)), certified);
        Ok(())
    }

    fn tier(&mut self, row: &Row) -> Result<(), CatalogError> {
        let above = if row.cell(2).is_empty() {
            0
        } else {
            row.number(2, NANO, "10240")?.unsigned_abs()
        };
        let rate = row.number(3, NANO, "0.09")?;
        let egress_row = self
            .egress
            .entry((row.cell(0).to_owned(), row.cell(1).to_owned()))
            .or_default();
        egress_row.tiers.insert(above, rate);
        egress_row.source = row.cell(4).to_owned();
        Ok(())
    }

    fn speed(&mut self, row: &Row) -> Result<(), CatalogError> {
        let bits = row.number(2, NANO, "4.5")?.unsigned_abs();
        let route = (row.cell(0).to_owned(), row.cell(1).to_owned());
        self.throughput
            .insert(route, (bits, row.cell(3).to_owned()));
        Ok(())
    }

    fn cloud(&mut self, row: &Row) -> Result<(), CatalogError> {
        let optional_figure = |column, per_unit, example| match row.cell(column) {
            "" => Ok(None),
            _ => row.number(column, per_unit, example).map(Some),
        };
        let time = |column| optional_figure(column, MILLIS_PER_SECOND, "60");
        let cloud = CloudRow {
            times: [time(1)?, time(2)?, time(3)?],
            free_egress: optional_figure(4, NANO, "100")?,
            storage: optional_figure(5, NANO, "0.023")?,
            source: row.cell(6).to_owned(),
            evidence: row.cell(7).to_owned(),
            gigabyte: optional_figure(8, 1, "1073741824")?,
        };
        self.clouds.insert(row.required(0)?.to_owned(), cloud);
        Ok(())
    }

    fn interruption(&mut self, row: &Row) -> Result<(), CatalogError> {
        let share = row.number(2, PPM_PER_PERCENT, "15")?;
        for region in row.required(3)?.split(';') {
            let row_key = (
                row.required(0)?.to_owned(),
                row.required(1)?.to_owned(),
                region.trim().to_owned(),
            );
            self.interruptions
                .insert(row_key, (share, row.cell(4).to_owned()));
        }
        Ok(())
    }

    fn round_trip(&mut self, row: &Row) -> Result<(), CatalogError> {
        let route = (row.cell(0).to_owned(), row.cell(1).to_owned());
        self.round_trips
            .insert(route, (row.number(2, 1, "90")?, row.cell(3).to_owned()));
        Ok(())
    }

    fn service(&mut self, row: &Row) -> Result<(), CatalogError> {
        let figure_or_zero = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "4").map(i64::unsigned_abs),
        };
        let service = ServiceRow {
            unit: row.cell(2).to_owned(),
            price: row.number(3, NANO, "0.44")?,
            vcpu_thousandths: figure_or_zero(7, 1000)?,
            memory: figure_or_zero(8, 1 << 30)?,
            source: row.cell(4).to_owned(),
            evidence: row.cell(9).to_owned(),
        };
        let key_cells = [0, 1, 5, 6].map(|column| row.cell(column).to_owned());
        let [places, name, version, product] = key_cells;
        self.services
            .insert((places, name, version, product), service);
        Ok(())
    }

    fn discount(&mut self, row: &Row) -> Result<(), CatalogError> {
        let row_key = (row.cell(0).to_owned(), row.cell(1).to_owned());
        let discount_ppm = row.number(2, PPM_PER_PERCENT, "10")?;
        self.discounts.insert(
            row_key,
            (discount_ppm, row.cell(3).to_owned(), row.cell(4).to_owned()),
        );
        Ok(())
    }

    fn quota(&mut self, row: &Row) -> Result<(), CatalogError> {
        let row_key = (row.cell(0).to_owned(), row.cell(1).to_owned());
        let most_units = row.number(2, 1, "64")?;
        self.quotas.insert(
            row_key,
            (most_units, row.cell(3).to_owned(), row.cell(4).to_owned()),
        );
        Ok(())
    }

    fn registration(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let revision = match row.cell(8) {
            "" => 0,
            written => written.parse().map_err(|_| {
                row.error(
                    8,
                    format!("`{written}` is not a revision"),
                    "write a whole number, such as 3",
                )
            })?,
        };
        let registered = RegisteredRow {
            about: text(1),
            date: text(2),
            valid_from: text(3),
            valid_until: text(4),
            key: text(5),
            file_sha256: text(6),
            url: text(7),
            revision,
        };
        self.registered
            .insert(row.required(0)?.to_owned(), registered);
        Ok(())
    }

    fn retirement(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let retirement = RetirementRow {
            day: text(2),
            source: text(3),
            evidence: text(5),
        };
        self.retirements
            .insert((text(0), text(1), text(4)), retirement);
        Ok(())
    }

    fn changed_price(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let change = ChangeRow {
            to: text(3),
            ratio_ppm: row.number(4, PPM, "0.56")?,
        };
        self.changes.insert((text(0), text(1), text(2)), change);
        Ok(())
    }

    fn dropped_row(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let dropped_count = row.number(3, 1, "12")?.unsigned_abs();
        self.dropped
            .insert((text(0), text(1), text(2), text(4)), dropped_count);
        Ok(())
    }

    fn machine(&mut self, row: &Row, cloud: &str) -> Result<(), CatalogError> {
        let figure_or_zero = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "8").map(i64::unsigned_abs),
        };
        let accelerator = match row.cell(3) {
            "" => None,
            name => {
                let count = if row.cell(4).is_empty() {
                    1000
                } else {
                    figure_or_zero(4, 1000)?
                };
                let count = u32::try_from(count).map_err(|_| {
                    row.error(
                        4,
                        format!("`{}` is too many for one machine", row.cell(4)),
                        "check the count",
                    )
                })?;
                Some((name.to_owned(), count))
            }
        };
        let machine = MachineRow {
            vcpu_thousandths: figure_or_zero(1, 1000)?,
            memory: figure_or_zero(2, 1 << 30)?,
            accelerator,
            arch: row.cell(5).to_owned(),
            source: row.cell(6).to_owned(),
        };
        self.machines
            .insert((cloud.to_owned(), row.required(0)?.to_owned()), machine);
        Ok(())
    }

    fn price(&mut self, row: &Row, cloud: &str, region: &str) -> Result<(), CatalogError> {
        let price = |column: usize, source: &str| -> Result<Option<Price>, CatalogError> {
            if row.cell(column).is_empty() {
                return Ok(None);
            }
            Ok(Some((
                row.number(column, NANO, "0.768")?,
                source.to_owned(),
            )))
        };
        let spot_source = if row.cell(4).is_empty() {
            row.cell(2)
        } else {
            row.cell(4)
        };
        let prices = PriceRow {
            on_demand: price(1, row.cell(2))?,
            spot: price(3, spot_source)?,
        };
        let place = self
            .prices
            .entry((cloud.to_owned(), region.to_owned()))
            .or_default();
        place.insert(row.required(0)?.to_owned(), prices);
        Ok(())
    }
}

/// Reads all rows of a table.
fn read_rows(
    file: &File,
    format: TableFormat,
    mut take: impl FnMut(&Row) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let mut table = Table::open(&file.shown, &file.text, format)?;
    while let Some(row) = table.next_row()? {
        take(&row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Draft, CatalogError> {
        Draft::read(&[File {
            name: name.to_owned(),
            shown: name.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_revision_that_is_no_number_is_not_taken_for_the_first() {
        let header = "cloud,about,date,valid_from,valid_until,key,file_sha256,url,revision\n";
        let row = |revision: &str| format!("{header}x,X,2026-01-01,,2027-01-01,,,,{revision}\n");
        assert_eq!(
            read("joined.csv", &row("3")).unwrap().registered["x"].revision,
            3
        );
        assert_eq!(
            read("joined.csv", &row("")).unwrap().registered["x"].revision,
            0
        );
        let error = read("joined.csv", &row("three")).unwrap_err();
        assert_eq!(error.message, "revision: `three` is not a revision");
    }
}
