//! `sky apply`: a plan file is applied as it is; a job is planned first, and shown.

use super::compute_plan::{Clouds, PlanRequest, SolvingArgs, compute, sources};
use super::held_state::HeldState;
use super::inputs::{self, InputArgs};
use super::{Exit, Failure, Terminal, apply};
use crate::plan::file as plan_file;
use crate::planning::solve::Effort;
use crate::render::{events, plan_text};
use crate::util::variables;
use std::path::{Path, PathBuf};

/// Execute a plan, or plan a job and execute that.
///
/// PLAN is a file written by `sky plan --out`: it was approved by being written, so nothing is
/// asked. A job file (.toml), or nothing (job.toml), is planned, shown, and applied after a yes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ApplyVerbArgs {
    #[command(flatten)]
    pub apply: apply::ApplyArgs,
    /// With a job file: policy file, or the name of a policy that comes with sky
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// With a job file: catalog folder
    #[arg(long, value_name = "DIR", env = variables::SKY_CATALOG.name)]
    pub catalog: Option<PathBuf>,
    /// For CI: fail unless the plan was made from the catalog that sky.lock pins
    #[arg(long)]
    pub locked: bool,
    /// With a job file: when a stage has no alternative left in the plan, plan what is left of the
    /// job again without the offers that were unavailable, and go on
    #[arg(long)]
    pub replan: bool,
}

/// Applies a plan file, or plans a job, asks, and applies that.
pub(super) fn run(args: &ApplyVerbArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = args
        .apply
        .plan
        .clone()
        .unwrap_or_else(|| PathBuf::from("job.toml"));
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if !inputs::is_job(&path)? {
        if args.policy.is_some() {
            return Err(Failure::error(
                "a plan file is applied as it is: --policy cannot be used with it",
            )
            .hint("plan again with `sky plan --policy FILE --out PLAN`"));
        }
        let plan = plan_file::read(&path).map_err(Failure::error)?;
        if args.locked {
            super::locked_plan::check_plan(
                &path,
                &plan.inputs.catalog,
                args.apply.state.hosts.as_deref(),
            )?;
        }
        if args.replan {
            return Err(Failure::error(
                "--replan needs the job file: a plan file is applied as it is",
            )
            .hint("apply the job itself: sky apply job.toml --replan"));
        }
        return apply::run_plan(&plan, folder, &args.apply, terminal).map(|applied| applied.exit);
    }
    if args.apply.json && !args.apply.auto_approve {
        return Err(Failure::error(
            "--json cannot ask: it needs a plan file or --auto-approve",
        ));
    }
    if !args.apply.auto_approve && !terminal.interactive {
        return Err(Failure::error(
            "apply asks before it begins, and there is no terminal to ask on",
        )
        .hint(
            "write a plan with `sky plan --out plan.json` and apply that, or give --auto-approve",
        ));
    }
    let (policy, catalog) = (args.policy.clone(), args.catalog.clone());
    let hosts = args.apply.state.hosts.clone();
    let inputs = InputArgs {
        job: path.clone(),
        policy,
        catalog,
        locked: args.locked,
        hosts,
        files_in: args.apply.source.clone(),
    };
    let mut applied = plan_and_apply(args, &inputs, folder, None, terminal)?;
    // Every round does without more offers, so this comes to an end.
    while applied.used_up && plan_again(args, terminal)? {
        let held_state = HeldState::read(&applied.place)?;
        applied = plan_and_apply(args, &inputs, folder, Some(&held_state), terminal)?;
    }
    Ok(applied.exit)
}

/// Whether the rest is to be planned anew, now that a stage has no checked offer left.
fn plan_again(args: &ApplyVerbArgs, terminal: &Terminal) -> Result<bool, Failure> {
    if args.replan || !terminal.interactive || args.apply.json || args.apply.auto_approve {
        return Ok(args.replan);
    }
    terminal.confirm("Do you want to plan the rest anew, from the state as it is?")
}

/// Plans a job, or the rest of it from a state, asks, and applies the plan.
fn plan_and_apply(
    args: &ApplyVerbArgs,
    inputs: &InputArgs,
    folder: &Path,
    held_state: Option<&HeldState>,
    terminal: &Terminal,
) -> Result<apply::Applied, Failure> {
    let solving = SolvingArgs {
        compare: false,
        max_nodes: Effort::default().nodes,
        time_limit: None,
    };
    let sources = sources(&inputs.job, args.apply.source.as_deref(), &args.apply.data)?;
    let clouds = if args.apply.provider.is_some() {
        Clouds::All
    } else {
        Clouds::WithProvider
    };
    let request = PlanRequest {
        inputs,
        solving: &solving,
        mps: None,
        from: held_state,
        sources: Some(&sources),
        clouds,
    };
    let (_, plan) = compute(&request, terminal).map_err(|stop| stop.failure)?;
    let place = apply::place_of(&plan, &args.apply)?;
    if !args.apply.json {
        apply::check_plan(&plan, folder, &args.apply)?;
        for warning in &plan.warnings {
            terminal.warn(warning);
        }
        let summary = events::summary(&HeldState::read(&place)?.preview(&plan));
        terminal.out(&format!(
            "{}\n{summary}\n\n",
            plan_text::text(&plan, terminal.width)
        ))?;
    }
    if !args.apply.auto_approve && !terminal.confirm("Do you want to apply this plan?")? {
        return Err(Failure::error(match held_state {
            Some(_) => "apply cancelled: the rest was not begun",
            None => "apply cancelled: nothing was begun",
        }));
    }
    apply::run_plan(&plan, folder, &args.apply, terminal)
}
