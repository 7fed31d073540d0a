//! What a catalog has that cannot be meant, or does not say: rows to look at before planning on it.
//!
//! The loader refuses what it cannot read; this is about figures that can be read. Suspicious are
//! prices that are far off their peers; the importers leave the same out. Gaps are what is unknown,
//! which satisfies no rule and no need.

mod finding;
mod gaps;
mod not_offered;
mod price_dates;
mod suspicious_prices;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Kind};

use crate::catalog::Catalog;

/// Returns all findings, the suspicious ones first, then by name.
pub fn findings(catalog: &Catalog) -> Vec<Finding> {
    let mut found = Vec::new();
    suspicious_prices::check(catalog, &mut found);
    gaps::check(catalog, &mut found);
    price_dates::old_sources(catalog, &mut found);
    price_dates::lapsed_sources(catalog, &mut found);
    price_dates::years_apart(catalog, &mut found);
    not_offered::retirements(catalog, &mut found);
    not_offered::dropped(catalog, &mut found);
    found.sort();
    found
}
