//! `sky apply`: executes a plan.

use super::command_line::CommandLine;
use super::invalid_argument::InvalidArgument;
use super::outcome;
use super::progress::{Stream, Text};
use super::signals::Signals;
use super::state::{PlaceArgs, StateArgs, failure, open_locked_async};
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::staging::CHUNK_MIB;
use crate::execution::apply::{
    self, Checked, Interrupt, Observer, OnFailure, Outcome, Settings, StageOutcome,
};
use crate::execution::state::{Lock, Opened, Store};
use crate::execution::storage::Staging;
use crate::model::units::UnitError;
use crate::model::{Bytes, Money};
use crate::plan::Plan;
use crate::util::{shell, variables, watch};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Execute a plan: run its stages, hand their data on, keep a state of what is done.
///
/// Applying a plan file asks nothing: the file is what was approved. An apply that was ended by a
/// signal or a crash goes on where it was; a stage that is done with the same content is not run
/// again.
#[derive(Clone, Debug, clap::Args)]
pub struct ApplyArgs {
    /// Plan file that `sky plan --out` wrote, or job file (.toml) [default: job.toml]
    pub plan: Option<PathBuf>,
    /// Run all stages with this provider, wherever they are planned; `local` rehearses any plan on
    /// this machine
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// Do not ask before a plan that this command makes is applied
    #[arg(long)]
    pub auto_approve: bool,
    /// Print progress and result as JSON, one object a line
    #[arg(long)]
    pub json: bool,
    /// Run at most this many stages at a time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_parallelism)]
    pub parallelism: usize,
    /// Start no more stages once one has failed
    #[arg(long)]
    pub fail_fast: bool,
    /// Folder that paths of datasets and files are relative to [default: the folder of the plan,
    /// then the working folder]
    #[arg(long, value_name = "DIR")]
    pub source: Option<PathBuf>,
    /// Where a dataset is on this machine; can be given many times
    #[arg(long, value_name = "NAME=PATH", value_parser = parse_data)]
    pub data: Vec<(String, PathBuf)>,
    /// In a rehearsal (`--provider local` or `sim`), use an empty file for every dataset that is at
    /// a cloud and has no path on this machine
    #[arg(long)]
    pub stand_ins: bool,
    /// Do not show what stages print; it is in their log files
    #[arg(long)]
    pub no_logs: bool,
    /// How long stages have to end after Ctrl-C before they are killed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::state::parse_time, env = variables::SKY_GRACE.name)]
    pub grace: Duration,
    /// Keep at most this much of the log of a stage, and its last 64 KiB; `none` keeps all of it
    #[arg(long, value_name = "SIZE", default_value = "100 MB", value_parser = parse_log_limit, env = variables::SKY_LOG_LIMIT.name)]
    pub log_limit: u64,
    /// The most that the job may cost, in place of the budget of the plan, such as `$60`
    #[arg(long, value_name = "MONEY", value_parser = Money::parse)]
    pub budget: Option<Money>,
    /// How data gets from stage to stage: `buckets` (object stores at the places of the plan),
    /// `home` (through this machine), or file:///DIR (a folder that all machines share) [default:
    /// buckets where a place has them; home if --provider names another provider]
    #[arg(long, value_name = "HOW", value_parser = Staging::parse, env = variables::SKY_STAGING.name)]
    pub staging: Option<Staging>,
    /// Keep the buckets and their content when the job is done; `sky destroy` deletes them
    #[arg(long)]
    pub keep_buckets: bool,
    /// Copy no output and no progress larger than this [default: ten times the size that the job
    /// declares, and at least 1 GiB for an output and 100 GB for progress]
    #[arg(long, value_name = "SIZE", value_parser = parse_size, env = variables::SKY_OUTPUT_LIMIT.name)]
    pub output_limit: Option<u64>,
    /// The size of the pieces in which data goes to buckets, in MiB
    #[arg(long, value_name = "MIB", default_value_t = CHUNK_MIB, hide = true, env = variables::SKY_STAGING_CHUNK.name,
          value_parser = clap::value_parser!(u64).range(1..=4096))]
    pub staging_chunk: u64,
    /// The state and its place.
    #[command(flatten)]
    pub state: StateArgs,
    /// This command, for messages that suggest to repeat it.
    #[arg(skip)]
    pub command: CommandLine,
}

