//! Jobs from other formats: their text to our model. What comes out is written by
//! [`write`](crate::spec::write) as a job file that reads back to the same job.

pub mod wfformat;

mod json;
mod lineage;
mod names;

#[cfg(test)]
mod tests;

use crate::model::Job;
use crate::model::units::{UnitError, scaled};
use std::fmt;

/// A job that was read, and what was decided on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The job.
    pub job: Job,
    /// Notes about what the source says otherwise than a job can, and what became of it.
    pub warnings: Vec<String>,
}

/// A mistake in the source, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `workflow.specification.tasks[3].parents[0]`; empty: the whole text.
    pub at: String,
    /// Lower case, no full stop.
    pub message: String,
    /// The way out.
    pub hint: Option<String>,
}

impl Fault {
    fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            at: at.into(),
            message: message.into(),
            hint: None,
        }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.at.is_empty() { "" } else { ": " };
        write!(f, "{}{separator}{}", self.at, self.message)
    }
}

/// A positive decimal factor, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(u64);

impl Factor {
    /// Changes nothing.
    pub const ONE: Factor = Factor(Self::PER_UNIT as u64);
    const PER_UNIT: i128 = 1_000_000;

    /// Reads `10` or `0.25`: from 0.000001 to a million.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let factor = scaled(text, Self::PER_UNIT)?;
        match u64::try_from(factor) {
            Ok(factor) if (1..=1_000_000_000_000).contains(&factor) => Ok(Self(factor)),
            _ => Err(UnitError(format!(
                "`{text}` is not between 0.000001 and 1000000"
            ))),
        }
    }
}
