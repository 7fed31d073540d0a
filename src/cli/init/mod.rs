//! `sky init`: a job and a policy to begin with, or an example of the gallery.

mod gallery;

use super::{Exit, Failure, Terminal};
use crate::model::canonical;
use crate::util::nearest_name::nearest_name;
use crate::util::{file_set, shell};
use gallery::{EXAMPLES, Example, STARTER};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Write a job and a policy to begin with, or an example.
///
/// The files plan at once: `sky plan`. `--list` shows the examples, and `--example` writes one in
/// place of the small job that runs on any machine.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct InitArgs {
    /// Folder to write to; created if it is not there
    #[arg(value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub folder: PathBuf,
    /// Write this example
    #[arg(long, value_name = "NAME", default_value = STARTER, hide_default_value = true)]
    pub example: String,
    /// List the examples, and write nothing
    #[arg(long, conflicts_with_all = ["folder", "example", "force"])]
    pub list: bool,
    /// Overwrite files that are already there
    #[arg(long)]
    pub force: bool,
    /// As one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Writes an example, or lists them all; `chdir` is the folder that `--chdir` names.
pub(super) fn run(
    args: &InitArgs,
    chdir: Option<&Path>,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    let text = match args.list {
        true if args.json => json_list()?,
        true => list(),
        false => write_example(args, chdir, terminal)?,
    };
    terminal.out(&text).map(|()| Exit::Success)
}

/// Writes the files of an example, and returns what to say about it.
fn write_example(
    args: &InitArgs,
    chdir: Option<&Path>,
    terminal: &Terminal,
) -> Result<String, Failure> {
    let example = find(&args.example)?;
    if !args.force {
        refuse_overwriting(example, &args.folder)?;
    }
    let files: Vec<(&str, &[u8])> = example
        .files
        .iter()
        .map(|file| (file.name, file.text.as_bytes()))
        .collect();
    file_set::write_all_or_none(&args.folder, &files).map_err(Failure::error)?;
    if args.json {
        let files = example.files.iter().map(|file| args.folder.join(file.name));
        let answer = json!({ "example": example.name, "files": files.collect::<Vec<_>>() });
        return canonical::to_text(&answer).map_err(Failure::error);
    }
    let mut said = written(example, &args.folder);
    if !terminal.automation {
        said += &next_commands(example, &args.folder, chdir);
    }
    Ok(said)
}

fn find(name: &str) -> Result<&'static Example, Failure> {
    if let Some(example) = EXAMPLES.iter().find(|example| example.name == name) {
        return Ok(example);
    }
    let failure = Failure::error(format!("there is no example `{name}`"));
    let names = EXAMPLES.iter().map(|example| example.name);
    let failure = match nearest_name(name, names) {
        Some(near) => failure.hint(format!("did you mean `sky init --example {near}`?")),
        None => failure,
    };
    let listed: Vec<&str> = EXAMPLES.iter().map(|example| example.name).collect();
    Err(failure.hint(format!(
        "the examples are {}; `sky init --list` says what each one shows",
        listed.join(", ")
    )))
}

/// Fails if a file of the example is already in the folder.
fn refuse_overwriting(example: &Example, folder: &Path) -> Result<(), Failure> {
    let taken: Vec<String> = example
        .files
        .iter()
        .map(|file| folder.join(file.name))
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| without_dot(&path))
        .collect();
    let message = match taken.as_slice() {
        [] => return Ok(()),
        [one] => format!("{one} already exists: nothing was written"),
        several => format!("{} already exist: nothing was written", listed(several)),
    };
    Err(Failure::error(message)
        .hint("name another folder, `sky init DIR`, or overwrite what is there with --force"))
}

/// What was written, as a sentence: `Wrote job.toml, policy.toml and train.py to sweep.`
fn written(example: &Example, folder: &Path) -> String {
    let names: Vec<String> = example
        .files
        .iter()
        .map(|file| file.name.to_owned())
        .collect();
    let target = match without_dot(folder) {
        here if here.is_empty() => String::new(),
        folder => format!(" to {folder}"),
    };
    format!("Wrote {}{target}.\n", listed(&names))
}

fn listed(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.join(""),
    }
}

/// Returns a path as a user would write it, without `./` at its start.
fn without_dot(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// What to type next, with a comment on each command.
fn next_commands(example: &Example, folder: &Path, chdir: Option<&Path>) -> String {
    let plan = ("sky plan --out plan.json", "shows a plan, and keeps it");
    // Only the starter runs wherever there is a shell.
    let second = match example.is_starter() {
        true => (
            "sky apply plan.json --provider local",
            "runs it on this machine",
        ),
        false => (
            "sky check plan.json",
            "says what is missing to run it: credentials, quotas",
        ),
    };
    let mut text = "\nNext:\n".to_owned();
    let target = without_dot(&chdir.unwrap_or(Path::new("")).join(folder));
    if !target.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  cd {}", shell::quoted(&target));
    }
    let width = plan.0.len().max(second.0.len());
    for (command, comment) in [plan, second] {
        let _ = writeln!(text, "  {command:<width$}   # {comment}");
    }
    text
}

fn list() -> String {
    let longest = EXAMPLES.iter().map(|example| example.name.len()).max();
    let width = longest.unwrap_or(0);
    let mut text = "The examples; `sky init --example NAME` writes one:\n\n".to_owned();
    for example in EXAMPLES {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<width$}  {}", example.name, example.title());
    }
    text
}

fn json_list() -> Result<String, Failure> {
    let examples = EXAMPLES.iter().map(|example| {
        let files = example.files.iter().map(|file| file.name);
        json!({
            "name": example.name,
            "title": example.title(),
            "files": files.collect::<Vec<_>>(),
        })
    });
    let answer = json!({ "examples": examples.collect::<Vec<_>>() });
    canonical::to_text(&answer).map_err(Failure::error)
}
