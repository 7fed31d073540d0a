//! `sky verify`: is a plan what its inputs make it?

use super::explain::{SourceArgs, read, same_inputs};
use super::{Exit, Failure, Terminal};
use crate::cli::working_folder::working_folder;
use crate::execution::apply::contents::{self, Sources, Wanted};
use crate::model::canonical;
use crate::plan::{Plan, file as plan_file};
use crate::planning::{self, Difference};
use crate::util::file;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Check a plan without the solver: costs, schedule, rules, and the arithmetic of its proof.
///
/// The plan's job, policy and catalog are needed; with others the exit code is 5. Exit code 1: the
/// plan is not what these inputs make it, and every difference is said.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// Plan file; `-` reads standard input
    #[arg(value_name = "PLAN")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub sources: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Differences that are said in text; with --json all are.
const SHOWN: usize = 20;

/// Checks.
pub(super) fn run(args: &VerifyArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let (plan, text) = plan_file::read_as_it_is(&args.plan).map_err(Failure::error)?;
    let (inputs, catalog) = read(&args.sources.inputs(), terminal)?;
    same_inputs(&plan, &inputs, &catalog, &args.plan)?;
    same_contents(&plan, args)?;
    let differences = planning::verify(
        &plan,
        &text,
        &inputs.job.value,
        &inputs.policy.value,
        &catalog,
    );
    if args.json {
        let verify_answer = json!({
            "format_version": "1.0",
            "verified": differences.is_empty(),
            "differences": differences.iter().map(difference_json).collect::<Vec<_>>(),
        });
        terminal.out(&canonical::to_text(&verify_answer).map_err(Failure::error)?)?;
        return Ok(if differences.is_empty() {
            Exit::Success
        } else {
            Exit::Error
        });
    }
    if !differences.is_empty() {
        return Err(Failure::error(report_text(
            &file::shown(&args.plan),
            &differences,
        )));
    }
    let proof = if plan.solver.status == "optimal" {
        "said to be optimal"
    } else {
        "not said to be optimal"
    };
    let totals = &plan.totals;
    let counted_words =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    terminal.out(&format!(
        "Verified: {} and {} cost {} and end after {}.\nAll rules are kept; the plan is {proof}.\n",
        counted_words(plan.stages.len(), "stage"),
        counted_words(plan.transfers.len(), "transfer"),
        totals.cost_micro_usd,
        totals.makespan_ms
    ))?;
    Ok(Exit::Success)
}

/// A plan can only be judged by the content that it was made for, as far as it is here.
fn same_contents(plan: &Plan, args: &VerifyArgs) -> Result<(), Failure> {
    let working_dir = working_folder()?;
    let job = args.sources.inputs().job;
    let folder = working_dir.join(job.parent().unwrap_or(Path::new("")));
    let sources = Sources {
        here: working_dir,
        folder,
        source: None,
        data: BTreeMap::new(),
    };
    if plan.contents.is_empty() {
        return Ok(());
    }
    let (now, _) = contents::read(&Wanted::of_plan(plan), &sources);
    let kinds = [
        ("dataset", &plan.contents.datasets, &now.datasets),
        ("file", &plan.contents.files, &now.files),
    ];
    let mut changed_names = Vec::new();
    for (kind, planned, now) in kinds {
        let other_names = now
            .iter()
            .filter(|(name, digest)| planned.get(*name).is_some_and(|planned| planned != *digest));
        changed_names.extend(other_names.map(|(name, _)| format!("{kind} `{name}`")));
    }
    if changed_names.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} was made for other content of {}",
        args.plan.display(),
        changed_names.join(", ")
    );
    Err(Failure::new(Exit::Stale, message).hint("bring that content back, or plan again"))
}

fn difference_json(difference: &Difference) -> Value {
    json!({ "at": difference.at, "says": difference.says, "should": difference.should })
}

fn report_text(name: &str, differences: &[Difference]) -> String {
    let mut text = format!("{name} is not what its inputs make it:");
    for Difference { at, says, should } in differences.iter().take(SHOWN) {
        text.push_str(&format!("\n  {at}\n    is {says}\n    should be {should}"));
    }
    if differences.len() > SHOWN {
        text.push_str(&format!(
            "\n  and {} more differences; --json lists all",
            differences.len() - SHOWN
        ));
    }
    text
}
