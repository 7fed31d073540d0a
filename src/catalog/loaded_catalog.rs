//! A loaded catalog: its rows as planning uses them, resolved and sorted.

use crate::catalog::network::Network;
use crate::model::units::{div_half_even, saturate};
use crate::model::{
    Bytes, DataRate, Extras, Gigabyte, Machine, Millis, Offer, Pattern, Place, PlaceName, Purchase,
    Quota, Rate,
};
use std::collections::{BTreeMap, BTreeSet};

/// A loaded catalog. Its vectors are sorted by name, so row order in the files cannot matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// All places, by name. `local:here`, the machine that sky runs on, is always one of them; it
    /// has no offers.
    pub places: Vec<Place>,
    /// All machine types, by cloud, then by instance type.
    pub machines: Vec<Machine>,
    /// All offers, by place, machine, purchase.
    pub offers: Vec<Offer>,
    /// Offers that ended before the day of the newest price, in the same order: nobody may take
    /// them.
    pub lapsed: Vec<Offer>,
    /// Offers of machine types that their cloud has retired, in the same order.
    pub retired: Vec<Offer>,
    /// When clouds retire machine types, by index of the machine.
    pub retirements: BTreeMap<u32, Vec<Retirement>>,
    /// How prices of machine types changed, by index of the machine.
    pub price_changes: BTreeMap<u32, Vec<PriceRatio>>,
    /// Rows of price lists that are not offered, as the imports counted them.
    pub dropped: Vec<DroppedRows>,
    /// Egress prices and throughput between the places.
    pub network: Network,
    /// Accelerators, by canonical name.
    pub accelerators: BTreeMap<String, Accelerator>,
    /// Sources of figures, by id.
    pub sources: Vec<Source>,
    /// How clouds bill and boot, by cloud; a cloud that is not there bills by the millisecond,
    /// boots in no time and stores for nothing.
    pub terms: BTreeMap<String, Terms>,
    /// What comes with a machine and is billed beside it, by place; at others nothing is known to.
    pub extras: BTreeMap<PlaceName, MachineExtras>,
    /// Share of spot machines interrupted in a month, in parts per million, by index of place
    /// and machine.
    pub interruptions: BTreeMap<(u32, u32), u32>,
    /// Measured round trips, by indexes of two places.
    pub round_trips: BTreeMap<(u32, u32), Millis>,
    /// What clouds rent out at most to one account: by cloud, place, or pattern of places.
    pub quotas: BTreeMap<Pattern, Quota>,
    /// Certification schemes that the catalog has a row about, in lower case, whatever their
    /// status.
    pub schemes: BTreeSet<String>,
    /// Digest of the canonical text of all files.
    pub digest: String,
    /// Day of the newest price, `YYYY-MM-DD`.
    pub date: String,
}

/// How one cloud bills and boots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Machine time is billed in whole multiples of this; 0: to the millisecond.
    pub increment: Millis,
    /// Least machine time billed.
    pub minimum: Millis,
    /// From asking for a machine until a stage can start on it; billed like the stage itself.
    pub boot: Millis,
    /// Egress to the internet that is free, per account and month.
    pub free_egress: Bytes,
    /// Object storage, per GB and month of 730 hours.
    pub storage: DataRate,
    /// What a GB is that egress and storage are billed by.
    pub gigabyte: Gigabyte,
    /// Index into the catalog's sources; none: the row names no source.
    pub source: Option<u16>,
}

/// A source of figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name that rows use for the source.
    pub id: String,
    /// The day of its figures, `YYYY-MM-DD`.
    pub date: String,
    /// What the source is, for people.
    pub about: String,
    /// Where the source can be looked up; may be empty.
    pub url: String,
    /// The last day that its figures hold, `YYYY-MM-DD`; empty: none is known.
    pub valid_until: String,
}

