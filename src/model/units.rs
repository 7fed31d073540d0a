//! Quantities as integers: money, rates, bytes, times, bandwidths.
//!
//! Invariant: no float takes part in any figure of a plan. A published price such as
//! `0.0875` is read digit by digit, so it loses nothing.
//!
//! Rounding is stated once, in [`div_half_even`]: to the nearest integer, ties to even
//! (IEEE 754 "roundTiesToEven"), and is applied once per cost line.

use serde::{Deserialize, Serialize};
use std::fmt;
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
        let up = match rest.cmp(&(denominator - rest)) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => quotient & 1,
        };
        return i128::from(quotient) + i128::from(up);
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

/// Why a quantity could not be read; the text is a whole sentence part without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

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
        let exact = i128::from(self.0) * i128::from(bytes.0);
        Money(saturate((exact + 999_999_999_999) / 1_000_000_000_000))
    }
}

impl Bandwidth {
    /// How long `bytes` take at this throughput, to the nearest millisecond.
    pub fn time(self, bytes: Bytes) -> Millis {
        let bits_ms = i128::from(bytes.0) * 8 * 1000;
        let time = div_half_even(bits_ms, i128::from(self.0.max(1)));
        Millis(u64::try_from(time).unwrap_or(u64::MAX))
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

/// Reads a plain decimal such as `12`, `0.0875` or `1_000.5` as `digits / 10^scale`.
pub fn decimal(text: &str) -> Result<(i128, u32), UnitError> {
    let bad = || UnitError(format!("`{text}` is not a number"));
    let lower = text.trim().to_ascii_lowercase();
    let body = lower.strip_prefix('-').unwrap_or(&lower);
    if matches!(body.trim_start_matches('+'), "nan" | "inf" | "infinity") {
        return Err(UnitError(format!("`{text}` is not a finite number")));
    }
    if lower.starts_with('-') {
        return Err(UnitError(format!("`{text}` is negative")));
    }
    let (mantissa, exponent) = match body.trim_start_matches('+').split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (body.trim_start_matches('+'), 0),
    };
    let mut digits: i128 = 0;
    let mut scale: i32 = 0;
    let mut seen_point = false;
    let mut seen_digit = false;
    for character in mantissa.chars() {
        match character {
            '0'..='9' => {
                seen_digit = true;
                let digit = i128::from(character as u8 - b'0');
                digits = digits
                    .checked_mul(10)
                    .and_then(|d| d.checked_add(digit))
                    .filter(|d| *d < 10_i128.pow(24))
                    .ok_or_else(|| UnitError(format!("`{text}` has too many digits")))?;
                scale += i32::from(seen_point);
            }
            '.' if !seen_point => seen_point = true,
            '_' if seen_digit => {}
            _ => return Err(bad()),
        }
    }
    if !seen_digit {
        return Err(bad());
    }
    let scale = scale - exponent;
    if !(-30..=30).contains(&scale) {
        return Err(UnitError(format!("`{text}` is out of range")));
    }
    if scale < 0 {
        let factor = 10_i128.pow(scale.unsigned_abs());
        return digits
            .checked_mul(factor)
            .map(|digits| (digits, 0))
            .ok_or_else(|| UnitError(format!("`{text}` is out of range")));
    }
    Ok((digits, scale.unsigned_abs()))
}

/// `text * per_unit`, exact up to one half-even rounding, within `0..=i64::MAX`.
pub fn scaled(text: &str, per_unit: i128) -> Result<i64, UnitError> {
    let (digits, scale) = decimal(text)?;
    let scaled = digits
        .checked_mul(per_unit)
        .map(|value| div_half_even(value, 10_i128.pow(scale)));
    scaled
        .and_then(|value| i64::try_from(value).ok())
        .ok_or_else(|| UnitError(format!("`{text}` is out of range")))
}

/// Splits `"1.5 GiB"` into `("1.5", "GiB")`.
pub(crate) fn number_and_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let exponent = (*c == 'e' || *c == 'E')
                && text[at + 1..].starts_with(|n: char| n.is_ascii_digit() || n == '-' || n == '+')
                && text[..*at].ends_with(|n: char| n.is_ascii_digit());
            let sign = (*c == '-' || *c == '+') && (*at == 0 || text[..*at].ends_with(['e', 'E']));
            !(c.is_ascii_digit() || *c == '.' || *c == '_' || exponent || sign)
        })
        .map_or(text.len(), |(at, _)| at);
    (&text[..end], text[end..].trim())
}

