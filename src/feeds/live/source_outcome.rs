//! What became of sources, and what an update did.

use super::super::ImportReport;
use super::{ChangedPrices, KeptRows};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// The end of one source, or of one part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// The catalog has new figures of the source.
    Updated,
    /// The source has nothing that the catalog did not have.
    Unchanged,
    /// The source was not asked: why.
    Skipped(String),
    /// The rows that the catalog had stay: why.
    Failed(String),
}

/// What became of one source, or one part of it.
#[derive(Clone, Debug)]
pub struct SourceOutcome {
    /// The name of the source, as in [`super::SOURCES`].
    pub source: &'static str,
    /// The cloud of the figures; empty: of several.
    pub cloud: String,
    /// A region of the cloud; empty: all of them.
    pub part: String,
    /// How the source ended.
    pub status: SourceStatus,
    /// The day of the figures.
    pub day: Option<Date>,
    /// Rows that were taken and left out.
    pub report: ImportReport,
    /// How prices changed.
    pub changes: ChangedPrices,
    /// What the catalog has of it, if it failed.
    pub kept: Option<KeptRows>,
}

/// What an update did.
#[derive(Clone, Debug, Default)]
pub struct UpdateOutcome {
    /// What became of each source, or part of one.
    pub outcomes: Vec<SourceOutcome>,
    /// Files of the catalog whose text is new or changed.
    pub changed: Vec<String>,
    /// Whether the folder was made from the shipped catalog, because it was not there.
    pub created: bool,
}

/// How many prices rose and fell, over all sources.
pub fn total(outcomes: &[SourceOutcome]) -> ChangedPrices {
    outcomes
        .iter()
        .fold(ChangedPrices::default(), |sum, outcome| {
            sum.plus(&outcome.changes)
        })
}

/// Parts of a source that failed or were skipped for the same reason, together: for people.
pub fn grouped(outcomes: &[SourceOutcome]) -> BTreeMap<(&str, &str), Vec<&SourceOutcome>> {
    let mut groups: BTreeMap<(&str, &str), Vec<&SourceOutcome>> = BTreeMap::new();
    for outcome in outcomes {
        if let SourceStatus::Failed(why) | SourceStatus::Skipped(why) = &outcome.status {
            groups
                .entry((outcome.source, why))
                .or_default()
                .push(outcome);
        }
    }
    groups
}
