//! Words of the command line to verbs. Usage errors are exit code 1: 2 means "changes".

use super::command_line::CommandLine;
use super::terminal::Colour;
use super::{Exit, Failure};
use super::{
    apply_job, catalog, check, completions, destroy, explain, frontier, graph, guide, import, init,
    manual_pages, plan, refresh, schema, show, states, sweep, validate, verb_help, verify, version,
};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;

/// Plan a job over many clouds, and apply the plan.
///
/// A job (job.toml) is a DAG of stages and the data between them. A policy (policy.toml) says what
/// must hold and what to minimise. `sky plan` finds the cheapest or fastest way to run the job on
/// the clouds of the catalog, egress included, and proves it. `sky apply` executes a plan.
#[derive(Parser, Debug)]
#[command(
    name = "sky",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(after_help = after_help())]
pub(super) struct Arguments {
    /// Run as if sky had been started in DIR
    #[arg(long, global = true, value_name = "DIR")]
    pub chdir: Option<PathBuf>,
    /// Use colours: `auto` (on a terminal), `always` or `never`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, hide_possible_values = true)]
    pub color: Colour,
    /// Use no colours, as `--color=never` does
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Ask questions where a person can answer; with `--input=false`, sky never asks
    #[arg(long, global = true, value_name = "BOOL", default_value_t = true, hide_possible_values = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub input: bool,
    #[command(subcommand)]
    pub verb: Verb,
    /// Whether the verb was given `--json`.
    #[arg(skip)]
    pub json: bool,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(super) enum Verb {
    Init(init::InitArgs),
    Plan(plan::PlanArgs),
    Apply(apply_job::ApplyVerbArgs),
    Destroy(destroy::DestroyArgs),
    Check(check::CheckArgs),
    Sweep(sweep::SweepArgs),
    Refresh(refresh::RefreshArgs),
    Explain(explain::ExplainArgs),
    Frontier(frontier::FrontierArgs),
    Show(show::ShowArgs),
    Validate(validate::ValidateArgs),
    Verify(verify::VerifyArgs),
    Graph(graph::GraphArgs),
    Import(import::ImportArgs),
    State(states::StateVerbArgs),
    Lock(states::LockVerbArgs),
    ForceUnlock(states::ForceUnlockArgs),
    Catalog(catalog::CatalogArgs),
    Guide(guide::GuideArgs),
    Schema(schema::SchemaArgs),
    Completions(completions::CompletionsArgs),
    Man(manual_pages::ManArgs),
    Version(version::VersionArgs),
}

fn after_help() -> String {
    let first_steps = "First steps: `sky init` writes a job to begin with, and `sky guide tutorial` leads through it.";
    format!("{first_steps}\n\n{}", super::Exit::summary())
}

impl Arguments {
    /// `--color` and `--no-color` as one.
    pub(super) fn colour(&self) -> Colour {
        if self.no_color {
            Colour::Never
        } else {
            self.color
        }
    }

    /// `--chdir`.
    pub(super) fn enter_folder(&self) -> Result<(), Failure> {
        match &self.chdir {
            Some(folder) => std::env::set_current_dir(folder)
                .map_err(|error| Failure::file(folder, "enter", error)),
            None => Ok(()),
        }
    }
}

/// Words that are no command: a request for help, or a mistake.
#[derive(Debug)]
pub(super) struct NoCommand {
    /// What to print.
    pub text: String,
    pub exit: Exit,
    /// Whether a program asks, with `--json`.
    pub json: bool,
    /// The operation of the verb that seems to be meant, if it answers with a stream of events.
    pub stream: Option<&'static str>,
}

impl NoCommand {
    fn new(error: &clap::Error, words: &[OsString]) -> Self {
        let exit = if error.use_stderr() {
            Exit::Error
        } else {
            Exit::Success
        };
        let mut words_of_verbs = words
            .iter()
            .skip(1)
            .take_while(|word| *word != "--")
            .filter_map(|word| word.to_str());
        let json = words_of_verbs.clone().any(|word| word == "--json");
        Self {
            text: error.render().to_string(),
            exit,
            json,
            stream: words_of_verbs.find_map(stream_of),
        }
    }
}

/// Returns the whole command line: all verbs with their arguments, options in groups and examples.
pub fn command() -> clap::Command {
    verb_help::with_groups_and_examples(Arguments::command())
}

/// Parses the words.
pub(super) fn parse(words: Vec<OsString>) -> Result<Arguments, NoCommand> {
    let dashed_words = double_dashes(words);
    let parsed = command()
        .try_get_matches_from(&dashed_words)
        .and_then(|matches| {
            let json = wants_json(&matches);
            Ok(Arguments {
                json,
                ..Arguments::from_arg_matches(&matches)?
            })
        });
    let mut arguments = parsed.map_err(|error| NoCommand::new(&error, &dashed_words))?;
    let command_line = CommandLine::new(&dashed_words, arguments.chdir.as_deref());
    match &mut arguments.verb {
        Verb::Plan(args) => args.command = command_line,
        Verb::Apply(args) => args.apply.command = command_line,
        _ => {}
    }
    Ok(arguments)
}

/// Whether the innermost verb was given `--json`.
fn wants_json(matches: &ArgMatches) -> bool {
    let is_given = matches
        .try_get_one::<bool>("json")
        .is_ok_and(|given| given == Some(&true));
    is_given
        || matches
            .subcommand()
            .is_some_and(|(_, inner)| wants_json(inner))
}

impl Verb {
    /// The operation of verbs that answer with a stream of events; none: the answer is one JSON
    /// object.
    pub(super) fn stream(&self) -> Option<&'static str> {
        stream_of(match self {
            Verb::Plan(_) => "plan",
            Verb::Apply(_) => "apply",
            Verb::Destroy(_) => "destroy",
            Verb::Refresh(_) => "refresh",
            _ => "",
        })
    }
}