/// Executes a plan that is approved. `plan_folder` is where the plan file lies, or the job file
/// of a plan that was made on the way.
///
/// A rehearsal has a state of its own, unless its place is named.
pub fn run_plan(
    plan: &Plan,
    plan_folder: &Path,
    args: &ApplyArgs,
    terminal: &Terminal,
) -> Result<Applied, Failure> {
    let args = &at_its_place(plan, args)?;
    if args.json {
        let stream = Arc::new(Stream::begin(terminal));
        let apply_result = apply_plan(plan, plan_folder, args, stream.clone());
        match &apply_result {
            Ok(Ended::Walked(outcome)) => stream.outcome(outcome),
            Ok(Ended::Left(interrupt)) => {
                let failure = Failure::new(exit_of(*interrupt), left_words(*interrupt));
                stream.failed(&failure, "apply");
            }
            Ok(Ended::NotBegun(interrupt)) => {
                let failure = Failure::new(exit_of(*interrupt), not_begun_words(*interrupt));
                stream.failed(&failure, "apply");
            }
            Err(failure) => stream.failed(failure, "apply"),
        }
        return apply_result
            .map(|ended| ended.applied(args))
            .map_err(Failure::told);
    }
    let text = Arc::new(Text::new(terminal, !args.no_logs));
    let apply_result = apply_plan(plan, plan_folder, args, text.clone());
    text.finish();
    let ended_apply = apply_result?;
    match &ended_apply {
        Ended::Walked(outcome) => {
            outcome::say_failures(outcome, terminal);
            let root = args.state.place.root();
            // A reader that has gone away does not change how the apply ended.
            let _ = terminal.out(&outcome::text(plan, outcome, &root));
            print_hints(outcome, args, terminal);
            if outcome.interrupted.is_some() && ended_apply.exit() != Exit::Success {
                terminal.note(&resume_line(args));
            }
        }
        Ended::NotBegun(interrupt) => terminal.note(&not_begun_words(*interrupt)),
        Ended::Left(interrupt) => {
            terminal.note(&left_words(*interrupt));
            if !all_done(plan, args) {
                terminal.note(&resume_line(args));
            }
        }
    }
    Ok(ended_apply.applied(args))
}

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The exit code.
    pub exit: Exit,
    /// Where the state is that was left.
    pub place: PlaceArgs,
    /// A stage has no offer left that the plan has checked.
    pub used_up: bool,
}

/// How the verb ended.
enum Ended {
    Walked(Outcome),
    /// By a second signal, without waiting for anything.
    Left(Interrupt),
    /// By a signal that came before anything was begun.
    NotBegun(Interrupt),
}

impl Ended {
    fn applied(&self, args: &ApplyArgs) -> Applied {
        let outcome = match self {
            Ended::Walked(outcome) if outcome.interrupted.is_none() => Some(outcome),
            _ => None,
        };
        let used_up = outcome.is_some_and(|outcome| outcome.stages.values().any(used_up));
        Applied {
            exit: self.exit(),
            place: args.state.place.clone(),
            used_up,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Ended::Left(interrupt) | Ended::NotBegun(interrupt) => exit_of(*interrupt),
            Ended::Walked(outcome) => exit(outcome),
        }
    }
}

/// The exit code for what came of a plan.
pub fn exit(outcome: &Outcome) -> Exit {
    let is_done = |one: &StageOutcome| matches!(one, StageOutcome::Done | StageOutcome::Unchanged);
    let done_count = outcome.stages.values().filter(|one| is_done(one)).count();
    match outcome.interrupted {
        _ if done_count == outcome.stages.len() => Exit::Success,
        Some(interrupt) => exit_of(interrupt),
        None if outcome
            .stages
            .values()
            .any(|one| matches!(one, StageOutcome::Denied { .. })) =>
        {
            Exit::Denied
        }
        None if done_count > 0 => Exit::Partial,
        None => Exit::Error,
    }
}

fn apply_plan(
    plan: &Plan,
    plan_folder: &Path,
    args: &ApplyArgs,
    observer: Arc<dyn Observer>,
) -> Result<Ended, Failure> {
    let runtime = super::runtime::runtime()?;
    let apply_result = runtime.block_on(execute_until_signalled(plan, plan_folder, args, observer));
    // Not waiting for file work that a second signal has made pointless.
    runtime.shutdown_background();
    apply_result
}