fn with_unit(
    text: &str,
    what: &str,
    example: &str,
    units: &[(&str, i128)],
) -> Result<i64, UnitError> {
    let (number, unit) = number_and_unit(text);
    if number.is_empty() {
        decimal(text)?;
    }
    decimal(number)?;
    let known = units.iter().find(|(name, _)| *name == unit);
    let Some((_, per_unit)) = known else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let found = if unit.is_empty() {
            "has no unit".to_owned()
        } else {
            format!("has the unknown unit `{unit}`")
        };
        return Err(UnitError(format!(
            "`{text}` {found}; a {what} is written like `{example}` (units: {})",
            names.join(", ")
        )));
    };
    scaled(number, *per_unit)
}

impl Bytes {
    /// Returns the number of bytes as a signed number, for calculations that also count backwards; a
    /// size that is too large for it as the largest that is not.
    #[inline]
    pub fn signed(self) -> i64 {
        saturate(i128::from(self.0))
    }

    /// Reads `"1 GB"`, `"32 GiB"`, `"0.1 TB"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        const UNITS: [(&str, i128); 12] = [
            ("B", 1),
            ("kB", 1_000),
            ("KB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000),
            ("PB", 1_000_000_000_000_000),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
            ("PiB", 1 << 50),
        ];
        with_unit(text, "size", "1.5 GB", &UNITS).map(|value| Bytes(value.unsigned_abs()))
    }
}

impl Millis {
    /// Reads `"33 m"`, `"8.4 h"`, `"2 h 30 m"`, `"90 s"`, `"1 d"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        const UNITS: [(&str, i128); 6] = [
            ("ms", 1),
            ("s", 1_000),
            ("m", 60_000),
            ("min", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        let mut parts: Vec<String> = Vec::new();
        let mut digits_again = false;
        for character in text.trim().chars() {
            let number = character.is_ascii_digit() || character == '.';
            if parts.is_empty() || (number && digits_again) {
                parts.push(String::new());
            }
            digits_again = character.is_ascii_alphabetic() && character != 'e' && character != 'E'
                || (digits_again && !number);
            if let Some(part) = parts.last_mut() {
                part.push(character);
            }
        }
        if parts.is_empty() {
            parts.push(String::new());
        }
        let mut total: i64 = 0;
        for part in &parts {
            let part = with_unit(part.trim(), "time", "2 h 30 m", &UNITS)?;
            total = total
                .checked_add(part)
                .ok_or_else(|| UnitError(format!("`{text}` is out of range")))?;
        }
        Ok(Millis(total.unsigned_abs()))
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

impl Money {
    /// Reads `"$60"`, `"$0.25"`, `"60 USD"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let trimmed = text.trim();
        let number = trimmed
            .strip_prefix('$')
            .or_else(|| trimmed.strip_suffix("USD"));
        match number {
            Some(number) => scaled(number.trim(), 1_000_000).map(Money),
            None => {
                match number_and_unit(trimmed).0 {
                    "" => {}
                    number => drop(decimal(number)?),
                }
                Err(UnitError(format!(
                    "`{text}` is not an amount in US dollars; write it like `$60`"
                )))
            }
        }
    }
}

impl Rate {
    /// Reads a bare decimal of US dollars per hour, as price lists print it.
    pub fn parse_usd(text: &str) -> Result<Self, UnitError> {
        scaled(text, 1_000_000_000).map(Rate)
    }
}

impl DataRate {
    /// Reads a bare decimal of US dollars per GB, as price lists print it.
    pub fn parse_usd(text: &str) -> Result<Self, UnitError> {
        scaled(text, 1_000_000_000).map(DataRate)
    }
}

impl Bandwidth {
    /// Reads `"200 Mbit/s"`, `"1 Gbit/s"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        const UNITS: [(&str, i128); 4] = [
            ("kbit/s", 1_000),
            ("Mbit/s", 1_000_000),
            ("Gbit/s", 1_000_000_000),
            ("Tbit/s", 1_000_000_000_000),
        ];
        with_unit(text, "speed", "200 Mbit/s", &UNITS).map(|value| Bandwidth(value.unsigned_abs()))
    }

    /// Reads a bare decimal of 10⁹ bits per second.
    pub fn parse_gbps(text: &str) -> Result<Self, UnitError> {
        scaled(text, 1_000_000_000).map(|value| Bandwidth(value.unsigned_abs()))
    }
}

