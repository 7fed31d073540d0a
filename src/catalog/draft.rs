//! A catalog as rows that can be changed: what importers work on, between reading and writing.

use crate::catalog::catalog_toml::SourceEntry;
use crate::catalog::price_age;
use std::collections::{BTreeMap, BTreeSet};

/// All rows of a catalog, by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Sources of figures, by id.
    pub(crate) sources: BTreeMap<String, SourceEntry>,
    /// Places, by `cloud:region`.
    pub places: BTreeMap<String, PlaceRow>,
    /// Machine types, by cloud and instance type.
    pub machines: BTreeMap<(String, String), MachineRow>,
    /// Prices, by cloud and region, then by instance type.
    pub prices: BTreeMap<(String, String), BTreeMap<String, PriceRow>>,
    /// Accelerators, by canonical name.
    pub accelerators: BTreeMap<String, AcceleratorRow>,
    /// Machines with a confidential-computing environment, by cloud, instance type pattern and
    /// environment.
    pub confidential: BTreeMap<(String, String, String), ConfidentialRow>,
    /// Baselines of burstable machines, by cloud and instance type patterns: virtual CPUs in
    /// thousandths (none: unknown), source, evidence.
    pub burstable: BTreeMap<(String, String), (Option<i64>, String, String)>,
    /// What comes with machines, by cloud and places: the other cells of the row.
    pub extras: BTreeMap<(String, String), [String; 7]>,
    /// Certifications, by scheme, places and operator.
    pub certifications: BTreeMap<(String, String, String), CertificationRow>,
    /// Prices of data that leaves a place, by `from` and `to`.
    pub egress: BTreeMap<(String, String), EgressRow>,
    /// Throughput, by `from` and `to`: bits per second, source.
    pub throughput: BTreeMap<(String, String), (u64, String)>,
    /// How clouds bill and boot, by cloud.
    pub clouds: BTreeMap<String, CloudRow>,
    /// Interruptions of spot machines, by cloud, instance type and region: share in parts per
    /// million, source.
    pub interruptions: BTreeMap<(String, String, String), (i64, String)>,
    /// Round trips, by `from` and `to`: milliseconds, source.
    pub round_trips: BTreeMap<(String, String), (i64, String)>,
    /// Services, by places, service, version and product.
    pub services: BTreeMap<(String, String, String, String), ServiceRow>,
    /// Discounts, by places and instance types: percent in parts per million, source, evidence.
    pub discounts: BTreeMap<(String, String), (i64, String, String)>,
    /// Quotas, by cloud or places, and what is counted: the most that is rented out, source,
    /// evidence.
    pub quotas: BTreeMap<(String, String), (i64, String, String)>,
    /// Clouds that were registered by a file of their own, by cloud.
    pub registered: BTreeMap<String, RegisteredRow>,
    /// Retirements, by cloud, patterns of instance types, and places.
    pub retirements: BTreeMap<(String, String, String), RetirementRow>,
    /// Changes of prices, by cloud, instance type, and the source of the older prices.
    pub changes: BTreeMap<(String, String, String), ChangeRow>,
    /// How many rows of lists are not offered, by cloud, instance type, reason, and source.
    pub dropped: BTreeMap<(String, String, String, String), u64>,
}

/// When a cloud stops renting out machine types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetirementRow {
    /// `YYYY-MM-DD`.
    pub day: String,
    /// The id of the source.
    pub source: String,
    /// Where the facts were seen.
    pub evidence: String,
}

/// How the price of a machine type changed from an older list to a newer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeRow {
    /// The source of the newer prices.
    pub to: String,
    /// The newer price by the older one, in parts per million.
    pub ratio_ppm: i64,
}

/// A service at some places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRow {
    /// The unit that the service is billed by.
    pub unit: String,
    /// Price in nano-USD per unit.
    pub price: i64,
    /// Virtual CPUs in thousandths; 0: unknown.
    pub vcpu_thousandths: u64,
    /// Memory in bytes; 0: unknown.
    pub memory: u64,
    /// The id of the source.
    pub source: String,
    /// Where the facts were seen.
    pub evidence: String,
}

/// A cloud that was registered by a file of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegisteredRow {
    /// The cloud's own description.
    pub about: String,
    /// The day of the figures; `valid_from` and `valid_until` are the days between which they hold.
    pub date: String,
    /// The first day that the figures hold on (`YYYY-MM-DD`).
    pub valid_from: String,
    /// The last day that the figures hold on (`YYYY-MM-DD`).
    pub valid_until: String,
    /// The minisign key that the file was signed with; empty: it was not signed.
    pub key: String,
    /// The SHA-256 digest of the file.
    pub file_sha256: String,
    /// The address that the file was read from; empty: it was read from this machine.
    pub url: String,
    /// The number of the file among those of its day.
    pub revision: u32,
}