async fn execute_until_signalled(
    plan: &Plan,
    plan_folder: &Path,
    args: &ApplyArgs,
    observer: Arc<dyn Observer>,
) -> Result<Ended, Failure> {
    let mut signals = Signals::listen()?;
    let working_dir = working_folder()?;
    let store = args.state.store(&working_dir)?;
    let folder = &store.folder;
    let settings = apply_settings(args, &working_dir, plan_folder);
    // Stores, clouds and the lock may keep it waiting.
    let prepared = tokio::select! {
        biased;
        prepared = prepare_apply(plan, &settings, &store, args) => prepared?,
        signal = signals.next() => return Ok(Ended::NotBegun(signal)),
    };
    let Prepared {
        checked,
        lock,
        opened,
    } = prepared;
    let (interrupt, interrupted) = watch::channel(None);
    let mut walk = std::pin::pin!(apply::apply_plan(
        plan,
        checked,
        settings,
        folder,
        opened,
        observer,
        interrupted
    ));
    let walk_end = loop {
        tokio::select! {
            outcome = &mut walk => break outcome.map(Ended::Walked).map_err(|error| failure(error, &store))?,
            signal = signals.next() => {
                if interrupt.borrow().is_some() {
                    // Tasks may still write for a moment: the lock ends with the process.
                    std::mem::forget(lock);
                    return Ok(Ended::Left(signal));
                }
                interrupt.send(Some(signal));
            }
        }
    };
    if matches!(&walk_end, Ended::Walked(outcome) if outcome.snapshot_is_late) {
        // It ends with the process.
        std::mem::forget(lock);
    }
    Ok(walk_end)
}

/// What an apply begins with.
struct Prepared {
    checked: Checked,
    lock: Option<Lock>,
    opened: Opened,
}

/// Checks a plan, first without a lock and without a folder, so that one that cannot be applied
/// leaves no trace; then takes the lock and opens the state.
async fn prepare_apply(
    plan: &Plan,
    settings: &Settings,
    store: &Store,
    args: &ApplyArgs,
) -> Result<Prepared, Failure> {
    let fail = |error: apply::Error| failure(error, store);
    let state_before = store
        .read_async()
        .await
        .map_err(|error| fail(error.into()))?;
    let checked = apply::check(plan, settings, state_before.as_ref()).map_err(fail)?;
    let unready = apply::preflight::check_providers(plan, checked, settings)
        .await
        .map_err(fail)?
        .unready;
    let (lock, opened) = open_locked_async(store, "apply", &args.state.locking).await?;
    let checked = apply::check(plan, settings, Some(&opened.state)).map_err(fail)?;
    let checked = Checked { unready, ..checked };
    Ok(Prepared {
        checked,
        lock,
        opened,
    })
}

/// Whether the plan can be applied at all; to be known before anybody is asked to approve it.
pub fn check_plan(plan: &Plan, plan_folder: &Path, args: &ApplyArgs) -> Result<(), Failure> {
    let args = &at_its_place(plan, args)?;
    let working_dir = working_folder()?;
    check_plan_and_state(
        plan,
        &apply_settings(args, &working_dir, plan_folder),
        &args.state.store(&working_dir)?,
    )
    .map(drop)
}

/// Where the state of an apply of a plan is: where it is named; else a rehearsal has one of its
/// own.
pub fn place_of(plan: &Plan, args: &ApplyArgs) -> Result<PlaceArgs, Failure> {
    let place = &args.state.place;
    let rehearsal = apply::check::rehearsal(plan, args.provider.as_deref(), args.stand_ins);
    let Some(provider) = rehearsal.filter(|_| !place.is_named()) else {
        return Ok(place.clone());
    };
    let working_dir = working_folder()?;
    // An earlier sky kept rehearsals in the folder's own state: one that was begun there goes on
    // there.
    let held_state = place.store(&working_dir)?.read().ok().flatten();
    let tried_places = held_state
        .iter()
        .flat_map(|state| state.stages.values())
        .filter(|record| record.attempt > 0);
    let mut tried_places = tried_places.peekable();
    let begun_there = tried_places.peek().is_some()
        && tried_places.all(|record| record.rehearsed_with() == Some(provider));
    Ok(if begun_there {
        place.clone()
    } else {
        place.of_rehearsal(provider)
    })
}

fn at_its_place(plan: &Plan, args: &ApplyArgs) -> Result<ApplyArgs, Failure> {
    let place = place_of(plan, args)?;
    Ok(ApplyArgs {
        state: StateArgs {
            place,
            ..args.state.clone()
        },
        ..args.clone()
    })
}

fn check_plan_and_state(
    plan: &Plan,
    settings: &Settings,
    store: &Store,
) -> Result<Checked, Failure> {
    let state_before = store.read().map_err(|error| failure(error.into(), store))?;
    apply::check(plan, settings, state_before.as_ref()).map_err(|error| failure(error, store))
}