/// One kind of accelerator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accelerator {
    /// Other names that price lists and people use.
    pub aliases: Vec<String>,
    /// Wider names that a need may use for it: an `H100-SXM` is an `H100`. Canonical names.
    pub kinds: Vec<String>,
    /// Dense rate per card in gigaflop per second, by precision (`fp32`, `fp16`, `bf16`, `fp8`).
    pub gigaflops: BTreeMap<String, u64>,
    /// Memory of one card, or of a whole TPU slice; 0: unknown.
    pub memory: Bytes,
    /// How cards of one machine, or chips of one slice, are linked; empty: unknown.
    pub interconnect: String,
    /// Chips of a TPU slice, and how they lie; empty: no slice, or unknown.
    pub topology: String,
    /// Frameworks that it runs beside those that every GPU runs; empty: not said.
    pub frameworks: Vec<String>,
}

/// When a cloud stops renting out a machine type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Retirement {
    /// The last day of the machine type, `YYYY-MM-DD`.
    pub day: String,
    /// Places where the machine type is retired; empty: everywhere.
    pub places: Vec<Pattern>,
    /// Where the retirement was announced.
    pub evidence: String,
    /// The day of the source that tells of the retirement, `YYYY-MM-DD`.
    pub told_on: String,
}

impl Retirement {
    /// The day from which the retirement is looked at, in a catalog whose newest price is of
    /// `newest_price`: the later one of that day and of the source's. A source of November that
    /// names a day in September tells what has happened, however old the prices are.
    pub fn as_of<'a>(&'a self, newest_price: &'a str) -> &'a str {
        newest_price.max(&self.told_on)
    }

    /// Whether the machine type is retired, in a catalog whose newest price is of `newest_price`.
    pub fn has_happened(&self, newest_price: &str) -> bool {
        self.day.as_str() <= self.as_of(newest_price)
    }
}

/// How the price of a machine type changed between two lists, where both have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PriceRatio {
    /// The source of the older prices, an index into the catalog's sources.
    pub from: u16,
    /// The source of the newer prices, an index into the catalog's sources.
    pub to: u16,
    /// The newer price by the older one, in parts per million.
    pub ratio_ppm: i64,
}

/// Rows of price lists that an import left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DroppedRows {
    /// The cloud whose prices the rows are.
    pub cloud: String,
    /// The instance type of the rows; empty: of several types.
    pub instance_type: String,
    /// Why the rows were left out.
    pub reason: String,
    /// How many rows were left out.
    pub rows: u64,
    /// The list that the rows are not in, or that they are from.
    pub source: String,
}

/// What is rented with every machine at one place: a boot disk and a public address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineExtras {
    /// Size of the boot disk in GiB, without what the stage is planned to write.
    pub boot_disk_gib: u64,
    /// Nano-USD per GiB of disk and month.
    pub disk_per_gib_month: Rate,
    /// Sizes that disks are billed by, ascending; empty: every GiB is.
    pub disk_sizes_gib: Vec<u64>,
    /// Price of a public address with a machine on demand, per hour.
    pub address: Rate,
    /// Price of a public address with a spot machine, per hour.
    pub spot_address: Rate,
    /// Index into the catalog's sources; none: the row names no source.
    pub source: Option<u16>,
    /// The prices are of other places of the cloud: the row names no places.
    pub estimated: bool,
}

/// Hours of the month that disks are priced by.
const HOURS_PER_MONTH: i128 = 730;

const GIB: u64 = 1 << 30;

impl MachineExtras {
    /// The size of the boot disk of a stage that writes so much, in GiB.
    pub fn disk_gib(&self, writes: Bytes) -> u64 {
        self.boot_disk_gib.saturating_add(writes.0.div_ceil(GIB))
    }

    /// Prices per hour of the boot disk and the address of a machine, for a stage that writes so
    /// much.
    pub(crate) fn prices(&self, purchase: Purchase, writes: Bytes) -> Extras {
        let disk_size = self.disk_gib(writes);
        let billed = self
            .disk_sizes_gib
            .iter()
            .find(|billed| **billed >= disk_size)
            .copied()
            .unwrap_or(disk_size);
        let month = i128::from(self.disk_per_gib_month.0) * i128::from(billed);
        Extras {
            disk_nano_usd_per_hour: Rate(saturate(div_half_even(month, HOURS_PER_MONTH))),
            address_nano_usd_per_hour: if purchase == Purchase::Spot {
                self.spot_address
            } else {
                self.address
            },
        }
    }
}

