//! From files to a plan: what `sky plan` and `sky apply` of a job do before they show it.

use super::held_state::HeldState;
use super::inputs::{self, InputArgs, Inputs};
use super::invalid_argument::InvalidArgument;
use super::planning_stopped::PlanningStopped;
use super::solve_effort::solve_effort;
use super::waiting::{spinner, waiting};
use super::{Failure, Terminal};
use crate::catalog::Catalog;
use crate::cli::working_folder::working_folder;
use crate::execution::apply::contents::{self as apply_contents, Sources, Wanted};
use crate::execution::provider;
use crate::model::{Job, Pattern, Policy};
use crate::plan::{Contents, Plan, file as plan_file};
use crate::planning::solve::Effort;
use crate::planning::{self, COMPARED_STAGES, NoPlan, Settings};
use crate::render::plan_text;
use crate::util::file;
use indicatif::ProgressBar;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How hard to try.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SolvingArgs {
    /// Also compare a large job with the best plan in one cloud
    #[arg(long)]
    pub compare: bool,
    /// Stop without a proof after this many branch-and-bound nodes
    #[arg(long, value_name = "N", default_value_t = Effort::default().nodes)]
    pub max_nodes: u32,
    /// Stop without a proof after this many seconds; the plan may then differ from run to run
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub time_limit: Option<f64>,
}

fn parse_seconds(text: &str) -> Result<f64, InvalidArgument> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| InvalidArgument::new("not a number of seconds"))?;
    if seconds.is_finite() && seconds > 0.0 {
        Ok(seconds)
    } else {
        Err(InvalidArgument::new("must be more than 0"))
    }
}

/// What to plan, from what, and how.
pub(super) struct PlanRequest<'a> {
    pub inputs: &'a InputArgs,
    pub solving: &'a SolvingArgs,
    pub mps: Option<&'a Path>,
    /// The state to go on from; none: the whole job is planned.
    pub from: Option<&'a HeldState>,
    /// Where datasets and files are; none: their content is not named.
    pub sources: Option<&'a Sources>,
    pub clouds: Clouds,
}

/// The clouds that stages may be planned at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clouds {
    All,
    /// Only those that this sky has a provider for.
    WithProvider,
}

/// Where the datasets and files of a job are.
pub(super) fn sources(
    job: &Path,
    source: Option<&Path>,
    data: &[(String, PathBuf)],
) -> Result<Sources, Failure> {
    let working_dir = working_folder()?;
    let folder = working_dir.join(job.parent().unwrap_or(Path::new("")));
    Ok(Sources {
        here: working_dir,
        folder,
        source: source.map(Path::to_owned),
        data: data.iter().cloned().collect(),
    })
}

/// The digests of the content that a job reads on this machine.
fn contents_here(
    job: &Job,
    sources: Option<&Sources>,
    terminal: &Terminal,
) -> Result<Contents, Failure> {
    let Some(sources) = sources else {
        return Ok(Contents::default());
    };
    if let Some(unknown) = sources
        .data
        .keys()
        .find(|name| !job.datasets.contains_key(*name))
    {
        let names: Vec<&str> = job.datasets.keys().map(String::as_str).collect();
        let known_names = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Err(Failure::error(format!(
            "--data {unknown}=…: the job has no dataset `{unknown}`; its datasets: {known_names}"
        )));
    }
    let progress_line = spinner("reading datasets and files".to_owned(), terminal);
    let (contents, problems) = apply_contents::read(&Wanted::of_job(job), sources);
    progress_line.inspect(ProgressBar::finish_and_clear);
    problems.iter().for_each(|problem| terminal.warn(problem));
    Ok(contents)
}

/// Reads the inputs and plans.
pub(super) fn compute(
    request: &PlanRequest<'_>,
    terminal: &Terminal,
) -> Result<(Inputs, Plan), PlanningStopped> {
    let inputs_read = inputs::read_with_files(request.inputs)
        .map_err(|faults| inputs::failure(&faults, terminal))?;
    inputs::warn(&inputs_read.warnings, terminal);
    let catalog = request.inputs.load_catalog(terminal)?;
    let (job, policy) = (&inputs_read.job.value, &inputs_read.policy.value);
    let solving = request.solving;
    let effort = solve_effort(solving.max_nodes, solving.time_limit);
    let stop = |reason: NoPlan| {
        PlanningStopped::no_plan(
            &reason,
            &inputs_read,
            (&catalog, request.from.is_some()),
            &effort,
            terminal,
        )
    };
    if let Some(path) = request.mps {
        let program = planning::program(job, policy, &catalog, &effort).map_err(stop)?;
        file::write_result(path, program.as_bytes()).map_err(Failure::error)?;
    }
    let contents = contents_here(job, request.sources, terminal)?;
    let facts = request
        .from
        .map(|held| held.facts(job, &contents))
        .transpose()?;
    let settings = Settings {
        effort: effort.clone(),
        compare: solving.compare || job.stages.len() <= COMPARED_STAGES,
    };
    let progress_line = waiting("planning", job.stages.len(), catalog.offers.len(), terminal);
    let plan_under = |policy: &Policy| match &facts {
        Some(facts) => planning::plan_remaining(job, policy, &catalog, &settings, facts),
        None => planning::plan(job, policy, &catalog, &settings),
    };
    let planned = match request.clouds {
        Clouds::All => plan_under(policy),
        Clouds::WithProvider => {
            let denied_clouds = missing_clouds(policy, &catalog);
            plan_text::planned_without(&denied_clouds)
                .iter()
                .for_each(|said| terminal.note(&format!("Note: {said}.")));
            plan_under(&policy_without(policy, denied_clouds))
        }
    };
    let planned = match planned {
        Err(_) if request.clouds == Clouds::WithProvider => match plan_under(policy) {
            Ok(plan) => Err(only_without_provider(&plan).into()),
            Err(reason) => Err(stop(reason)),
        },
        planned => planned.map_err(stop),
    };
    progress_line.inspect(ProgressBar::finish_and_clear);
    let plan = plan_file::with_contents(planned?, contents).map_err(Failure::error)?;
    Ok((inputs_read, plan))
}

/// The clouds of a catalog that the policy permits and this sky has no provider for.
fn missing_clouds(policy: &Policy, catalog: &Catalog) -> BTreeSet<String> {
    let clouds = catalog.places.iter().map(|place| &place.name.cloud);
    clouds
        .filter(|cloud| policy.clouds.permits(cloud) && !provider::is_built_in(cloud))
        .cloned()
        .collect()
}

/// The policy, which also denies these clouds.
fn policy_without(policy: &Policy, clouds: BTreeSet<String>) -> Policy {
    let mut policy = policy.clone();
    policy.clouds.deny.extend(clouds.into_iter().map(Pattern));
    policy
}

/// A job that only clouds without a provider can run.
fn only_without_provider(plan: &Plan) -> Failure {
    let missing_words = plan_text::without_provider(&missing_providers(plan)).unwrap_or_default();
    Failure::error(format!(
        "no plan is possible at the clouds that this sky can use: {missing_words}"
    ))
    .hint("to rehearse the plan that takes any cloud, add --provider local")
}

/// The stages of a plan at clouds that this sky has no provider for, by cloud.
pub(super) fn missing_providers(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut stages_by_cloud: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for stage in plan
        .stages
        .iter()
        .filter(|stage| !provider::is_built_in(&stage.place.cloud))
    {
        stages_by_cloud
            .entry(stage.place.cloud.clone())
            .or_default()
            .insert(stage.name.clone());
    }
    stages_by_cloud
}
