//! `sky plan`, and `sky apply` without a plan file, which plans first.

use super::inputs::{self, InputArgs, Inputs};
use super::state::PlaceArgs;
use super::{Exit, Failure, Terminal, apply};
use crate::catalog::Catalog;
use crate::compile::{self, Refusal};
use crate::model::Job;
use crate::model::units::grouped;
use crate::plan::{FromState, Plan, file as plan_file};
use crate::planner::{self, COMPARED_STAGES, NoPlan, Settings};
use crate::render::conflict::{self, Files};
use crate::render::{events, markdown, no_plan, plan_text};
use crate::solve::{Effort, TimeLimit};
use crate::state::{self, State};
use crate::util::{clock, file};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// Find the best way to run a job, and show it. Touches no cloud.
#[derive(Clone, Debug, clap::Args)]
pub struct PlanArgs {
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
    /// is; time and money that are used up, and offers that were not to be had, are left out
    #[arg(long)]
    pub from_state: bool,
    /// Write the mixed-integer program to FILE as MPS, for any other solver
    #[arg(long, value_name = "FILE")]
    pub emit_mps: Option<PathBuf>,
    // For --from-state and --detailed-exitcode.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// How hard to try.
#[derive(Clone, Debug, clap::Args)]
pub struct SolvingArgs {
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
pub struct ApplyVerbArgs {
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
    /// state as it is, without the offers that were not to be had, and go on
    #[arg(long)]
    pub replan: bool,
}

/// A limit that begins now.
fn time_limit(seconds: f64) -> TimeLimit {
    let begun = std::time::Instant::now();
    TimeLimit::new(move || seconds - begun.elapsed().as_secs_f64())
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds.is_finite() && seconds > 0.0 { Ok(seconds) } else { Err("must be more than 0".to_owned()) }
}

/// Plans and shows.
pub fn run(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if !args.json {
        return quiet(args, terminal).map_err(|stop| stop.failure);
    }
    terminal.out(&events::lines(&[events::version(&clock::timestamp())]))?;
    quiet(args, terminal).map_err(|stop| {
        let summary = stop.summary.clone().unwrap_or_else(|| first_line(&stop.failure.message));
        // The stream ends with a summary also on failure; whether anybody reads it changes nothing.
        let (message, conflict) = (&stop.failure.message, stop.conflict.as_ref());
        let _ = terminal.out(&events::lines(&events::of_failure(&summary, message, conflict, &clock::timestamp())));
        stop.failure
    })
}

/// Why planning stopped, with a sentence and the lines that clash for programs.
pub struct Stop {
    pub failure: Failure,
    pub summary: Option<String>,
    pub conflict: Option<serde_json::Value>,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self { failure, summary: None, conflict: None }
    }
}

impl Stop {
    /// Why there is no plan. If it is not a mistake, the lines that clash are looked for.
    ///
    /// Not for the rest of a job: the lines that clash are found for the whole.
    pub fn no_plan(
        reason: &NoPlan,
        inputs: &Inputs,
        (catalog, rest): (&Catalog, bool),
        effort: &Effort,
        terminal: &Terminal,
    ) -> Self {
        let files = Files { job: &inputs.job, policy: &inputs.policy };
        let (job, policy) = (&inputs.job.value, &inputs.policy.value);
        let infeasible = matches!(
            reason,
            NoPlan::Infeasible(_) | NoPlan::Refused(Refusal::NoCandidates(_) | Refusal::HomeForbidden(_))
        );
        let infeasible = infeasible && !rest;
        // A solver that breaks down here takes nothing from the answer but its reason.
        let conflict = infeasible.then(|| planner::conflict(job, policy, catalog, effort).ok()).flatten();
        let unknown = compile::unknown_names(job, policy, catalog);
        let (text, answer) = no_plan::text(reason, files, conflict.as_ref(), &unknown, terminal.colour_stderr);
        let exit = if answer { Exit::Infeasible } else { Exit::Error };
        Self {
            failure: Failure::new(exit, text),
            summary: Some(no_plan::summary(reason).to_owned()),
            conflict: conflict.map(|conflict| conflict::json(&conflict, files)),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn quiet(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Stop> {
    refuse_overwriting(&args.inputs, &[&args.out, &args.emit_mps])?;
    let saved = args.check.as_ref().map(|path| file::read_bytes(path).map_err(Failure::error));
    let saved = saved.transpose()?;
    let from = args.from_state.then_some(&args.place);
    let (_, plan) = compute(&args.inputs, &args.solving, args.emit_mps.as_deref(), from, terminal)?;
    let bytes = plan_file::encode(&plan).map_err(Failure::error)?;
    if let Some(path) = &args.out {
        file::write_result(path, bytes.as_bytes()).map_err(Failure::error)?;
    }
    let done = done(&plan, &args.place)?;
    show(args, &plan, done, terminal)?;
    if let (Some(path), Some(saved)) = (&args.check, saved)
        && saved != bytes.as_bytes()
    {
        terminal.note(&difference(path, &plan));
        return Ok(Exit::Changes);
    }
    let changes = args.detailed_exitcode && !done;
    Ok(if changes { Exit::Changes } else { Exit::Success })
}

/// No output may take the place of an input or of another output.
pub fn refuse_overwriting(args: &InputArgs, outputs: &[&Option<PathBuf>]) -> Result<(), Failure> {
    let beside = args.job.with_file_name("policy.toml");
    let inputs = [Some(&args.job), Some(args.policy.as_ref().unwrap_or(&beside))];
    // A file that is not there yet is known by its folder.
    let real = |path: &PathBuf| {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = || Some(std::fs::canonicalize(folder).ok()?.join(path.file_name()?));
        std::fs::canonicalize(path).ok().or_else(named).unwrap_or_else(|| path.clone())
    };
    let mut taken: Vec<PathBuf> = inputs.into_iter().flatten().map(real).collect();
    for output in outputs.iter().copied().flatten() {
        let path = real(output);
        let special = std::fs::metadata(&path).is_ok_and(|found| !found.is_file());
        if taken.contains(&path) && !special {
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

fn show(args: &PlanArgs, plan: &Plan, done: bool, terminal: &Terminal) -> Result<(), Failure> {
    if args.json {
        let events = events::of_plan(plan, &clock::timestamp(), &|_| !done).map_err(Failure::error)?;
        return terminal.out(&events::lines(&events));
    }
    for warning in &plan.warnings {
        terminal.warn(warning);
    }
    if args.markdown {
        return terminal.out(&markdown::text(plan));
    }
    let summary = match done {
        true => "No changes. The state of this folder already holds all of it.".to_owned(),
        false => events::summary(plan.stages.len()),
    };
    terminal.out(&format!("{}\n{summary}\n", plan_text::text(plan, terminal.width)))?;
    if !terminal.automation && !done {
        match &args.out {
            Some(path) => terminal.note(&format!("\nTo execute exactly this plan: sky apply {}", path.display())),
            None => terminal.note("\nTo keep this plan for `sky apply`: sky plan --out plan.json"),
        }
    }
    Ok(())
}

/// What differs from a saved plan, as far as it can be read.
fn difference(path: &Path, plan: &Plan) -> String {
    let name = file::shown(path);
    match plan_file::read(path) {
        Err(error) => format!("{name} differs from the plan of these inputs: {error}"),
        Ok(saved) => {
            let input = |name: &str, old: &str, new: &str| (old != new).then(|| format!("\n  {name} changed"));
            let changed: String = [
                input("the job", &saved.inputs.job, &plan.inputs.job),
                input("the policy", &saved.inputs.policy, &plan.inputs.policy),
                input("the catalog", &saved.inputs.catalog, &plan.inputs.catalog),
                input("sky itself", &saved.sky_version, &plan.sky_version),
            ]
            .into_iter()
            .flatten()
            .collect();
            let (old, new) = (saved.totals.cost_micro_usd, plan.totals.cost_micro_usd);
            format!("{name} differs from the plan of these inputs:{changed}\n  total {old} -> {new}")
        }
    }
}

/// Whether the state of this folder already holds the whole plan.
fn done(plan: &Plan, place: &PlaceArgs) -> Result<bool, Failure> {
    Ok(held(place)?.is_some_and(|state| state::summary::holds(&state, plan)))
}

/// The state of this folder; none if nothing was ever applied here.
fn held(place: &PlaceArgs) -> Result<Option<State>, Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))?;
    place.store(&here)?.read().map_err(Failure::error)
}

/// What the state of this folder says of a job.
fn facts(job: &Job, place: &PlaceArgs) -> Result<FromState, Failure> {
    let state = held(place)?.ok_or_else(|| {
        Failure::error("there is no state here to go on from").hint("leave --from-state out to plan the whole job")
    })?;
    if let Some(other) = state.job.as_ref().filter(|held| **held != job.name) {
        let message = format!("the state here is that of job `{other}`, not of `{}`", job.name);
        return Err(Failure::new(Exit::Stale, message).hint("go to the folder where this job was applied"));
    }
    let facts = state::summary::facts(&state, job);
    let left = job.expanded().stages.keys().any(|name| !facts.done.contains_key(name));
    if !left {
        return Err(Failure::error("the state holds all of the job as done: nothing is left to plan"));
    }
    Ok(facts)
}

/// Reads the inputs and plans; `from_state`: what is left, by the state of that folder or of this one.
fn compute(
    inputs: &InputArgs,
    solving: &SolvingArgs,
    mps: Option<&Path>,
    from_state: Option<&PlaceArgs>,
    terminal: &Terminal,
) -> Result<(Inputs, Plan), Stop> {
    let read = inputs::read_with_files(inputs).map_err(|faults| inputs::failure(&faults, terminal))?;
    inputs::warn(&read.warnings, terminal);
    let catalog = inputs.load_catalog(terminal)?;
    let (job, policy) = (&read.job.value, &read.policy.value);
    let effort = Effort { nodes: solving.max_nodes, limit: solving.time_limit.map(time_limit) };
    let stop = |reason: NoPlan| Stop::no_plan(&reason, &read, (&catalog, from_state.is_some()), &effort, terminal);
    if let Some(path) = mps {
        let program = planner::program(job, policy, &catalog, &effort).map_err(stop)?;
        file::write_result(path, program.as_bytes()).map_err(Failure::error)?;
    }
    let settings = Settings { effort: effort.clone(), compare: solving.compare || job.stages.len() <= COMPARED_STAGES };
    let waiting = waiting("planning", job.stages.len(), catalog.offers.len(), terminal);
    let planned = match from_state {
        Some(place) => planner::plan_rest(job, policy, &catalog, &settings, &facts(job, place)?),
        None => planner::plan(job, policy, &catalog, &settings),
    };
    let planned = planned.map_err(stop);
    waiting.inspect(ProgressBar::finish_and_clear);
    let plan = planned?;
    Ok((read, plan))
}

/// A sign of life on a terminal, for as long as a large job takes.
pub fn waiting(what: &str, stages: usize, offers: usize, terminal: &Terminal) -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{spinner} {msg} [{elapsed}]").ok()?;
    let message = format!("{what} {stages} stages on {} offers", grouped(offers as i128));
    terminal.animate.then(|| {
        let bar = ProgressBar::new_spinner().with_style(style).with_message(message);
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        bar
    })
}

/// Applies a plan file, or plans a job, asks, and applies that.
pub fn apply(args: &ApplyVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = args.apply.plan.clone().unwrap_or_else(|| PathBuf::from("job.toml"));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !inputs::is_job(&path)? {
        if args.policy.is_some() {
            return Err(Failure::error("a plan file is applied as it is: --policy has no meaning with it")
                .hint("plan again with `sky plan --policy FILE --out PLAN`"));
        }
        let plan = plan_file::read(&path).map_err(Failure::error)?;
        if args.locked {
            super::lock::check_plan(&path, &plan.inputs.catalog, args.apply.state.hosts.as_deref())?;
        }
        if args.replan {
            return Err(Failure::error("--replan needs the job file: a plan file is applied as it is")
                .hint("apply the job itself: sky apply job.toml --replan"));
        }
        return apply::run_plan(&plan, folder, &args.apply, terminal).map(|applied| applied.exit);
    }
    if args.apply.json && !args.apply.auto_approve {
        return Err(Failure::error("--json cannot ask: it needs a plan file or --auto-approve"));
    }
    if !args.apply.auto_approve && !terminal.interactive {
        return Err(Failure::error("apply asks before it begins, and there is no terminal to ask on")
            .hint("write a plan with `sky plan --out plan.json` and apply that, or give --auto-approve"));
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
    let mut applied = plan_and_apply(args, &inputs, folder, false, terminal)?;
    // Every round does without more offers, so this comes to an end.
    while applied.used_up && again(args, terminal)? {
        applied = plan_and_apply(args, &inputs, folder, true, terminal)?;
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

/// Plans a job or the rest of it, asks, and applies the plan.
fn plan_and_apply(
    args: &ApplyVerbArgs,
    inputs: &InputArgs,
    folder: &Path,
    rest: bool,
    terminal: &Terminal,
) -> Result<apply::Applied, Failure> {
    let solving = SolvingArgs { compare: false, max_nodes: Effort::default().nodes, time_limit: None };
    let from = rest.then_some(&args.apply.state.place);
    let (_, plan) = compute(inputs, &solving, None, from, terminal).map_err(|stop| stop.failure)?;
    if !args.apply.json {
        apply::check_plan(&plan, folder, &args.apply)?;
        for warning in &plan.warnings {
            terminal.warn(warning);
        }
        terminal.out(&format!("{}\n", plan_text::text(&plan, terminal.width)))?;
    }
    if !args.apply.auto_approve && !terminal.confirm("Do you want to apply this plan?")? {
        return Err(Failure::error(match rest {
            true => "apply cancelled: the rest was not begun",
            false => "apply cancelled: nothing was begun",
        }));
    }
    apply::run_plan(&plan, folder, &args.apply, terminal)
}
