//! What stages read on this machine, found before anything starts: datasets, files, variables,
//! secrets.

use super::contents;
use super::settings::Settings;
use crate::execution::provider::{Content, Item};
use crate::model::ArtifactRef;
use crate::plan::{Plan, PlannedStage};
use crate::util::environment;
use crate::util::secret::{self, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// Where each dataset that is read lies.
pub(super) fn find_datasets(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
    warnings: &mut Vec<String>,
) -> BTreeMap<String, Content> {
    let sources = settings.sources();
    let mut found_datasets = BTreeMap::new();
    for name in settings
        .data
        .keys()
        .filter(|name| !plan.datasets.contains_key(*name))
    {
        let names: Vec<&str> = plan.datasets.keys().map(String::as_str).collect();
        let known_names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        problems.push(format!(
            "--data {name}=…: the plan has no dataset `{name}`; its datasets: {known_names}"
        ));
    }
    let datasets_read: BTreeSet<&str> = plan
        .stages
        .iter()
        .flat_map(|stage| &stage.reads)
        .filter_map(dataset_name)
        .collect();
    for (name, planned) in plan
        .datasets
        .iter()
        .filter(|(name, _)| datasets_read.contains(name.as_str()))
    {
        let tried_path = sources.dataset(name, planned.path.as_deref());
        if tried_path.is_empty() {
            let missing_dataset = format!(
                "dataset `{name}` lies at {}, and has no path on this machine",
                planned.at
            );
            if settings.stand_ins {
                warnings.push(format!(
                    "{missing_dataset}: an empty file stands in for it (--stand-ins)"
                ));
                found_datasets.insert(name.clone(), Content::Empty);
            } else {
                problems.push(format!(
                    "{missing_dataset}: give a copy of it with --data {name}=PATH; in a rehearsal (--provider sim or local), \
                     --stand-ins puts empty files in place of such datasets"
                ));
            }
            continue;
        }
        match tried_path.iter().find(|path| path.exists()) {
            Some(path) => {
                found_datasets.insert(name.clone(), Content::Local(path.clone()));
            }
            None => problems.push(format!(
                "dataset `{name}` is not there: looked at {}; --data {name}=PATH gives another place",
                shown_paths(&tried_path)
            )),
        }
    }
    found_datasets
}

fn dataset_name(read: &ArtifactRef) -> Option<&str> {
    match read {
        ArtifactRef::Dataset(name) => Some(name),
        ArtifactRef::Output { .. } => None,
    }
}

/// The files of a stage.
pub(super) fn find_files(
    stage: &PlannedStage,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> Vec<Item> {
    let (sources, mut items) = (settings.sources(), Vec::new());
    for name in &stage.files {
        let path = Path::new(name);
        let inside = contents::is_inside(path);
        let is_named = path
            .components()
            .any(|part| matches!(part, Component::Normal(_)));
        if !inside || !is_named {
            problems.push(format!(
                "stage.{}: file `{name}` must be a relative path without `..`",
                stage.name
            ));
            continue;
        }
        let tried_path = sources.path(name);
        match tried_path.iter().find(|path| path.exists()) {
            Some(path) => items.push(Item {
                name: name.clone(),
                content: Content::Local(path.clone()),
            }),
            None => problems.push(format!(
                "stage.{}: file `{name}` is not there: looked at {}",
                stage.name,
                shown_paths(&tried_path)
            )),
        }
    }
    items
}

/// The plain variables of each stage; those that the plan only refers to are looked up.
pub(super) fn find_variables(
    plan: &Plan,
    problems: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found_variables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for stage in &plan.stages {
        for (name, text) in &stage.env {
            let variable_value = match text.strip_prefix("env:") {
                None => text.clone(),
                Some(variable) => match environment::text_named_by_a_job(variable) {
                    Ok(value) => value,
                    Err(std::env::VarError::NotPresent) => {
                        problems.push(format!(
                            "stage.{}: variable {name}: environment variable {variable} is not set",
                            stage.name
                        ));
                        continue;
                    }
                    Err(std::env::VarError::NotUnicode(_)) => {
                        problems.push(format!(
                            "stage.{}: variable {name}: environment variable {variable} is not UTF-8",
                            stage.name
                        ));
                        continue;
                    }
                },
            };
            found_variables
                .entry(stage.name.clone())
                .or_default()
                .insert(name.clone(), variable_value);
        }
    }
    found_variables
}

/// Looks up what the plan only refers to, before anything starts.
pub(super) fn find_secrets(
    plan: &Plan,
    settings: &Settings,
    problems: &mut Vec<String>,
) -> BTreeMap<String, BTreeMap<String, Secret>> {
    let folder = settings
        .source
        .as_ref()
        .map_or(settings.plan_folder.clone(), |source| {
            settings.here.join(source)
        });
    let mut found_secrets: BTreeMap<String, BTreeMap<String, Secret>> = BTreeMap::new();
    for stage in &plan.stages {
        for (name, reference) in &stage.secrets {
            match secret::resolve(reference, &folder) {
                Ok(value) => {
                    found_secrets
                        .entry(stage.name.clone())
                        .or_default()
                        .insert(name.clone(), value);
                }
                Err(why) => problems.push(format!("stage.{}: secret {name}: {why}", stage.name)),
            }
        }
    }
    found_secrets
}

fn shown_paths(paths: &[PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(" and ")
}
