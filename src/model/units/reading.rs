//! Quantities read from the texts that people and price lists write.

use super::quantity::{Bandwidth, Bytes, DataRate, Millis, Money, Rate, div_half_even};

/// Why a quantity could not be read; the text is a whole sentence part without a full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(pub String);

/// The units of sizes, each with its bytes.
pub(crate) const SIZE_UNITS: [(&str, i128); 12] = [
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

/// The units of times, each with its milliseconds.
pub(crate) const TIME_UNITS: [(&str, i128); 6] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("min", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// The units of speeds, each with its bits per second.
pub(crate) const SPEED_UNITS: [(&str, i128); 4] = [
    ("kbit/s", 1_000),
    ("Mbit/s", 1_000_000),
    ("Gbit/s", 1_000_000_000),
    ("Tbit/s", 1_000_000_000_000),
];

/// Reads a plain decimal such as `12`, `0.0875` or `1_000.5` as `digits / 10^scale`.
pub fn decimal(text: &str) -> Result<(i128, u32), UnitError> {
    let bad = || UnitError(format!("`{text}` is not a number"));
    let lower_case = text.trim().to_ascii_lowercase();
    let body = lower_case.strip_prefix('-').unwrap_or(&lower_case);
    if matches!(body.trim_start_matches('+'), "nan" | "inf" | "infinity") {
        return Err(UnitError(format!("`{text}` is not a finite number")));
    }
    if lower_case.starts_with('-') {
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
    let scaled_digits = digits
        .checked_mul(per_unit)
        .map(|value| div_half_even(value, 10_i128.pow(scale)));
    scaled_digits
        .and_then(|value| i64::try_from(value).ok())
        .ok_or_else(|| UnitError(format!("`{text}` is out of range")))
}

/// Splits `"1.5 GiB"` into `("1.5", "GiB")`.
pub(crate) fn number_and_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let number_end = text
        .char_indices()
        .find(|(at, c)| {
            let exponent = (*c == 'e' || *c == 'E')
                && text[at + 1..].starts_with(|n: char| n.is_ascii_digit() || n == '-' || n == '+')
                && text[..*at].ends_with(|n: char| n.is_ascii_digit());
            let is_sign =
                (*c == '-' || *c == '+') && (*at == 0 || text[..*at].ends_with(['e', 'E']));
            !(c.is_ascii_digit() || *c == '.' || *c == '_' || exponent || is_sign)
        })
        .map_or(text.len(), |(at, _)| at);
    (&text[..number_end], text[number_end..].trim())
}

fn with_unit(
    text: &str,
    value_noun: &str,
    example: &str,
    units: &[(&str, i128)],
) -> Result<i64, UnitError> {
    let (number, unit) = number_and_unit(text);
    if number.is_empty() {
        decimal(text)?;
    }
    decimal(number)?;
    let known_unit = units.iter().find(|(name, _)| *name == unit);
    let Some((_, per_unit)) = known_unit else {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        let found_unit = if unit.is_empty() {
            "has no unit".to_owned()
        } else {
            format!("has the unknown unit `{unit}`")
        };
        return Err(UnitError(format!(
            "`{text}` {found_unit}; a {value_noun} is written like `{example}` (units: {})",
            names.join(", ")
        )));
    };
    scaled(number, *per_unit)
}

impl Bytes {
    /// Reads `"1 GB"`, `"32 GiB"`, `"0.1 TB"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        with_unit(text, "size", "1.5 GB", &SIZE_UNITS).map(|value| Bytes(value.unsigned_abs()))
    }
}

impl Millis {
    /// Reads `"33 m"`, `"8.4 h"`, `"2 h 30 m"`, `"90 s"`, `"1 d"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let mut time_parts: Vec<String> = Vec::new();
        let mut digits_again = false;
        for character in text.trim().chars() {
            let is_digit = character.is_ascii_digit() || character == '.';
            if time_parts.is_empty() || (is_digit && digits_again) {
                time_parts.push(String::new());
            }
            digits_again = character.is_ascii_alphabetic() && character != 'e' && character != 'E'
                || (digits_again && !is_digit);
            if let Some(part) = time_parts.last_mut() {
                part.push(character);
            }
        }
        if time_parts.is_empty() {
            time_parts.push(String::new());
        }
        let mut total_time: i64 = 0;
        for part in &time_parts {
            let part_time = with_unit(part.trim(), "time", "2 h 30 m", &TIME_UNITS)?;
            total_time = total_time
                .checked_add(part_time)
                .ok_or_else(|| UnitError(format!("`{text}` is out of range")))?;
        }
        Ok(Millis(total_time.unsigned_abs()))
    }
}

impl Money {
    /// Reads `"$60"`, `"$0.25"`, `"60 USD"`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let trimmed = text.trim();
        let plain_number = trimmed
            .strip_prefix('$')
            .or_else(|| trimmed.strip_suffix("USD"));
        match plain_number {
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
        with_unit(text, "speed", "200 Mbit/s", &SPEED_UNITS)
            .map(|value| Bandwidth(value.unsigned_abs()))
    }

    /// Reads a bare decimal of 10⁹ bits per second.
    pub fn parse_gbps(text: &str) -> Result<Self, UnitError> {
        scaled(text, 1_000_000_000).map(|value| Bandwidth(value.unsigned_abs()))
    }
}
