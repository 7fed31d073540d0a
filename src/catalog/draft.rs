//! A catalog as rows that can be changed: what importers work on, between reading and writing.

use crate::catalog::files::{CATALOG, File};
use crate::catalog::load::{self, HeadSource, folder_and_stem};
use crate::catalog::table::{Row, Table};
use crate::catalog::{CatalogError, age, burstable, certifications, extras, services, terms};
use std::collections::{BTreeMap, BTreeSet};

/// All rows of a catalog, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    pub(crate) sources: BTreeMap<String, HeadSource>,
    /// By `cloud:region`.
    pub places: BTreeMap<String, PlaceRow>,
    /// By cloud and instance type.
    pub machines: BTreeMap<(String, String), MachineRow>,
    /// By cloud and region, then by instance type.
    pub prices: BTreeMap<(String, String), BTreeMap<String, PriceRow>>,
    pub accelerators: BTreeMap<String, AcceleratorRow>,
    /// By cloud, instance type pattern and environment.
    pub confidential: BTreeMap<(String, String, String), ConfidentialRow>,
    /// By cloud and instance type patterns: virtual CPUs in thousandths (none: unknown), source, evidence.
    pub burstable: BTreeMap<(String, String), (Option<i64>, String, String)>,
    /// By cloud and places: the other cells of the row.
    pub extras: BTreeMap<(String, String), [String; 7]>,
    /// By scheme, places and operator.
    pub certifications: BTreeMap<(String, String, String), CertificationRow>,
    /// By `from` and `to`.
    pub egress: BTreeMap<(String, String), EgressRow>,
    /// By `from` and `to`: bits per second, source.
    pub throughput: BTreeMap<(String, String), (u64, String)>,
    /// By cloud.
    pub clouds: BTreeMap<String, CloudRow>,
    /// By cloud, instance type and region: share in parts per million, source.
    pub interruptions: BTreeMap<(String, String, String), (i64, String)>,
    /// By `from` and `to`: milliseconds, source.
    pub round_trips: BTreeMap<(String, String), (i64, String)>,
    /// By places, service, version and product.
    pub services: BTreeMap<(String, String, String, String), ServiceRow>,
    /// By places and instance types: percent in parts per million, source, evidence.
    pub discounts: BTreeMap<(String, String), (i64, String, String)>,
    /// By cloud or places, and what is counted: at most, source, evidence.
    pub quotas: BTreeMap<(String, String), (i64, String, String)>,
    /// By cloud.
    pub joined: BTreeMap<String, JoinedRow>,
    /// By cloud, patterns of instance types, and places.
    pub retirements: BTreeMap<(String, String, String), RetirementRow>,
    /// By cloud, instance type, and the source of the older prices.
    pub changes: BTreeMap<(String, String, String), ChangeRow>,
    /// Rows of lists that are not offered: by cloud, instance type, reason, and source; how many.
    pub dropped: BTreeMap<(String, String, String, String), u64>,
}

/// When a cloud stops renting out machine types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetirementRow {
    /// `YYYY-MM-DD`.
    pub day: String,
    pub source: String,
    pub evidence: String,
}

/// How the price of a machine type changed from an older list to a newer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRow {
    /// The source of the newer prices.
    pub to: String,
    /// Newer by older, in parts per million.
    pub ratio_ppm: i64,
}

/// A service at some places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRow {
    pub unit: String,
    /// Nano-USD per unit.
    pub price: i64,
    /// 0: unknown.
    pub vcpu_thousandths: u64,
    /// Bytes; 0: unknown.
    pub memory: u64,
    pub source: String,
    pub evidence: String,
}

/// A cloud that joined by a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JoinedRow {
    pub about: String,
    /// The days of the figures, and between which they hold.
    pub date: String,
    pub valid_from: String,
    pub valid_until: String,
    /// The minisign key that the file was signed with; empty: it was not.
    pub key: String,
    pub file_sha256: String,
    pub url: String,
    /// Which file of its day it was.
    pub revision: u32,
}

