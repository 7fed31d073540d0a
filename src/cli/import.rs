//! `sky import`: jobs from other formats.

use super::invalid_argument::InvalidArgument;
use super::refresh::{self, TakeOverArgs};
use super::{Exit, Failure, Terminal};
use crate::model::units::scaled;
use crate::model::{ArtifactRef, Bytes, Job, PlaceName, Stage, canonical};
use crate::planning::compile;
use crate::spec::import::{Factor, Fault, wfformat};
use crate::spec::{self, write};
use crate::util::{file, variables};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Import a workflow of another tool as a job, or a machine as the attempt of a stage
///
/// `sky import stage.NAME ID --provider P` makes a machine that is there, and that the state does
/// not know, the attempt of a stage: the next apply goes on with what runs on it, or runs the stage
/// there.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    pub format: Option<Format>,
    #[command(flatten)]
    pub machine: TakeOverArgs,
}

/// Formats.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum Format {
    Wfformat(WfformatArgs),
}

/// WfFormat 1.5 (WfCommons): a JSON file with tasks, files and run times.
///
/// A task becomes a stage, a file its artifact, a file that no task writes a dataset. A run time
/// is for `coreCount` cores (1 if not given) and is divided by an offer's virtual CPUs. The
/// stages have no command: the job can be planned, not applied.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct WfformatArgs {
    /// The workflow file; `-` reads standard input
    pub file: PathBuf,
    /// Job file to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Catalog folder that must know the place of `--at` [default: the catalog that sky.lock pins,
    /// else the built-in catalog]
    #[arg(long, value_name = "DIR", env = variables::SKY_CATALOG.name)]
    pub catalog: Option<PathBuf>,
    /// The place of the input files; from local:here, which is this machine, data moves at no cost
    #[arg(long, value_name = "PLACE", default_value_t = PlaceName::here(), value_parser = parse_place)]
    pub at: PlaceName,
    /// A task takes its run time on every machine, whatever the number of vCPUs
    #[arg(long)]
    pub fixed: bool,
    /// vCPUs for tasks without `coreCount`
    #[arg(long, value_name = "N", default_value = "1")]
    pub cpus: String,
    /// Memory for tasks without `memoryInBytes`, such as 4GiB [default: any amount]
    #[arg(long, value_name = "SIZE", value_parser = Bytes::parse)]
    pub memory: Option<Bytes>,
    /// Multiply the sizes of all files by this
    #[arg(long, value_name = "N", default_value = "1", value_parser = Factor::parse)]
    pub scale_data: Factor,
    /// Multiply all run times by this
    #[arg(long, value_name = "N", default_value = "1", value_parser = Factor::parse)]
    pub scale_time: Factor,
    /// Print one JSON object, with the text of the job unless --out names a file
    #[arg(long)]
    pub json: bool,
}

fn parse_place(text: &str) -> Result<PlaceName, InvalidArgument> {
    PlaceName::parse(text).ok_or_else(|| {
        InvalidArgument::new("write a place as `cloud:region`, such as `aws:eu-west-1`")
    })
}

