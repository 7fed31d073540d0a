//! `sky plan`, and `sky apply` without a plan file, which plans first.

use super::command_line::CommandLine;
use super::inputs::{self, InputArgs, Inputs};
use super::solve_effort::solve_effort;
use super::state::PlaceArgs;
use super::{Exit, Failure, Terminal, apply};
use crate::catalog::Catalog;
use crate::catalog::lock::LOCK;
use crate::cli::working_folder::working_folder;
use crate::execution::apply::contents::{self as apply_contents, Sources, Wanted};
use crate::execution::provider;
use crate::execution::state::{self, Artifact, Preview, State};
use crate::execution::storage::Objects;
use crate::model::units::grouped;
use crate::model::{Job, Pattern, Policy};
use crate::plan::{Contents, FromState, Plan, file as plan_file};
use crate::planning::compile::{self, Refusal};
use crate::planning::solve::Effort;
use crate::planning::{self, COMPARED_STAGES, NoPlan, Settings};
use crate::render::conflict::{self, Files};
use crate::render::{events, markdown, no_plan, plan_text};
use crate::util::{clock, file, shell};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Find the best way to run a job, and show it. Touches no cloud.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub solving: SolvingArgs,
    /// Write the plan to FILE, for `sky apply`
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// One JSON object a line; the last one holds the whole plan
    #[arg(long)]
    pub json: bool,
    /// Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Compare with a saved plan: exit code 2 if the bytes would differ
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Exit code 0: the state already holds all of it; 2: there is something to do
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Plan the rest of the job: what the state holds as done stays done, with its data where it
    /// is; time and money that are used up, and offers that were unavailable, are left out
    #[arg(long)]
    pub from_state: bool,
    /// Write the mixed-integer program to FILE as MPS, for any other solver
    #[arg(long, value_name = "FILE")]
    pub emit_mps: Option<PathBuf>,
    #[command(flatten)]
    pub contents: ContentArgs,
    // For --from-state and --detailed-exitcode.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// This command, for messages that suggest to repeat it.
    #[arg(skip)]
    pub command: CommandLine,
}

/// Where datasets and files are, whose content the plan names by digest.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ContentArgs {
    /// Folder that the paths of datasets and files are relative to [default: the job's, then the
    /// current one]
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Where this machine has a dataset; may be given many times
    #[arg(long, value_name = "NAME=PATH", value_parser = apply::parse_data)]
    pub data: Vec<(String, PathBuf)>,
    /// Read no dataset and no file: the plan does not name their content, and what has changed in
    /// them is not seen
    #[arg(long)]
    pub no_digests: bool,
}

/// How hard to try.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SolvingArgs {
    /// Compare with the best single cloud also for large jobs
    #[arg(long)]
    pub compare: bool,
    /// Branch-and-bound nodes after which to stop without a proof
    #[arg(long, value_name = "N", default_value_t = Effort::default().nodes)]
    pub max_nodes: u32,
    /// Seconds after which to stop without a proof; the plan may then differ from run to run
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub time_limit: Option<f64>,
}

/// Execute a plan, or plan a job and execute that.
///
/// PLAN is a file written by `sky plan --out`: it was approved by being written, so nothing is
/// asked. A job file (.toml), or nothing (job.toml), is planned, shown, and applied after a yes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ApplyVerbArgs {
    #[command(flatten)]
    pub apply: apply::ApplyArgs,
    /// With a job file: policy file, or the name of a shipped one
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// With a job file: catalog folder
    #[arg(long, value_name = "DIR", env = "SKY_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// For CI: fail unless the plan is made from the catalog that sky.lock pins
    #[arg(long)]
    pub locked: bool,
    /// With a job file: when a stage has no offer of the plan left, plan the rest anew from the
    /// state as it is, without the offers that were unavailable, and go on
    #[arg(long)]
    pub replan: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 {
        Ok(seconds)
    } else {
        Err("must be more than 0".to_owned())
    }
}

