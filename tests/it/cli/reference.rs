//! The reference topics of the guide are made from the code: `commands` from the command line,
//! `exit-codes` from the codes, `environment` from the registry of variables. The tests fail when a
//! file differs from what the code says; with `SKY_TEST_UPDATE_GUIDE=1` they write the files.

use crate::architecture;
use clap::{Arg, Command};
use serde_json::Value;
use sky::cli::Exit;
use sky::util::variables::{Group, VARIABLES, Variable};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Compares a topic with what the code says, or writes it.
pub(crate) fn hold_to_the_code(topic: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/guide")
        .join(format!("{topic}.md"));
    if std::env::var_os("SKY_TEST_UPDATE_GUIDE").is_some() {
        std::fs::write(&path, generated).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(generated.lines()).find(|(a, b)| a != b);
    assert!(
        written == generated,
        "src/guide/{topic}.md is not what the code says: {differs:?}; SKY_TEST_UPDATE_GUIDE=1 writes it anew"
    );
}

/// Text in a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_topic_exit_codes_lists_every_code() {
    let mut text = "# Exit codes\n\n\
        The exit code of every command, for scripts and CI. Results go to stdout; messages and \
        questions\ngo to stderr.\n\n\
        | code | meaning |\n| --- | --- |\n"
        .to_owned();
    for exit in Exit::ALL {
        writeln!(text, "| {} | {} |", exit as u8, exit.meaning()).unwrap();
    }
    let mut last_advice = "";
    for exit in Exit::ALL {
        if exit.advice() == last_advice {
            continue;
        }
        last_advice = exit.advice();
        let codes: Vec<String> = Exit::ALL
            .into_iter()
            .filter(|other| other.advice() == last_advice)
            .map(|other| (other as u8).to_string())
            .collect();
        let wrapped = textwrap::fill(last_advice, 100);
        write!(text, "\n## {}\n\n{wrapped}\n", codes.join(", ")).unwrap();
    }
    hold_to_the_code("exit-codes", &text);
}