/// A place, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceRow {
    pub country: String,
    pub location: String,
    pub operator: String,
    pub us_cloud_act: String,
    /// The operator's ultimate parent company.
    pub parent: String,
    /// The country that the parent is of.
    pub parent_country: String,
    pub class: String,
    /// Where the facts were seen.
    pub evidence: String,
    pub source: String,
}

/// A machine type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRow {
    /// 0: unknown.
    pub vcpu_thousandths: u64,
    /// Bytes; 0: unknown.
    pub memory: u64,
    pub accelerator: Option<(String, u32)>,
    pub arch: String,
    /// Who says so, where it is the vendor and not the price list; empty: the list.
    pub source: String,
}

/// A price in nano-USD per hour, and its source.
pub type Price = (i64, String);

/// The prices of one machine at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceRow {
    pub on_demand: Option<Price>,
    pub spot: Option<Price>,
}

/// An accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceleratorRow {
    pub aliases: Vec<String>,
    /// Canonical names of the wider kinds that it is of.
    pub kinds: Vec<String>,
    /// Dense gigaflop per second and card: fp32, fp16, bf16, fp8.
    pub gigaflops: [Option<u64>; 4],
    pub source: String,
    /// Bytes; 0: unknown.
    pub memory: u64,
    pub interconnect: String,
    pub topology: String,
    pub frameworks: Vec<String>,
    /// Where the facts were seen.
    pub evidence: String,
}

/// Where machines have an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfidentialRow {
    pub places: String,
    pub source: String,
    pub evidence: String,
}

/// A certification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificationRow {
    pub status: String,
    pub since: String,
    pub source: String,
    pub evidence: String,
}

/// A price list: nano-USD per GB by where the tier starts (in bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRow {
    pub tiers: BTreeMap<u64, i64>,
    pub source: String,
}

/// How a cloud bills and boots; what is not known is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudRow {
    /// Milliseconds: increment, minimum, boot.
    pub times: [Option<i64>; 3],
    /// Bytes.
    pub free_egress: Option<i64>,
    /// Nano-USD per GB and month.
    pub storage: Option<i64>,
    /// Bytes of a GB that is billed.
    pub gigabyte: Option<i64>,
    pub source: String,
    pub evidence: String,
}

impl Draft {
    /// Reads the rows of a catalog's files. Names are not resolved: [`load::from_files`] does.
    pub fn read(files: &[File]) -> Result<Self, CatalogError> {
        let mut draft = Draft::default();
        for file in files {
            match (file.name.as_str(), folder_and_stem(&file.name)) {
                (CATALOG, _) => draft.sources = load::head(file)?.sources,
                ("places.csv", _) => rows(file, load::PLACES, 1, |row| draft.place(row))?,
                ("accelerators.csv", _) => rows(file, load::ACCELERATORS, 1, |row| draft.accelerator(row))?,
                ("confidential.csv", _) => rows(file, load::CONFIDENTIAL, 5, |row| draft.environment(row))?,
                (burstable::BURSTABLE_FILE, _) => rows(file, burstable::COLUMNS, 4, |row| draft.baseline(row))?,
                (extras::EXTRAS_FILE, _) => rows(file, extras::COLUMNS, 1, |row| draft.extra(row))?,
                ("certifications.csv", _) => rows(file, certifications::COLUMNS, 4, |row| draft.certified(row))?,
                ("egress.csv", _) => rows(file, crate::catalog::rules::EGRESS, 5, |row| draft.tier(row))?,
                ("throughput.csv", _) => rows(file, crate::catalog::rules::THROUGHPUT, 4, |row| draft.speed(row))?,
                ("clouds.csv", _) => rows(file, terms::CLOUDS, 1, |row| draft.cloud(row))?,
                ("interruptions.csv", _) => rows(file, terms::INTERRUPTIONS, 5, |row| draft.interruption(row))?,
                ("round_trips.csv", _) => rows(file, terms::ROUND_TRIPS, 4, |row| draft.round_trip(row))?,
                ("services.csv", _) => rows(file, services::SERVICES, 5, |row| draft.service(row))?,
                ("discounts.csv", _) => rows(file, services::DISCOUNTS, 4, |row| draft.discount(row))?,
                ("quotas.csv", _) => rows(file, services::QUOTAS, 4, |row| draft.quota(row))?,
                ("joined.csv", _) => rows(file, services::JOINED, 1, |row| draft.join(row))?,
                ("retirements.csv", _) => rows(file, age::RETIREMENTS, 4, |row| draft.retirement(row))?,
                ("price_changes.csv", _) => rows(file, age::CHANGES, 5, |row| draft.changed_price(row))?,
                ("dropped.csv", _) => rows(file, age::DROPPED, 5, |row| draft.dropped_row(row))?,
                ("machines.csv", _) => rows(file, load::MACHINES, 3, |row| draft.machine(row, row.cell(7)))?,
                ("prices.csv", _) => rows(file, load::PRICES, 3, |row| {
                    let (cloud, region) = row.cell(6).split_once(':').unwrap_or((row.cell(6), ""));
                    draft.price(row, cloud, region)
                })?,
                (_, Some((cloud, "machines"))) => rows(file, load::MACHINES, 3, |row| draft.machine(row, cloud))?,
                (_, Some((cloud, stem))) => rows(file, load::PRICES, 3, |row| {
                    let region = if row.cell(5).is_empty() { stem } else { row.cell(5) };
                    draft.price(row, cloud, region)
                })?,
                _ => {}
            }
        }
        Ok(draft)
    }

