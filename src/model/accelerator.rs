//! Accelerators as the field names them: `A100-80GB:8`, `tpu-v3-8`.

use crate::model::units::UnitError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Some number of one accelerator: `V100:4`. Counts are in thousandths, because some clouds
/// rent out a sixth of a card.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AcceleratorNeed {
    /// Canonical name.
    pub name: String,
    /// How many, in thousandths of a card.
    pub thousandths: u32,
}

impl AcceleratorNeed {
    /// Reads `NAME` (one of it) or `NAME:COUNT`.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let (name, count) = text.trim().split_once(':').unwrap_or((text.trim(), "1"));
        if name.is_empty() || name.chars().any(char::is_whitespace) {
            return Err(UnitError(format!(
                "`{text}` is not an accelerator; write it like `A100-80GB:8`"
            )));
        }
        let thousandths = crate::model::units::scaled(count, 1000)
            .ok()
            .and_then(|count| u32::try_from(count).ok())
            .filter(|count| *count > 0)
            .ok_or_else(|| {
                UnitError(format!(
                    "`{text}` has no usable count; write it like `{name}:8`"
                ))
            })?;
        Ok(Self {
            name: name.to_owned(),
            thousandths,
        })
    }
}

/// Thousandths as a count: `4`, `0.5`.
pub fn count_text(thousandths: u32) -> String {
    let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl fmt::Display for AcceleratorNeed {
    /// A single card is its bare name, as in `tpu-v3-8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.thousandths == 1000 {
            f.pad(&self.name)
        } else {
            f.pad(&format!("{}:{}", self.name, count_text(self.thousandths)))
        }
    }
}

impl TryFrom<String> for AcceleratorNeed {
    type Error = UnitError;
    fn try_from(text: String) -> Result<Self, UnitError> {
        Self::parse(&text)
    }
}

impl From<AcceleratorNeed> for String {
    fn from(need: AcceleratorNeed) -> String {
        need.to_string()
    }
}
