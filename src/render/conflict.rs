//! Lines that clash, for people and for programs.

use crate::model::accelerator::count_text;
use crate::model::units::div_half_even;
use crate::model::{Bytes, Job, Millis, Money, Policy};
use crate::planning::{
    Clashing, Conflict, Constraint, ConstraintFile, ConstraintKind, Counted, Figures, Need,
    Relaxation, Relaxed,
};
use crate::spec::{Parsed, SourceFile};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Longest value of a line that is shown whole.
const LONGEST: usize = 36;

/// The files that lines are in.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// The job file.
    pub job: &'a Parsed<Job>,
    /// The policy file.
    pub policy: &'a Parsed<Policy>,
}

impl<'a> Files<'a> {
    fn source(self, constraint: &Constraint) -> &'a SourceFile {
        match constraint.file {
            ConstraintFile::Policy => &self.policy.source,
            ConstraintFile::Job => &self.job.source,
        }
    }

    /// Whether the line is in its file: sky has rules of its own where a file says nothing.
    fn written(self, constraint: &Constraint) -> bool {
        let table = constraint.key.split('.').next().unwrap_or_default();
        let default = matches!(
            constraint.kind,
            ConstraintKind::Partitions | ConstraintKind::Spot
        );
        !default || self.source(constraint).spans.contains_key(&constraint.key) || table == "stages"
    }

    /// `residency.default (policy.toml:9:1)`.
    pub fn short(self, constraint: &Constraint) -> String {
        match self.written(constraint) {
            true => format!(
                "{} ({})",
                constraint.key,
                self.source(constraint).location(&constraint.key)
            ),
            false => format!("{} (not written)", constraint.key),
        }
    }

    /// File, line and column, for programs; null for what was not written.
    pub fn range(self, constraint: &Constraint) -> Value {
        let source = self.source(constraint);
        let range = source
            .span(&constraint.key)
            .filter(|_| self.written(constraint))
            .map(|span| {
                let (line, column) = source.line_column(span.start);
                json!({ "filename": source.name, "line": line, "column": column })
            });
        json!(range)
    }

    /// `policy.toml:5:1  limits.deadline = "90 m"`.
    pub fn named(self, constraint: &Constraint) -> String {
        if !self.written(constraint) {
            return format!("{} (not set; the default forbids it)", constraint.key);
        }
        let source = self.source(constraint);
        let text = source
            .spans
            .get(&constraint.key)
            .map_or("", |span| source.text.get(span.clone()).unwrap_or_default());
        let written_value = text
            .split_once('=')
            .map(|(_, value)| value.trim())
            .unwrap_or_default();
        let value_words: String = written_value
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let value_words = match value_words.char_indices().nth(LONGEST) {
            Some((end, _)) => format!(" = {}…", &value_words[..end]),
            None if value_words.is_empty() => value_words,
            None => format!(" = {value_words}"),
        };
        format!(
            "{}  {}{value_words}",
            source.location(&constraint.key),
            constraint.key
        )
    }
}

/// The columns that sentences are wrapped to.
const COLUMNS: usize = 80;

/// Returns a line indented by two, and wrapped so that what follows stands a little further in.
fn wrapped_line(line: &str) -> String {
    let sentence = line.trim_start();
    let first_indent = format!("  {}", " ".repeat(line.len() - sentence.len()));
    let next_indent = format!("{first_indent}  ");
    let wrapping = textwrap::Options::new(COLUMNS)
        .initial_indent(&first_indent)
        .subsequent_indent(&next_indent)
        .break_words(false);
    textwrap::fill(sentence, wrapping)
}

/// Sentences, indented by two, with a final newline; empty if it is not a line of the files.
pub fn text(conflict: &Conflict, files: Files<'_>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut put_line = |line: &str| {
        let _ = writeln!(text, "{}", wrapped_line(line).trim_end());
    };
    match &conflict.constraints[..] {
        [] => return text,
        [only] if only.enough => {
            put_line("one line is in the way; a plan is possible if it is changed:")
        }
        [_] => put_line("no plan can meet this line, whatever the other lines say:"),
        several => put_line(&format!(
            "these {} lines conflict; if any one of them is changed, the others can be met:",
            several.len()
        )),
    }
    if !conflict.smallest {
        put_line("(the search for a smaller set of conflicting lines was stopped)");
    }
    for clashing in &conflict.constraints {
        put_line("");
        put_line(&format!("  {}", files.named(&clashing.constraint)));
        for sentence in relaxation_lines(clashing, files) {
            put_line(&format!("    {sentence}"));
        }
    }
    if conflict.constraints.iter().all(|clashing| !clashing.enough) {
        put_line("");
        put_line("other lines conflict too: change one of these, then plan again to see them");
    }
    if !conflict.defaults.is_empty() {
        put_line("");
        put_line("it would also be enough to allow what the defaults forbid:");
        for clashing in &conflict.defaults {
            for sentence in relaxation_lines(clashing, files) {
                put_line(&format!("  {}: {sentence}", clashing.constraint.key));
            }
        }
    }
    text
}

