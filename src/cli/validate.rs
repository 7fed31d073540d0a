//! `sky validate`: are job and policy well written? Needs no network, and no catalog unless one
//! is named.

use super::inputs::{self, InputArgs, Inputs};
use super::{Exit, Failure, Terminal};
use crate::compile;
use crate::render::{diagnostic, no_plan};
use crate::spec::{Diagnostic, Diagnostics, SourceFile};

/// Check a job file and a policy file; with --catalog, also the names that the job takes from it.
#[derive(Clone, Debug, clap::Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    /// One JSON object, in the shape of `terraform validate -json`
    #[arg(long)]
    pub json: bool,
}

/// Checks; exit code 1 if there are errors, all of which are shown.
pub fn run(args: &ValidateArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (said, valid) = match inputs::read(&args.inputs) {
        Ok(mut inputs) => {
            let unknown = unknown_name(&inputs, args, terminal)?;
            let valid = unknown.is_none();
            inputs.warnings.extend(unknown);
            (inputs.warnings, valid)
        }
        Err(faults) => (faults, false),
    };
    if args.json {
        let files: Vec<(&SourceFile, &[Diagnostic])> =
            said.iter().map(|Diagnostics { source, list }| (source, list.as_slice())).collect();
        let json = serde_json::to_string_pretty(&diagnostic::json(&files)).map_err(Failure::error)?;
        terminal.out(&format!("{json}\n"))?;
    } else {
        inputs::warn(&said, terminal);
        if valid {
            terminal.out("Success! The job and the policy are valid.\n")?;
        }
    }
    Ok(if valid { Exit::Success } else { Exit::Error })
}

/// A place or an accelerator of the job that the catalog on the command line does not have; with
/// `--locked`, the pinned one.
fn unknown_name(inputs: &Inputs, args: &ValidateArgs, terminal: &Terminal) -> Result<Option<Diagnostics>, Failure> {
    if args.inputs.catalog.is_none() && !args.inputs.locked {
        return Ok(None);
    }
    let catalog = args.inputs.load_catalog(terminal)?;
    let source = &inputs.job.source;
    Ok(match compile::check_names(&inputs.job.value, &catalog) {
        Err(compile::Refusal::Unknown { key, message, hint }) => {
            let list = vec![no_plan::unknown(source, &key, &message, hint.as_deref())];
            Some(Diagnostics { source: source.clone(), list })
        }
        _ => None,
    })
}
