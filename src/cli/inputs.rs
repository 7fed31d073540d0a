//! Job, policy and catalog, from the files that the arguments name.

use super::{Exit, Failure, Terminal};
use crate::catalog::Catalog;
use crate::model::{Job, Policy};
use crate::render::diagnostic;
use crate::spec::{self, Diagnostics, Parsed, Severity, SourceFile};
use crate::util::{file, variables};
use std::path::{Path, PathBuf};

/// Which files to plan from.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Job file; `-` reads standard input
    #[arg(default_value = "job.toml", value_name = "JOB")]
    pub job: PathBuf,
    /// Policy file (`-` reads standard input), or a policy that comes with sky: cheapest, fastest,
    /// deadline-6h, eu-only, no-us-cloud-act, confidential [default: policy.toml beside the job, if
    /// it exists; else least cost without rules]
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
    /// Folder in which the `files` of stages are looked for first, beside the job file's own.
    #[arg(skip)]
    pub files_in: Option<PathBuf>,
}

impl InputArgs {
    /// Loads the catalog that the arguments name, or the lock.
    pub(super) fn load_catalog(&self, terminal: &Terminal) -> Result<Catalog, Failure> {
        let catalog = super::lock::catalog(self.catalog.as_deref(), self.locked, terminal)?;
        super::hosts::laid_over(catalog, self.catalog.as_deref(), self.hosts.as_deref())
    }
}

/// What was read. Warnings are not yet said.
pub(super) struct Inputs {
    pub job: Parsed<Job>,
    pub policy: Parsed<Policy>,
    pub warnings: Vec<Diagnostics>,
}

/// Reads job and policy; a failure holds every message about the first file that has errors.
pub(super) fn read(args: &InputArgs) -> Result<Inputs, Vec<Diagnostics>> {
    let mut faults = Vec::new();
    if file::is_standard_input(&args.job)
        && args.policy.as_deref().is_some_and(file::is_standard_input)
    {
        let mut unreadable_input = unreadable(
            "standard input",
            "job and policy cannot both be standard input",
            &args.job,
        );
        unreadable_input
            .list
            .iter_mut()
            .for_each(|said| said.hint = Some("name a file for one of them".to_owned()));
        return Err(vec![unreadable_input]);
    }
    let job = parse(&args.job, spec::job::parse, &mut faults);
    let policy = policy_text(args).and_then(|(name, text)| match text {
        Some(text) => spec::policy::parse(&name, &text),
        None => parse_file(Path::new(&name), spec::policy::parse)
            .map_err(|fault| shipped_instead(&name, fault)),
    });
    let policy = policy.map_err(|fault| faults.push(fault)).ok();
    match (job, policy) {
        (Some(job), Some(policy)) => {
            let warnings = vec![
                Diagnostics {
                    source: job.source.clone(),
                    list: job.warnings.clone(),
                },
                spec::check_labels(&job, &policy),
                Diagnostics {
                    source: policy.source.clone(),
                    list: policy.warnings.clone(),
                },
                spec::check(&job, &policy),
            ];
            let warnings_left: Vec<Diagnostics> = warnings
                .into_iter()
                .filter(|said| !said.list.is_empty())
                .collect();
            if warnings_left
                .iter()
                .flat_map(|said| &said.list)
                .any(|one| one.severity == Severity::Error)
            {
                return Err(warnings_left);
            }
            Ok(Inputs {
                job,
                policy,
                warnings: warnings_left,
            })
        }
        _ => Err(faults),
    }
}

/// Does what [`read`] does; a file that a stage needs and that is not there is an error too.
pub(super) fn read_with_files(args: &InputArgs) -> Result<Inputs, Vec<Diagnostics>> {
    let inputs = read(args)?;
    let job_folder = args.job.parent().unwrap_or(Path::new("")).to_owned();
    // Where `sky apply` looks, in its order.
    let folders: Vec<PathBuf> = args
        .files_in
        .iter()
        .cloned()
        .chain([job_folder, PathBuf::new()])
        .collect();
    let missing_names = missing_files(&inputs.job, &folders);
    match missing_names.list.is_empty() {
        true => Ok(inputs),
        false => Err([vec![missing_names], inputs.warnings].concat()),
    }
}

/// The `files` of stages that are in none of these folders.
fn missing_files(job: &Parsed<Job>, folders: &[PathBuf]) -> Diagnostics {
    let mut missing_diagnostics = Vec::new();
    for (stage, body) in &job.value.stages {
        let missing_names = body
            .files
            .iter()
            .filter(|name| !folders.iter().any(|folder| folder.join(name).exists()));
        for name in missing_names {
            let span = job
                .source
                .span(&format!("stages.{stage}.files.{name}"))
                .unwrap_or(0..0);
            let message = format!("stage `{stage}` needs the file `{name}`, which is not there");
            let hint = "put it beside the job file, or take it out of `files`";
            missing_diagnostics.push(
                spec::Diagnostic::error(span, message)
                    .with_label("no such file")
                    .with_hint(hint),
            );
        }
    }
    missing_diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    Diagnostics {
        source: job.source.clone(),
        list: missing_diagnostics,
    }
}