/// Returns what a constraint would have to say, in a sentence and a proposal.
fn relaxation_lines(clashing: &Clashing, files: Files<'_>) -> Vec<String> {
    let (said, proposal) = relaxation_sentence(clashing, files);
    // What is not enough has figures that no plan would have.
    if clashing.enough {
        [Some(said), proposal].into_iter().flatten().collect()
    } else {
        vec![said]
    }
}

/// Returns what a constraint would have to say, and what to write for that, if one line does it.
fn relaxation_sentence(clashing: &Clashing, files: Files<'_>) -> (String, Option<String>) {
    let Some(Relaxation { to, figures, .. }) = &clashing.relaxation else {
        return ("must be removed".to_owned(), None);
    };
    let figures = figures.as_ref();
    let then_words = unless_too_little(clashing, figures.map(what_then).unwrap_or_default());
    let kind = &clashing.constraint.kind;
    let key_name = last_part(&clashing.constraint.key);
    match to {
        Relaxed::Time(time) => more_time(*time, clashing, figures, files),
        Relaxed::Money(cost) => more_money(*cost, clashing, figures, files),
        Relaxed::Hourly(price) => (
            format!("needs {} an hour{then_words}", price.exact()),
            Some(format!(
                "help: set {key_name} = \"{}\" or more",
                price.exact()
            )),
        ),
        Relaxed::Cpus(count) => {
            let count = count_text(u32::try_from(*count).unwrap_or(u32::MAX));
            match kind {
                ConstraintKind::Quota(..) => (format!("needs {count}{then_words}"), None),
                _ => (format!("may be at most {count}{then_words}"), None),
            }
        }
        Relaxed::Count(count) => match kind {
            ConstraintKind::Spread(_) => (format!("needs at_most = {count}{then_words}"), None),
            _ => (format!("needs {count}{then_words}"), None),
        },
        Relaxed::Bytes(bytes) => (
            format!("may be at most {}{then_words}", memory_size(*bytes)),
            None,
        ),
        Relaxed::Add(names) => {
            let verb = match kind {
                ConstraintKind::Trust(_)
                | ConstraintKind::Need(_, Need::Tee | Need::Accelerators) => "accept",
                _ => "allow",
            };
            let time = match figures {
                None => ", with a duration for it",
                Some(_) => "",
            };
            let what = format!("must {verb} {}{time}{then_words}", joined_names(names));
            (what, None)
        }
        Relaxed::Gang(each, machines) => (
            format!(
                "no machine has so many of these cards; {machines} machines with {each} each have{then_words}"
            ),
            Some(format!(
                "help: set accelerators = [\"{each}\"] and nodes = {machines}"
            )),
        ),
        Relaxed::Drop => {
            let what = match kind {
                ConstraintKind::Spot => "be `true`",
                ConstraintKind::Need(_, Need::Service) => "accept any version",
                _ => "be removed",
            };
            (format!("must {what}{then_words}"), None)
        }
    }
}

/// Returns what a limit on time would have to be.
fn more_time(
    time: Millis,
    clashing: &Clashing,
    figures: Option<&Figures>,
    files: Files<'_>,
) -> (String, Option<String>) {
    let kind = &clashing.constraint.kind;
    let limit_now = match kind {
        ConstraintKind::Deadline => files.policy.value.deadline,
        ConstraintKind::StageDeadline(stage) => {
            let stage = files.job.value.stages.get(stage);
            stage.and_then(|stage| stage.deadline)
        }
        _ => None,
    };
    let more_words = match limit_now {
        Some(now) => format!(", {} more", (time - now).exact()),
        None => String::new(),
    };
    let then_words = match (kind, figures) {
        (_, None) => String::new(),
        // How long the plan takes is said already.
        (ConstraintKind::Deadline, Some(figures)) => {
            format!("; a plan then costs {}", figures.cost)
        }
        (_, Some(figures)) => what_then(figures),
    };
    let then_words = unless_too_little(clashing, then_words);
    let help = match kind {
        ConstraintKind::Need(..) => format!("help: set at_most = \"{} ms\" or more", time.0),
        _ => format!(
            "help: set {} = \"{}\" or later",
            last_part(&clashing.constraint.key),
            round_up(time).exact()
        ),
    };
    (
        format!("needs {}{more_words}{then_words}", time.exact()),
        Some(help),
    )
}

