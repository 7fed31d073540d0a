//! How often spot machines are interrupted: AWS's spot advisor feed.
//!
//! The feed has a band per region, operating system and instance type: the share of machines
//! that were interrupted in the month before. A band is carried as its upper edge, so that a plan
//! does not look better than the feed says.

use super::import_source::add_source;
use super::{ImportOptions, ImportReport, foreign_csv};
use crate::catalog::CatalogError;
use crate::catalog::draft::Draft;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The share of the open band, `>20%`, in percent. An assumption: the feed has no edge for it.
const OPEN_BAND_PERCENT: i64 = 30;

/// Parts per million in a percent.
const PER_PERCENT: i64 = 10_000;

#[derive(Deserialize)]
struct Feed {
    ranges: Vec<Range>,
    /// What the feed says, by region, then by operating system, then by instance type.
    spot_advisor: BTreeMap<String, BTreeMap<String, BTreeMap<String, Advice>>>,
}

/// A band.
#[derive(Deserialize)]
struct Range {
    index: u32,
    /// `<5%`, `5-10%`, `>20%`.
    label: String,
}

#[derive(Deserialize)]
struct Advice {
    /// Index of the band.
    r: u32,
}

/// The upper edge of a band in percent, from its label; `None`: it is none that we know.
fn upper_edge(label: &str) -> Option<i64> {
    let label = label.trim().trim_end_matches('%');
    if let Some(edge) = label.strip_prefix('<') {
        return edge.parse().ok();
    }
    if label.starts_with('>') {
        return Some(OPEN_BAND_PERCENT);
    }
    label.split_once('-')?.1.parse().ok()
}

/// Reads the rows of Linux machines that the catalog has a spot price for.
pub(super) fn import(
    path: &Path,
    options: &ImportOptions,
    draft: &mut Draft,
    report: &mut ImportReport,
) -> Result<(), CatalogError> {
    let cloud = options.cloud.clone().unwrap_or_else(|| "aws".to_owned());
    let about_source = "AWS spot advisor: share of machines interrupted in the month before, the upper edge of its band";
    let id = add_source(
        draft,
        options,
        report,
        "spot-advisor",
        Some(&cloud),
        about_source,
    )?;
    let shown_path = path.display().to_string();
    let text = crate::util::file::read_text_within(path, crate::catalog::files::MAX_FILE_BYTES)
        .map_err(|error| foreign_csv::unreadable(path, &error))?;
    let feed: Feed = serde_json::from_str(&text).map_err(|error| CatalogError {
        line: CatalogError::position(error.line()),
        ..CatalogError::file(
            &shown_path,
            format!("this is not a spot advisor feed: {error}"),
            "",
        )
    })?;
    let edges: BTreeMap<u32, i64> = feed
        .ranges
        .iter()
        .filter_map(|range| Some((range.index, upper_edge(&range.label)?)))
        .collect();
    let date = draft.date_of(&id).to_owned();
    for (region, systems) in &feed.spot_advisor {
        let Some(rows) = systems.get("Linux") else {
            continue;
        };
        let prices = draft.prices.get(&(cloud.clone(), region.clone()));
        for (machine, advice) in rows {
            if prices
                .and_then(|prices| prices.get(machine))
                .is_none_or(|row| row.spot.is_none())
            {
                report.leave(format!("{cloud}: no spot price for the machine there"));
                continue;
            }
            let Some(edge) = edges.get(&advice.r) else {
                report.leave_of(
                    format!("{cloud}: a band that is not known"),
                    &advice.r.to_string(),
                );
                continue;
            };
            let rate_key = (cloud.clone(), machine.clone(), region.clone());
            if draft
                .interruptions
                .get(&rate_key)
                .is_some_and(|(_, source)| draft.date_of(source) > date.as_str())
            {
                report.leave(format!("{cloud}: older than what is there"));
                continue;
            }
            draft
                .interruptions
                .insert(rate_key, (edge * PER_PERCENT, id.clone()));
            report.take(format!("{cloud}: interruption rates"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::upper_edge;

    #[test]
    fn bands_have_upper_edges() {
        let edges = ["<5%", "5-10%", "10-15%", "15-20%", ">20%", "often", ""].map(upper_edge);
        assert_eq!(
            edges,
            [Some(5), Some(10), Some(15), Some(20), Some(30), None, None]
        );
    }
}