/// Imports.
pub(super) fn run(args: &ImportArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let Some(Format::Wfformat(args)) = &args.format else {
        return refresh::import(&args.machine, terminal);
    };
    let cpus =
        scaled(&args.cpus, 1000).map_err(|error| Failure::error(format!("--cpus: {}", error.0)))?;
    let settings = wfformat::Settings {
        at: args.at.clone(),
        fixed: args.fixed,
        vcpu_thousandths: cpus.unsigned_abs(),
        memory: args.memory.unwrap_or_default(),
        scale_data: args.scale_data,
        scale_time: args.scale_time,
    };
    if let Some(out) = &args.out
        && let (Ok(out), Ok(source)) = (
            std::fs::canonicalize(out),
            std::fs::canonicalize(&args.file),
        )
        && out == source
    {
        let message = format!("{} is the input: it would be lost", args.file.display());
        return Err(Failure::error(message).hint("name another file"));
    }
    let text = file::read_text(&args.file).map_err(Failure::error)?;
    let imported =
        wfformat::import(&text, &settings).map_err(|faults| import_failure(&args.file, &faults))?;
    known_place(args, &imported.job, terminal)?;
    let written = write::job(&imported.job);
    read_back(&args.file, &written)?;
    for warning in imported
        .warnings
        .iter()
        .chain(&without_dependencies(&imported.job))
    {
        terminal.warn(warning);
    }
    if let Some(out) = &args.out {
        file::write_result(out, written.as_bytes()).map_err(Failure::error)?;
    }
    let (stages, datasets) = (imported.job.stages.len(), imported.job.datasets.len());
    match &args.out {
        out if args.json => {
            let import_answer = json!({
                "format_version": "1.0", "stages": stages, "datasets": datasets,
                "out": out, "job": out.is_none().then_some(&written),
            });
            let text = canonical::to_text(&import_answer).map_err(Failure::error)?;
            terminal.out(&text).map(|()| Exit::Success)
        }
        Some(out) => {
            let plural_end = |count: usize| if count == 1 { "" } else { "s" };
            let (stages, datasets) = (
                format!("{stages} stage{}", plural_end(stages)),
                format!("{datasets} dataset{}", plural_end(datasets)),
            );
            terminal.note(&format!("{}: {stages}, {datasets}", out.display()));
            Ok(Exit::Success)
        }
        None => terminal.out(&written).map(|()| Exit::Success),
    }
}

/// The place of the datasets must be one of the catalog that `sky plan` would take here, or of
/// one's own hosts: a job at a place that does not exist cannot be planned.
fn known_place(args: &WfformatArgs, job: &Job, terminal: &Terminal) -> Result<(), Failure> {
    if args.at == PlaceName::here() || job.datasets.is_empty() {
        return Ok(());
    }
    let catalog = super::lock::catalog_to_show(args.catalog.as_deref(), terminal)?;
    let catalog = super::hosts::laid_over(catalog, args.catalog.as_deref(), None)?;
    if catalog.place_id(&args.at).is_some() {
        return Ok(());
    }
    let near = compile::nearest_place(&args.at.to_string(), &catalog);
    Err(
        Failure::error(format!("--at: the catalog has no place `{}`", args.at))
            .hint(near.unwrap_or_else(|| "`sky catalog list` shows what there is".to_owned())),
    )
}

/// Stages that do not depend on each other at all are hardly a workflow.
fn without_dependencies(job: &Job) -> Option<String> {
    let depends = |stage: &Stage| {
        !stage.after.is_empty()
            || stage
                .reads
                .iter()
                .any(|read| matches!(read, ArtifactRef::Output { .. }))
    };
    (job.stages.len() > 1 && !job.stages.values().any(depends)).then(|| {
        format!(
            "none of the {} stages depends on another, so all may run at once: does the file say which task comes before which (`parents`, `children`, or files that one writes and another reads)?",
            job.stages.len()
        )
    })
}

/// What one value alone does not show, such as too much data altogether.
fn read_back(path: &Path, written: &str) -> Result<(), Failure> {
    match spec::job::parse("job.toml", written) {
        Ok(_) => Ok(()),
        Err(said) => {
            let first_fault = said
                .list
                .first()
                .map(|said| (said.message.clone(), said.hint.clone()));
            let (message, hint) = first_fault.unwrap_or_default();
            let failure = Failure::error(format!("{}: {message}", file::shown(path)));
            Err(hint.into_iter().fold(failure, Failure::hint))
        }
    }
}

/// All faults, a line each.
fn import_failure(path: &Path, faults: &[Fault]) -> Failure {
    const SHOWN: usize = 20;
    let name = file::shown(path);
    let mut fault_lines: Vec<String> = faults
        .iter()
        .take(SHOWN)
        .map(|fault| format!("{name}: {fault}"))
        .collect();
    if faults.len() > SHOWN {
        fault_lines.push(format!("{name}: and {} more", faults.len() - SHOWN));
    }
    let hint = faults.iter().find_map(|fault| fault.hint.clone());
    let failure = Failure::error(fault_lines.join("\nerror: "));
    hint.into_iter().fold(failure, Failure::hint)
}
