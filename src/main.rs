//! For now: `sky apply PLAN` and `sky destroy` only.

use clap::Parser;
use sky::cli::{self, Exit, Failure, Terminal};
use std::path::Path;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "sky")]
enum Verb {
    Apply(cli::apply::ApplyArgs),
    Destroy(cli::destroy::DestroyArgs),
}

fn main() -> ExitCode {
    let terminal = Terminal::detect(cli::terminal::Colour::Auto, true);
    let result = match Verb::try_parse() {
        Ok(Verb::Apply(args)) => apply(&args, &terminal),
        Ok(Verb::Destroy(args)) => cli::destroy::run(&args, &terminal),
        Err(error) => Err(Failure::error(error)),
    };
    let exit = result.unwrap_or_else(|failure| {
        terminal.note(&format!("error: {}", failure.message));
        failure.hints.iter().for_each(|hint| terminal.note(&format!("hint: {hint}")));
        failure.exit
    });
    ExitCode::from(exit as u8)
}

fn apply(args: &cli::apply::ApplyArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let path = args.plan.as_deref().ok_or_else(|| Failure::error("give a plan file"))?;
    let plan = sky::plan::file::read(path).map_err(Failure::error)?;
    cli::apply::run_plan(&plan, path.parent().unwrap_or(Path::new(".")), args, terminal)
}
