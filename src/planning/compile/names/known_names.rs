//! The names that a catalog has.

use super::nearest_name::{nearest, nearest_name};
use crate::catalog::Catalog;
use crate::model::{Job, Pattern, Place};
use std::collections::BTreeSet;

/// What a catalog has names for.
pub(super) struct KnownNames<'a> {
    pub catalog: &'a Catalog,
    pub clouds: BTreeSet<&'a str>,
    pub places: BTreeSet<String>,
    /// Operators and their ultimate parents.
    pub operators: BTreeSet<&'a str>,
    pub schemes: BTreeSet<&'a str>,
    pub classes: BTreeSet<&'a str>,
    pub countries: BTreeSet<&'a str>,
    pub parent_countries: BTreeSet<&'a str>,
    pub services: BTreeSet<&'a str>,
}

impl<'a> KnownNames<'a> {
    /// Collects the names of a catalog.
    pub(super) fn of(catalog: &'a Catalog) -> Self {
        let places = &catalog.places;
        let mut operators: BTreeSet<&str> = places
            .iter()
            .flat_map(|place| [place.operator.as_str(), place.parent.as_str()])
            .collect();
        operators.remove("");
        Self {
            catalog,
            clouds: places
                .iter()
                .map(|place| place.name.cloud.as_str())
                .collect(),
            places: places.iter().map(|place| place.name.to_string()).collect(),
            operators,
            schemes: catalog.schemes.iter().map(String::as_str).collect(),
            classes: places.iter().map(Place::partition).collect(),
            countries: places
                .iter()
                .filter_map(|place| place.country.as_deref())
                .collect(),
            parent_countries: places
                .iter()
                .filter_map(|place| place.parent_country.as_deref())
                .collect(),
            services: catalog
                .machines
                .iter()
                .filter_map(|machine| Some(machine.service.as_ref()?.name.as_str()))
                .collect(),
        }
    }

    /// Returns whether a pattern matches a cloud.
    pub(super) fn is_cloud(&self, pattern: &Pattern) -> bool {
        self.clouds.iter().any(|cloud| pattern.matches(cloud))
    }

    /// Returns whether a pattern matches a place.
    pub(super) fn is_place(&self, pattern: &Pattern) -> bool {
        self.places.iter().any(|place| pattern.matches(place))
    }

    /// Returns `did you mean …?` for the nearest place. Cloud and region are compared apart: no
    /// region of another cloud is meant.
    pub(super) fn nearest_place(&self, name: &str) -> Option<String> {
        let (cloud, region) = name.split_once(':')?;
        if !self.is_cloud(&Pattern(cloud.to_owned())) {
            let meant_cloud = nearest_name(cloud, self.clouds.iter().copied())?;
            return Some(format!("did you mean `{meant_cloud}:{region}`?"));
        }
        let cloud_prefix = format!("{cloud}:");
        let regions = self
            .places
            .iter()
            .filter_map(|place| place.strip_prefix(&cloud_prefix));
        Some(format!(
            "did you mean `{cloud}:{}`?",
            nearest_name(region, regions)?
        ))
    }

    /// Returns `did you mean …?` for the nearest cloud.
    pub(super) fn nearest_cloud(&self, name: &str) -> Option<String> {
        nearest(name, self.clouds.iter().copied())
    }

    /// Returns `did you mean …?` for the nearest accelerator.
    pub(super) fn nearest_accelerator(&self, name: &str) -> Option<String> {
        nearest(name, self.catalog.accelerators.keys().map(String::as_str))
    }

    /// Returns `did you mean …?` for the nearest machine type.
    pub(super) fn nearest_machine(&self, name: &str) -> Option<String> {
        nearest(
            name,
            self.catalog
                .machines
                .iter()
                .map(|machine| machine.instance_type.as_str()),
        )
    }

    /// Of the patterns that stages have for instance types those that match none; each is looked
    /// up once, however many stages share it.
    pub(super) fn without_machine<'j>(&self, job: &'j Job) -> BTreeSet<&'j Pattern> {
        let sets = job
            .stages
            .values()
            .flat_map(|stage| std::iter::once(&stage.needs).chain(&stage.needs.any_of));
        let mut patterns: BTreeSet<&Pattern> =
            sets.flat_map(|needs| &needs.instance_types).collect();
        let machines = &self.catalog.machines;
        patterns.retain(|pattern| {
            !machines
                .iter()
                .any(|machine| pattern.matches(&machine.instance_type))
        });
        patterns
    }
}
