//! From a command line to its verb, and from how the verb ended to the exit code.

use super::arguments::{self, Arguments, NoCommand, Verb};
use super::{Exit, Failure, Terminal};
use super::{
    apply_job, catalog, check, completions, destroy, explain, frontier, graph, guide, import, init,
    manual_pages, plan, refresh, schema, show, states, sweep, terminal,
};
use super::{validate, verify, version};
use crate::render::events;
use crate::util::clock;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs one command line, the program's own name first, and says how it ended.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    // A panic is a bug in sky; whoever runs it gets a message, a log and exit code 1.
    arguments::report_panics();
    let exit_code = std::panic::catch_unwind(|| run_words(arguments)).unwrap_or(Exit::Error);
    ExitCode::from(exit_code as u8)
}

fn run_words(words: Vec<OsString>) -> Exit {
    let arguments = match arguments::parse(words) {
        Ok(arguments) => arguments,
        Err(said) => return no_command(&said),
    };
    let terminal = Terminal::detect(arguments.colour(), arguments.input);
    let verb_result = arguments
        .enter_folder()
        .and_then(|()| run_verb(&arguments, &terminal));
    verb_result.unwrap_or_else(|failure| {
        if arguments.json && !failure.told && failure.exit != Exit::Success {
            // Whether anybody reads it does not change how the verb ended.
            let _ = terminal.out(&failure_json(&failure, arguments.verb.stream()));
        }
        print_failure(&failure, &terminal)
    })
}

/// Help on stdout, a mistake on stderr, and for programs on stdout too.
fn no_command(said: &NoCommand) -> Exit {
    let terminal = Terminal::detect(terminal::Colour::Auto, true);
    if said.exit == Exit::Success {
        // A reader that closes the pipe has seen enough.
        let _ = terminal.out(&said.text);
        return said.exit;
    }
    if said.json {
        let failure = Failure::new(said.exit, said.text.trim_end());
        let _ = terminal.out(&failure_json(&failure, said.stream));
    }
    terminal.note(said.text.trim_end());
    said.exit
}

/// A failure for programs: of a verb that streams events, a whole stream; of all others, one
/// object.
fn failure_json(failure: &Failure, operation: Option<&str>) -> String {
    let text = anstream::adapter::strip_str(&failure.message).to_string();
    let summary = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let detail = std::iter::once(text)
        .chain(failure.hints.iter().cloned())
        .collect::<Vec<_>>()
        .join("\n");
    let failure_time = clock::timestamp();
    match operation {
        Some(operation) => events::lines(&events::failed_stream(
            &summary,
            &detail,
            operation,
            &failure_time,
        )),
        None => events::lines(&[events::failed_object(&summary, &detail, &failure_time)]),
    }
}

fn run_verb(arguments: &Arguments, terminal: &Terminal) -> Result<Exit, Failure> {
    match &arguments.verb {
        Verb::Init(args) => init::run(args, arguments.chdir.as_deref(), terminal),
        Verb::Plan(args) => plan::run(args, terminal),
        Verb::Apply(args) => apply_job::run(args, terminal),
        Verb::Destroy(args) => destroy::run(args, terminal),
        Verb::Check(args) => check::run(args, terminal),
        Verb::Sweep(args) => sweep::run(args, terminal),
        Verb::Refresh(args) => refresh::run(args, terminal),
        Verb::Explain(args) => explain::run(args, terminal),
        Verb::Frontier(args) => frontier::run(args, terminal),
        Verb::Show(args) => show::run(args, terminal),
        Verb::Validate(args) => validate::run(args, terminal),
        Verb::Verify(args) => verify::run(args, terminal),
        Verb::Graph(args) => graph::run(args, terminal),
        Verb::Import(args) => import::run(args, terminal),
        Verb::State(args) => states::run(args, terminal),
        Verb::Lock(args) => states::lock_show(args, terminal),
        Verb::ForceUnlock(args) => states::force_unlock(args, terminal),
        Verb::Catalog(args) => catalog::verb(args, terminal),
        Verb::Guide(args) => guide::run(args, terminal),
        Verb::Schema(args) => schema::run(args, terminal),
        Verb::Completions(args) => completions::run(args, arguments::command(), terminal),
        Verb::Man(args) => manual_pages::run(args, arguments::command(), terminal),
        Verb::Version(args) => version::run(args, terminal),
    }
}

/// A failure on stderr, with its way out.
fn print_failure(failure: &Failure, terminal: &Terminal) -> Exit {
    if !failure.message.is_empty() {
        let word = terminal.paint(anstyle::AnsiColor::Red.on_default().bold(), "error");
        let rendered = ["error: ", "warning: ", "\u{1b}"]
            .iter()
            .any(|start| failure.message.starts_with(start));
        match failure.message.strip_prefix("error: ") {
            Some(rest) if !failure.message.contains("\n -->") => {
                terminal.note(&format!("{word}: {rest}"))
            }
            // Messages with source lines come rendered, colours and all.
            _ if rendered => terminal.note(&failure.message),
            _ => terminal.note(&format!("{word}: {}", failure.message)),
        }
    }
    for hint in &failure.hints {
        let word = terminal.paint(anstyle::AnsiColor::Cyan.on_default().bold(), "hint");
        terminal.note(&format!("{word}: {hint}"));
    }
    failure.exit
}
