//! `sky apply`: executes a plan.

use super::progress::{Stream, Text};
use super::signals::Signals;
use super::state::{StateArgs, failure, open_locked};
use super::{Exit, Failure, Terminal};
use crate::apply::{self, Interrupt, Observer, Outcome, Settings, StageOutcome, check::OnFailure};
use crate::model::{ArtifactRef, Bytes};
use crate::plan::Plan;
use crate::state::Folder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Execute a plan: run its stages, hand their data on, keep a state of what is done.
///
/// Applying a plan file asks nothing: the file is what was approved. An apply that was ended by a
/// signal or a crash goes on where it was; a stage that is done with the same content is not run
/// again.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplyArgs {
    /// Plan file, as written by `sky plan --out`
    pub plan: Option<PathBuf>,
    /// Run all stages at this provider, wherever they are planned; `local` rehearses any plan on
    /// this machine
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Do not ask before applying a plan that is made on the way
    #[arg(long)]
    pub auto_approve: bool,
    /// Progress and result as JSON lines on stdout
    #[arg(long)]
    pub json: bool,
    /// Stages at a time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_parallelism)]
    pub parallelism: usize,
    /// Begin nothing new once a stage has failed
    #[arg(long)]
    pub fail_fast: bool,
    /// Folder that the paths of datasets and files are relative to [default: the plan's, then the
    /// current one]
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Where this machine has a dataset; may be given many times
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_data)]
    pub data: Vec<(String, PathBuf)>,
    /// Do not show what stages print; their log files have it
    #[arg(long)]
    pub no_logs: bool,
    /// How long a stage may take to end itself after Ctrl-C, before it is killed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::state::parse_time, env = "SKY_GRACE")]
    pub grace: Duration,
    #[command(flatten)]
    pub state: StateArgs,
}

/// Executes a plan that is approved. `plan_folder` is where the plan file lies, or the job file
/// of a plan that was made on the way.
pub fn run_plan(plan: &Plan, plan_folder: &Path, args: &ApplyArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    if args.json {
        let stream = Arc::new(Stream::begin(terminal));
        let result = execute(plan, plan_folder, args, stream.clone());
        match &result {
            Ok(Ended::Walked(outcome)) => stream.outcome(outcome),
            Ok(Ended::Left(interrupt)) => {
                let failure = Failure::new(exit_of(*interrupt), left_words(*interrupt));
                stream.failed(&failure, "apply");
            }
            Err(failure) => stream.failed(failure, "apply"),
        }
        return result.map(|ended| ended.exit());
    }
    let text = Arc::new(Text::new(terminal, !args.no_logs));
    let result = execute(plan, plan_folder, args, text.clone());
    text.finish();
    let ended = result?;
    match &ended {
        Ended::Walked(outcome) => {
            say_failures(outcome, terminal);
            // A reader that has gone away does not change how the apply ended.
            let _ = terminal.out(&result_text(plan, outcome, args));
            if outcome.interrupted.is_some() && ended.exit() != Exit::Success {
                terminal.note(&resume_line(args));
            }
        }
        Ended::Left(interrupt) => {
            terminal.note(&left_words(*interrupt));
            if !all_done(plan, args) {
                terminal.note(&resume_line(args));
            }
        }
    }
    Ok(ended.exit())
}

/// How the verb ended.
enum Ended {
    Walked(Outcome),
    /// By a second signal, without waiting for anything.
    Left(Interrupt),
}

impl Ended {
    fn exit(&self) -> Exit {
        let outcome = match self {
            Ended::Left(interrupt) => return exit_of(*interrupt),
            Ended::Walked(outcome) => outcome,
        };
        let is_done = |one: &StageOutcome| matches!(one, StageOutcome::Done | StageOutcome::Unchanged);
        let done = outcome.stages.values().filter(|one| is_done(one)).count();
        match outcome.interrupted {
            _ if done == outcome.stages.len() => Exit::Success,
            Some(interrupt) => exit_of(interrupt),
            None if done > 0 => Exit::Partial,
            None => Exit::Error,
        }
    }
}

fn execute(plan: &Plan, plan_folder: &Path, args: &ApplyArgs, observer: Arc<dyn Observer>) -> Result<Ended, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("cannot start: {error}")))?;
    let result = runtime.block_on(execute_until_signalled(plan, plan_folder, args, observer));
    // Not waiting for file work that a second signal has made pointless.
    runtime.shutdown_background();
    result
}

