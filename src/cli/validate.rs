//! `sky validate`: are job and policy well written? Needs no network, and no catalog unless one
//! is named.

use super::inputs::{self, InputArgs, Inputs};
use super::{Exit, Failure, Terminal, hosts};
use crate::planning::compile::{self, InputFile};
use crate::render::{diagnostic, no_plan};
use crate::spec::{Diagnostic, Diagnostics, Severity, SourceFile};

/// Check a job file and a policy file; with --catalog, also the names in them that it must know.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ValidateArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    /// One JSON object, in the shape of `terraform validate -json`
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
/// Without either there is no catalog to ask, but certification schemes are words of their own: one
/// that neither the catalog of this folder nor the built-in one knows is mistyped.
fn unknown_names(
    inputs: &Inputs,
    args: &ValidateArgs,
    terminal: &Terminal,
) -> Result<Vec<Diagnostics>, Failure> {
    let named = args.inputs.catalog.is_some() || args.inputs.locked;
    let (job, policy) = (&inputs.job, &inputs.policy);
    if !named && policy.value.certifications.is_empty() {
        // A broken file of hosts is no way to a plan.
        hosts::check(args.inputs.hosts.as_deref())?;
        return Ok(Vec::new());
    }
    let catalog = args.inputs.load_catalog(terminal)?;
    let mut unknown = compile::unknown_names(&job.value, &policy.value, &catalog);
    unknown.retain(|name| named || name.key.starts_with("certifications."));
    let mut said = Vec::new();
    for (file, source) in [
        (InputFile::Job, &job.source),
        (InputFile::Policy, &policy.source),
    ] {
        let of_file = unknown.iter().filter(|name| name.file == file);
        let list: Vec<Diagnostic> = of_file.map(|name| no_plan::unknown(source, name)).collect();
        if !list.is_empty() {
            said.push(Diagnostics {
                source: source.clone(),
                list,
            });
        }
    }
    Ok(said)
}
