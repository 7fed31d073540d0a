//! The source that an import puts into the catalog: its id, its day and what it is.

use super::figure_day;
use super::{ImportOptions, ImportReport};
use crate::catalog::CatalogError;
use crate::catalog::catalog_toml::{FULL_LIST, SourceEntry};
use crate::catalog::draft::Draft;

/// Puts a source into the draft and returns its id, which is made of `name` and the day of the
/// figures.
pub(crate) fn add_source(
    draft: &mut Draft,
    options: &ImportOptions,
    report: &mut ImportReport,
    name: &str,
    cloud: Option<&str>,
    about: &str,
) -> Result<String, CatalogError> {
    let date = figure_day::day_of_figures(options, cloud, report)?;
    let id = format!("{name}-{date}");
    let about_source = options.about.clone().unwrap_or_else(|| about.to_owned());
    let url = options.url.clone().unwrap_or_default();
    let list_word = if options.full {
        FULL_LIST.to_owned()
    } else {
        String::new()
    };
    let source_row = SourceEntry {
        date: date.to_string(),
        about: about_source,
        url,
        list: list_word,
        ..SourceEntry::default()
    };
    draft.sources.insert(id.clone(), source_row);
    Ok(id)
}
