//! `sky explain`: why a plan is as it is, or why there is none.

use super::inputs::{self, InputArgs, Inputs};
use super::planning_stopped::PlanningStopped;
use super::solve_effort::solve_effort;
use super::waiting::waiting;
use super::{Exit, Failure, Terminal};
use crate::catalog::Catalog;
use crate::model::canonical;
use crate::plan::{Plan, file as plan_file};
use crate::planning::solve::Effort;
use crate::planning::{self, Settings};
use crate::render::conflict::Files;
use crate::render::explanation::{self, Subject};
use crate::util::variables;
use indicatif::ProgressBar;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Explain a plan: why each stage is where it is, and what each rule costs.
///
/// PLAN is a plan file, explained with the job, policy and catalog that it was made from; or a job
/// file (.toml), which is planned first. If nothing is feasible, the conflicting lines are shown
/// (exit code 3).
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// Plan file, or job file (.toml); `-` reads standard input
    #[arg(default_value = "job.toml", value_name = "PLAN")]
    pub plan: PathBuf,
    /// Explain only this stage, and what each of its needs costs
    #[arg(value_name = "STAGE")]
    pub stage: Option<String>,
    #[command(flatten)]
    pub sources: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// For each question, stop without a proof after this many branch-and-bound nodes
    #[arg(long, value_name = "N", default_value_t = Effort::default().nodes)]
    pub max_nodes: u32,
}

/// What a plan was made from.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SourceArgs {
    /// Job file that the plan was made from [default: job.toml]
    #[arg(long, value_name = "FILE")]
    pub job: Option<PathBuf>,
    /// Policy file, or the name of a policy that comes with sky [default: policy.toml beside the
    /// job, if it exists]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Catalog folder [default: the catalog that sky.lock pins, else the built-in catalog]
    #[arg(long, value_name = "DIR", env = variables::SKY_CATALOG.name)]
    pub catalog: Option<PathBuf>,
    /// For CI: fail unless sky.lock exists and pins the catalog that is used
    #[arg(long)]
    pub locked: bool,
    /// File that describes your own hosts and clusters; their offers join the catalog [default:
    /// hosts.toml, if it exists]
    #[arg(long, value_name = "FILE", env = variables::SKY_HOSTS.name)]
    pub hosts: Option<PathBuf>,
}

impl SourceArgs {
    /// The files and settings, as the verbs that plan take them.
    pub(super) fn inputs(&self) -> InputArgs {
        let job = self
            .job
            .clone()
            .unwrap_or_else(|| PathBuf::from("job.toml"));
        let (policy, catalog, hosts) = (
            self.policy.clone(),
            self.catalog.clone(),
            self.hosts.clone(),
        );
        InputArgs {
            job,
            policy,
            catalog,
            locked: self.locked,
            hosts,
            files_in: None,
        }
    }
}

/// Explains.
pub(super) fn run(args: &ExplainArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let effort = solve_effort(args.max_nodes, None);
    let is_job = inputs::is_job(&args.plan)?;
    let mut sources = args.sources.inputs();
    if is_job {
        if args.sources.job.is_some() {
            return Err(Failure::error(format!(
                "{} is already a job file: --job cannot be used with it",
                args.plan.display()
            )));
        }
        sources.job.clone_from(&args.plan);
    }
    let saved_plan = if is_job {
        None
    } else {
        Some(plan_file::read(&args.plan).map_err(Failure::error)?)
    };
    let (read, catalog) = read(&sources, terminal)?;
    let plan = match saved_plan {
        Some(plan) => plan,
        None => match planned_anew(&read, &catalog, &effort, terminal) {
            Ok(plan) => plan,
            Err(stop) => {
                if args.json {
                    let failure = json!({ "format_version": "1.0", "error": stop.summary, "conflict": stop.conflict });
                    terminal.out(&canonical::to_text(&failure).map_err(Failure::error)?)?;
                }
                return Err(if args.json {
                    stop.failure.told()
                } else {
                    stop.failure
                });
            }
        },
    };
    if !is_job {
        same_inputs(&plan, &read, &catalog, &args.plan)?;
    }
    let named_stages = named_stages_of(&plan, args.stage.as_deref())?;
    let (job, policy) = (&read.job.value, &read.policy.value);
    let progress_line = waiting(
        "explaining",
        plan.stages.len(),
        catalog.offers.len(),
        terminal,
    );
    let inputs = planning::PlannedInputs {
        job,
        policy,
        catalog: &catalog,
    };
    let explained = planning::explain(&plan, &named_stages, &inputs, &effort);
    progress_line.inspect(ProgressBar::finish_and_clear);
    let explained = explained.map_err(Failure::error)?;
    let subject = Subject {
        plan: &plan,
        catalog: &catalog,
        files: Files {
            job: &read.job,
            policy: &read.policy,
        },
    };
    let text = match args.json {
        true => {
            canonical::to_text(&explanation::json(&explained, subject)).map_err(Failure::error)?
        }
        false => explanation::text(&explained, subject),
    };
    terminal.out(&text).map(|()| Exit::Success)
}

