//! Names in a job that the catalog does not have.

use super::known_names::KnownNames;
use super::nearest_name::{listed, nearest};
use super::unknown_name::{InputFile, UnknownName};
use crate::model::{AcceleratorNeed, Job, Needs, Pattern, Stage, Work};
use std::collections::{BTreeMap, BTreeSet};

/// Adds every name of the job that matches nothing in the catalog.
pub(super) fn job_names(
    job: &Job,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    data_places(job, known_names, unknown_names);
    let without_machine = known_names.without_machine(job);
    for (name, stage) in &job.stages {
        // One known alternative is enough: a job may be planned on small catalogs too.
        let alternatives: Vec<&Needs> = match stage.needs.any_of.is_empty() {
            true => vec![&stage.needs],
            false => stage.needs.any_of.iter().collect(),
        };
        match unknown_accelerator(name, &alternatives, known_names) {
            Some(error) => unknown_names.push(error),
            None => accelerator_names(name, stage, known_names, unknown_names),
        }
        unknown_names.extend(unknown_service(name, &alternatives, known_names));
        place_names(
            name,
            &stage.needs,
            &without_machine,
            known_names,
            unknown_names,
        );
    }
}

fn unknown_error(key: String, message: String, hint: Option<String>) -> UnknownName {
    UnknownName::error(InputFile::Job, key, message, hint)
}

/// Adds the places of datasets, and of what was made already, that the catalog does not have.
fn data_places(job: &Job, known_names: &KnownNames<'_>, unknown_names: &mut Vec<UnknownName>) {
    let catalog = known_names.catalog;
    for (name, dataset) in &job.datasets {
        if catalog.place_id(&dataset.at).is_none() {
            let place = dataset.at.to_string();
            unknown_names.push(unknown_error(
                format!("datasets.{name}.at"),
                format!("the catalog has no place `{place}`"),
                known_names.nearest_place(&place),
            ));
        }
    }
    for (artifact, made) in &job.made {
        if catalog.place_id(&made.at).is_none() {
            let message = format!(
                "`{artifact}` was made at {}, a place that the catalog does not have",
                made.at
            );
            let hint = "plan with the catalog of the first plan".to_owned();
            unknown_names.push(unknown_error(String::new(), message, Some(hint)));
        }
    }
}

/// Returns the first accelerator of a stage if every alternative asks for unknown ones alone.
fn unknown_accelerator(
    stage: &str,
    alternatives: &[&Needs],
    known_names: &KnownNames<'_>,
) -> Option<UnknownName> {
    let is_unknown =
        |need: &AcceleratorNeed| known_names.catalog.accelerator_name(&need.name).is_none();
    let none_known = |needs: &&Needs| {
        !needs.accelerators.is_empty() && needs.accelerators.iter().all(is_unknown)
    };
    let first_accelerator = alternatives
        .iter()
        .find_map(|needs| needs.accelerators.first())
        .filter(|_| alternatives.iter().all(none_known))?;
    Some(unknown_error(
        format!("stages.{stage}.needs.accelerators"),
        format!(
            "the catalog has no accelerator `{}`",
            first_accelerator.name
        ),
        known_names.nearest_accelerator(&first_accelerator.name),
    ))
}

/// Returns the first service of a stage if no alternative can be met without an unknown one.
fn unknown_service(
    stage: &str,
    alternatives: &[&Needs],
    known_names: &KnownNames<'_>,
) -> Option<UnknownName> {
    // A set without a service may be met by machines.
    let is_served = |needs: &&Needs| {
        let service = needs.service.as_ref();
        service.is_none_or(|need| known_names.services.contains(need.name.as_str()))
    };
    let first_service = alternatives
        .iter()
        .find_map(|needs| needs.service.as_ref())
        .filter(|_| !alternatives.iter().any(is_served))?;
    Some(unknown_error(
        format!("stages.{stage}.needs.service"),
        format!("the catalog has no service `{}`", first_service.name),
        service_hint(&first_service.name, known_names),
    ))
}

