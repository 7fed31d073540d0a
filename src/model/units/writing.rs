//! Quantities as texts for people.

use super::quantity::{
    Bandwidth, Bytes, DataRate, Millis, Money, Rate, div_half_even, saturate_unsigned,
};
use std::fmt;

impl fmt::Display for Money {
    /// Dollars and cents, with thousands separators; amounts under a cent keep four decimals, or
    /// all six: no cost is shown as none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign_mark = if self.0 < 0 { "-" } else { "" };
        let micro = i128::from(self.0).abs();
        if micro > 0 && micro < 100 {
            return f.pad(&format!("{sign_mark}$0.{micro:06}"));
        }
        if micro > 0 && micro < 5_000 {
            return f.pad(&format!("{sign_mark}$0.{:04}", div_half_even(micro, 100)));
        }
        let cents = div_half_even(micro, 10_000);
        f.pad(&format!(
            "{sign_mark}${}.{:02}",
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
    let point_index = text.len() - 9;
    let kept_length = text.trim_end_matches('0').len().max(point_index + 2);
    text[..kept_length].to_owned()
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
        let seconds = saturate_unsigned(div_half_even(i128::from(self.0), 1000));
        let text = if self.0 == 0 {
            "0 s".to_owned()
        } else if self.0 < 1_000 {
            format!("{} ms", self.0)
        } else if self.0 < 60_000 {
            let tenths = div_half_even(i128::from(self.0), 100);
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
        } else if seconds < 3600 {
            two_units(seconds / 60, "m", seconds % 60, "s")
        } else {
            let minutes = saturate_unsigned(div_half_even(i128::from(self.0), 60_000));
            two_units(minutes / 60, "h", minutes % 60, "m")
        };
        f.pad(&text)
    }
}

/// `5 h 43 m`, or `5 h` when nothing is left.
fn two_units(large: u64, unit: &str, small: u64, small_unit: &str) -> String {
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
        let unit_parts = [
            (hours > 0, format!("{hours} h")),
            (minutes > 0, format!("{minutes} m")),
            (rest > 0, format!("{seconds} s")),
        ];
        let shown_parts: Vec<String> = unit_parts
            .into_iter()
            .filter(|(shown, _)| *shown)
            .map(|(_, text)| text)
            .collect();
        if shown_parts.is_empty() {
            "0 s".to_owned()
        } else {
            shown_parts.join(" ")
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