/// Verbs that answer with a stream of events.
const STREAMS: [&str; 4] = ["plan", "apply", "destroy", "refresh"];

fn stream_of(verb: &str) -> Option<&'static str> {
    STREAMS.into_iter().find(|stream| *stream == verb)
}

/// Long options may be written with one dash, as Terraform's users do: `-auto-approve`,
/// `-out=plan.json`.
fn double_dashes(words: Vec<OsString>) -> Vec<OsString> {
    let command = Arguments::command();
    let commands = std::iter::once(&command).chain(command.get_subcommands());
    let long_options: BTreeSet<String> = commands
        .flat_map(|command| command.get_arguments())
        .filter_map(|argument| argument.get_long().map(str::to_owned))
        .collect();
    let mut literal = false;
    let doubled = |word: OsString| {
        literal |= word == "--";
        let name = word
            .to_str()
            .and_then(|word| word.strip_prefix('-'))
            .and_then(|word| word.split('=').next());
        let is_known = name.is_some_and(|name| {
            name.len() > 1 && (long_options.contains(name) || name == "help" || name == "version")
        });
        if is_known && !literal {
            let mut two = OsString::from("-");
            two.push(word);
            two
        } else {
            word
        }
    };
    words.into_iter().map(doubled).collect()
}

/// Replaces Rust's panic message by one that says what to do, with a log beside.
pub(super) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = panic.payload_as_str().unwrap_or("no message");
        let trace = std::backtrace::Backtrace::force_capture();
        let verb = std::env::args().nth(1).unwrap_or_default();
        let log = format!(
            "sky {}\nverb: {verb}\nat: {place}\n{text}\n\n{trace}\n",
            env!("CARGO_PKG_VERSION")
        );
        let path = std::path::Path::new("sky-crash.log");
        let log_saved = crate::util::file::write_atomic(path, log.as_bytes());
        let terminal = super::Terminal::detect(Colour::Auto, false);
        terminal.note(&format!("error: this is a bug in sky: {text} (at {place})"));
        match log_saved {
            Ok(()) => {
                terminal.note("hint: please report it with sky-crash.log, which has the details; the state is safe")
            }
            Err(_) => terminal.note(&format!("hint: please report it with these details; the state is safe\n{log}")),
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough_for_long_options() {
        let doubled = double_dashes(words(&[
            "sky", "plan", "-out=x", "-o", "y", "-json", "--", "-json",
        ]));
        assert_eq!(
            doubled,
            words(&["sky", "plan", "--out=x", "-o", "y", "--json", "--", "-json"])
        );
    }

    #[test]
    fn a_usage_error_is_exit_code_1() {
        let mistake = parse(words(&["sky", "plan", "--no-such"])).unwrap_err();
        assert_eq!((mistake.exit, mistake.json), (Exit::Error, false));
        assert!(mistake.text.contains("--no-such"));
        let help = parse(words(&["sky", "--help"])).unwrap_err();
        assert_eq!(help.exit, Exit::Success);
        let mistake = parse(words(&["sky", "plan", "-json", "--no-such"])).unwrap_err();
        assert_eq!((mistake.json, mistake.stream), (true, Some("plan")));
    }
}
