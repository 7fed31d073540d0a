//! `sky graph`: the DAG of a job or a plan.

use super::inputs;
use super::{Exit, Failure, Terminal};
use crate::plan::file as plan_file;
use crate::render::graph;
use crate::spec;
use crate::util::file;
use std::path::PathBuf;

/// Print a job or a plan as a graph, in DOT or Mermaid.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GraphArgs {
    /// Job file (.toml) or plan file; `-` reads standard input
    #[arg(default_value = "job.toml", value_name = "FILE")]
    pub file: PathBuf,
    /// Language of the graph
    #[arg(long, value_enum, default_value_t = Format::Dot)]
    pub format: Format,
    /// Print nodes and edges as one JSON object
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
}

/// Languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    Dot,
    Mermaid,
}

/// Draws.
pub(super) fn run(args: &GraphArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let drawing = if inputs::is_job(&args.file)? {
        let text = file::read_text(&args.file).map_err(Failure::error)?;
        let job = spec::job::parse(&file::shown(&args.file), &text);
        graph::of_job(
            &job.map_err(|fault| inputs::failure(&[fault], terminal))?
                .value,
        )
    } else {
        graph::of_plan(&plan_file::read(&args.file).map_err(Failure::error)?)
    };
    let text = match args.format {
        _ if args.json => graph::json(&drawing).map_err(Failure::error)?,
        Format::Dot => graph::dot(&drawing),
        Format::Mermaid => graph::mermaid(&drawing),
    };
    terminal.out(&text).map(|()| Exit::Success)
}