async fn execute_until_signalled(
    plan: &Plan,
    plan_folder: &Path,
    args: &ApplyArgs,
    observer: Arc<dyn Observer>,
) -> Result<Ended, Failure> {
    let mut signals = Signals::listen()?;
    let here = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))?;
    let folder = Folder::resolve(&here, args.state.state_dir.as_deref());
    let settings = settings(args, &here, plan_folder);
    // First without a lock and without a folder: a plan that cannot be applied leaves no trace.
    check(plan, &settings, &folder)?;
    let (lock, opened) = open_locked(&folder, "apply", &args.state)?;
    let checked = apply::check(plan, &settings, Some(&opened.state)).map_err(|error| failure(error, &folder))?;
    let (interrupt, interrupted) = watch::channel(None);
    let mut walk = std::pin::pin!(apply::run(plan, checked, settings, &folder, opened, observer, interrupted));
    let ended = loop {
        tokio::select! {
            outcome = &mut walk => break outcome.map(Ended::Walked).map_err(|error| failure(error, &folder))?,
            signal = signals.next() => {
                if interrupt.borrow().is_some() {
                    // Tasks may still write for a moment: the lock ends with the process.
                    std::mem::forget(lock);
                    return Ok(Ended::Left(signal));
                }
                let _ = interrupt.send(Some(signal));
            }
        }
    };
    drop(lock);
    Ok(ended)
}

/// Whether the plan can be applied at all; to be known before anybody is asked to approve it.
pub fn check_plan(plan: &Plan, plan_folder: &Path, args: &ApplyArgs) -> Result<(), Failure> {
    let here = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), "find", error))?;
    let folder = Folder::resolve(&here, args.state.state_dir.as_deref());
    check(plan, &settings(args, &here, plan_folder), &folder)
}

fn check(plan: &Plan, settings: &Settings, folder: &Folder) -> Result<(), Failure> {
    let before = folder.read().map_err(|error| failure(error.into(), folder))?;
    apply::check(plan, settings, before.as_ref()).map(drop).map_err(|error| failure(error, folder))
}

fn settings(args: &ApplyArgs, here: &Path, plan_folder: &Path) -> Settings {
    Settings {
        here: here.to_owned(),
        plan_folder: here.join(plan_folder),
        provider: args.provider.clone(),
        source: args.source.clone(),
        data: args.data.iter().cloned().collect(),
        parallelism: args.parallelism,
        on_failure: if args.fail_fast { OnFailure::StartNothing } else { OnFailure::GoOn },
        grace: args.grace,
    }
}

pub(super) fn exit_of(interrupt: Interrupt) -> Exit {
    match interrupt {
        Interrupt::Interrupt => Exit::Interrupted,
        Interrupt::Terminate => Exit::Terminated,
        Interrupt::HangUp => Exit::HungUp,
    }
}

fn left_words(interrupt: Interrupt) -> String {
    format!("second {}: left at once; stages may still run, and the state knows them", interrupt.name())
}

/// How to go on or to give up, with the options that tell where everything is.
fn resume_line(args: &ApplyArgs) -> String {
    let mut apply = vec!["sky".to_owned(), "apply".to_owned()];
    apply.extend(args.plan.as_ref().map(|plan| quoted(&plan.to_string_lossy())));
    let mut option = |name: &str, value: &str| apply.extend([name.to_owned(), quoted(value)]);
    if let Some(provider) = &args.provider {
        option("--provider", provider);
    }
    if let Some(source) = &args.source {
        option("--source", &source.to_string_lossy());
    }
    for (name, path) in &args.data {
        option("--data", &format!("{name}={}", path.display()));
    }
    let place = args.state.state_dir.as_ref();
    let place = place.map(|folder| format!(" --state-dir {}", quoted(&folder.to_string_lossy()))).unwrap_or_default();
    format!("to go on: {}{place}; to end and delete everything: sky destroy{place}", apply.join(" "))
}

/// A word as a shell takes it for itself.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Whether the state in its folder holds all of the plan done.
fn all_done(plan: &Plan, args: &ApplyArgs) -> bool {
    let here = std::env::current_dir().unwrap_or_default();
    let state = Folder::resolve(&here, args.state.state_dir.as_deref()).read();
    state.ok().flatten().is_some_and(|state| crate::state::holds(&state, plan))
}

