//! `sky validate`: are job and policy well written? Needs no network and no catalog.

use super::inputs::{self, InputArgs};
use super::{Exit, Failure, Terminal};
use crate::render::diagnostic;
use crate::spec::{Diagnostic, Diagnostics, SourceFile};

/// Check a job file and a policy file.
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
        Ok(inputs) => (inputs.warnings, true),
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