/// Whether a path is meant as a job: by its name, or for standard input by what comes: a plan and a
/// state are JSON objects, which no job is.
pub(super) fn is_job(path: &Path) -> Result<bool, Failure> {
    if !file::is_standard_input(path) {
        return Ok(path
            .extension()
            .is_some_and(|extension| extension == "toml"));
    }
    let text = file::read_text(path).map_err(Failure::error)?;
    Ok(!text.trim_start().starts_with('{'))
}

fn parse<T>(path: &Path, parse: Parser<T>, faults: &mut Vec<Diagnostics>) -> Option<Parsed<T>> {
    parse_file(path, parse)
        .map_err(|fault| faults.push(fault))
        .ok()
}

/// Reads one kind of file.
type Parser<T> = fn(&str, &str) -> Result<Parsed<T>, Diagnostics>;

fn parse_file<T>(path: &Path, parse: Parser<T>) -> Result<Parsed<T>, Diagnostics> {
    let name = file::shown(path);
    let text =
        file::read_text(path).map_err(|error| unreadable(&name, &error.to_string(), path))?;
    parse(&name, &text)
}

/// A file that cannot be read, as a message like all others.
fn unreadable(name: &str, message: &str, path: &Path) -> Diagnostics {
    let mut diagnostic = spec::Diagnostic::error(0..0, message.to_owned());
    if path.is_dir() {
        diagnostic.hint = Some(format!(
            "name a file, such as {}",
            path.join("job.toml").display()
        ));
    } else if !path.exists() && !file::is_standard_input(path) {
        diagnostic.hint = Some(
            match path.file_name().is_some_and(|name| name == "job.toml") {
                true => {
                    "`sky init` writes a job.toml to begin with; `sky plan JOB` plans another file"
                        .to_owned()
                }
                false => "check the name".to_owned(),
            },
        );
    }
    Diagnostics {
        source: SourceFile {
            name: name.to_owned(),
            ..SourceFile::default()
        },
        list: vec![diagnostic],
    }
}

/// A policy that is not a file may have been meant as the name of a shipped one.
fn shipped_instead(name: &str, mut fault: Diagnostics) -> Diagnostics {
    if file::is_standard_input(Path::new(name)) {
        return fault;
    }
    if !Path::new(name).exists() {
        let names: Vec<&str> = spec::shipped::names().collect();
        fault.list.iter_mut().for_each(|said| {
            said.hint = Some(format!(
                "name a policy file, or a shipped policy: {}",
                names.join(", ")
            ));
        });
    } else if Path::new(name).is_dir() {
        let file = Path::new(name).join("policy.toml");
        fault
            .list
            .iter_mut()
            .for_each(|said| said.hint = Some(format!("name a file, such as {}", file.display())));
    }
    fault
}

/// The policy's name, and its text unless it is to be read from the file of that name.
fn policy_text(args: &InputArgs) -> Result<(String, Option<String>), Diagnostics> {
    match &args.policy {
        Some(path) => {
            let name = path.display().to_string();
            match spec::shipped::text(&name).filter(|_| !path.exists()) {
                // Messages name its file in sky's sources.
                Some(shipped) => Ok((format!("policies/{name}.toml"), Some(shipped.to_owned()))),
                None => Ok((name, None)),
            }
        }
        None => {
            let policy_beside = args.job.with_file_name("policy.toml");
            let text = if policy_beside.exists() {
                None
            } else {
                Some(String::new())
            };
            Ok((policy_beside.display().to_string(), text))
        }
    }
}

/// All messages as one failure.
pub(super) fn failure(faults: &[Diagnostics], terminal: &Terminal) -> Failure {
    let text: String = faults
        .iter()
        .map(|fault| text(fault, terminal.colour_stderr))
        .collect();
    Failure::new(Exit::Error, text.trim_end())
}

/// Messages of one file; a file that is empty or could not be read has no lines to show.
pub(super) fn text(diagnostics: &Diagnostics, colour: bool) -> String {
    if diagnostics.source.text.is_empty() {
        let diagnostic_text = |diagnostic: &spec::Diagnostic| {
            let hint = diagnostic
                .hint
                .as_ref()
                .map(|hint| format!("\nhint: {hint}"));
            // That a file cannot be read names it already; that it is empty does not.
            let names_file = diagnostic.message.contains(&diagnostics.source.name);
            let name = if names_file {
                String::new()
            } else {
                format!("{}: ", diagnostics.source.name)
            };
            format!(
                "error: {name}{}{}\n",
                diagnostic.message,
                hint.unwrap_or_default()
            )
        };
        return diagnostics.list.iter().map(diagnostic_text).collect();
    }
    diagnostic::text(&diagnostics.source, &diagnostics.list, colour)
}

/// Says messages on stderr, with an empty line after each.
pub(super) fn warn(warnings: &[Diagnostics], terminal: &Terminal) {
    for said in warnings {
        terminal.note(&format!(
            "{}\n",
            text(said, terminal.colour_stderr).trim_end()
        ));
    }
}