/// Plans and shows.
pub(super) fn run(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if !args.json {
        return quiet(args, terminal).map_err(|stop| stop.failure);
    }
    terminal.out(&events::lines(&[events::version(&clock::timestamp())]))?;
    quiet(args, terminal).map_err(|stop| {
        let summary = stop
            .summary
            .clone()
            .unwrap_or_else(|| first_line(&stop.failure.message));
        // The stream ends with a summary also on failure; whether anybody reads it changes nothing.
        let (message, conflict) = (&stop.failure.message, stop.conflict.as_ref());
        let _ = terminal.out(&events::lines(&events::of_failure(
            &summary,
            message,
            conflict,
            &clock::timestamp(),
        )));
        stop.failure.told()
    })
}

/// Why planning stopped, with a sentence and the lines that clash for programs.
pub(super) struct Stop {
    pub failure: Failure,
    pub summary: Option<String>,
    pub conflict: Option<serde_json::Value>,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            summary: None,
            conflict: None,
        }
    }
}

impl Stop {
    /// Why there is no plan. If it is not a mistake, the lines that clash are looked for.
    ///
    /// Not for the rest of a job: the lines that clash are found for the whole.
    pub(super) fn no_plan(
        reason: &NoPlan,
        inputs: &Inputs,
        (catalog, rest): (&Catalog, bool),
        effort: &Effort,
        terminal: &Terminal,
    ) -> Self {
        let files = Files {
            job: &inputs.job,
            policy: &inputs.policy,
        };
        let (job, policy) = (&inputs.job.value, &inputs.policy.value);
        let infeasible = matches!(
            reason,
            NoPlan::Infeasible(_)
                | NoPlan::Refused(Refusal::NoCandidates(_) | Refusal::HomeForbidden(_))
        );
        let infeasible = infeasible && !rest;
        // A solver that breaks down here takes nothing from the answer but its reason.
        let conflict = infeasible
            .then(|| planning::conflict(job, policy, catalog, effort).ok())
            .flatten();
        let unknown = compile::unknown_names(job, policy, catalog);
        let (mut text, answer) = no_plan::text(
            reason,
            files,
            conflict.as_ref(),
            &unknown,
            terminal.colour_stderr,
        );
        if matches!(reason, NoPlan::Infeasible(_)) && !rest {
            let unsaid =
                planning::left_for_a_plan(job, policy, catalog, effort).unwrap_or_default();
            text.push_str(&no_plan::results_in_the_way(&unsaid));
        }
        let exit = if answer {
            Exit::Infeasible
        } else {
            Exit::Error
        };
        Self {
            failure: Failure::new(exit, text),
            summary: Some(no_plan::summary(reason).to_owned()),
            conflict: conflict.map(|conflict| conflict::json(&conflict, files)),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

fn quiet(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Stop> {
    refuse_overwriting(&args.inputs, &[&args.out, &args.emit_mps])?;
    let saved = args
        .check
        .as_ref()
        .map(|path| file::read_bytes(path).map_err(Failure::error));
    let saved = saved.transpose()?;
    let held = Held::read(&args.place)?;
    let sources = sources(
        &args.inputs.job,
        args.contents.source.as_deref(),
        &args.contents.data,
    )?;
    let request = Request {
        inputs: &args.inputs,
        solving: &args.solving,
        mps: args.emit_mps.as_deref(),
        from: args.from_state.then_some(&held),
        sources: (!args.contents.no_digests).then_some(&sources),
        clouds: Clouds::All,
    };
    let (_, mut plan) = compute(&request, terminal)?;
    if let Some(path) = &args.check {
        plan = with_unread_contents(plan, path)?;
    }
    let bytes = plan_file::encode(&plan).map_err(Failure::error)?;
    if let Some(path) = &args.out {
        file::write_result(path, bytes.as_bytes()).map_err(Failure::error)?;
    }
    let preview = held.preview(&plan);
    show(args, &plan, &preview, terminal)?;
    if let (Some(path), Some(saved)) = (&args.check, saved)
        && saved != bytes.as_bytes()
    {
        terminal.note(&difference(path, &plan));
        return Ok(Exit::Changes);
    }
    let changes = args.detailed_exitcode && !preview.is_empty();
    Ok(if changes {
        Exit::Changes
    } else {
        Exit::Success
    })
}

/// A plan on its way to being compared with a saved one: what this machine does not have is taken
/// from there.
fn with_unread_contents(plan: Plan, saved: &Path) -> Result<Plan, Failure> {
    let Ok(saved) = plan_file::read(saved) else {
        return Ok(plan);
    };
    let wanted = Wanted::of_plan(&plan);
    let mut contents = plan.contents.clone();
    for (name, digest) in saved
        .contents
        .datasets
        .iter()
        .filter(|(name, _)| wanted.datasets.contains_key(*name))
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
        .filter(|(name, _)| wanted.files.contains(*name))
    {
        contents
            .files
            .entry(name.clone())
            .or_insert_with(|| digest.clone());
    }
    plan_file::with_contents(plan, contents).map_err(Failure::error)
}

/// No output may take the place of an input or of another output.
pub(super) fn refuse_overwriting(
    args: &InputArgs,
    outputs: &[&Option<PathBuf>],
) -> Result<(), Failure> {
    let beside = args.job.with_file_name("policy.toml");
    let (hosts, lock) = (PathBuf::from(super::hosts::FILE), PathBuf::from(LOCK));
    let inputs = [
        &args.job,
        args.policy.as_ref().unwrap_or(&beside),
        args.hosts.as_ref().unwrap_or(&hosts),
        &lock,
    ];
    // A file that is not there yet is known by its folder.
    let real = |path: &PathBuf| {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let named = || Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?));
        std::fs::canonicalize(path)
            .ok()
            .or_else(named)
            .unwrap_or_else(|| path.clone())
    };
    let catalog = args.catalog.as_ref().map(real);
    let of_catalog = |path: &Path| {
        let inside = catalog
            .as_ref()
            .is_some_and(|folder| path.starts_with(folder));
        let read = path
            .extension()
            .is_some_and(|extension| extension == "csv" || extension == "toml");
        inside && read && path.exists()
    };
    let mut taken: Vec<PathBuf> = inputs.into_iter().map(real).collect();
    for output in outputs.iter().copied().flatten() {
        let path = real(output);
        let special = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
        if (taken.contains(&path) || of_catalog(&path)) && !special {
            return Err(Failure::error(format!(
                "{} is an input or the other output: it would be lost",
                output.display()
            ))
            .hint("name another file"));
        }
        taken.push(path);
    }
    Ok(())
}

fn show(
    args: &PlanArgs,
    plan: &Plan,
    preview: &Preview,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let missing = missing_providers(plan);
    if args.json {
        let events = events::of_plan(plan, preview, &missing, &clock::timestamp())
            .map_err(Failure::error)?;
        return terminal.out(&events::lines(&events));
    }
    for warning in &plan.warnings {
        terminal.warn(warning);
    }
    if args.markdown {
        return terminal.out(&markdown::text(plan));
    }
    let mut text = plan_text::text(plan, terminal.width);
    text += &plan_text::without_provider(&missing)
        .map(|said| format!("\nNote: {said}.\n"))
        .unwrap_or_default();
    let summary = match preview.is_empty() {
        true => "No changes. The state of this folder already holds all of it.".to_owned(),
        false => events::summary(preview),
    };
    terminal.out(&format!("{text}\n{summary}\n"))?;
    if !preview.unread.is_empty() {
        let stages = match preview.unread.len() {
            1 => "1 stage counts".to_owned(),
            count => format!("{count} stages count"),
        };
        terminal.note(&format!(
            "{stages} as done without a look at content that is not on this machine."
        ));
    }
    if !terminal.automation && !preview.is_empty() {
        terminal.note(&match &args.out {
            Some(path) => format!("\nTo execute exactly this plan: {}", apply_line(args, path)),
            None => {
                let keep = args.command.again(&["--out", "plan.json"]);
                format!("\nTo keep this plan for `sky apply`: {keep}")
            }
        });
    }
    Ok(())
}

/// The stages of a plan at clouds that this sky has no provider for, by cloud.
pub(super) fn missing_providers(plan: &Plan) -> BTreeMap<String, BTreeSet<String>> {
    let mut missing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for stage in plan
        .stages
        .iter()
        .filter(|stage| !provider::is_built_in(&stage.place.cloud))
    {
        missing
            .entry(stage.place.cloud.clone())
            .or_default()
            .insert(stage.name.clone());
    }
    missing
}

/// The command that applies a plan file with the state and the hosts that it was planned with.
fn apply_line(args: &PlanArgs, plan: &Path) -> String {
    let hosts = args
        .inputs
        .hosts
        .as_ref()
        .map(|hosts| format!(" --hosts {}", shell::quoted_path(hosts)));
    let (apply, place) = (args.command.sky("apply"), args.place.words());
    let source = args
        .contents
        .source
        .as_ref()
        .map(|source| format!(" --source {}", shell::quoted_path(source)));
    let data = |(name, path): &(String, PathBuf)| {
        format!(
            " --data {}",
            shell::quoted(&format!("{name}={}", path.display()))
        )
    };
    let data: String = args.contents.data.iter().map(data).collect();
    let options = [hosts, source].into_iter().flatten().collect::<String>();
    format!("{apply} {}{place}{options}{data}", shell::quoted_path(plan))
}

/// What differs from a saved plan, as far as it can be read.
fn difference(path: &Path, plan: &Plan) -> String {
    let name = file::shown(path);
    match plan_file::read(path) {
        Err(error) => format!("{name} differs from the plan of these inputs: {error}"),
        Ok(saved) => {
            let input = |name: &str, old: &str, new: &str| {
                (old != new).then(|| format!("\n  {name} changed"))
            };
            let changed: String = [
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
                "{name} differs from the plan of these inputs:{changed}\n  total {old} -> {new}"
            )
        }
    }
}

/// Which datasets and files have other content, a line each.
fn changed_contents(saved: &Contents, now: &Contents) -> Vec<String> {
    let kinds = [
        ("dataset", &saved.datasets, &now.datasets),
        ("file", &saved.files, &now.files),
    ];
    let mut lines = Vec::new();
    for (kind, saved, now) in kinds {
        let names: BTreeSet<&String> = saved.keys().chain(now.keys()).collect();
        let changed = names
            .into_iter()
            .filter(|name| saved.get(*name) != now.get(*name));
        lines.extend(changed.map(|name| format!("\n  the content of {kind} `{name}` changed")));
    }
    lines
}

/// The state of a place as it is, and the store of outputs beside it.
pub(super) struct Held {
    state: Option<State>,
    objects: Objects,
}

impl Held {
    /// Reads the state; there is none if nothing was ever applied there.
    pub(super) fn read(place: &PlaceArgs) -> Result<Self, Failure> {
        let here = working_folder()?;
        let store = place.store(&here)?;
        let mut state = store
            .read()
            .map_err(|error| super::state::failure(error.into(), &store))?;
        if let Some(state) = state.as_mut().filter(|_| !place.is_named()) {
            // A rehearsal by an earlier sky was kept here too. Nothing of it is done.
            state
                .stages
                .retain(|_, record| record.rehearsed_with().is_none());
        }
        Ok(Self {
            state,
            objects: Objects::at(store.folder.objects()),
        })
    }

    /// What an apply of a plan would do.
    pub(super) fn preview(&self, plan: &Plan) -> Preview {
        let present = |artifact: &Artifact| self.objects.has(&artifact.digest, artifact.kind);
        state::preview(self.state.as_ref(), plan, &present)
    }

    /// What the state says of a job.
    fn facts(&self, job: &Job, contents: &Contents) -> Result<FromState, Failure> {
        let state = self.state.as_ref().ok_or_else(|| {
            Failure::error("there is no state here to go on from")
                .hint("leave --from-state out to plan the whole job")
        })?;
        if let Some(other) = state.job.as_ref().filter(|held| **held != job.name) {
            let message = format!(
                "the state here is that of job `{other}`, not of `{}`",
                job.name
            );
            return Err(Failure::new(Exit::Stale, message)
                .hint("go to the folder where this job was applied"));
        }
        let present = |artifact: &Artifact| self.objects.has(&artifact.digest, artifact.kind);
        state::summary::facts(state, job, contents, &present).map_err(Failure::error)
    }
}

/// What to plan, from what, and how.
struct Request<'a> {
    inputs: &'a InputArgs,
    solving: &'a SolvingArgs,
    mps: Option<&'a Path>,
    /// The state to go on from; none: the whole job is planned.
    from: Option<&'a Held>,
    /// Where datasets and files are; none: their content is not named.
    sources: Option<&'a Sources>,
    clouds: Clouds,
}

/// The clouds that stages may be planned at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clouds {
    All,
    /// Only those that this sky has a provider for.
    WithProvider,
}

