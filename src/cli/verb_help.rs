//! What `--help` adds to the options of a verb: groups with headings, and examples.

use clap::Command;
use std::fmt::Write;

/// The heading of a group of options, and the long names of its members.
struct OptionGroup {
    heading: &'static str,
    options: &'static [&'static str],
}

/// The groups of options, for all verbs. An option that is in no group stays under `Options`.
const GROUPS: &[OptionGroup] = &[
    OptionGroup {
        heading: "Inputs",
        options: &[
            "job",
            "policy",
            "catalog",
            "hosts",
            "locked",
            "source",
            "data",
            "no-digests",
            "stand-ins",
            "from-state",
        ],
    },
    OptionGroup {
        heading: "Solver",
        options: &["compare", "max-nodes", "time-limit", "points"],
    },
    OptionGroup {
        heading: "Running stages",
        options: &[
            "provider",
            "sim",
            "staging",
            "parallelism",
            "fail-fast",
            "grace",
            "budget",
            "replan",
            "keep-buckets",
            "log-limit",
            "output-limit",
        ],
    },
    OptionGroup {
        heading: "Output",
        options: &[
            "out",
            "json",
            "markdown",
            "svg",
            "format",
            "emit-mps",
            "no-logs",
            "check",
            "detailed-exitcode",
        ],
    },
    OptionGroup {
        heading: "State",
        options: &[
            "state-dir",
            "state",
            "state-recipients",
            "state-identity",
            "lock",
            "lock-timeout",
            "lock-lease",
        ],
    },
    OptionGroup {
        heading: "Global options",
        options: &["chdir", "color", "no-color", "input"],
    },
];

/// An example of a verb.
struct Example {
    /// The words of the verb, such as `catalog diff`; those of the example begin with them.
    verb: &'static str,
    /// The whole command line.
    command: &'static str,
    /// What the command does.
    meaning: &'static str,
}

const fn example(verb: &'static str, command: &'static str, meaning: &'static str) -> Example {
    Example {
        verb,
        command,
        meaning,
    }
}

/// The examples of all verbs, in the order in which `--help` shows them.
const EXAMPLES: &[Example] = &[
    example("init", "sky init", "write a small job that plans at once"),
    example(
        "init",
        "sky init train --example fine-tune",
        "write an example to the folder `train`",
    ),
    example("init", "sky init --list", "list the examples"),
    example(
        "plan",
        "sky plan",
        "plan job.toml with the policy.toml beside it",
    ),
    example(
        "plan",
        "sky plan bert.toml --policy eu-only --out plan.json",
        "use a shipped policy, and write the plan to a file",
    ),
    example(
        "plan",
        "sky plan --check plan.json",
        "in CI: exit code 2 if the plan would differ",
    ),
    example("apply", "sky apply plan.json", "execute a saved plan"),
    example(
        "apply",
        "sky apply plan.json --provider local",
        "rehearse the plan on this machine, at no cost",
    ),
    example(
        "apply",
        "sky apply job.toml",
        "plan a job, show the plan, ask, and execute it",
    ),
    example(
        "destroy",
        "sky destroy",
        "show what would be deleted, ask, and delete it",
    ),
    example(
        "destroy",
        "sky destroy --auto-approve --json",
        "for programs: delete without a question",
    ),
    example(
        "check",
        "sky check plan.json",
        "look at what this plan needs",
    ),
    example(
        "check",
        "sky check --provider aws",
        "look only at Amazon, without a plan",
    ),
    example(
        "sweep",
        "sky sweep --dry-run",
        "only show what would be deleted",
    ),
    example("refresh", "sky refresh", "show and record what has changed"),
    example(
        "refresh",
        "sky refresh --detailed-exitcode",
        "exit code 2 if anything has changed",
    ),
    example("explain", "sky explain", "explain the plan of job.toml"),
    example(
        "explain",
        "sky explain plan.json train",
        "explain where the stage `train` of a saved plan is",
    ),
    example(
        "frontier",
        "sky frontier --svg frontier.svg",
        "also draw the points",
    ),
    example("show", "sky show plan.json", "show a saved plan"),
    example(
        "show",
        "sky show",
        "show what the state of this folder holds",
    ),
    example(
        "validate",
        "sky validate job.toml --policy policy.toml",
        "check both files",
    ),
    example(
        "verify",
        "sky verify plan.json",
        "check the plan against job.toml and policy.toml",
    ),
    example(
        "graph",
        "sky graph plan.json --format mermaid",
        "for a pull request or a wiki",
    ),
    example(
        "import",
        "sky import wfformat workflow.json --out job.toml",
        "make a job of a WfCommons workflow",
    ),
    example(
        "import",
        "sky import stage.train i-0abc --provider aws",
        "take a machine over as the attempt of a stage",
    ),
    example(
        "import wfformat",
        "sky import wfformat workflow.json --at aws:us-east-1 --out job.toml",
        "with the input files at a place",
    ),
    example("state", "sky state list", "list the stages of the state"),
    example(
        "state list",
        "sky state list --json",
        "with places and artifacts",
    ),
    example(
        "state show",
        "sky state show stage.train",
        "show one stage with its attempts",
    ),
    example("state journal", "sky state journal", "print every step"),
    example(
        "state mv",
        "sky state mv stage.train stage.training",
        "after the job renamed `train` to `training`",
    ),
    example(
        "state rm",
        "sky state rm stage.train",
        "the next apply runs it as a new stage",
    ),
    example("state pull", "sky state pull > copy.json", "keep a copy"),
    example(
        "state push",
        "sky state push copy.json",
        "put the copy back in place",
    ),
    example("lock", "sky lock show", "who is at work on the state"),
    example("lock show", "sky lock show --json", "for programs"),
    example(
        "force-unlock",
        "sky force-unlock 8f14e45f",
        "end the lock with this id, which `sky lock show` prints",
    ),
    example(
        "catalog",
        "sky catalog search --accelerator H100:8",
        "the cheapest offers with eight H100",
    ),
    example(
        "catalog list",
        "sky catalog list --cloud aws --country DE",
        "the offers of Amazon in Germany",
    ),
    example(
        "catalog search",
        "sky catalog search --accelerator L4 --spot --limit 5",
        "the five cheapest spot offers",
    ),
    example(
        "catalog show",
        "sky catalog show H100",
        "who has it, and from which price on",
    ),
    example(
        "catalog import",
        "sky catalog import prices prices.csv --cloud lambda --date 2026-11-01",
        "add a price list to ./catalog",
    ),
    example(
        "catalog lock",
        "sky catalog lock --built-in",
        "pin the built-in catalog",
    ),
    example(
        "catalog check",
        "sky catalog check --suspicious",
        "only what looks wrong",
    ),
    example(
        "catalog diff",
        "sky catalog diff sky.lock catalog --plans plans",
        "also price the plans in a folder anew",
    ),
    example(
        "catalog register",
        "sky catalog register https://cloud.example/sky.toml --key cloud.pub",
        "check the signature with this key",
    ),
    example(
        "catalog update",
        "sky catalog update --cloud azure --region 'westeurope*'",
        "fetch the prices of some regions",
    ),
    example("guide", "sky guide jobs", "how to write a job"),
    example(
        "schema",
        "sky schema job > job.schema.json",
        "for an editor that checks job.toml",
    ),
    example(
        "completions",
        "sky completions bash > ~/.local/share/bash-completion/completions/sky",
        "for bash",
    ),
    example(
        "man",
        "sky man ~/.local/share/man/man1",
        "where `man sky` finds the pages",
    ),
    example(
        "version",
        "sky version --json",
        "for bug reports and programs",
    ),
];

