//! `sky frontier`: what time costs.

use super::inputs::{self, InputArgs};
use super::outputs_beside_inputs::refuse_overwriting;
use super::planning_stopped::PlanningStopped;
use super::solve_effort::solve_effort;
use super::waiting::waiting;
use super::{Exit, Failure, Terminal};
use crate::model::canonical;
use crate::planning;
use crate::planning::solve::Effort;
use crate::render::{frontier, frontier_svg};
use crate::util::file;
use indicatif::ProgressBar;
use serde_json::json;
use std::path::PathBuf;

/// Show what time costs: all plans that no other plan beats in both cost and time.
///
/// The policy's rules, deadline and budget hold; its objective does not matter. Each point is an
/// exact optimum, found with the limits of the one before.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FrontierArgs {
    #[command(flatten)]
    pub inputs: InputArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw the points to FILE, as SVG
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Show at most this many points, spread evenly over all
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub points: u16,
    /// For each point, stop without a proof after this many branch-and-bound nodes
    #[arg(long, value_name = "N", default_value_t = Effort::default().nodes)]
    pub max_nodes: u32,
}

/// Finds and shows it.
pub(super) fn run(args: &FrontierArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    refuse_overwriting(&args.inputs, &[&args.svg])?;
    let inputs_read =
        inputs::read(&args.inputs).map_err(|faults| inputs::failure(&faults, terminal))?;
    inputs::warn(&inputs_read.warnings, terminal);
    let catalog = args.inputs.load_catalog(terminal)?;
    let (job, policy) = (&inputs_read.job.value, &inputs_read.policy.value);
    let effort = solve_effort(args.max_nodes, None);
    let progress_line = waiting(
        "trading cost for time:",
        job.stages.len(),
        catalog.offers.len(),
        terminal,
    );
    let found_frontier =
        planning::frontier(job, policy, &catalog, &effort, usize::from(args.points));
    progress_line.inspect(ProgressBar::finish_and_clear);
    let found_frontier = match found_frontier {
        Ok(found) => found,
        Err(reason) => {
            let stop = PlanningStopped::no_plan(
                &reason,
                &inputs_read,
                (&catalog, false),
                &effort,
                terminal,
            );
            if args.json {
                let failure = json!({ "format_version": "1.0", "error": stop.summary, "conflict": stop.conflict });
                terminal.out(&canonical::to_text(&failure).map_err(Failure::error)?)?;
            }
            return Err(if args.json {
                stop.failure.told()
            } else {
                stop.failure
            });
        }
    };
    if let Some(path) = &args.svg {
        file::write_result(
            path,
            frontier_svg::svg(&job.name, &found_frontier).as_bytes(),
        )
        .map_err(Failure::error)?;
    }
    let text = match args.json {
        true => canonical::to_text(&frontier::json(&job.name, &found_frontier))
            .map_err(Failure::error)?,
        false => frontier::text(&job.name, &found_frontier, terminal.width),
    };
    terminal.out(&text).map(|()| Exit::Success)
}