    /// Puts the rows of `other` over these; its figures win.
    pub fn merge(&mut self, other: Draft) {
        self.sources.extend(other.sources);
        self.places.extend(other.places);
        self.machines.extend(other.machines);
        self.accelerators.extend(other.accelerators);
        self.confidential.extend(other.confidential);
        self.burstable.extend(other.burstable);
        self.extras.extend(other.extras);
        self.certifications.extend(other.certifications);
        self.egress.extend(other.egress);
        self.throughput.extend(other.throughput);
        self.clouds.extend(other.clouds);
        self.interruptions.extend(other.interruptions);
        self.round_trips.extend(other.round_trips);
        self.services.extend(other.services);
        self.discounts.extend(other.discounts);
        self.quotas.extend(other.quotas);
        self.joined.extend(other.joined);
        self.retirements.extend(other.retirements);
        self.changes.extend(other.changes);
        self.dropped.extend(other.dropped);
        for (place, rows) in other.prices {
            let mine = self.prices.entry(place).or_default();
            for (machine, row) in rows {
                let mine = mine.entry(machine).or_default();
                mine.on_demand = row.on_demand.or(mine.on_demand.take());
                mine.spot = row.spot.or(mine.spot.take());
            }
        }
    }

    /// The day of a source; empty if it is not there.
    pub(crate) fn date_of(&self, source: &str) -> &str {
        self.sources.get(source).map_or("", |source| &source.date)
    }

    /// Puts prices where no newer ones are.
    pub(crate) fn put_price(&mut self, cloud: &str, region: &str, machine: &str, new: PriceRow) {
        let date =
            |price: &Option<Price>| price.as_ref().map_or(String::new(), |(_, source)| self.date_of(source).to_owned());
        let place = (cloud.to_owned(), region.to_owned());
        let old = self.prices.get(&place).and_then(|rows| rows.get(machine)).cloned().unwrap_or_default();
        let newest = |old: Option<Price>, new: Option<Price>| if date(&new) >= date(&old) { new.or(old) } else { old };
        let row = PriceRow { on_demand: newest(old.on_demand, new.on_demand), spot: newest(old.spot, new.spot) };
        self.prices.entry(place).or_default().insert(machine.to_owned(), row);
    }

    /// Leaves out interruptions of machines that cannot be bought as spot there.
    pub(crate) fn drop_idle_interruptions(&mut self) {
        let prices = &self.prices;
        self.interruptions.retain(|(cloud, machine, region), _| {
            let row = prices.get(&(cloud.clone(), region.clone())).and_then(|rows| rows.get(machine));
            region.contains('*') || row.is_some_and(|row| row.spot.is_some())
        });
    }

