//! The quantities, and what is calculated with them.

use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// Milliseconds in one hour.
pub const MS_PER_HOUR: i128 = 3_600_000;

/// `numerator / denominator` rounded to the nearest integer, ties to even.
///
/// `denominator` must be positive.
pub fn div_half_even(numerator: i128, denominator: i128) -> i128 {
    debug_assert!(denominator > 0);
    // Short division is several times as fast, and nearly all figures allow it.
    if let (Ok(numerator), Ok(denominator)) = (i64::try_from(numerator), i64::try_from(denominator))
    {
        let (quotient, rest) = (
            numerator.div_euclid(denominator),
            numerator.rem_euclid(denominator),
        );
        let round_up = match rest.cmp(&(denominator - rest)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => quotient & 1,
        };
        return i128::from(quotient) + i128::from(round_up);
    }
    let quotient = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// Money in micro-USD (10⁻⁶ US dollars).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Money(pub i64);

/// A price per hour in nano-USD (10⁻⁹ US dollars), fine enough for every published price.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rate(pub i64);

/// A price per gigabyte (10⁹ bytes) of data moved, in nano-USD.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct DataRate(pub i64);

/// A number of bytes. `GB` is 10⁹ bytes, `GiB` is 2³⁰.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A span of time, or a point on a plan's own clock, in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub u64);

/// Throughput in bits per second; `Gbps` is 10⁹ bit/s.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bandwidth(pub u64);

impl Rate {
    /// What `nodes` machines cost for `time`: one cost line, rounded once.
    pub fn cost(self, nodes: u32, time: Millis) -> Money {
        let nano_ms = i128::from(self.0) * i128::from(nodes) * i128::from(time.0);
        Money(saturate(div_half_even(nano_ms, MS_PER_HOUR * 1000)))
    }
}

impl DataRate {
    /// What moving `bytes` costs at this rate, rounded up.
    pub fn cost(self, bytes: Bytes) -> Money {
        // Nano-USD per 10⁹ bytes, to micro-USD.
        let exact_cost = i128::from(self.0) * i128::from(bytes.0);
        Money(saturate((exact_cost + 999_999_999_999) / 1_000_000_000_000))
    }
}

impl Bandwidth {
    /// How long `bytes` take at this throughput, to the nearest millisecond.
    pub fn time(self, bytes: Bytes) -> Millis {
        let bits_ms = i128::from(bytes.0) * 8 * 1000;
        let time = div_half_even(bits_ms, i128::from(self.0.max(1)));
        Millis(saturate_unsigned(time))
    }
}

/// Returns how many there are as a signed number. A collection has at most `isize::MAX` entries, so
/// that its count always fits.
pub fn signed_count(count: usize) -> i64 {
    i64::try_from(count).expect("a collection has at most isize::MAX entries")
}

/// Clamps to the range of `i64`; a job that reaches it is refused when it is read.
pub fn saturate(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Clamps to the range of `u64`: what is negative becomes zero, and what is out of range is more than
/// every limit that is compared with it.
pub fn saturate_unsigned(value: i128) -> u64 {
    u64::try_from(value.max(0)).unwrap_or(u64::MAX)
}

impl Bytes {
    /// Returns the number of bytes as a signed number, for calculations that also count backwards; a
    /// size that is too large for it as the largest that is not.
    #[inline]
    pub fn signed(self) -> i64 {
        saturate(i128::from(self.0))
    }
}

impl Millis {
    /// Returns the milliseconds as a signed number, for calculations that also count backwards;
    /// a time that is too long for it as the longest that is not.
    #[inline]
    pub const fn signed(self) -> i64 {
        if self.0 > i64::MAX as u64 {
            i64::MAX
        } else {
            self.0 as i64
        }
    }

    /// Returns a time of so many milliseconds; none is shorter than zero.
    #[inline]
    pub const fn from_signed(milliseconds: i64) -> Self {
        Self(if milliseconds < 0 {
            0
        } else {
            milliseconds as u64
        })
    }
}

macro_rules! sums {
    ($($unit:ident),*) => {$(
        impl Add for $unit {
            type Output = $unit;
            fn add(self, other: $unit) -> $unit {
                $unit(self.0.saturating_add(other.0))
            }
        }
        impl AddAssign for $unit {
            fn add_assign(&mut self, other: $unit) {
                *self = *self + other;
            }
        }
        impl Sub for $unit {
            type Output = $unit;
            fn sub(self, other: $unit) -> $unit {
                $unit(self.0.saturating_sub(other.0))
            }
        }
        impl Sum for $unit {
            fn sum<I: Iterator<Item = $unit>>(units: I) -> $unit {
                units.fold($unit::default(), Add::add)
            }
        }
    )*};
}
sums!(Money, Bytes, Millis);