/// A place, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceRow {
    /// The ISO 3166 code of the country; empty: unknown.
    pub country: String,
    /// The town or area, for people.
    pub location: String,
    /// The company that runs the data centre.
    pub operator: String,
    /// Whether the United States CLOUD Act reaches the operator: `yes`, `no`, or empty if unknown.
    pub us_cloud_act: String,
    /// The operator's ultimate parent company.
    pub parent: String,
    /// The country that the parent is of.
    pub parent_country: String,
    /// The class of the place, such as `commercial`.
    pub class: String,
    /// Where the facts were seen.
    pub evidence: String,
    /// The id of the source.
    pub source: String,
}

/// A machine type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineRow {
    /// 0: unknown.
    pub vcpu_thousandths: u64,
    /// Bytes; 0: unknown.
    pub memory: u64,
    /// The name and the number of the accelerators; `None`: the machine has none.
    pub accelerator: Option<(String, u32)>,
    /// The instruction set; empty: x86_64.
    pub arch: String,
    /// The source, where it is the vendor and not the price list; empty: the list.
    pub source: String,
}

/// A price in nano-USD per hour, and its source.
pub type Price = (i64, String);

/// The prices of one machine at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceRow {
    /// The price on demand.
    pub on_demand: Option<Price>,
    /// The price as spot.
    pub spot: Option<Price>,
}

/// An accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AcceleratorRow {
    /// Other names of the accelerator.
    pub aliases: Vec<String>,
    /// Canonical names of the wider kinds that the accelerator is of.
    pub kinds: Vec<String>,
    /// Dense gigaflop per second and card: fp32, fp16, bf16, fp8.
    pub gigaflops: [Option<u64>; 4],
    /// The id of the source.
    pub source: String,
    /// Bytes; 0: unknown.
    pub memory: u64,
    /// The link between accelerators of one machine, such as `NVLink`.
    pub interconnect: String,
    /// The arrangement of a slice of accelerators, such as `2x2x1`.
    pub topology: String,
    /// The frameworks that run on the accelerator; empty: all usual ones.
    pub frameworks: Vec<String>,
    /// Where the facts were seen.
    pub evidence: String,
}

/// Where machines have an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfidentialRow {
    /// The places, as a pattern.
    pub places: String,
    /// The id of the source.
    pub source: String,
    /// Where the facts were seen.
    pub evidence: String,
}

/// A certification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificationRow {
    /// The status of the certification, as the catalog writes it.
    pub status: String,
    /// The day since which the certification holds; empty: unknown.
    pub since: String,
    /// The id of the source.
    pub source: String,
    /// Where the facts were seen.
    pub evidence: String,
}

/// A price list: nano-USD per GB by where the tier starts (in bytes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRow {
    /// The price in nano-USD per GB by the byte that the tier starts at.
    pub tiers: BTreeMap<u64, i64>,
    /// The id of the source.
    pub source: String,
}

/// How a cloud bills and boots; what is not known is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloudRow {
    /// Milliseconds: billing increment, least billed time, boot.
    pub times: [Option<i64>; 3],
    /// Free egress in bytes, per account and month.
    pub free_egress: Option<i64>,
    /// Price of storage in nano-USD per GB and month.
    pub storage: Option<i64>,
    /// Bytes of the GB that is billed.
    pub gigabyte: Option<i64>,
    /// The id of the source.
    pub source: String,
    /// Where the facts were seen.
    pub evidence: String,
}