/// `Exit::ALL` has every code that the code of sky can end with.
#[test]
fn no_exit_code_is_missing_in_the_list() {
    let source = include_str!("../../../src/cli/exit.rs");
    let (_, body) = source.split_once("pub enum Exit {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let codes: Vec<u8> = body
        .lines()
        .filter_map(|line| line.split_once(" = ")?.1.trim_end_matches(',').parse().ok())
        .collect();
    assert_eq!(Exit::ALL.map(|exit| exit as u8).to_vec(), codes);
}

#[test]
fn the_topic_environment_lists_every_variable() {
    let mut text = "# Environment variables\n\n\
        All environment variables that sky reads, and those that it sets for the commands of \
        stages.\nAn empty variable counts as not set.\n"
        .to_owned();
    for group in Group::ALL {
        let introduction = textwrap::fill(group.introduction(), 100);
        write!(text, "\n## {}\n\n{introduction}\n\n", group.title()).unwrap();
        let members: Vec<&Variable> = VARIABLES.iter().filter(|one| one.group == group).collect();
        let has_defaults = members.iter().any(|one| !one.default.is_empty());
        text += match has_defaults {
            true => "| variable | meaning | if it is not set |\n| --- | --- | --- |\n",
            false => "| variable | meaning |\n| --- | --- |\n",
        };
        for Variable {
            name,
            meaning,
            default,
            ..
        } in members
        {
            match has_defaults {
                true => writeln!(text, "| `{name}` | {} | {} |", cell(meaning), cell(default)),
                false => writeln!(text, "| `{name}` | {} |", cell(meaning)),
            }
            .unwrap();
        }
    }
    hold_to_the_code("environment", &text);
}

/// The names of variables stand in the registry alone, so that none is forgotten there.
#[test]
fn code_names_variables_by_the_registry() {
    let is_name = |text: &str| {
        let rest = text.strip_prefix("SKY_").unwrap_or_default();
        let is_part = |one: u8| one.is_ascii_uppercase() || one == b'_';
        !rest.is_empty() && rest.bytes().all(is_part)
    };
    let mut named = Vec::new();
    for (path, source) in architecture::files() {
        if path == ["util", "variables"] {
            continue;
        }
        let code = architecture::code(&source);
        let code = code.split("#[cfg(test)]").next().unwrap();
        for line in code.lines() {
            let texts = line.split('"').skip(1).step_by(2);
            named.extend(texts.filter(|text| is_name(text)).map(|text| {
                let file = path.join("/");
                format!("{file}: {text}")
            }));
        }
    }
    assert!(named.is_empty(), "{named:#?}");
    for Variable { name, .. } in VARIABLES {
        let times = VARIABLES.iter().filter(|one| one.name == *name).count();
        assert_eq!(times, 1, "{name}");
    }
}

#[test]
fn the_topic_commands_lists_every_verb_and_option() {
    let mut command = sky::cli::command();
    command.build();
    let mut text = "# Commands\n\n\
        All commands with their arguments and options, as `sky VERB --help` shows them. Every verb \
        but\n`completions` takes `--json`: its answer on stdout is JSON alone then, also the reason \
        of a failure.\nLong options may be written with one dash, as in Terraform: `-out=plan.json`.\n\n\
        | command | what it does |\n| --- | --- |\n"
        .to_owned();
    let mut verbs = Vec::new();
    collect_verbs(&command, "sky", &mut verbs);
    for (words, verb) in &verbs {
        writeln!(text, "| `{words}` | {} |", cell(&about(verb))).unwrap();
    }
    let globals: Vec<&Arg> = command
        .get_arguments()
        .filter(|one| one.is_global_set())
        .collect();
    text += "\n## Options of all commands\n";
    text += &tables_of_options(&globals);
    for (words, verb) in &verbs {
        text += &section(words, verb);
    }
    hold_to_the_code("commands", &text);
}

/// All verbs that can be run or have verbs below them, with the words before them.
fn collect_verbs<'a>(command: &'a Command, words: &str, verbs: &mut Vec<(String, &'a Command)>) {
    for below in command.get_subcommands() {
        let words = format!("{words} {}", below.get_name());
        verbs.push((words.clone(), below));
        collect_verbs(below, &words, verbs);
    }
}

fn about(verb: &Command) -> String {
    verb.get_about()
        .map(ToString::to_string)
        .unwrap_or_default()
}

/// The section about one verb.
fn section(words: &str, verb: &Command) -> String {
    let long = verb
        .get_long_about()
        .or(verb.get_about())
        .unwrap()
        .to_string();
    let mut text = format!("\n## {words}\n\n");
    for paragraph in long.split("\n\n") {
        let paragraph = paragraph.replace('\n', " ");
        let end = if paragraph.ends_with('.') { "" } else { "." };
        text += &format!("{}{end}\n\n", textwrap::fill(&paragraph, 99));
    }
    let usage = verb.clone().render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("\n       ", "\n");
    writeln!(text, "```text\n{usage}\n```").unwrap();
    let arguments: Vec<&Arg> = verb
        .get_positionals()
        .filter(|one| !one.is_hide_set())
        .collect();
    if !arguments.is_empty() {
        text += "\n| argument | meaning |\n| --- | --- |\n";
        for argument in arguments {
            let name = value_name(argument);
            writeln!(text, "| `{}` | {} |", cell(&name), cell(&help(argument))).unwrap();
        }
    }
    let options: Vec<&Arg> = verb
        .get_opts()
        .chain(
            verb.get_arguments()
                .filter(|one| !one.is_positional() && !one.get_action().takes_values()),
        )
        .filter(|one| !one.is_hide_set() && !one.is_global_set() && one.get_id() != "help")
        .collect();
    if !options.is_empty() {
        text += &tables_of_options(&options);
    }
    if let Some(after) = verb.get_after_help() {
        text += &after_help(&after.to_string());
    }
    text
}

/// What stands below the options: commands as a block, and other paragraphs as they are.
fn after_help(after: &str) -> String {
    let mut text = String::new();
    for paragraph in after.split("\n\n") {
        match paragraph.strip_prefix("Example") {
            Some(examples) => {
                let lines = examples.lines().skip(1).map(str::trim_start);
                let lines: Vec<&str> = lines.collect();
                text += "\n```sh\n";
                for pair in lines.chunks(2) {
                    writeln!(text, "# {}\n{}", pair[1], pair[0]).unwrap();
                }
                text += "```\n";
            }
            None => {
                let joined = paragraph.replace('\n', " ");
                write!(text, "\n{}\n", textwrap::fill(&joined, 100)).unwrap();
            }
        }
    }
    text
}

fn value_name(argument: &Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names
        .iter()
        .map(|name| name.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn help(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    help.map(ToString::to_string).unwrap_or_default()
}

/// The options in tables, one for each group.
fn tables_of_options(options: &[&Arg]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for option in options {
        let heading = option.get_help_heading().unwrap_or("Options");
        if !groups.contains(&heading) {
            groups.push(heading);
        }
    }
    groups.sort_by_key(|heading| *heading != "Options");
    let mut text = String::new();
    for group in groups {
        write!(text, "\n| {group} | meaning |\n| --- | --- |\n").unwrap();
        let is_member = |one: &&&Arg| one.get_help_heading().unwrap_or("Options") == group;
        for option in options.iter().filter(is_member) {
            let (name, meaning) = (option_name(option), option_meaning(option));
            writeln!(text, "| {} | {} |", cell(&name), cell(&meaning)).unwrap();
        }
    }
    text
}

fn option_name(option: &Arg) -> String {
    let short = option.get_short().map(|short| format!("`-{short}`, "));
    let long = option.get_long().unwrap();
    let value = match (
        option.get_action().takes_values(),
        option.is_require_equals_set(),
    ) {
        (true, true) => format!("[={}]", value_name(option)),
        (true, false) => format!(" {}", value_name(option)),
        (false, _) => String::new(),
    };
    format!("{}`--{long}{value}`", short.unwrap_or_default())
}

/// What an option says, with its values, its default and its variable.
fn option_meaning(option: &Arg) -> String {
    let mut meaning = help(option);
    if option.get_action().takes_values() {
        let values = option.get_possible_values();
        let values: Vec<&str> = values.iter().map(|one| one.get_name()).collect();
        if !values.is_empty() && !option.is_hide_possible_values_set() {
            meaning += &format!(" [values: {}]", values.join(", "));
        }
        if let Some(default) = option.get_default_values().first() {
            meaning += &format!(" [default: {}]", default.to_string_lossy());
        }
    }
    if let Some(variable) = option.get_env() {
        meaning += &format!(" [variable: `{}`]", variable.to_string_lossy());
    }
    meaning
}

#[test]
fn the_topic_plan_format_lists_every_field() {
    let schema = sky::plan::schema::schema();
    let about = schema["description"].as_str().unwrap();
    let mut text = format!(
        "# The format of plan files\n\n{}\n\nThis is format {}. `sky schema plan` prints the same as \
         a JSON Schema. A newer sky reads plans of\nearlier versions with the same first number; fields \
         may be added, so readers should skip what they do\nnot know. `[]` stands for the elements of \
         a list, and `NAME` for a name that the job gives.\n",
        textwrap::fill(about, 100),
        sky::plan::FORMAT_VERSION
    );
    let mut sections = std::collections::VecDeque::from([(String::new(), schema)]);
    let mut told = BTreeMap::new();
    while let Some((path, object)) = sections.pop_front() {
        if path.is_empty() {
            text += "\n## The plan\n";
        } else {
            write!(text, "\n## {path}\n").unwrap();
        }
        // Objects of one kind are told of once.
        let members = object["properties"].to_string();
        if let Some(first) = told.get(&members) {
            write!(text, "\nThe fields are those of `{first}`.\n").unwrap();
            continue;
        }
        told.insert(members, path.clone());
        text += "\n| field | type | meaning |\n| --- | --- | --- |\n";
        let required: Vec<&str> = object["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (name, field) in object["properties"].as_object().unwrap() {
            let whole = match path.is_empty() {
                true => name.clone(),
                false => format!("{path}.{name}"),
            };
            let optional = if required.contains(&name.as_str()) {
                ""
            } else {
                ", may be absent"
            };
            let meaning = field["description"].as_str().unwrap_or_default();
            let kind = kind_of(field);
            writeln!(text, "| `{name}` | {kind}{optional} | {} |", cell(meaning)).unwrap();
            inner_objects(&whole, field, &mut sections);
        }
    }
    hold_to_the_code("plan-format", &text);
}

/// The type of a field in words.
fn kind_of(field: &Value) -> String {
    let types: Vec<&str> = match &field["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let words: Vec<String> = types
        .into_iter()
        .map(|kind| match kind {
            "string" => match field["enum"].as_array() {
                Some(words) => {
                    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                    words.join(" or ").replace('"', "")
                }
                None => "text".to_owned(),
            },
            "integer" => "whole number".to_owned(),
            "array" => format!("list of {}", kind_of(&field["items"])),
            "object" => "table".to_owned(),
            other => other.to_owned(),
        })
        .collect();
    words.join(" or ")
}

/// The objects inside a field: itself, the elements of a list, the values of a table.
fn inner_objects(
    path: &str,
    field: &Value,
    found: &mut std::collections::VecDeque<(String, Value)>,
) {
    if field["properties"].is_object() {
        found.push_back((path.to_owned(), field.clone()));
    }
    if field["items"].is_object() {
        inner_objects(&format!("{path}[]"), &field["items"], found);
    }
    if field["additionalProperties"].is_object() {
        inner_objects(
            &format!("{path}.NAME"),
            &field["additionalProperties"],
            found,
        );
    }
    for inner in field["patternProperties"].as_object().into_iter().flatten() {
        inner_objects(&format!("{path}.NAME"), inner.1, found);
    }
}