fn say_failures(outcome: &Outcome, terminal: &Terminal) {
    for (name, one) in &outcome.stages {
        let StageOutcome::Failed { message, tail, log } = one else { continue };
        let word = terminal.paint(anstyle::AnsiColor::Red.on_default().bold(), "error");
        terminal.note(&format!("\n{word}: stage.{name}: {}", super::progress::harmless(message)));
        for line in tail {
            terminal.note(&format!("  {name} | {}", super::progress::harmless(line)));
        }
        if let Some(log) = log {
            terminal.note(&format!("  log: {log}"));
        }
    }
}

/// What is printed at the end: counts, stages that are not done, outputs that no stage reads.
fn result_text(plan: &Plan, outcome: &Outcome, args: &ApplyArgs) -> String {
    let count = |wanted: fn(&StageOutcome) -> bool| outcome.stages.values().filter(|one| wanted(one)).count();
    let done = count(|one| *one == StageOutcome::Done);
    let unchanged = count(|one| *one == StageOutcome::Unchanged);
    let failed = count(|one| matches!(one, StageOutcome::Failed { .. }));
    let interrupted = count(|one| *one == StageOutcome::Interrupted);
    let skipped = count(|one| matches!(one, StageOutcome::Skipped { .. } | StageOutcome::NotBegun { .. }));
    let mut text = String::new();
    if unchanged == outcome.stages.len() {
        text += "No changes. All stages are done.\n";
    } else {
        text += &format!("Apply: {done} done, {unchanged} unchanged, {failed} failed, {skipped} skipped");
        text += &if interrupted > 0 { format!(", {interrupted} interrupted.\n") } else { ".\n".to_owned() };
    }
    if done + unchanged < outcome.stages.len() {
        let rows = plan.stages.iter().filter_map(|stage| {
            let (word, note) = outcome_words(outcome.stages.get(&stage.name)?);
            Some(vec![format!("stage.{}", stage.name), word.to_owned(), note])
        });
        text += "\n";
        text +=
            &columns(std::iter::once(["stage", "result", "note"].map(str::to_owned).to_vec()).chain(rows).collect());
    }
    let read: BTreeSet<String> =
        plan.stages.iter().flat_map(|stage| &stage.reads).map(ArtifactRef::to_string).collect();
    let root = args.state.state_dir.clone().unwrap_or_else(|| PathBuf::from(crate::state::folder::FOLDER));
    let mut rows = Vec::new();
    for stage in &plan.stages {
        for output in stage.writes.keys() {
            let name = format!("{}.{output}", stage.name);
            let Some(artifact) = outcome.artifacts.get(&name).filter(|_| !read.contains(&name)) else { continue };
            let path = root.join("artifacts").join(&stage.name).join(output);
            let size = Bytes(artifact.bytes).to_string();
            rows.push(vec![name, size, short(&artifact.digest), path.display().to_string()]);
        }
    }
    if !rows.is_empty() {
        rows.insert(0, ["output", "size", "digest", "path"].map(str::to_owned).to_vec());
        text += "\n";
        text += &columns(rows);
    }
    text
}

fn outcome_words(outcome: &StageOutcome) -> (&'static str, String) {
    match outcome {
        StageOutcome::Done => ("done", String::new()),
        StageOutcome::Unchanged => ("unchanged", String::new()),
        StageOutcome::Failed { message, .. } => ("failed", super::progress::harmless(message)),
        StageOutcome::Skipped { because } => ("skipped", because.clone()),
        StageOutcome::Interrupted => ("interrupted", String::new()),
        StageOutcome::NotBegun { because } => ("not begun", (*because).to_owned()),
    }
}

fn short(digest: &str) -> String {
    digest.chars().take("sha256:".len() + 12).collect()
}

/// Rows of cells as left-aligned columns, without trailing blanks.
fn columns(rows: Vec<Vec<String>>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: BTreeMap<usize, usize> = (0..count).map(|column| (column, width(column).unwrap_or(0))).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().enumerate().map(|(column, cell)| format!("{cell:<width$}", width = widths[&column]));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn parse_parallelism(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a number from 1 on".to_owned()),
    }
}

fn parse_data(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), path.into())),
        _ => Err("write NAME=PATH".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_for_the_shell() {
        let words = ["plan.json", "a=b/c", "my plan", "it's", "$x", ""];
        assert_eq!(words.map(quoted), ["plan.json", "a=b/c", "'my plan'", "'it'\\''s'", "'$x'", "''"]);
    }
}