impl fmt::Display for Money {
    /// Dollars and cents, with thousands separators; amounts under a cent keep four decimals, or
    /// all six: no cost is shown as none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micro = i128::from(self.0).abs();
        if micro > 0 && micro < 100 {
            return f.pad(&format!("{sign}$0.{micro:06}"));
        }
        if micro > 0 && micro < 5_000 {
            return f.pad(&format!("{sign}$0.{:04}", div_half_even(micro, 100)));
        }
        let cents = div_half_even(micro, 10_000);
        f.pad(&format!(
            "{sign}${}.{:02}",
            grouped(cents / 100),
            cents % 100
        ))
    }
}

impl fmt::Display for Rate {
    /// US dollars per hour with all its digits, at least two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("${}", decimal_text(self.0)))
    }
}

impl fmt::Display for DataRate {
    /// US dollars per GB with all its digits, at least two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("${}", decimal_text(self.0)))
    }
}

/// Nano-units as a decimal with at least two places and no trailing zeros after them.
fn decimal_text(nano: i64) -> String {
    let text = format!(
        "{}.{:09}",
        nano / 1_000_000_000,
        nano.unsigned_abs() % 1_000_000_000
    );
    let point = text.len() - 9;
    let kept = text.trim_end_matches('0').len().max(point + 2);
    text[..kept].to_owned()
}

impl fmt::Display for Bytes {
    /// Decimal units, at most two decimals: `1 GB`, `33.6 kB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 5] = [
            ("PB", 1_000_000_000_000_000),
            ("TB", 1_000_000_000_000),
            ("GB", 1_000_000_000),
            ("MB", 1_000_000),
            ("kB", 1_000),
        ];
        let Some((unit, size)) = UNITS.iter().find(|(_, size)| self.0 >= *size) else {
            return f.pad(&format!("{} B", self.0));
        };
        let hundredths = div_half_even(i128::from(self.0) * 100, i128::from(*size));
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        f.pad(&format!(
            "{} {unit}",
            text.trim_end_matches('0').trim_end_matches('.')
        ))
    }
}

impl fmt::Display for Bandwidth {
    /// Decimal units, at most two decimals: `1 Gbit/s`, `81.5 Mbit/s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 4] = [
            ("Tbit/s", 1_000_000_000_000),
            ("Gbit/s", 1_000_000_000),
            ("Mbit/s", 1_000_000),
            ("kbit/s", 1_000),
        ];
        let Some((unit, size)) = UNITS.iter().find(|(_, size)| self.0 >= *size) else {
            return f.pad(&format!("{} bit/s", self.0));
        };
        let hundredths = div_half_even(i128::from(self.0) * 100, i128::from(*size));
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        f.pad(&format!(
            "{} {unit}",
            text.trim_end_matches('0').trim_end_matches('.')
        ))
    }
}

impl fmt::Display for Millis {
    /// Two largest units that matter: `5 h 43 m`, `33 m 7 s`, `12.5 s`, `20 ms`, `0 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = u64::try_from(div_half_even(i128::from(self.0), 1000)).unwrap_or(u64::MAX);
        let text = if self.0 == 0 {
            "0 s".to_owned()
        } else if self.0 < 1_000 {
            format!("{} ms", self.0)
        } else if self.0 < 60_000 {
            let tenths = div_half_even(i128::from(self.0), 100);
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        } else if seconds < 3600 {
            two(seconds / 60, "m", seconds % 60, "s")
        } else {
            let minutes =
                u64::try_from(div_half_even(i128::from(self.0), 60_000)).unwrap_or(u64::MAX);
            two(minutes / 60, "h", minutes % 60, "m")
        };
        f.pad(&text)
    }
}

/// `5 h 43 m`, or `5 h` when nothing is left.
fn two(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {unit}")
    } else {
        format!("{large} {unit} {small} {small_unit}")
    }
}