    /// Leaves out changes of prices that carry no price any more, and counts of lists that no price is from.
    fn drop_idle_changes(&mut self) {
        let prices = self.prices.iter().flat_map(|((cloud, _), rows)| {
            rows.iter().flat_map(move |(name, row)| {
                let both = [(true, &row.on_demand), (false, &row.spot)].into_iter();
                both.filter_map(move |(on_demand, price)| Some((cloud, name, on_demand, &price.as_ref()?.1)))
            })
        });
        let mut oldest: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut used: BTreeSet<String> = BTreeSet::new();
        for (cloud, name, on_demand, source) in prices {
            let date = self.date_of(source).to_owned();
            if on_demand {
                let known = oldest.entry((cloud.clone(), name.clone())).or_insert_with(|| date.clone());
                if date < *known {
                    *known = date;
                }
            }
            if !used.contains(source) {
                used.insert(source.clone());
            }
        }
        let sources = std::mem::take(&mut self.sources);
        let date = |id: &String| sources.get(id).map_or("", |source| source.date.as_str());
        self.changes.retain(|(cloud, name, _), row| {
            let oldest = oldest.get(&(cloud.clone(), name.clone()));
            oldest.and_then(|day| age::days_between(day, date(&row.to))).is_some_and(|days| days > age::APART)
        });
        self.dropped.retain(|(_, _, _, source), _| used.contains(source));
        self.sources = sources;
    }

    /// Leaves out sources that no row names.
    pub(crate) fn drop_unused_sources(&mut self) {
        self.drop_idle_changes();
        let mut used: BTreeSet<&str> = BTreeSet::new();
        used.extend(self.places.values().map(|row| row.source.as_str()));
        used.extend(self.accelerators.values().map(|row| row.source.as_str()));
        used.extend(self.machines.values().map(|row| row.source.as_str()));
        used.extend(self.confidential.values().map(|row| row.source.as_str()));
        used.extend(self.extras.values().map(|cells| cells[5].as_str()));
        used.extend(self.burstable.values().map(|(_, source, _)| source.as_str()));
        used.extend(self.certifications.values().map(|row| row.source.as_str()));
        used.extend(self.egress.values().map(|row| row.source.as_str()));
        used.extend(self.throughput.values().map(|(_, source)| source.as_str()));
        used.extend(self.clouds.values().map(|row| row.source.as_str()));
        used.extend(self.interruptions.values().map(|(_, source)| source.as_str()));
        used.extend(self.round_trips.values().map(|(_, source)| source.as_str()));
        used.extend(self.services.values().map(|row| row.source.as_str()));
        used.extend(self.discounts.values().chain(self.quotas.values()).map(|(_, source, _)| source.as_str()));
        used.extend(self.retirements.values().map(|row| row.source.as_str()));
        used.extend(self.changes.iter().flat_map(|((_, _, from), row)| [from.as_str(), row.to.as_str()]));
        let prices = self.prices.values().flat_map(BTreeMap::values);
        used.extend(prices.flat_map(|row| [&row.on_demand, &row.spot]).flatten().map(|(_, source)| source.as_str()));
        let unused: Vec<String> = self.sources.keys().filter(|id| !used.contains(id.as_str())).cloned().collect();
        for id in unused {
            self.sources.remove(&id);
        }
    }

    /// The canonical name of an accelerator, if the table has it.
    pub fn accelerator_name(&self, name: &str) -> Option<&str> {
        if let Some((known, _)) = self.accelerators.get_key_value(name) {
            return Some(known);
        }
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let found =
            self.accelerators.iter().find(|(known, row)| same(known) || row.aliases.iter().any(|alias| same(alias)));
        found.map(|(known, _)| known.as_str())
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
        let memory = if row.cell(7).is_empty() { 0 } else { row.number(7, 1 << 30, "80")? };
        let mut accelerator = AcceleratorRow {
            aliases: load::list(row.cell(1)),
            source: row.cell(6).to_owned(),
            memory: memory.unsigned_abs(),
            interconnect: row.cell(8).to_owned(),
            topology: row.cell(9).to_owned(),
            frameworks: load::list(row.cell(10)),
            evidence: row.cell(11).to_owned(),
            kinds: load::list(row.cell(12)),
            ..AcceleratorRow::default()
        };
        for (rate, column) in accelerator.gigaflops.iter_mut().zip(2..) {
            if !row.cell(column).is_empty() {
                *rate = Some(row.number(column, 1000, "312")?.unsigned_abs());
            }
        }
        self.accelerators.insert(row.required(0)?.to_owned(), accelerator);
        Ok(())
    }