/// Where the datasets and files of a job are.
fn sources(
    job: &Path,
    source: Option<&Path>,
    data: &[(String, PathBuf)],
) -> Result<Sources, Failure> {
    let here = working_folder()?;
    let folder = here.join(job.parent().unwrap_or(Path::new("")));
    Ok(Sources {
        here,
        folder,
        source: source.map(Path::to_owned),
        data: data.iter().cloned().collect(),
    })
}

/// The digests of the content that a job reads on this machine.
fn contents(
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
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        return Err(Failure::error(format!(
            "--data {unknown}=…: the job has no dataset `{unknown}`; its datasets: {known}"
        )));
    }
    let waiting = spinner("reading datasets and files".to_owned(), terminal);
    let (contents, problems) = apply_contents::read(&Wanted::of_job(job), sources);
    waiting.inspect(ProgressBar::finish_and_clear);
    problems.iter().for_each(|problem| terminal.warn(problem));
    Ok(contents)
}

/// Reads the inputs and plans.
fn compute(request: &Request<'_>, terminal: &Terminal) -> Result<(Inputs, Plan), Stop> {
    let read = inputs::read_with_files(request.inputs)
        .map_err(|faults| inputs::failure(&faults, terminal))?;
    inputs::warn(&read.warnings, terminal);
    let catalog = request.inputs.load_catalog(terminal)?;
    let (job, policy) = (&read.job.value, &read.policy.value);
    let solving = request.solving;
    let effort = solve_effort(solving.max_nodes, solving.time_limit);
    let stop = |reason: NoPlan| {
        Stop::no_plan(
            &reason,
            &read,
            (&catalog, request.from.is_some()),
            &effort,
            terminal,
        )
    };
    if let Some(path) = request.mps {
        let program = planning::program(job, policy, &catalog, &effort).map_err(stop)?;
        file::write_result(path, program.as_bytes()).map_err(Failure::error)?;
    }
    let contents = contents(job, request.sources, terminal)?;
    let facts = request
        .from
        .map(|held| held.facts(job, &contents))
        .transpose()?;
    let settings = Settings {
        effort: effort.clone(),
        compare: solving.compare || job.stages.len() <= COMPARED_STAGES,
    };
    let waiting = waiting("planning", job.stages.len(), catalog.offers.len(), terminal);
    let plan_under = |policy: &Policy| match &facts {
        Some(facts) => planning::plan_remaining(job, policy, &catalog, &settings, facts),
        None => planning::plan(job, policy, &catalog, &settings),
    };
    let planned = match request.clouds {
        Clouds::All => plan_under(policy),
        Clouds::WithProvider => {
            let missing = missing_clouds(policy, &catalog);
            plan_text::planned_without(&missing)
                .iter()
                .for_each(|said| terminal.note(&format!("Note: {said}.")));
            plan_under(&without(policy, missing))
        }
    };
    let planned = match planned {
        Err(_) if request.clouds == Clouds::WithProvider => match plan_under(policy) {
            Ok(plan) => Err(only_without_provider(&plan).into()),
            Err(reason) => Err(stop(reason)),
        },
        planned => planned.map_err(stop),
    };
    waiting.inspect(ProgressBar::finish_and_clear);
    let plan = plan_file::with_contents(planned?, contents).map_err(Failure::error)?;
    Ok((read, plan))
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
fn without(policy: &Policy, clouds: BTreeSet<String>) -> Policy {
    let mut policy = policy.clone();
    policy.clouds.deny.extend(clouds.into_iter().map(Pattern));
    policy
}

/// A job that only clouds without a provider can run.
fn only_without_provider(plan: &Plan) -> Failure {
    let said = plan_text::without_provider(&missing_providers(plan)).unwrap_or_default();
    Failure::error(format!(
        "no plan is possible at the clouds that this sky can use: {said}"
    ))
    .hint("to rehearse the plan that takes any cloud, add --provider local")
}

/// A sign of life on a terminal, for as long as a large job takes.
pub(super) fn waiting(
    what: &str,
    stages: usize,
    offers: usize,
    terminal: &Terminal,
) -> Option<ProgressBar> {
    spinner(
        format!(
            "{what} {stages} stages on {} offers",
            grouped(offers as i128)
        ),
        terminal,
    )
}

fn spinner(message: String, terminal: &Terminal) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").ok()?;
    terminal.animate.then(|| {
        let bar = ProgressBar::new_spinner()
            .with_style(style)
            .with_message(message);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    })
}