/// Returns what a budget would have to be.
fn more_money(
    cost: Money,
    clashing: &Clashing,
    figures: Option<&Figures>,
    files: Files<'_>,
) -> (String, Option<String>) {
    let more_words = match files.policy.value.budget {
        Some(now) => format!(", {} more", (cost - now).exact()),
        None => String::new(),
    };
    let then_words = match figures {
        Some(figures) => format!("; a plan then ends after {}", figures.makespan),
        None => String::new(),
    };
    let then_words = unless_too_little(clashing, then_words);
    let help = format!(
        "help: set {} = \"{}\" or more",
        last_part(&clashing.constraint.key),
        cents_up(cost)
    );
    (
        format!("needs {}{more_words}{then_words}", cost.exact()),
        Some(help),
    )
}

/// Returns the text about the plan that is possible then, or that the change is too little for one.
fn unless_too_little(clashing: &Clashing, text: String) -> String {
    match clashing.enough {
        true => text,
        false => "; not enough on its own".to_owned(),
    }
}

/// Returns the last part of a key with dots, which is what stands in its line.
fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// `; a plan then costs $39.74 and ends after 5 h 44 m`.
fn what_then(figures: &Figures) -> String {
    let proven_words = if figures.proven { "" } else { " or less" };
    format!(
        "; a plan then costs {}{proven_words} and ends after {}",
        figures.cost, figures.makespan
    )
}

fn joined_names(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match &names[..] {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Memory as machines have it, if it is a whole number of hundredths of a GiB.
fn memory_size(bytes: Bytes) -> String {
    let hundredths = div_half_even(i128::from(bytes.0) * 100, 1 << 30);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} GiB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Up to the next full second: a limit that can be typed.
pub fn round_up(Millis(time): Millis) -> Millis {
    Millis(time.div_ceil(1000) * 1000)
}

/// Up to the next cent.
pub fn cents_up(Money(cost): Money) -> String {
    let cents = (cost + 9_999) / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// For programs.
pub fn json(conflict: &Conflict, files: Files<'_>) -> Value {
    json!({
        "format_version": "1.0",
        "lines": conflict.constraints.iter().map(|clashing| clashing_json(clashing, files)).collect::<Vec<_>>(),
        "smallest": conflict.smallest,
        "more": conflict.constraints.iter().any(|clashing| !clashing.enough),
        "defaults": conflict.defaults.iter().map(|clashing| clashing_json(clashing, files)).collect::<Vec<_>>(),
    })
}

fn clashing_json(clashing: &Clashing, files: Files<'_>) -> Value {
    let constraint = &clashing.constraint;
    let relaxed_words = relaxation_lines(clashing, files);
    json!({
        "key": constraint.key,
        "file": match constraint.file { ConstraintFile::Policy => "policy", ConstraintFile::Job => "job" },
        "range": files.range(constraint),
        "default": !files.written(constraint),
        "stage": constraint.stage(),
        "enough": clashing.enough,
        "summary": relaxed_words.first(),
        "relaxation": clashing.relaxation.as_ref().map(|relaxation| relaxation_json(relaxation, &constraint.kind)),
    })
}

fn relaxation_json(relaxation: &Relaxation, constraint_kind: &ConstraintKind) -> Value {
    let mut relaxed_value = match &relaxation.to {
        Relaxed::Time(time) => json!({ "milliseconds": time }),
        Relaxed::Money(cost) => json!({ "micro_usd": cost }),
        Relaxed::Hourly(price) => json!({ "micro_usd_per_hour": price }),
        Relaxed::Cpus(count) => json!({ "vcpu_thousandths": count }),
        Relaxed::Count(count) => match constraint_kind {
            ConstraintKind::Quota(_, Counted::Accelerator(name)) => {
                json!({ "count": count, "accelerator": name })
            }
            _ => json!({ "count": count }),
        },
        Relaxed::Bytes(bytes) => json!({ "bytes": bytes }),
        Relaxed::Add(names) => json!({ "add": names }),
        Relaxed::Gang(each, machines) => {
            json!({ "accelerators": each.to_string(), "nodes": machines })
        }
        Relaxed::Drop => json!({ "drop": true }),
    };
    relaxed_value["least"] = json!(relaxation.least);
    if let Some(Figures {
        cost,
        makespan,
        proven,
    }) = &relaxation.figures
    {
        relaxed_value["cost_micro_usd"] = json!(cost);
        relaxed_value["makespan_ms"] = json!(makespan);
        relaxed_value["proven"] = json!(proven);
    }
    relaxed_value
}