impl Draft {
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
        self.registered.extend(other.registered);
        self.retirements.extend(other.retirements);
        self.changes.extend(other.changes);
        self.dropped.extend(other.dropped);
        for (place, rows) in other.prices {
            let own_rows = self.prices.entry(place).or_default();
            for (machine, row) in rows {
                let own_row = own_rows.entry(machine).or_default();
                own_row.on_demand = row.on_demand.or(own_row.on_demand.take());
                own_row.spot = row.spot.or(own_row.spot.take());
            }
        }
    }

    /// The day of a source; empty if it is not there.
    pub(crate) fn date_of(&self, source: &str) -> &str {
        self.sources.get(source).map_or("", |source| &source.date)
    }

    /// Puts prices where no newer ones are.
    pub(crate) fn put_price(&mut self, cloud: &str, region: &str, machine: &str, new: PriceRow) {
        let date = |price: &Option<Price>| {
            price
                .as_ref()
                .map_or(String::new(), |(_, source)| self.date_of(source).to_owned())
        };
        let place = (cloud.to_owned(), region.to_owned());
        let old_row = self
            .prices
            .get(&place)
            .and_then(|rows| rows.get(machine))
            .cloned()
            .unwrap_or_default();
        let newest = |old: Option<Price>, new: Option<Price>| {
            if date(&new) >= date(&old) {
                new.or(old)
            } else {
                old
            }
        };
        let newest_row = PriceRow {
            on_demand: newest(old_row.on_demand, new.on_demand),
            spot: newest(old_row.spot, new.spot),
        };
        self.prices
            .entry(place)
            .or_default()
            .insert(machine.to_owned(), newest_row);
    }

    /// Leaves out interruptions of machines that cannot be bought as spot there.
    pub(crate) fn drop_idle_interruptions(&mut self) {
        let prices = &self.prices;
        self.interruptions.retain(|(cloud, machine, region), _| {
            let price_row = prices
                .get(&(cloud.clone(), region.clone()))
                .and_then(|rows| rows.get(machine));
            region.contains('*') || price_row.is_some_and(|row| row.spot.is_some())
        });
    }

    /// Leaves out changes of prices that carry no price any more, and counts of lists that no price
    /// is from.
    fn drop_idle_changes(&mut self) {
        let prices = self.prices.iter().flat_map(|((cloud, _), rows)| {
            rows.iter().flat_map(move |(name, row)| {
                let both_prices = [(true, &row.on_demand), (false, &row.spot)].into_iter();
                both_prices.filter_map(move |(on_demand, price)| {
                    Some((cloud, name, on_demand, &price.as_ref()?.1))
                })
            })
        });
        let mut oldest: BTreeMap<(String, String), String> = BTreeMap::new();
        let mut used_sources: BTreeSet<String> = BTreeSet::new();
        for (cloud, name, on_demand, source) in prices {
            let date = self.date_of(source).to_owned();
            if on_demand {
                let oldest_day = oldest
                    .entry((cloud.clone(), name.clone()))
                    .or_insert_with(|| date.clone());
                if date < *oldest_day {
                    *oldest_day = date;
                }
            }
            if !used_sources.contains(source) {
                used_sources.insert(source.clone());
            }
        }
        let sources = std::mem::take(&mut self.sources);
        let date = |id: &String| sources.get(id).map_or("", |source| source.date.as_str());
        self.changes.retain(|(cloud, name, _), row| {
            let oldest = oldest.get(&(cloud.clone(), name.clone()));
            oldest
                .and_then(|day| price_age::days_between(day, date(&row.to)))
                .is_some_and(|days| days > price_age::APART)
        });
        self.dropped
            .retain(|(_, _, _, source), _| used_sources.contains(source));
        self.sources = sources;
    }

    /// Leaves out sources that no row names.
    pub(crate) fn drop_unused_sources(&mut self) {
        self.drop_idle_changes();
        let mut used_sources: BTreeSet<&str> = BTreeSet::new();
        used_sources.extend(self.places.values().map(|row| row.source.as_str()));
        used_sources.extend(self.accelerators.values().map(|row| row.source.as_str()));
        used_sources.extend(self.machines.values().map(|row| row.source.as_str()));
        used_sources.extend(self.confidential.values().map(|row| row.source.as_str()));
        used_sources.extend(self.extras.values().map(|cells| cells[5].as_str()));
        used_sources.extend(
            self.burstable
                .values()
                .map(|(_, source, _)| source.as_str()),
        );
        used_sources.extend(self.certifications.values().map(|row| row.source.as_str()));
        used_sources.extend(self.egress.values().map(|row| row.source.as_str()));
        used_sources.extend(self.throughput.values().map(|(_, source)| source.as_str()));
        used_sources.extend(self.clouds.values().map(|row| row.source.as_str()));
        used_sources.extend(
            self.interruptions
                .values()
                .map(|(_, source)| source.as_str()),
        );
        used_sources.extend(self.round_trips.values().map(|(_, source)| source.as_str()));
        used_sources.extend(self.services.values().map(|row| row.source.as_str()));
        used_sources.extend(
            self.discounts
                .values()
                .chain(self.quotas.values())
                .map(|(_, source, _)| source.as_str()),
        );
        used_sources.extend(self.retirements.values().map(|row| row.source.as_str()));
        used_sources.extend(
            self.changes
                .iter()
                .flat_map(|((_, _, from), row)| [from.as_str(), row.to.as_str()]),
        );
        let prices = self.prices.values().flat_map(BTreeMap::values);
        used_sources.extend(
            prices
                .flat_map(|row| [&row.on_demand, &row.spot])
                .flatten()
                .map(|(_, source)| source.as_str()),
        );
        let unused: Vec<String> = self
            .sources
            .keys()
            .filter(|id| !used_sources.contains(id.as_str()))
            .cloned()
            .collect();
        for id in unused {
            self.sources.remove(&id);
        }
    }

    /// The canonical name of an accelerator, if the table has it.
    pub fn accelerator_name(&self, name: &str) -> Option<&str> {
        if let Some((known, _)) = self.accelerators.get_key_value(name) {
            return Some(known);
        }
        let same_name = |other: &str| other.eq_ignore_ascii_case(name);
        let canonical_row = self.accelerators.iter().find(|(known, row)| {
            same_name(known) || row.aliases.iter().any(|alias| same_name(alias))
        });
        canonical_row.map(|(known, _)| known.as_str())
    }
}