/// Applies a plan file, or plans a job, asks, and applies that.
pub(super) fn apply(args: &ApplyVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = args
        .apply
        .plan
        .clone()
        .unwrap_or_else(|| PathBuf::from("job.toml"));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !inputs::is_job(&path)? {
        if args.policy.is_some() {
            return Err(Failure::error(
                "a plan file is applied as it is: --policy cannot be used with it",
            )
            .hint("plan again with `sky plan --policy FILE --out PLAN`"));
        }
        let plan = plan_file::read(&path).map_err(Failure::error)?;
        if args.locked {
            super::locked_plan::check_plan(
                &path,
                &plan.inputs.catalog,
                args.apply.state.hosts.as_deref(),
            )?;
        }
        if args.replan {
            return Err(Failure::error(
                "--replan needs the job file: a plan file is applied as it is",
            )
            .hint("apply the job itself: sky apply job.toml --replan"));
        }
        return apply::run_plan(&plan, folder, &args.apply, terminal).map(|applied| applied.exit);
    }
    if args.apply.json && !args.apply.auto_approve {
        return Err(Failure::error(
            "--json cannot ask: it needs a plan file or --auto-approve",
        ));
    }
    if !args.apply.auto_approve && !terminal.interactive {
        return Err(Failure::error(
            "apply asks before it begins, and there is no terminal to ask on",
        )
        .hint(
            "write a plan with `sky plan --out plan.json` and apply that, or give --auto-approve",
        ));
    }
    let (policy, catalog) = (args.policy.clone(), args.catalog.clone());
    let hosts = args.apply.state.hosts.clone();
    let inputs = InputArgs {
        job: path.clone(),
        policy,
        catalog,
        locked: args.locked,
        hosts,
        files_in: args.apply.source.clone(),
    };
    let mut applied = plan_and_apply(args, &inputs, folder, None, terminal)?;
    // Every round does without more offers, so this comes to an end.
    while applied.used_up && again(args, terminal)? {
        let held = Held::read(&applied.place)?;
        applied = plan_and_apply(args, &inputs, folder, Some(&held), terminal)?;
    }
    Ok(applied.exit)
}

