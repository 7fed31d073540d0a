//! Figures in the file by which a cloud registers: plain decimals with all their digits.

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use toml::Spanned;

/// A figure, and where it is written.
pub(super) type Figure = Spanned<PlainDecimal>;

/// A plain decimal, written as a number or as text, with all its digits.
#[derive(Clone, Debug)]
pub(super) struct PlainDecimal(pub String);

impl PlainDecimal {
    /// Reads a decimal of at most nine digits after the point.
    pub(super) fn read<E: de::Error>(text: &str) -> Result<Self, E> {
        let plain_text = text.trim().trim_start_matches('$');
        match crate::model::units::scaled(plain_text, 1_000_000_000) {
            Ok(_) => Ok(PlainDecimal(plain_text.to_owned())),
            Err(error) => Err(E::custom(format!(
                "{error}; write a plain decimal like 0.25"
            ))),
        }
    }

    /// In units of one part of `per`; `None`: too large.
    pub(super) fn checked(&self, per: i64) -> Option<i64> {
        crate::model::units::scaled(&self.0, i128::from(per)).ok()
    }

    /// In units of one part of `per`. A figure that is too large, which the check of the file
    /// refuses, is the largest that there is: an unknown price must never be nothing.
    pub(super) fn scaled(&self, per: i64) -> i64 {
        self.checked(per).unwrap_or(i64::MAX)
    }
}

impl<'de> Deserialize<'de> for PlainDecimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = PlainDecimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number such as 0.25")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<PlainDecimal, E> {
                PlainDecimal::read(&value.to_string())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<PlainDecimal, E> {
                // The shortest text that reads as the same number: what was written, up to 15
                // digits.
                PlainDecimal::read(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<PlainDecimal, E> {
                PlainDecimal::read(value)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
