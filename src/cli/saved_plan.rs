//! A plan compared with a saved one.

use super::Failure;
use crate::execution::apply::contents::Wanted;
use crate::plan::{Contents, Plan, file as plan_file};
use crate::util::file;
use std::collections::BTreeSet;
use std::path::Path;

/// A plan on its way to being compared with a saved one: what this machine does not have is taken
/// from there.
pub(super) fn with_unread_contents(plan: Plan, saved: &Path) -> Result<Plan, Failure> {
    let Ok(saved) = plan_file::read(saved) else {
        return Ok(plan);
    };
    let wanted_contents = Wanted::of_plan(&plan);
    let mut contents = plan.contents.clone();
    for (name, digest) in saved
        .contents
        .datasets
        .iter()
        .filter(|(name, _)| wanted_contents.datasets.contains_key(*name))
    {
        contents
            .datasets
            .entry(name.clone())
            .or_insert_with(|| digest.clone());
    }
    for (name, digest) in saved
        .contents
        .files
        .iter()
        .filter(|(name, _)| wanted_contents.files.contains(*name))
    {
        contents
            .files
            .entry(name.clone())
            .or_insert_with(|| digest.clone());
    }
    plan_file::with_contents(plan, contents).map_err(Failure::error)
}

/// What differs from a saved plan, as far as it can be read.
pub(super) fn difference(path: &Path, plan: &Plan) -> String {
    let name = file::shown(path);
    match plan_file::read(path) {
        Err(error) => format!("{name} differs from the plan of these inputs: {error}"),
        Ok(saved) => {
            let input = |name: &str, old: &str, new: &str| {
                (old != new).then(|| format!("\n  {name} changed"))
            };
            let changed_inputs: String = [
                input("the job", &saved.inputs.job, &plan.inputs.job),
                input("the policy", &saved.inputs.policy, &plan.inputs.policy),
                input("the catalog", &saved.inputs.catalog, &plan.inputs.catalog),
                input("sky itself", &saved.sky_version, &plan.sky_version),
            ]
            .into_iter()
            .flatten()
            .chain(changed_contents(&saved.contents, &plan.contents))
            .collect();
            let (old, new) = (saved.totals.cost_micro_usd, plan.totals.cost_micro_usd);
            format!(
                "{name} differs from the plan of these inputs:{changed_inputs}\n  total {old} -> {new}"
            )
        }
    }
}

/// Which datasets and files have other content, a line each.
fn changed_contents(saved: &Contents, contents_now: &Contents) -> Vec<String> {
    let kinds = [
        ("dataset", &saved.datasets, &contents_now.datasets),
        ("file", &saved.files, &contents_now.files),
    ];
    let mut changed_lines = Vec::new();
    for (kind, saved, now) in kinds {
        let names: BTreeSet<&String> = saved.keys().chain(now.keys()).collect();
        let changed_names = names
            .into_iter()
            .filter(|name| saved.get(*name) != now.get(*name));
        changed_lines.extend(
            changed_names.map(|name| format!("\n  the content of {kind} `{name}` changed")),
        );
    }
    changed_lines
}
