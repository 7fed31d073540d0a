//! Commands in Markdown with what they print: run for real, in order, and compared.
//!
//! A block of the language `console` is run if its first line begins with `$ `. Such a line is a
//! command, lines that begin with `>` go on with it, and all others are what it prints, on stdout
//! and stderr. A line `...` stands for any number of lines. A command must end with exit code 0.

use std::path::Path;
use std::process::Command;

/// The line that stands for any number of lines.
const ELLIPSIS: &str = "...";

/// A command, and what it prints.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConsoleCommand {
    pub command: String,
    pub expected: Vec<String>,
}

/// Returns the commands of all blocks that are to be run, in their order.
pub(crate) fn commands(markdown: &str) -> Vec<ConsoleCommand> {
    let mut commands: Vec<ConsoleCommand> = Vec::new();
    for block in blocks(markdown, "console") {
        if !block.first().is_some_and(|line| line.starts_with("$ ")) {
            continue;
        }
        for line in block {
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push(ConsoleCommand {
                    command: command.to_owned(),
                    expected: Vec::new(),
                });
                continue;
            }
            let last = commands.last_mut().unwrap();
            match line.strip_prefix('>') {
                Some(more) => {
                    last.command += "\n";
                    last.command += more.strip_prefix(' ').unwrap_or(more);
                }
                None => last.expected.push(line.to_owned()),
            }
        }
    }
    commands
}

/// Returns the lines of each fenced block of a language.
pub(crate) fn blocks<'m>(markdown: &'m str, language: &str) -> Vec<Vec<&'m str>> {
    let fence = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while lines.by_ref().any(|line| line == fence) {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
    }
    blocks
}

/// How wide what commands print is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Width {
    /// As on a terminal of so many columns.
    Columns(u16),
    /// As in a file.
    Unbounded,
}

/// Runs the commands of a Markdown text in a folder, and fails where one prints something else. The
/// environment has `sky` and the usual programs, and nothing of the caller.
pub(crate) fn run(markdown: &str, folder: &Path, width: Width) {
    let commands = commands(markdown);
    assert!(!commands.is_empty(), "no command to run");
    for console in commands {
        let printed = output_of(&console.command, folder, width);
        let printed: Vec<&str> = printed.lines().map(str::trim_end).collect();
        let expected: Vec<&str> = console.expected.iter().map(String::as_str).collect();
        assert!(
            matches(&expected, &printed),
            "$ {}\nprints\n{}\nand not\n{}",
            console.command,
            printed.join("\n"),
            expected.join("\n")
        );
    }
}

fn output_of(command: &str, folder: &Path, width: Width) -> String {
    let sky = Path::new(env!("CARGO_BIN_EXE_sky")).parent().unwrap();
    let path = format!("{}:{}", sky.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        // One pipe for both, so that lines keep their order.
        .arg(format!("exec 2>&1\n{command}"))
        .current_dir(folder)
        .env_clear()
        .env("PATH", path);
    if let Width::Columns(columns) = width {
        shell.env("COLUMNS", columns.to_string());
    }
    let output = shell.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "$ {command}\n{printed}");
    printed
}

/// Whether lines are those that are expected, where `...` stands for any number of them.
fn matches(expected: &[&str], lines: &[&str]) -> bool {
    match expected {
        [] => lines.is_empty(),
        [ELLIPSIS, rest @ ..] => (0..=lines.len()).any(|skipped| matches(rest, &lines[skipped..])),
        [first, rest @ ..] => {
            lines.first().is_some_and(|line| line == first) && matches(rest, &lines[1..])
        }
    }
}

#[test]
fn commands_are_found_with_what_they_print() {
    let markdown = "Text.\n\n```console\n$ one\n> more\n>\n> end\nprinted\n$ two\n```\n\n\
                    ```console\nmake\n```\n\n```toml\n$ no\n```\n";
    let command = |command: &str, expected: &[&str]| ConsoleCommand {
        command: command.to_owned(),
        expected: expected.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(
        commands(markdown),
        [
            command("one\nmore\n\nend", &["printed"]),
            command("two", &[])
        ]
    );
}

#[test]
fn lines_must_be_the_same_but_for_those_that_are_left_out() {
    let lines = ["a", "b", "c"];
    for expected in [
        &["a", "b", "c"][..],
        &["a", "...", "c"],
        &["..."],
        &["...", "a", "b", "c", "..."],
        &["...", "b", "..."],
    ] {
        assert!(matches(expected, &lines), "{expected:?}");
    }
    for expected in [
        &[][..],
        &["a", "b"],
        &["a", "...", "b"],
        &["b", "..."],
        &["...", "d", "..."],
        &["a", "b", "c", "d"],
    ] {
        assert!(!matches(expected, &lines), "{expected:?}");
    }
}

#[test]
#[should_panic(expected = "and not")]
fn a_command_that_prints_something_else_is_found() {
    run(
        "```console\n$ echo one\ntwo\n```\n",
        Path::new("."),
        Width::Unbounded,
    );
}

#[test]
#[should_panic(expected = "$ false")]
fn a_command_that_fails_is_found() {
    run(
        "```console\n$ false\n```\n",
        Path::new("."),
        Width::Unbounded,
    );
}