fn service_hint(name: &str, known_names: &KnownNames<'_>) -> Option<String> {
    let service_list = known_names
        .services
        .iter()
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    Some(match service_list.is_empty() {
        true => "this catalog has no services; `sky catalog register` brings some".to_owned(),
        false => nearest(name, known_names.services.iter().copied())
            .unwrap_or_else(|| format!("it has {service_list}")),
    })
}

/// The needs of a stage, and its alternatives, each with the key of the table that it is in.
fn needs_sets<'n>(stage: &str, needs: &'n Needs) -> Vec<(String, &'n Needs)> {
    let table = if needs.ordered { "ordered" } else { "any_of" };
    let whole_needs = std::iter::once((format!("stages.{stage}.needs"), needs));
    let alternatives = needs.any_of.iter().enumerate();
    let alternatives =
        alternatives.map(|(index, set)| (format!("stages.{stage}.needs.{table}.{index}"), set));
    whole_needs.chain(alternatives).collect()
}

/// Accelerators that a stage names as one of several, in its needs and in its durations.
fn accelerator_names(
    name: &str,
    stage: &Stage,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    let mut unknown_accelerators: BTreeMap<&str, String> = BTreeMap::new();
    if let Work::DurationBy(times) = &stage.work {
        for need in times.keys() {
            unknown_accelerators.insert(&need.name, format!("stages.{name}.duration"));
        }
    }
    for (key, needs) in needs_sets(name, &stage.needs) {
        for need in &needs.accelerators {
            unknown_accelerators.insert(&need.name, format!("{key}.accelerators"));
        }
    }
    unknown_accelerators
        .retain(|accelerator, _| known_names.catalog.accelerator_name(accelerator).is_none());
    for (accelerator, key) in unknown_accelerators {
        let message = format!("stage {name}: the catalog has no accelerator `{accelerator}`");
        unknown_names.push(UnknownName::warning(
            InputFile::Job,
            key,
            message,
            known_names.nearest_accelerator(accelerator),
        ));
    }
}

/// Places, instance types, services and countries that a stage names.
fn place_names(
    name: &str,
    needs: &Needs,
    without_machine: &BTreeSet<&Pattern>,
    known_names: &KnownNames<'_>,
    unknown_names: &mut Vec<UnknownName>,
) {
    // What is common to several alternatives is in each of them, and is said once.
    let mut names_said: BTreeSet<String> = BTreeSet::new();
    let mut say_once = |key: String, message: String, hint: Option<String>| {
        if names_said.insert(message.clone()) {
            unknown_names.push(UnknownName::warning(InputFile::Job, key, message, hint));
        }
    };
    for (key, needs) in needs_sets(name, needs) {
        for pattern in needs
            .places
            .iter()
            .filter(|pattern| !known_names.is_place(pattern))
        {
            let message =
                format!("stage {name}: places `{pattern}` matches nothing in the catalog");
            say_once(
                format!("{key}.places.{pattern}"),
                message,
                known_names.nearest_place(&pattern.0),
            );
        }
        for pattern in needs
            .instance_types
            .iter()
            .filter(|pattern| without_machine.contains(pattern))
        {
            let message =
                format!("stage {name}: instance_types `{pattern}` matches nothing in the catalog");
            say_once(
                format!("{key}.instance_types.{pattern}"),
                message,
                known_names.nearest_machine(&pattern.0),
            );
        }
        if let Some(latency) = needs
            .latency
            .as_ref()
            .filter(|latency| !known_names.countries.contains(latency.to.as_str()))
        {
            let message = format!(
                "stage {name}: the catalog has no place in `{}`, which latency is to",
                latency.to
            );
            let hint = listed("has places in", &known_names.countries);
            say_once(format!("{key}.latency"), message, hint);
        }
        let unserved = needs
            .service
            .as_ref()
            .filter(|need| !known_names.services.contains(need.name.as_str()));
        if let Some(need) = unserved.filter(|_| key.ends_with(|last: char| last.is_ascii_digit())) {
            let message = format!("stage {name}: the catalog has no service `{}`", need.name);
            say_once(
                format!("{key}.service"),
                message,
                service_hint(&need.name, known_names),
            );
        }
    }
}
