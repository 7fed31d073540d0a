//! What clouds offer: places, machines, prices, the network between them; dated and sourced.
//!
//! Text files are the truth (`catalog/README.md` has their format); the shipped ones are
//! compiled into the binary.

pub mod age;
mod burstable;
mod certifications;
pub mod check;
pub mod diff;
pub mod draft;
mod edit;
pub mod error;
mod extras;
pub mod files;
pub mod join;
pub mod load;
pub mod lock;
pub mod network;
mod offers;
pub mod overlay;
pub mod query;
mod rules;
pub mod search;
mod services;
pub mod source;
pub(crate) mod table;
mod terms;
pub mod words;
mod write;

pub use error::CatalogError;
pub use extras::MachineExtras;

use crate::model::{Bytes, DataRate, Gigabyte, Machine, Millis, Offer, Pattern, Place, PlaceName, Quota};
use std::collections::{BTreeMap, BTreeSet};

/// A loaded catalog. Its vectors are sorted by name, so row order in the files cannot matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// By name. `local:here`, the machine that sky runs on, is always one of them; it has no offers.
    pub places: Vec<Place>,
    /// By cloud, then by instance type.
    pub machines: Vec<Machine>,
    /// By place, machine, purchase.
    pub offers: Vec<Offer>,
    /// Those that ended before the day of the newest price, in the same order: nobody may take them.
    pub lapsed: Vec<Offer>,
    /// Those of machine types that their cloud has retired by then, in the same order.
    pub retired: Vec<Offer>,
    /// When clouds retire machine types, by index of the machine.
    pub retirements: BTreeMap<u32, Vec<age::Retirement>>,
    /// How prices of machine types changed, by index of the machine.
    pub price_changes: BTreeMap<u32, Vec<age::Change>>,
    /// Rows of price lists that are not offered, as the imports counted them.
    pub dropped: Vec<age::Dropped>,
    pub network: network::Network,
    /// By canonical name.
    pub accelerators: BTreeMap<String, Accelerator>,
    /// Where prices are from; by id.
    pub sources: Vec<Source>,
    /// How clouds bill and boot, by cloud; a cloud that is not there bills by the millisecond,
    /// boots in no time and stores for nothing.
    pub terms: BTreeMap<String, Terms>,
    /// What comes with a machine and is billed beside it, by place; at others nothing is known to.
    pub extras: BTreeMap<PlaceName, extras::MachineExtras>,
    /// Share of spot machines interrupted in a month, in parts per million, by index of place
    /// and machine.
    pub interruptions: BTreeMap<(u32, u32), u32>,
    /// Measured round trips, by indexes of two places.
    pub round_trips: BTreeMap<(u32, u32), Millis>,
    /// What providers rent out at most to one account: by cloud, place, or pattern of places.
    pub quotas: BTreeMap<Pattern, Quota>,
    /// Certification schemes that it has a row about, in lower case, whatever their status.
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
    pub id: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// What it is.
    pub about: String,
    /// Where it can be looked up; may be empty.
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
    /// Of one card, or of a whole TPU slice; 0: unknown.
    pub memory: Bytes,
    /// How cards of one machine, or chips of one slice, are linked; empty: unknown.
    pub interconnect: String,
    /// Chips of a TPU slice, and how they lie; empty: no slice, or unknown.
    pub topology: String,
    /// What it runs beside what every GPU runs; empty: not said.
    pub frameworks: Vec<String>,
}

impl Catalog {
    /// The index of a place.
    pub fn place_id(&self, name: &PlaceName) -> Option<u32> {
        let index = self.places.binary_search_by(|place| place.name.cmp(name)).ok()?;
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
        self.sources.get(usize::from(offer.source)).map_or("", |source| &source.valid_until)
    }

    /// The first retirement of an offer's machine type at its place, if one is known.
    pub fn retires(&self, offer: &Offer) -> Option<&age::Retirement> {
        let retirements = self.retirements.get(&offer.machine)?;
        let here = |retirement: &&age::Retirement| {
            let place = || self.place(offer).name.to_string();
            retirement.places.is_empty() || retirement.places.iter().any(|pattern| pattern.matches(&place()))
        };
        retirements.iter().filter(here).min_by_key(|retirement| &retirement.day)
    }

    /// Whether an accelerator of this canonical name is what a need or a quota names: itself, by any
    /// of its names, or a kind that it is of. `H100` is any H100, `H100-SXM` only that board.
    pub fn is_accelerator(&self, canonical: &str, wanted: &str) -> bool {
        let Some(wanted) = self.accelerator_name(wanted) else { return false };
        canonical == wanted
            || self.accelerators.get(canonical).is_some_and(|row| row.kinds.iter().any(|kind| kind == wanted))
    }

    /// The canonical name of an accelerator, whatever alias or case it is given by.
    pub fn accelerator_name(&self, name: &str) -> Option<&str> {
        if let Some((canonical, _)) = self.accelerators.get_key_value(name) {
            return Some(canonical);
        }
        let same = |other: &str| other.eq_ignore_ascii_case(name);
        let known = self
            .accelerators
            .iter()
            .find(|(canonical, row)| same(canonical) || row.aliases.iter().any(|alias| same(alias)));
        known.map(|(canonical, _)| canonical.as_str())
    }
}

#[cfg(test)]
mod broken_tests;
#[cfg(test)]
mod egress_tests;
#[cfg(test)]
mod shipped_tests;
#[cfg(test)]
mod tests;
