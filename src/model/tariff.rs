//! Tiered prices of moving data.

use crate::model::units::{div_half_even, saturate, saturate_unsigned};
use crate::model::{Bytes, DataRate, Money};
use serde::{Deserialize, Serialize};

/// How many bytes a GB has that is billed: clouds differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Gigabyte(pub u64);

impl Gigabyte {
    /// 10⁹ bytes.
    pub const DECIMAL: Gigabyte = Gigabyte(1_000_000_000);
    /// 2³⁰ bytes, which is a GiB.
    pub const BINARY: Gigabyte = Gigabyte(1 << 30);

    /// A volume that was read with 10⁹ bytes for a GB, as so many of these.
    pub fn scaled(self, decimal: Bytes) -> Bytes {
        let exact_bytes = i128::from(decimal.0) * i128::from(self.0);
        Bytes(saturate_unsigned(div_half_even(exact_bytes, 1_000_000_000)))
    }

    /// A price of one of these as a price of 10⁹ bytes, rounded up: no volume costs more by it.
    pub fn decimal_rate(self, rate: DataRate) -> DataRate {
        let exact_rate = i128::from(rate.0) * 1_000_000_000;
        DataRate(saturate(
            (exact_rate + i128::from(self.0) - 1) / i128::from(self.0),
        ))
    }
}

impl Default for Gigabyte {
    fn default() -> Self {
        Self::DECIMAL
    }
}

/// Prices per GB by volume. Tiers are marginal: each prices only the bytes between
/// its own threshold and the next one, so the cost never falls as the volume grows.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tariff {
    /// `(from this many bytes on, price)`, ascending; the first threshold is 0.
    tiers: Vec<(u64, i64)>,
    /// The gigabyte that the prices are per.
    gigabyte: Gigabyte,
}

impl Tariff {
    /// No charge.
    pub fn free() -> Self {
        Self::default()
    }

    /// Prices per 10⁹ bytes, from tiers in any order; bytes below the first threshold are free.
    pub fn new(tiers: impl IntoIterator<Item = (Bytes, DataRate)>) -> Self {
        Self::per(Gigabyte::DECIMAL, tiers)
    }

    /// Returns a tariff with one price for any volume.
    pub fn flat(gigabyte: Gigabyte, rate: DataRate) -> Self {
        if rate.0 == 0 {
            Self::free()
        } else {
            Self::per(gigabyte, [(Bytes(0), rate)])
        }
    }

    /// Does what [`Tariff::new`] does, with prices per a GB of so many bytes.
    pub fn per(gigabyte: Gigabyte, tiers: impl IntoIterator<Item = (Bytes, DataRate)>) -> Self {
        let mut tiers: Vec<(u64, i64)> = tiers
            .into_iter()
            .map(|(from, rate)| (from.0, rate.0))
            .collect();
        tiers.sort_unstable();
        Self { tiers, gigabyte }
    }

    /// What the prices are per.
    pub fn gigabyte(&self) -> Gigabyte {
        self.gigabyte
    }

    /// Returns the list as read with other bytes for a GB: its thresholds move too. This one must
    /// be of decimal GB.
    pub fn read_with(&self, gigabyte: Gigabyte) -> Self {
        let tier = |(from, rate): &(u64, i64)| (gigabyte.scaled(Bytes(*from)), DataRate(*rate));
        Self::per(gigabyte, self.tiers.iter().map(tier))
    }

    /// The price of one copy of `bytes`, rounded once.
    pub fn cost(&self, bytes: Bytes) -> Money {
        let mut nano_bytes: i128 = 0;
        for (index, (from, rate)) in self.tiers.iter().enumerate() {
            let tier_end = self
                .tiers
                .get(index + 1)
                .map_or(u64::MAX, |(next, _)| *next)
                .min(bytes.0);
            nano_bytes += i128::from(tier_end.saturating_sub(*from)) * i128::from(*rate);
        }
        Money(saturate(div_half_even(
            nano_bytes,
            i128::from(self.gigabyte.0) * 1000,
        )))
    }

    /// Volumes at which the price changes, ascending.
    pub fn thresholds(&self) -> impl Iterator<Item = u64> {
        self.tiers.iter().map(|(from, _)| *from)
    }

    /// The least price that applies to any byte between two volumes; nothing if no byte is between
    /// them.
    pub fn least_rate(&self, from: Bytes, to: Bytes) -> DataRate {
        let tier_ends = self
            .tiers
            .iter()
            .skip(1)
            .map(|(next, _)| *next)
            .chain([u64::MAX]);
        let first_tier = self.tiers.first().map_or(u64::MAX, |(first, _)| *first);
        let free_first = (from.0 < first_tier).then_some(0);
        let rates = self
            .tiers
            .iter()
            .zip(tier_ends)
            .filter(|((tier, _), end)| *tier < to.0 && *end > from.0);
        DataRate(
            rates
                .map(|((_, rate), _)| *rate)
                .chain(free_first)
                .min()
                .unwrap_or(0),
        )
    }

    /// The greatest price that applies to any byte between two volumes.
    pub fn greatest_rate(&self, from: Bytes, to: Bytes) -> DataRate {
        let inner_tiers = self
            .tiers
            .iter()
            .filter(|(at, _)| from.0 < *at && *at < to.0)
            .map(|(_, rate)| *rate);
        DataRate(inner_tiers.fold(self.rate_at(from), i64::max))
    }