impl Money {
    /// Every digit of the amount, at least two decimals: `$0.0875`.
    pub fn exact(self) -> String {
        format!(
            "{}${}",
            if self.0 < 0 { "-" } else { "" },
            decimal_text(self.0.saturating_abs().saturating_mul(1000))
        )
    }
}

impl Millis {
    /// Hours, minutes and seconds with every digit: `5 h 43 m 53.652 s`. It can be read back.
    pub fn exact(self) -> String {
        let (hours, minutes, rest) = (self.0 / 3_600_000, self.0 / 60_000 % 60, self.0 % 60_000);
        let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
        let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
        let parts = [
            (hours > 0, format!("{hours} h")),
            (minutes > 0, format!("{minutes} m")),
            (rest > 0, format!("{seconds} s")),
        ];
        let shown: Vec<String> = parts
            .into_iter()
            .filter(|(shown, _)| *shown)
            .map(|(_, text)| text)
            .collect();
        if shown.is_empty() {
            "0 s".to_owned()
        } else {
            shown.join(" ")
        }
    }
}

/// `12345` as `12,345`.
pub fn grouped(value: i128) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_even_rounds_ties_to_even() {
        let cases = [
            (1, 2, 0),
            (3, 2, 2),
            (5, 2, 2),
            (-1, 2, 0),
            (-3, 2, -2),
            (7, 3, 2),
            (8, 3, 3),
        ];
        for (numerator, denominator, expected) in cases {
            assert_eq!(
                div_half_even(numerator, denominator),
                expected,
                "{numerator}/{denominator}"
            );
        }
    }

    #[test]
    fn figures_of_the_bert_job_are_exact() {
        let time = Millis::parse("4.049 h").unwrap();
        assert_eq!(time, Millis(14_576_400));
        assert_eq!(
            Rate::parse_usd("9.52").unwrap().cost(1, time),
            Money(38_546_480)
        );
        assert_eq!(
            Bandwidth::parse_gbps("0.0815")
                .unwrap()
                .time(Bytes::parse("1 GB").unwrap()),
            Millis(98_160)
        );
    }

    #[test]
    fn times_are_signed_where_they_fit() {
        assert_eq!(Millis(5).signed(), 5);
        assert_eq!(Millis(u64::MAX).signed(), i64::MAX);
        assert_eq!(Millis::from_signed(i64::MAX), Millis(i64::MAX as u64));
        assert_eq!(Millis::from_signed(-1), Millis(0));
    }

    #[test]
    fn times_and_sizes_read_as_people_write_them() {
        assert_eq!(Millis::parse("2 h 30 m"), Ok(Millis(9_000_000)));
        assert_eq!(Millis::parse("2h30m"), Ok(Millis(9_000_000)));
        assert_eq!(Millis::parse("1e3 s"), Ok(Millis(1_000_000)));
        assert_eq!(Bytes::parse("32 GiB"), Ok(Bytes(32 << 30)));
        assert_eq!(Money::parse("$0.25"), Ok(Money(250_000)));
        for bad in [
            "",
            "33",
            "33 parsecs",
            "-3 h",
            "nan h",
            "inf s",
            "h",
            "1..2 s",
            "3 h h",
            "1e40 s",
        ] {
            assert!(Millis::parse(bad).is_err(), "{bad}");
        }
        for bad in ["1 gb", "GB", "1", "-1 GB", "1e30 PB"] {
            assert!(Bytes::parse(bad).is_err(), "{bad}");
        }
        for bad in ["60", "€60", "$", "$-4", "$nan", "60 EUR"] {
            assert!(Money::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn display_is_short_and_true() {
        assert_eq!(Money(39_744_652).to_string(), "$39.74");
        assert_eq!(Money(1_234_567_890_000).to_string(), "$1,234,567.89");
        assert_eq!(Money(870).to_string(), "$0.0009");
        assert_eq!(Money(87).to_string(), "$0.000087");
        assert_eq!(Rate(768_000_000).to_string(), "$0.768");
        assert_eq!(Rate(12_240_000_000).to_string(), "$12.24");
        assert_eq!(Rate(8_000_000_000).to_string(), "$8.00");
        assert_eq!(Millis(20_631_576).to_string(), "5 h 44 m");
        assert_eq!(Millis(98_160).to_string(), "1 m 38 s");
        assert_eq!(Bytes(100_000_000).to_string(), "100 MB");
    }
}