fn apply_settings(args: &ApplyArgs, working_dir: &Path, plan_folder: &Path) -> Settings {
    Settings {
        here: working_dir.to_owned(),
        plan_folder: working_dir.join(plan_folder),
        provider: args.provider.clone(),
        source: args.source.clone(),
        data: args.data.iter().cloned().collect(),
        stand_ins: args.stand_ins,
        parallelism: args.parallelism,
        on_failure: if args.fail_fast {
            OnFailure::StartNothing
        } else {
            OnFailure::GoOn
        },
        grace: args.grace,
        log_limit: args.log_limit,
        budget: args.budget,
        access: args.state.access(working_dir),
        staging: args
            .staging
            .clone()
            .unwrap_or_else(|| Staging::usual(args.provider.as_deref())),
        chunk_bytes: args.staging_chunk << 20,
        keep_buckets: args.keep_buckets,
        output_limit: args.output_limit,
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
    format!(
        "second {}: left at once; stages may still run, and the state knows them",
        interrupt.name()
    )
}

fn not_begun_words(interrupt: Interrupt) -> String {
    format!("{}: ended before anything was begun", interrupt.name())
}

fn used_up(stage_outcome: &StageOutcome) -> bool {
    matches!(stage_outcome, StageOutcome::Failed { used_up: true, .. })
}

/// What to do about what is left.
fn print_hints(outcome: &Outcome, args: &ApplyArgs, terminal: &Terminal) {
    let place = place_options(args);
    let (plan, apply, destroy) = (
        args.command.sky("plan"),
        args.command.sky("apply"),
        args.command.sky("destroy"),
    );
    if outcome.stages.values().any(used_up) {
        terminal.note(&format!(
            "hint: plan the rest from here, without the offers that are unavailable: \
             {plan} JOB --from-state{place} --out rest.json; {apply} rest.json{place}"
        ));
    }
    if !outcome.buckets.is_empty() {
        let names: Vec<&str> = outcome.buckets.values().map(String::as_str).collect();
        terminal.note(&format!(
            "hint: data in between is still in {}: the next apply goes on with it, `{destroy}{place}` deletes it",
            names.join(", ")
        ));
    }
    if !outcome.account.billing.is_empty() {
        terminal.note(&format!(
            "hint: to end what is still there: {destroy}{place}"
        ));
    }
}

/// How to go on or to give up: the command as it was given, and its counterpart for the same state.
fn resume_line(args: &ApplyArgs) -> String {
    let (apply, destroy) = (args.command.again(&[]), args.command.sky("destroy"));
    format!(
        "to go on: {apply}; to end and delete everything: {destroy}{}",
        place_options(args)
    )
}

/// The options that tell where everything is.
fn place_options(args: &ApplyArgs) -> String {
    let hosts = args
        .state
        .hosts
        .as_ref()
        .map(|path| format!(" --hosts {}", shell::quoted_path(path)));
    format!("{}{}", args.state.place.words(), hosts.unwrap_or_default())
}

/// Whether the state in its folder holds all of the plan done.
fn all_done(plan: &Plan, args: &ApplyArgs) -> bool {
    let working_dir = std::env::current_dir().unwrap_or_default();
    let held_state = args
        .state
        .store(&working_dir)
        .ok()
        .and_then(|store| store.read().ok());
    held_state
        .flatten()
        .is_some_and(|state| crate::execution::state::holds(&state, plan))
}

/// Reads a size such as `200 GB`, in bytes.
fn parse_size(text: &str) -> Result<u64, UnitError> {
    Bytes::parse(text).map(|bytes| bytes.0)
}

fn parse_parallelism(text: &str) -> Result<usize, InvalidArgument> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(InvalidArgument::new("a number from 1 on")),
    }
}

/// A size, or `none`, which is 0 bytes.
fn parse_log_limit(text: &str) -> Result<u64, InvalidArgument> {
    if text == "none" {
        return Ok(0);
    }
    match Bytes::parse(text) {
        Ok(Bytes(0)) => Err(InvalidArgument::new(
            "the least is 1 B; `none` keeps all of it",
        )),
        // More digits than this are more than shells count with.
        Ok(Bytes(bytes)) if bytes > 1_000_000_000_000_000 => Err(InvalidArgument::new(
            "the most is 1 PB; `none` keeps all of it",
        )),
        Ok(Bytes(bytes)) => Ok(bytes),
        Err(error) => Err(InvalidArgument::new(error.0)),
    }
}

pub(super) fn parse_data(text: &str) -> Result<(String, PathBuf), InvalidArgument> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err(InvalidArgument::new("write NAME=PATH")),
    }
}
