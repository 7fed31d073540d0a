//! What it costs and how long it takes to move data between places.
//!
//! Prices are list prices with marginal tiers over the volume of one copy. Free allowances are
//! per account and month, so no single plan can count on them: they are not applied.

use crate::model::units::{div_half_even, saturate};
use crate::model::{Bandwidth, Bytes, DataRate, Money};

/// Throughput where a catalog says nothing: an assumption, not a measurement.
pub const ASSUMED_BANDWIDTH: Bandwidth = Bandwidth(1_000_000_000);

/// Egress prices and throughput between the places of one catalog, by place index.
///
/// Rules are resolved once, when the catalog is loaded: a question is two array reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Number of places.
    pub(crate) places: u32,
    /// For `from * places + to`: an index into `tariffs` plus one; 0: unknown.
    pub(crate) tariff_of: Vec<u16>,
    pub(crate) tariffs: Vec<Tariff>,
    /// For `from * places + to`: an index into `speeds` plus one; 0: [`ASSUMED_BANDWIDTH`].
    pub(crate) speed_of: Vec<u16>,
    pub(crate) speeds: Vec<Speed>,
}

/// The price list of one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// By rising `above`; the first is above 0.
    pub tiers: Vec<Tier>,
    /// Index into the catalog's sources.
    pub source: u16,
}

/// A marginal tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Where it starts, in bytes of one copy.
    pub above: Bytes,
    pub rate: DataRate,
}

/// Throughput of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    pub bandwidth: Bandwidth,
    /// Index into the catalog's sources.
    pub source: u16,
}

/// What one copy costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Egress {
    pub cost: Money,
    /// The price of the last gigabyte.
    pub last_rate: DataRate,
}

impl Tariff {
    /// What one copy of `bytes` costs: every tier at its own rate, rounded once.
    pub fn price(&self, bytes: Bytes) -> Egress {
        let mut nano_bytes: i128 = 0;
        let mut last_rate = self.tiers.first().map(|tier| tier.rate).unwrap_or_default();
        for (index, tier) in self.tiers.iter().enumerate() {
            if bytes.0 <= tier.above.0 {
                break;
            }
            let end = self.tiers.get(index + 1).map_or(bytes.0, |next| bytes.0.min(next.above.0));
            nano_bytes += i128::from(end - tier.above.0) * i128::from(tier.rate.0);
            last_rate = tier.rate;
        }
        // Nano-USD per 10⁹ bytes, to micro-USD.
        Egress { cost: Money(saturate(div_half_even(nano_bytes, 1_000_000_000_000))), last_rate }
    }
}

impl Network {
    fn pair(&self, from: u32, to: u32) -> Option<usize> {
        (from < self.places && to < self.places).then(|| from as usize * self.places as usize + to as usize)
    }

    /// The price list between two places. `None`: unknown, or the same place.
    pub fn tariff(&self, from: u32, to: u32) -> Option<&Tariff> {
        let index = *self.tariff_of.get(self.pair(from, to)?)?;
        self.tariffs.get(usize::from(index.checked_sub(1)?))
    }

    /// The price of moving `bytes` from one place to another; free inside a place. `None`: the
    /// catalog does not know it, and no plan may use that way.
    pub fn egress(&self, from: u32, to: u32, bytes: Bytes) -> Option<Egress> {
        if from == to {
            return Some(Egress { cost: Money(0), last_rate: DataRate(0) });
        }
        self.tariff(from, to).map(|tariff| tariff.price(bytes))
    }

    /// The measured (or stated) throughput of a way, with its source; `None`: not in the catalog.
    pub fn speed(&self, from: u32, to: u32) -> Option<Speed> {
        let index = *self.speed_of.get(self.pair(from, to)?)?;
        self.speeds.get(usize::from(index.checked_sub(1)?)).copied()
    }

    /// Measured or assumed throughput between two places; boundless inside one.
    pub fn bandwidth(&self, from: u32, to: u32) -> Bandwidth {
        if from == to {
            return Bandwidth(u64::MAX);
        }
        self.speed(from, to).map_or(ASSUMED_BANDWIDTH, |speed| speed.bandwidth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GB: u64 = 1_000_000_000;

    fn aws() -> Tariff {
        let tier = |gb: u64, nano: i64| Tier { above: Bytes(gb * GB), rate: DataRate(nano) };
        let tiers =
            vec![tier(0, 90_000_000), tier(10_240, 85_000_000), tier(51_200, 70_000_000), tier(153_600, 50_000_000)];
        Tariff { tiers, source: 0 }
    }

    #[test]
    fn tiers_are_marginal() {
        assert_eq!(aws().price(Bytes(10_240 * GB)).cost, Money(921_600_000));
        assert_eq!(aws().price(Bytes(10_241 * GB)).cost, Money(921_685_000));
        assert_eq!(aws().price(Bytes(10_241 * GB)).last_rate, DataRate(85_000_000));
        assert_eq!(aws().price(Bytes(0)).cost, Money(0));
        assert!(aws().price(Bytes(u64::MAX)).cost.0 > 0);
    }

    proptest! {
        #[test]
        fn cost_never_falls_as_volume_grows(bytes in 0..=u64::MAX, more in 0..=u64::MAX) {
            let (small, large) = (bytes.min(more), bytes.max(more));
            prop_assert!(aws().price(Bytes(small)).cost <= aws().price(Bytes(large)).cost);
        }
    }
}