/// Whether the rest is to be planned anew, now that a stage has no checked offer left.
fn again(args: &ApplyVerbArgs, terminal: &Terminal) -> Result<bool, Failure> {
    if args.replan || !terminal.interactive || args.apply.json || args.apply.auto_approve {
        return Ok(args.replan);
    }
    terminal.confirm("Do you want to plan the rest anew, from the state as it is?")
}

/// Plans a job, or the rest of it from a state, asks, and applies the plan.
fn plan_and_apply(
    args: &ApplyVerbArgs,
    inputs: &InputArgs,
    folder: &Path,
    rest: Option<&Held>,
    terminal: &Terminal,
) -> Result<apply::Applied, Failure> {
    let solving = SolvingArgs {
        compare: false,
        max_nodes: Effort::default().nodes,
        time_limit: None,
    };
    let sources = sources(&inputs.job, args.apply.source.as_deref(), &args.apply.data)?;
    let clouds = if args.apply.provider.is_some() {
        Clouds::All
    } else {
        Clouds::WithProvider
    };
    let request = Request {
        inputs,
        solving: &solving,
        mps: None,
        from: rest,
        sources: Some(&sources),
        clouds,
    };
    let (_, plan) = compute(&request, terminal).map_err(|stop| stop.failure)?;
    let place = apply::place_of(&plan, &args.apply)?;
    if !args.apply.json {
        apply::check_plan(&plan, folder, &args.apply)?;
        for warning in &plan.warnings {
            terminal.warn(warning);
        }
        let summary = events::summary(&Held::read(&place)?.preview(&plan));
        terminal.out(&format!(
            "{}\n{summary}\n\n",
            plan_text::text(&plan, terminal.width)
        ))?;
    }
    if !args.apply.auto_approve && !terminal.confirm("Do you want to apply this plan?")? {
        return Err(Failure::error(match rest {
            Some(_) => "apply cancelled: the rest was not begun",
            None => "apply cancelled: nothing was begun",
        }));
    }
    apply::run_plan(&plan, folder, &args.apply, terminal)
}
