//! `sky validate`: are job and policy well written? Needs no network.

use super::inputs::{self, InputArgs, Inputs};
use super::{Exit, Failure, Terminal, hosts, lock};
use crate::planning::compile::{self, InputFile};
use crate::render::{diagnostic, no_plan};
use crate::spec::{Diagnostic, Diagnostics, Severity, SourceFile};

/// Check a job file and a policy file, and that the catalog knows the names in them.
///
/// Without --catalog and --locked the names are those of the catalog that `sky plan` takes here.
/// One that this catalog does not know is a warning then: the job may be meant for another one.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Print one JSON object, in the form of `terraform validate -json`
    #[arg(long)]
    pub json: bool,
}

/// Checks; exit code 1 if there are errors, all of which are shown.
pub(super) fn run(args: &ValidateArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (said, valid) = match inputs::read_with_files(&args.inputs) {
        Ok(mut inputs) => {
            let unknown = unknown_names(&inputs, args, terminal)?;
            let valid = unknown
                .iter()
                .flat_map(|said| &said.list)
                .all(|one| one.severity == Severity::Warning);
            inputs.warnings.extend(unknown);
            (inputs.warnings, valid)
        }
        Err(faults) => (faults, false),
    };
    if args.json {
        let files: Vec<(&SourceFile, &[Diagnostic])> = said
            .iter()
            .map(|Diagnostics { source, list }| (source, list.as_slice()))
            .collect();
        let json =
            serde_json::to_string_pretty(&diagnostic::json(&files)).map_err(Failure::error)?;
        terminal.out(&format!("{json}\n"))?;
    } else {
        inputs::warn(&said, terminal);
        if valid {
            terminal.out("Success! The job and the policy are valid.\n")?;
        }
    }
    Ok(if valid { Exit::Success } else { Exit::Error })
}

/// Names in job and policy that match nothing in the catalog on the command line; with `--locked`,
/// in the pinned one.
///
/// Without either it is the catalog of this folder, else the built-in one, and a name that it does
/// not know may be one of another catalog: a warning. But certification schemes are words of their
/// own: one that is unknown is mistyped.
fn unknown_names(
    inputs: &Inputs,
    args: &ValidateArgs,
    terminal: &Terminal,
) -> Result<Vec<Diagnostics>, Failure> {
    let catalog_named = args.inputs.catalog.is_some() || args.inputs.locked;
    let (job, policy) = (&inputs.job, &inputs.policy);
    let catalog = if catalog_named {
        args.inputs.load_catalog(terminal)?
    } else {
        let catalog = lock::catalog_to_show(None, terminal)?;
        // A broken file of hosts is no way to a plan.
        hosts::laid_over(catalog, None, args.inputs.hosts.as_deref())?
    };
    let mut names_unknown = compile::unknown_names(&job.value, &policy.value, &catalog);
    for name in names_unknown.iter_mut().filter(|_| !catalog_named) {
        name.is_error &= name.key.starts_with("certifications.");
    }
    let mut all_diagnostics = Vec::new();
    for (file, source) in [
        (InputFile::Job, &job.source),
        (InputFile::Policy, &policy.source),
    ] {
        let of_file = names_unknown.iter().filter(|name| name.file == file);
        let unknown_diagnostics: Vec<Diagnostic> =
            of_file.map(|name| no_plan::unknown(source, name)).collect();
        if !unknown_diagnostics.is_empty() {
            all_diagnostics.push(Diagnostics {
                source: source.clone(),
                list: unknown_diagnostics,
            });
        }
    }
    Ok(all_diagnostics)
}