/// Puts the options of a whole command line into groups, and adds its examples.
pub(super) fn with_groups_and_examples(command: Command) -> Command {
    prepared(command, "")
}

fn prepared(command: Command, verb: &str) -> Command {
    let command = command.mut_args(|argument| {
        let heading = argument.get_long().and_then(heading_of);
        // The value of a variable may be secret, and is of no use in a text of help.
        let argument = argument.hide_env_values(true);
        match heading {
            Some(heading) => argument.help_heading(heading),
            None => argument,
        }
    });
    let command = match examples_of(verb) {
        Some(examples) => {
            let rest = command.get_after_help().map(ToString::to_string);
            let whole = match rest {
                Some(rest) => format!("{examples}\n\n{rest}"),
                None => examples,
            };
            command.after_help(whole)
        }
        None => command,
    };
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    names.iter().fold(command, |command, name| {
        let inner_verb = format!("{verb} {name}");
        command.mut_subcommand(name, |below| prepared(below, inner_verb.trim_start()))
    })
}

fn heading_of(option: &str) -> Option<&'static str> {
    let group = GROUPS.iter().find(|group| group.options.contains(&option));
    group.map(|group| group.heading)
}

/// Returns the examples of a verb, a command a line and what it does below; `None` if it has none.
fn examples_of(verb: &str) -> Option<String> {
    let mut text = String::new();
    for example in EXAMPLES.iter().filter(|example| example.verb == verb) {
        let (command, meaning) = (example.command, example.meaning);
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {command}\n      {meaning}");
    }
    let heading = match EXAMPLES.iter().filter(|one| one.verb == verb).count() {
        1 => "Example:",
        _ => "Examples:",
    };
    (!text.is_empty()).then(|| format!("{heading}{text}"))
}

#[cfg(test)]
mod tests {
    use super::super::arguments;
    use super::*;

    fn verbs_below(command: &Command, verb: &str, found: &mut Vec<String>) {
        for below in command.get_subcommands() {
            let inner_verb = format!("{verb} {}", below.get_name());
            found.push(inner_verb.trim_start().to_owned());
            verbs_below(below, inner_verb.trim_start(), found);
        }
    }

    #[test]
    fn every_verb_has_an_example_and_every_example_a_verb() {
        let mut verbs = Vec::new();
        verbs_below(&arguments::command(), "", &mut verbs);
        for verb in &verbs {
            assert!(examples_of(verb).is_some(), "{verb} has no example");
        }
        for example in EXAMPLES {
            assert!(
                verbs.iter().any(|verb| verb == example.verb),
                "{}",
                example.verb
            );
        }
    }

    #[test]
    fn every_example_is_a_command_line_of_its_verb() {
        for example in EXAMPLES {
            let plain = example.command.split(" > ").next().unwrap();
            let words = plain.split(' ').map(|word| word.trim_matches('\'').into());
            let parsed = arguments::parse(words.collect());
            assert!(parsed.is_ok(), "{}: {parsed:?}", example.command);
            let first_word = example.verb.split(' ').next().unwrap();
            assert!(plain.starts_with(&format!("sky {first_word}")), "{plain}");
        }
    }

    #[test]
    fn every_option_of_a_group_is_an_option_of_some_verb() {
        fn options_of(command: &Command, found: &mut Vec<String>) {
            let long = command.get_arguments().filter_map(|one| one.get_long());
            found.extend(long.map(str::to_owned));
            command
                .get_subcommands()
                .for_each(|below| options_of(below, found));
        }
        let mut options = Vec::new();
        options_of(&arguments::command(), &mut options);
        for option in GROUPS.iter().flat_map(|group| group.options) {
            assert!(options.iter().any(|known| known == option), "{option}");
        }
    }
}