    fn environment(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let environment = ConfidentialRow { places: text(3), source: text(4), evidence: text(5) };
        self.confidential.insert((text(0), text(1), text(2)), environment);
        Ok(())
    }

    fn extra(&mut self, row: &Row) -> Result<(), CatalogError> {
        let cells = [1, 2, 3, 4, 5, 6, 7].map(|column| row.cell(column).to_owned());
        self.extras.insert((row.required(0)?.to_owned(), row.cell(8).to_owned()), cells);
        Ok(())
    }

    fn baseline(&mut self, row: &Row) -> Result<(), CatalogError> {
        let baseline = if row.cell(2).is_empty() { None } else { Some(row.number(2, 1000, "0.4")?) };
        let key = (row.required(0)?.to_owned(), row.required(1)?.to_owned());
        self.burstable.insert(key, (baseline, row.cell(3).to_owned(), row.cell(4).to_owned()));
        Ok(())
    }

    fn certified(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let certified = CertificationRow { status: text(1), source: text(3), since: text(5), evidence: text(6) };
        self.certifications.insert((text(0), text(2), text(4)), certified);
        Ok(())
    }

    fn tier(&mut self, row: &Row) -> Result<(), CatalogError> {
        let above = if row.cell(2).is_empty() { 0 } else { row.number(2, 1_000_000_000, "10240")?.unsigned_abs() };
        let rate = row.number(3, 1_000_000_000, "0.09")?;
        let entry = self.egress.entry((row.cell(0).to_owned(), row.cell(1).to_owned())).or_default();
        entry.tiers.insert(above, rate);
        entry.source = row.cell(4).to_owned();
        Ok(())
    }

    fn speed(&mut self, row: &Row) -> Result<(), CatalogError> {
        let bits = row.number(2, 1_000_000_000, "4.5")?.unsigned_abs();
        let way = (row.cell(0).to_owned(), row.cell(1).to_owned());
        self.throughput.insert(way, (bits, row.cell(3).to_owned()));
        Ok(())
    }

    fn cloud(&mut self, row: &Row) -> Result<(), CatalogError> {
        let figure = |column, per_unit, example| match row.cell(column) {
            "" => Ok(None),
            _ => row.number(column, per_unit, example).map(Some),
        };
        let time = |column| figure(column, terms::MILLIS, "60");
        let cloud = CloudRow {
            times: [time(1)?, time(2)?, time(3)?],
            free_egress: figure(4, terms::NANO, "100")?,
            storage: figure(5, terms::NANO, "0.023")?,
            source: row.cell(6).to_owned(),
            evidence: row.cell(7).to_owned(),
            gigabyte: figure(8, 1, "1073741824")?,
        };
        self.clouds.insert(row.required(0)?.to_owned(), cloud);
        Ok(())
    }

    fn interruption(&mut self, row: &Row) -> Result<(), CatalogError> {
        let share = row.number(2, terms::PER_PERCENT, "15")?;
        for region in row.required(3)?.split(';') {
            let key = (row.required(0)?.to_owned(), row.required(1)?.to_owned(), region.trim().to_owned());
            self.interruptions.insert(key, (share, row.cell(4).to_owned()));
        }
        Ok(())
    }

    fn round_trip(&mut self, row: &Row) -> Result<(), CatalogError> {
        let way = (row.cell(0).to_owned(), row.cell(1).to_owned());
        self.round_trips.insert(way, (row.number(2, 1, "90")?, row.cell(3).to_owned()));
        Ok(())
    }

