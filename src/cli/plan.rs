//! `sky plan`: finds the best plan, shows it, keeps it, and compares it with a saved one.

use super::command_line::CommandLine;
use super::compute_plan::{Clouds, PlanRequest, SolvingArgs, compute, missing_providers, sources};
use super::held_state::HeldState;
use super::inputs::InputArgs;
use super::outputs_beside_inputs::refuse_overwriting;
use super::planning_stopped::PlanningStopped;
use super::saved_plan::{difference, with_unread_contents};
use super::state::PlaceArgs;
use super::{Exit, Failure, Terminal, apply};
use crate::execution::state::Preview;
use crate::plan::{Plan, file as plan_file};
use crate::render::{events, markdown, plan_text};
use crate::util::{clock, file, shell};
use std::path::{Path, PathBuf};

/// Find the best way to run a job, and show it. Contacts no cloud.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    #[command(flatten)]
    pub solving: SolvingArgs,
    /// Write the plan to FILE, for `sky apply`
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object a line; the last one holds the whole plan
    #[arg(long)]
    pub json: bool,
    /// Print Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
    /// Compare with a saved plan; exit code 2 if the bytes would differ
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Exit code 2 if there is something to do, 0 if the state already holds all of it
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Plan only what is left of a job that was begun: stages that are done stay done, time and
    /// money that are used up count, and offers that were unavailable are not used again
    #[arg(long)]
    pub from_state: bool,
    /// Write the mixed-integer program to FILE in MPS format, which other solvers read
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
    /// Folder that paths of datasets and files are relative to [default: the folder of the job,
    /// then the working folder]
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Where a dataset is on this machine; can be given many times
    #[arg(long, value_name = "NAME=PATH", value_parser = apply::parse_data)]
    pub data: Vec<(String, PathBuf)>,
    /// Do not read datasets and files; the plan then has no digests of their content, and changes
    /// in them are not noticed
    #[arg(long)]
    pub no_digests: bool,
}

/// Plans and shows.
pub(super) fn run(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if !args.json {
        return plan_quietly(args, terminal).map_err(|stop| stop.failure);
    }
    terminal.out(&events::lines(&[events::version(&clock::timestamp())]))?;
    plan_quietly(args, terminal).map_err(|stop| {
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

fn first_line(text: &str) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned()
}

fn plan_quietly(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, PlanningStopped> {
    refuse_overwriting(&args.inputs, &[&args.out, &args.emit_mps])?;
    let saved = args
        .check
        .as_ref()
        .map(|path| file::read_bytes(path).map_err(Failure::error));
    let saved = saved.transpose()?;
    let held_state = HeldState::read(&args.place)?;
    let sources = sources(
        &args.inputs.job,
        args.contents.source.as_deref(),
        &args.contents.data,
    )?;
    let request = PlanRequest {
        inputs: &args.inputs,
        solving: &args.solving,
        mps: args.emit_mps.as_deref(),
        from: args.from_state.then_some(&held_state),
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
    let preview = held_state.preview(&plan);
    show_plan(args, &plan, &preview, terminal)?;
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

fn show_plan(
    args: &PlanArgs,
    plan: &Plan,
    preview: &Preview,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let missing_clouds = missing_providers(plan);
    if args.json {
        let events = events::of_plan(plan, preview, &missing_clouds, &clock::timestamp())
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
    text += &plan_text::without_provider(&missing_clouds)
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
                let keep_command = args.command.again(&["--out", "plan.json"]);
                format!("\nTo keep this plan for `sky apply`: {keep_command}")
            }
        });
    }
    Ok(())
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
    let data_option = |(name, path): &(String, PathBuf)| {
        format!(
            " --data {}",
            shell::quoted(&format!("{name}={}", path.display()))
        )
    };
    let data_options: String = args.contents.data.iter().map(data_option).collect();
    let options = [hosts, source].into_iter().flatten().collect::<String>();
    format!(
        "{apply} {}{place}{options}{data_options}",
        shell::quoted_path(plan)
    )
}