impl Catalog {
    /// The index of a place.
    pub fn place_id(&self, name: &PlaceName) -> Option<u32> {
        let index = self
            .places
            .binary_search_by(|place| place.name.cmp(name))
            .ok()?;
        u32::try_from(index).ok()
    }

    /// The place of an offer.
    pub fn place(&self, offer: &Offer) -> &Place {
        &self.places[offer.place as usize]
    }

    /// The machine of an offer.
    pub fn machine(&self, offer: &Offer) -> &Machine {
        &self.machines[offer.machine as usize]
    }

    /// The last day of an offer; empty: none is known.
    pub fn held_until(&self, offer: &Offer) -> &str {
        self.sources
            .get(usize::from(offer.source))
            .map_or("", |source| &source.valid_until)
    }

    /// The first retirement of an offer's machine type at its place, if one is known. Where a row
    /// names places, those that name none do not speak.
    pub fn retires(&self, offer: &Offer) -> Option<&Retirement> {
        let retirements = self.retirements.get(&offer.machine)?;
        let place = self.place(offer).name.to_string();
        let names_it = |retirement: &&Retirement| {
            let mut places = retirement.places.iter();
            places.any(|pattern| pattern.matches(&place))
        };
        let by_day = |retirement: &&Retirement| retirement.day.clone();
        let earliest_retirement = retirements.iter().filter(names_it).min_by_key(by_day);
        let anywhere = |retirement: &&Retirement| retirement.places.is_empty();
        earliest_retirement.or_else(|| retirements.iter().filter(anywhere).min_by_key(by_day))
    }

    /// Whether an accelerator of this canonical name is what a need or a quota names: itself, by
    /// any of its names, or a kind that it is of. `H100` is any H100, `H100-SXM` only that board.
    pub fn is_accelerator(&self, canonical: &str, wanted_name: &str) -> bool {
        let Some(wanted) = self.accelerator_name(wanted_name) else {
            return false;
        };
        canonical == wanted
            || self
                .accelerators
                .get(canonical)
                .is_some_and(|row| row.kinds.iter().any(|kind| kind == wanted))
    }

    /// The canonical name of an accelerator, whatever alias or case it is given by.
    pub fn accelerator_name(&self, name: &str) -> Option<&str> {
        if let Some((canonical, _)) = self.accelerators.get_key_value(name) {
            return Some(canonical);
        }
        let same_name = |other: &str| other.eq_ignore_ascii_case(name);
        let known_accelerator = self.accelerators.iter().find(|(canonical, row)| {
            same_name(canonical) || row.aliases.iter().any(|alias| same_name(alias))
        });
        known_accelerator.map(|(canonical, _)| canonical.as_str())
    }

    /// What comes with a machine, if it is known: not with services, nor with TPU nodes. A TPU VM
    /// includes a boot disk of 100 GiB
    /// (docs.cloud.google.com/tpu/docs/attach-durable-block-storage, read 2026-11), and Google's
    /// SKUs of external addresses are of standard and of spot VMs: whether a TPU's address is
    /// billed is not known.
    pub fn extras_of(&self, offer: &Offer) -> Option<&MachineExtras> {
        let machine = self.machine(offer);
        let is_tpu = |machine: &Machine| {
            machine
                .accelerator
                .as_ref()
                .is_some_and(|(name, _)| name.starts_with("tpu-"))
        };
        if machine.service.is_some() || is_tpu(machine) {
            return None;
        }
        self.extras.get(&self.place(offer).name)
    }

    /// Prices of what comes with a machine of a stage that writes so much.
    pub fn extras_prices(&self, offer: &Offer, writes: Bytes) -> Extras {
        self.extras_of(offer).map_or(Extras::default(), |extras| {
            extras.prices(offer.purchase, writes)
        })
    }
}