    /// Returns the tariff with the first `free` bytes at no charge; the tiers above still count
    /// them.
    pub fn with_free(&self, free: Bytes) -> Self {
        if free.0 == 0 || self.tiers.is_empty() {
            return self.clone();
        }
        let tier_after_free = (free.0, self.rate_at(free));
        let above = self
            .tiers
            .iter()
            .copied()
            .filter(|(from, _)| *from > free.0);
        Self {
            tiers: [(0, 0), tier_after_free].into_iter().chain(above).collect(),
            gigabyte: self.gigabyte,
        }
    }

    /// The one price of all bytes from `from` up to `to`; none if several tiers price them.
    pub fn flat_between(&self, from: Bytes, to: Bytes) -> Option<DataRate> {
        let rate = self.rate_at(from);
        let inner_tiers = self
            .tiers
            .iter()
            .filter(|(at, _)| from.0 < *at && *at < to.0);
        inner_tiers
            .map(|(_, rate)| DataRate(*rate))
            .all(|other| other.0 == rate)
            .then_some(DataRate(rate))
    }

    /// The price of the byte that comes after so many, per GB.
    fn rate_at(&self, bytes: Bytes) -> i64 {
        let tier = self.tiers.iter().rev().find(|(from, _)| *from <= bytes.0);
        tier.map_or(0, |(_, rate)| *rate)
    }

    /// The price of the last GB of `bytes`.
    pub fn last_rate(&self, bytes: Bytes) -> DataRate {
        let tier = self
            .tiers
            .iter()
            .rev()
            .find(|(from, _)| *from < bytes.0)
            .or(self.tiers.first());
        DataRate(tier.map_or(0, |(_, rate)| *rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws() -> Tariff {
        let usd = |text: &str| DataRate::parse_usd(text).unwrap();
        let gb = |gb: u64| Bytes(gb * 1_000_000_000);
        Tariff::new([
            (gb(0), usd("0.09")),
            (gb(10_240), usd("0.085")),
            (gb(51_200), usd("0.07")),
            (gb(153_600), usd("0.05")),
        ])
    }

    #[test]
    fn a_free_allowance_is_inside_the_tiers() {
        let gb = |gb: u64| Bytes(gb * 1_000_000_000);
        let free = aws().with_free(gb(100));
        assert_eq!(free.cost(gb(100)), Money(0));
        assert_eq!(free.cost(gb(10_240)), Money(912_600_000));
        assert_eq!(free.cost(gb(10_241)), Money(912_685_000));
        assert_eq!(aws().with_free(Bytes(0)), aws());
        // 20,000 GB free: 31,200 GB at $0.085 are left of the second tier.
        assert_eq!(
            aws().with_free(gb(20_000)).cost(gb(51_200)),
            Money(2_652_000_000)
        );
    }

    #[test]
    fn volumes_inside_one_tier_have_one_price() {
        let gb = |gb: u64| Bytes(gb * 1_000_000_000);
        assert_eq!(
            aws().flat_between(gb(0), gb(10_240)),
            Some(DataRate(90_000_000))
        );
        assert_eq!(aws().flat_between(gb(0), gb(10_241)), None);
        assert_eq!(
            aws().flat_between(gb(10_240), gb(51_200)),
            Some(DataRate(85_000_000))
        );
        assert_eq!(
            aws().flat_between(gb(200_000), gb(900_000)),
            Some(DataRate(50_000_000))
        );
        assert_eq!(Tariff::free().flat_between(gb(0), gb(9)), Some(DataRate(0)));
    }

    #[test]
    fn tiers_are_marginal() {
        let gb = |gb: u64| Bytes(gb * 1_000_000_000);
        assert_eq!(aws().cost(gb(10_240)), Money(921_600_000));
        assert_eq!(aws().cost(gb(10_241)), Money(921_685_000));
        assert_eq!(aws().last_rate(gb(10_240)), DataRate(90_000_000));
        assert_eq!(aws().last_rate(gb(10_241)), DataRate(85_000_000));
        assert_eq!(Tariff::free().cost(gb(1)), Money(0));
    }

    /// Amazon's FAQ: 10 TB are 10,995,116,277,760 bytes.
    #[test]
    fn ten_tebibytes_out_of_amazon_cost_921_dollars_60() {
        let binary = aws().read_with(Gigabyte::BINARY);
        assert_eq!(binary.cost(Bytes(10 << 40)), Money(921_600_000));
        assert_eq!(
            binary.cost(Bytes((10 << 40) + (1 << 30))),
            Money(921_685_000)
        );
        assert_eq!(
            aws().cost(Bytes(10 << 40)),
            Money(985_784_884),
            "a decimal GB would cost more"
        );
        assert_eq!(
            binary.with_free(Bytes(100 << 30)).cost(Bytes(10 << 40)),
            Money(912_600_000)
        );
        assert_eq!(
            Gigabyte::BINARY.decimal_rate(DataRate(90_000_000)),
            DataRate(83_819_032)
        );
    }

    #[test]
    fn cost_never_falls_as_volume_grows() {
        let mut last = Money(0);
        for step in 0..4_000_u64 {
            let cost = aws().cost(Bytes(step * 50_000_000_000 + step * 7));
            assert!(cost >= last);
            last = cost;
        }
    }
}