/// Reads what a plan is made from.
pub(super) fn read(sources: &InputArgs, terminal: &Terminal) -> Result<(Inputs, Catalog), Failure> {
    let inputs_read = inputs::read(sources).map_err(|faults| inputs::failure(&faults, terminal))?;
    let catalog = sources.load_catalog(terminal)?;
    Ok((inputs_read, catalog))
}

fn planned_anew(
    read: &Inputs,
    catalog: &Catalog,
    effort: &Effort,
    terminal: &Terminal,
) -> Result<Plan, PlanningStopped> {
    let settings = Settings {
        effort: effort.clone(),
        compare: false,
    };
    planning::plan(&read.job.value, &read.policy.value, catalog, &settings).map_err(|reason| {
        PlanningStopped::no_plan(&reason, read, (catalog, false), effort, terminal)
    })
}

/// A plan can only be judged by what it was made from.
pub(super) fn same_inputs(
    plan: &Plan,
    read: &Inputs,
    catalog: &Catalog,
    path: &Path,
) -> Result<(), Failure> {
    let inputs_now =
        planning::inputs(&read.job.value, &read.policy.value, catalog).map_err(Failure::error)?;
    let (job, policy) = (&read.job.source.name, &read.policy.source.name);
    let other_inputs = [
        (
            inputs_now.job != plan.inputs.job,
            format!("the job ({job}), named by --job"),
        ),
        (
            inputs_now.policy != plan.inputs.policy,
            format!("the policy ({policy}), named by --policy"),
        ),
        (
            inputs_now.catalog != plan.inputs.catalog,
            format!(
                "the catalog (newest price {}), named by --catalog",
                inputs_now.catalog_date
            ),
        ),
    ];
    let changed_inputs: Vec<String> = other_inputs
        .into_iter()
        .filter(|(other, _)| *other)
        .map(|(_, what)| what)
        .collect();
    if changed_inputs.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} was made from other inputs than these:\n  {}",
        path.display(),
        changed_inputs.join("\n  ")
    );
    Err(Failure::new(Exit::Stale, message)
        .hint("name the files that it was made from, or plan again"))
}

/// The stages of the plan that a name stands for: one, or all copies of one.
fn named_stages_of<'a>(plan: &'a Plan, name: Option<&str>) -> Result<BTreeSet<&'a str>, Failure> {
    let Some(name) = name else {
        return Ok(BTreeSet::new());
    };
    let names = || plan.stages.iter().map(|stage| stage.name.as_str());
    let meant_stages: BTreeSet<&str> = match names().find(|known| *known == name) {
        Some(known) => BTreeSet::from([known]),
        None => names()
            .filter(|known| planning::base(known) == name)
            .collect(),
    };
    if !meant_stages.is_empty() {
        return Ok(meant_stages);
    }
    let failure = Failure::error(format!("the plan has no stage `{name}`"));
    let nearest_stage = names()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min();
    Err(match nearest_stage {
        Some((distance, known)) if distance <= known.len() / 2 => {
            failure.hint(format!("did you mean `{known}`?"))
        }
        _ => failure.hint(format!(
            "its stages: {}",
            names().take(12).collect::<Vec<_>>().join(", ")
        )),
    })
}
