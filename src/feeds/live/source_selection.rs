//! What an update asks for: clouds, sources and regions.

use crate::catalog::CatalogError;
use crate::model::Pattern;
use std::collections::BTreeSet;

/// What an update asks for; empty: everything.
#[derive(Clone, Debug, Default)]
pub struct SourceSelection {
    /// Names of clouds.
    pub clouds: Vec<String>,
    /// Names of sources, as in [`super::SOURCES`].
    pub sources: Vec<String>,
    /// Patterns of regions, `us-*`, or of places, `aws:us-east-1`.
    pub regions: Vec<Pattern>,
}

/// Whether prices of a place are asked for.
pub(super) fn asked_for(regions: &[Pattern], cloud: &str, region: &str) -> bool {
    let matches = |pattern: &Pattern| match pattern.0.contains(':') {
        true => pattern.matches(&format!("{cloud}:{region}")),
        false => pattern.matches(region),
    };
    regions.is_empty() || regions.iter().any(matches)
}

/// Patterns of regions must match a place: one that does not is a slip, and nothing would be
/// fetched.
pub(super) fn check_regions(
    wanted_sources: &SourceSelection,
    places: &BTreeSet<String>,
) -> Result<(), CatalogError> {
    let of_clouds: Vec<(&str, &str)> = places
        .iter()
        .filter_map(|place| place.split_once(':'))
        .filter(|(cloud, _)| {
            wanted_sources.clouds.is_empty()
                || wanted_sources.clouds.iter().any(|wanted| wanted == cloud)
        })
        .collect();
    for pattern in &wanted_sources.regions {
        let one_pattern = std::slice::from_ref(pattern);
        if of_clouds
            .iter()
            .any(|(cloud, region)| asked_for(one_pattern, cloud, region))
        {
            continue;
        }
        let text = pattern.0.as_str();
        let name = |(cloud, region): &(&str, &str)| match text.contains(':') {
            true => format!("{cloud}:{region}"),
            false => (*region).to_owned(),
        };
        // Of `us-*` that matches nothing, the letters before the star are compared.
        let letters = text.trim_end_matches('*');
        let distance = |known: &str| {
            let start = if text.ends_with('*') {
                known.get(..letters.len()).unwrap_or(known)
            } else {
                known
            };
            strsim::damerau_levenshtein(letters, start)
        };
        let mut near_names: Vec<(usize, String)> = of_clouds
            .iter()
            .map(name)
            .map(|name| (distance(&name), name))
            .collect();
        near_names.sort();
        near_names.dedup();
        near_names.retain(|(distance, _)| *distance <= 3 && *distance < letters.len().max(2));
        let names: Vec<String> = near_names
            .into_iter()
            .take(3)
            .map(|(_, name)| format!("`{name}`"))
            .collect();
        let hint = match names.as_slice() {
            [] => "write a region such as us-east-1, a pattern such as `us-*`, or a place such as aws:us-east-1; \
                   `sky catalog show` has the clouds"
                .to_owned(),
            names => format!("did you mean {}?", names.join(" or ")),
        };
        let of_clouds_words = match wanted_sources.clouds.as_slice() {
            [] => "the catalog".to_owned(),
            clouds => clouds.join(", "),
        };
        return Err(CatalogError::file(
            "--region",
            format!("no place of {of_clouds_words} matches `{text}`"),
            hint,
        ));
    }
    Ok(())
}