    fn service(&mut self, row: &Row) -> Result<(), CatalogError> {
        let figure = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "4").map(i64::unsigned_abs),
        };
        let service = ServiceRow {
            unit: row.cell(2).to_owned(),
            price: row.number(3, terms::NANO, "0.44")?,
            vcpu_thousandths: figure(7, 1000)?,
            memory: figure(8, 1 << 30)?,
            source: row.cell(4).to_owned(),
            evidence: row.cell(9).to_owned(),
        };
        let key = [0, 1, 5, 6].map(|column| row.cell(column).to_owned());
        let [places, name, version, product] = key;
        self.services.insert((places, name, version, product), service);
        Ok(())
    }

    fn discount(&mut self, row: &Row) -> Result<(), CatalogError> {
        let key = (row.cell(0).to_owned(), row.cell(1).to_owned());
        let parts = row.number(2, terms::PER_PERCENT, "10")?;
        self.discounts.insert(key, (parts, row.cell(3).to_owned(), row.cell(4).to_owned()));
        Ok(())
    }

    fn quota(&mut self, row: &Row) -> Result<(), CatalogError> {
        let key = (row.cell(0).to_owned(), row.cell(1).to_owned());
        let most = row.number(2, 1, "64")?;
        self.quotas.insert(key, (most, row.cell(3).to_owned(), row.cell(4).to_owned()));
        Ok(())
    }

    fn join(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let joined = JoinedRow {
            about: text(1),
            date: text(2),
            valid_from: text(3),
            valid_until: text(4),
            key: text(5),
            file_sha256: text(6),
            url: text(7),
            revision: text(8).parse().unwrap_or_default(),
        };
        self.joined.insert(row.required(0)?.to_owned(), joined);
        Ok(())
    }

    fn retirement(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let retirement = RetirementRow { day: text(2), source: text(3), evidence: text(5) };
        self.retirements.insert((text(0), text(1), text(4)), retirement);
        Ok(())
    }

    fn changed_price(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let change = ChangeRow { to: text(3), ratio_ppm: row.number(4, age::PPM, "0.56")? };
        self.changes.insert((text(0), text(1), text(2)), change);
        Ok(())
    }

    fn dropped_row(&mut self, row: &Row) -> Result<(), CatalogError> {
        let text = |column| row.cell(column).to_owned();
        let rows = row.number(3, 1, "12")?.unsigned_abs();
        self.dropped.insert((text(0), text(1), text(2), text(4)), rows);
        Ok(())
    }

    fn machine(&mut self, row: &Row, cloud: &str) -> Result<(), CatalogError> {
        let figure = |column, per_unit| match row.cell(column) {
            "" => Ok(0),
            _ => row.number(column, per_unit, "8").map(i64::unsigned_abs),
        };
        let accelerator = match row.cell(3) {
            "" => None,
            name => {
                let count = if row.cell(4).is_empty() { 1000 } else { figure(4, 1000)? };
                Some((name.to_owned(), u32::try_from(count).unwrap_or(u32::MAX)))
            }
        };
        let machine = MachineRow {
            vcpu_thousandths: figure(1, 1000)?,
            memory: figure(2, 1 << 30)?,
            accelerator,
            arch: row.cell(5).to_owned(),
            source: row.cell(6).to_owned(),
        };
        self.machines.insert((cloud.to_owned(), row.required(0)?.to_owned()), machine);
        Ok(())
    }

    fn price(&mut self, row: &Row, cloud: &str, region: &str) -> Result<(), CatalogError> {
        let price = |column: usize, source: &str| -> Result<Option<Price>, CatalogError> {
            if row.cell(column).is_empty() {
                return Ok(None);
            }
            Ok(Some((row.number(column, 1_000_000_000, "0.768")?, source.to_owned())))
        };
        let spot_source = if row.cell(4).is_empty() { row.cell(2) } else { row.cell(4) };
        let prices = PriceRow { on_demand: price(1, row.cell(2))?, spot: price(3, spot_source)? };
        let place = self.prices.entry((cloud.to_owned(), region.to_owned())).or_default();
        place.insert(row.required(0)?.to_owned(), prices);
        Ok(())
    }
}

fn rows(
    file: &File,
    names: &'static [&'static str],
    required: usize,
    mut take: impl FnMut(&Row) -> Result<(), CatalogError>,
) -> Result<(), CatalogError> {
    let mut table = Table::open(&file.shown, &file.text, names, required)?;
    while let Some(row) = table.next_row()? {
        take(&row)?;
    }
    Ok(())
}
