//! What it costs and how long it takes to transfer data between places.
//!
//! Prices are list prices with marginal tiers. Here they are for one transfer alone, from the first
//! byte of a month on and without free allowances; a plan counts the transfers of a bill together.

use crate::model::{Bandwidth, Bytes, DataRate, Gigabyte, Money, Tariff};
use std::collections::BTreeMap;

/// Throughput where a catalog says nothing: an assumption, not a measurement.
pub const ASSUMED_BANDWIDTH: Bandwidth = Bandwidth(1_000_000_000);

/// In place of an index into the price lists: the price is not known.
const UNKNOWN: u16 = 0;

/// Egress prices and throughput between the places of one catalog, by place index.
///
/// Rules are resolved once, when the catalog is loaded: a question is two array reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Number of places.
    pub(crate) places: u32,
    /// For `from * places + to`: an index into `tariffs` plus one; 0: unknown.
    pub(crate) tariff_of: Vec<u16>,
    /// Price lists, each with its source, an index into the catalog's; the first is free and has
    /// none.
    pub(crate) tariffs: Vec<(Tariff, Option<u16>)>,
    /// For `from * places + to`: an index into `speeds` plus one; 0: [`ASSUMED_BANDWIDTH`].
    pub(crate) speed_of: Vec<u16>,
    /// Throughputs, sorted.
    pub(crate) speeds: Vec<Speed>,
}

/// Throughput from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Bits per second.
    pub bandwidth: Bandwidth,
    /// Index into the catalog's sources.
    pub source: u16,
}

/// What one transfer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    /// The price of the whole transfer.
    pub cost: Money,
    /// The price of the last gigabyte.
    pub last_rate: DataRate,
}

impl Network {
    /// Applies what a GB is where the data comes from, by place, to the price lists, which say GB.
    pub(crate) fn bill_by(&mut self, gigabytes: &[Gigabyte]) {
        let lists = self.tariffs.len();
        let mut read_lists: BTreeMap<(u16, Gigabyte), u16> = BTreeMap::new();
        let rows_of_places = self
            .tariff_of
            .chunks_mut(gigabytes.len().max(1))
            .zip(gigabytes);
        for (row, gigabyte) in
            rows_of_places.filter(|(_, gigabyte)| **gigabyte != Gigabyte::DECIMAL)
        {
            // What is free is free by any GB.
            for index in row
                .iter_mut()
                .filter(|index| **index > 1 && usize::from(**index) <= lists)
            {
                *index = *read_lists.entry((*index, *gigabyte)).or_insert_with(|| {
                    let (tariff, source) = &self.tariffs[usize::from(*index) - 1];
                    let read_list = (tariff.read_with(*gigabyte), *source);
                    self.tariffs.push(read_list);
                    // A price list that has no number is an unknown one, never a free one.
                    u16::try_from(self.tariffs.len()).unwrap_or(UNKNOWN)
                });
            }
        }
    }

    fn pair(&self, from: u32, to: u32) -> Option<usize> {
        (from < self.places && to < self.places)
            .then(|| from as usize * self.places as usize + to as usize)
    }

    /// The price list between two places, and the index of its source, if it has one; free
    /// inside a place. `None`: unknown.
    pub fn priced(&self, from: u32, to: u32) -> Option<(&Tariff, Option<u16>)> {
        let index = if from == to {
            1
        } else {
            *self.tariff_of.get(self.pair(from, to)?)?
        };
        self.tariffs
            .get(usize::from(index.checked_sub(1)?))
            .map(|(tariff, source)| (tariff, *source))
    }

    /// The price list between two places; free inside a place. `None`: unknown.
    pub fn tariff(&self, from: u32, to: u32) -> Option<&Tariff> {
        self.priced(from, to).map(|(tariff, _)| tariff)
    }

    /// The price of moving `bytes` from one place to another; free inside a place. `None`: the
    /// catalog does not know it, and no plan may use that route.
    pub fn egress(&self, from: u32, to: u32, bytes: Bytes) -> Option<Egress> {
        let tariff = self.tariff(from, to)?;
        Some(Egress {
            cost: tariff.cost(bytes),
            last_rate: tariff.last_rate(bytes),
        })
    }

    /// The measured (or stated) throughput from one place to another, with its source; `None`: not
    /// in the catalog.
    pub fn speed(&self, from: u32, to: u32) -> Option<Speed> {
        let index = *self.speed_of.get(self.pair(from, to)?)?;
        self.speeds.get(usize::from(index.checked_sub(1)?)).copied()
    }

    /// Measured or assumed throughput between two places; boundless inside one.
    pub fn bandwidth(&self, from: u32, to: u32) -> Bandwidth {
        if from == to {
            return Bandwidth(u64::MAX);
        }
        self.speed(from, to)
            .map_or(ASSUMED_BANDWIDTH, |speed| speed.bandwidth)
    }
}
