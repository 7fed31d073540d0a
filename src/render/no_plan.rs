//! Why there is no plan, in sentences that name the lines of policy and job.

use super::conflict::{self, Files, cents_up, round_up};
use super::diagnostic;
use crate::model::units::grouped;
use crate::model::{ArtifactRef, Destination, Job};
use crate::planning::compile::{ForbiddenHome, Funnel, InputFile, Refusal, UnknownName};
use crate::planning::solve::{PlacementFigures, UnmetLimits};
use crate::planning::{Conflict, NoPlan};
use crate::spec::{Diagnostic, Parsed, SourceFile};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Most stages that are listed one by one.
const LISTED: usize = 8;

/// A message for people, starting with `error:`, and whether it is an answer (`true`: the
/// problem has no solution) or a mistake. `conflict` is what [`crate::planning::conflict`] found.
/// `unknown_names` are those that match nothing in the catalog.
pub fn text(
    reason: &NoPlan,
    files: Files<'_>,
    conflict: Option<&Conflict>,
    unknown_names: &[UnknownName],
    colour: bool,
) -> (String, bool) {
    let body = match reason {
        NoPlan::Solver(error) => return (format!("error: {error}"), false),
        NoPlan::Refused(Refusal::Unknown(name)) => {
            let source = source_of(name, files);
            let diagnostic = unknown(source, name);
            return (
                diagnostic::text(source, &[diagnostic], colour)
                    .trim_end()
                    .to_owned(),
                false,
            );
        }
        NoPlan::Refused(Refusal::NoCandidates(funnels)) => starved_stages(funnels, files),
        NoPlan::Refused(Refusal::HomeForbidden(outputs)) => kept_from_home(outputs, files),
        NoPlan::UsedUp(used_up) => {
            format!("  {used_up}\n  help: raise this limit, or go on by hand")
        }
        NoPlan::Infeasible(unmet_limits) => too_short(unmet_limits, files, conflict),
    };
    let conflict_lines = conflict
        .map(|conflict| conflict::text(conflict, files))
        .unwrap_or_default();
    // A price that the catalog lacks is not a line's fault: what the lines say comes second.
    let unpriced =
        matches!(reason, NoPlan::Infeasible(unmet_limits) if unmet_limits.unlimited.is_none());
    let conflict_lines = match unpriced && !body.is_empty() && !conflict_lines.is_empty() {
        true => format!(
            "  without that price, a plan is only possible if stages may run elsewhere:\n\n{conflict_lines}"
        ),
        false => conflict_lines,
    };
    let help = match (reason, conflict_lines.is_empty()) {
        (NoPlan::Refused(_), true) => {
            "  help: relax one of these lines; `sky catalog list` shows what is offered"
        }
        _ => "",
    };
    let name_notes = name_notes_text(unknown_names);
    let text_parts = [body.as_str(), &conflict_lines, &name_notes, help].map(str::trim_end);
    let is_said = |part: &&str| !part.is_empty();
    let parts: Vec<&str> = text_parts.into_iter().filter(is_said).collect();
    (
        format!(
            "error: no plan satisfies the job and the policy\n\n{}",
            parts.join("\n\n")
        ),
        true,
    )
}

/// Returns what to add to the job where results that come home by default leave no room for a plan.
pub fn results_in_the_way(outputs: &BTreeSet<ArtifactRef>) -> String {
    let Some(first) = outputs.first() else {
        return String::new();
    };
    let other_outputs = match outputs.len() - 1 {
        0 => String::new(),
        1 => " (and so 1 other output)".to_owned(),
        more => format!(" (and so {more} other outputs)"),
    };
    format!(
        "\n\n  bringing results to this machine is in the way; there is a plan that leaves them where they are made\n  \
         help: write `[outputs]` with `{first} = \"there\"` into the job{other_outputs}"
    )
}

/// The file that a name is in.
pub fn source_of<'f>(name: &UnknownName, files: Files<'f>) -> &'f SourceFile {
    match name.file {
        InputFile::Job => &files.job.source,
        InputFile::Policy => &files.policy.source,
    }
}

/// A name that the catalog does not know, at its line.
pub fn unknown(source: &SourceFile, name: &UnknownName) -> Diagnostic {
    let span = source.span(&name.key).unwrap_or(0..0);
    let diagnostic = match name.is_error {
        true => Diagnostic::error(span, &name.message),
        false => Diagnostic::warning(span, &name.message),
    };
    let hint = name
        .hint
        .as_deref()
        .unwrap_or("`sky catalog list` shows what there is");
    diagnostic.with_label("not in the catalog").with_hint(hint)
}

/// Names that match nothing, of which one may be why there is no plan.
fn name_notes_text(unknown: &[UnknownName]) -> String {
    let mut text = String::new();
    for name in unknown {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  note: {}", name.message);
        if let Some(hint) = &name.hint {
            let _ = writeln!(text, "    help: {hint}");
        }
    }
    text
}

/// Returns the reason in one sentence, for programs.
pub fn summary(reason: &NoPlan) -> &'static str {
    match reason {
        NoPlan::Solver(_) => "the solver failed",
        NoPlan::Refused(Refusal::Unknown(UnknownName {
            file: InputFile::Job,
            ..
        })) => "the job names something that the catalog does not have",
        NoPlan::Refused(Refusal::Unknown(_)) => {
            "the policy names something that the catalog does not have"
        }
        NoPlan::Refused(Refusal::NoCandidates(_)) => {
            "some stages have no offer that meets their needs and the policy"
        }
        NoPlan::Refused(Refusal::HomeForbidden(_)) => {
            "the job brings outputs to this machine that the policy keeps away from it"
        }
        NoPlan::Infeasible(_) => "no plan keeps the limits",
        NoPlan::UsedUp(_) => "nothing is left of a limit",
    }
}

/// Outputs that the job brings home, against rules of the policy.
fn kept_from_home(outputs: &[ForbiddenHome], Files { job, policy }: Files<'_>) -> String {
    let mut text = String::new();
    for ForbiddenHome { output, rule } in outputs.iter().take(LISTED) {
        let output_location = job.source.location(&format!("outputs.{output}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  the job brings `{output}` to this machine ({output_location}),"
        );
        let _ = writeln!(
            text,
            "  which {rule} forbids ({})",
            policy.source.location(rule)
        );
    }
    if outputs.len() > LISTED {
        let _ = writeln!(
            text,
            "  and {} other outputs likewise",
            outputs.len() - LISTED
        );
    }
    match &policy.value.home.country {
        Some(country) => {
            let _ = writeln!(text, "  this machine stands in {country} ({})", policy.source.location("home.country"));
        }
        None => text.push_str(
            "  the country of this machine is not declared, and a machine of unknown country satisfies no rule\n  \
             help: declare it in the policy, such as `[home]` with `country = \"DE\"`\n",
        ),
    }
    text.push_str("  help: or leave the data where it is made: `\"there\"` instead of `\"home\"` in `[outputs]`\n");
    text
}

fn starved_stages(funnels: &[Funnel], files: Files<'_>) -> String {
    let Files { job, policy } = files;
    let mut text = String::new();
    for (index, funnel) in funnels.iter().take(LISTED).enumerate() {
        let stage_location = job.source.location(&format!("stages.{}", funnel.stage));
        let space = if index > 0 { "\n" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{space}  stage `{}` ({stage_location}) needs {}",
            funnel.stage, funnel.needs
        );
        if funnel.fitting == 0 {
            text.push_str(match funnel.unmet.is_empty() {
                true => "  no offer in the catalog meets that\n",
                false => {
                    "  no offer in the catalog meets that; offers by the first need that they fail:\n"
                }
            });
            let mut unmet: Vec<(&String, &u64)> = funnel.unmet.iter().collect();
            unmet.sort_by_key(|(need, count)| (std::cmp::Reverse(**count), (*need).clone()));
            for (need, count) in unmet {
                let _ = writeln!(
                    text,
                    "  {:>9}  {}",
                    grouped(i128::from(*count)),
                    need_line(need, &funnel.stage, job)
                );
            }
            text.push_str(&quantity_help(funnel, job));
            text.push_str(&architecture_help(funnel, files));
            text.push_str(&lapsed_note(funnel));
            continue;
        }
        let _ = match funnel.fitting {
            1 => writeln!(text, "  1 offer meets that; the policy forbids it:"),
            many => writeln!(
                text,
                "  {} offers meet that; the policy forbids all of them:",
                grouped(i128::from(many))
            ),
        };
        let mut forbidden: Vec<(&String, &u64)> = funnel.forbidden.iter().collect();
        forbidden.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), (*key).clone()));
        for (key, count) in forbidden {
            // What a provider rents out at most is not a line of the policy.
            let limit_location = match key.starts_with("catalog.") {
                true => "a limit of the provider".to_owned(),
                false => policy.source.location(key),
            };
            let _ = writeln!(
                text,
                "  {:>9}  by {key} ({limit_location})",
                grouped(i128::from(*count))
            );
        }
        text.push_str(&lapsed_note(funnel));
    }
    if funnels.len() > LISTED {
        let _ = writeln!(
            text,
            "\n  and {} other stages that no offer is left for",
            funnels.len() - LISTED
        );
    }
    text
}

/// Returns what to add where a service is paid by a quantity that the stage does not say.
fn quantity_help(funnel: &Funnel, job: &Parsed<Job>) -> String {
    let mut text = String::new();
    for (need, paid_by, example) in [
        (
            "scans",
            "by the terabytes that it scans",
            "scans = \"1 TB\"",
        ),
        ("requests", "by its requests", "requests = 1000000"),
    ] {
        if funnel.unmet.contains_key(need) {
            let needs_location = job
                .source
                .location(&format!("stages.{}.needs", funnel.stage));
            let _ = writeln!(
                text,
                "  help: what is offered is paid {paid_by}: add `{example}` to `needs` ({needs_location})"
            );
        }
    }
    text
}

/// Returns what to add where machines of another architecture would do that the job does not allow.
fn architecture_help(funnel: &Funnel, Files { job, policy }: Files<'_>) -> String {
    let stage = job
        .value
        .stages
        .get(crate::planning::compile::base_name(&funnel.stage));
    let unsaid =
        stage.is_some_and(|stage| stage.needs.arch.is_none() && stage.needs.any_of.is_empty());
    if !funnel.unmet.contains_key("arch") || !unsaid || policy.value.arch.is_some() {
        return String::new();
    }
    let needs_location = job
        .source
        .location(&format!("stages.{}.needs", funnel.stage));
    format!(
        "  help: a stage that names no `arch` runs on x86_64; other machines need `arch = \"any\"` or \"arm64\" ({needs_location})\n"
    )
}

/// Returns the note about offers that met the needs and have ended.
fn lapsed_note(funnel: &Funnel) -> String {
    match funnel.lapsed.as_deref() {
        None => String::new(),
        Some((1, day)) => {
            format!("  1 offer met that until {day}, and has ended; `sky catalog check` names it\n")
        }
        Some((many, day)) => format!(
            "  {} offers met that until {day} at the latest, and have ended; `sky catalog check` names them\n",
            grouped(i128::from(*many))
        ),
    }
}

fn need_line(need: &str, stage: &str, job: &Parsed<Job>) -> String {
    let need_key = match need {
        "duration" | "interruptions" | "unavailable" => format!("stages.{stage}"),
        "allocation" => format!("stages.{stage}.allocation"),
        need => format!("stages.{stage}.needs.{need}"),
    };
    format!("{need} ({})", job.source.location(&need_key))
}

/// From where to where an artifact cannot get, in words.
fn from_where_to_where(artifact: &str, job: &Parsed<Job>) -> String {
    let name = artifact.strip_suffix("@home").unwrap_or(artifact);
    let from_words = match job.value.datasets.get(name) {
        Some(dataset) => {
            format!(
                "from {}, where it lies ({})",
                dataset.at,
                job.source.location(&format!("datasets.{name}"))
            )
        }
        None => "from any place where it may be made".to_owned(),
    };
    let of_copies = format!("{}.", name.split(['[', '.']).next().unwrap_or_default());
    let sent_home = job.value.outputs.iter().any(|(output, goes)| {
        *goes == Destination::Home
            && output.to_string().starts_with(&of_copies)
            && name.ends_with(output.file_name())
    });
    let is_read = job.value.stages.values().any(|stage| {
        stage
            .reads
            .iter()
            .any(|read| read.file_name() == read_name(name))
    });
    match artifact.ends_with("@home") || (sent_home && !is_read) {
        true => format!("{from_words} to this machine"),
        false => format!("{from_words} to any place where its readers may run"),
    }
}

/// The last part of an artifact's name.
fn read_name(artifact: &str) -> &str {
    artifact.rsplit('.').next().unwrap_or(artifact)
}

/// Returns what limits would have to be, unless the constraints that clash say it.
fn too_short(unmet_limits: &UnmetLimits, files: Files<'_>, conflict: Option<&Conflict>) -> String {
    let constraints_are_named = conflict.is_some_and(|conflict| !conflict.constraints.is_empty());
    let limited = unmet_limits.fastest.is_some() || unmet_limits.cheapest.is_some();
    let only_limits = unmet_limits.unlimited.is_none() && unmet_limits.unreachable.is_empty();
    if constraints_are_named && (limited || only_limits) {
        return String::new();
    }
    let mut stage_lines = Vec::new();
    stage_lines.extend(deadline_too_short(unmet_limits, files));
    stage_lines.extend(budget_too_low(unmet_limits, files));
    match unmet_limits.unlimited {
        Some(cheapest) if !limited => stage_lines.extend(limits_together(cheapest, files)),
        Some(_) => {}
        None => stage_lines.extend(egress_prices_missing(&unmet_limits.unreachable, files.job)),
    }
    let indented_lines: Vec<String> = stage_lines.iter().map(|line| format!("  {line}")).collect();
    indented_lines.join("\n")
}

/// Returns how long the fastest plan takes that keeps all but the deadline.
fn deadline_too_short(unmet_limits: &UnmetLimits, Files { policy, .. }: Files<'_>) -> Vec<String> {
    let (Some(deadline), Some(fastest)) = (policy.value.deadline, unmet_limits.fastest) else {
        return Vec::new();
    };
    let within_words = match policy.value.budget {
        Some(_) => " within the budget",
        None => "",
    };
    let needed_time = fastest.makespan;
    vec![
        format!(
            "the fastest plan under these rules{within_words} takes {} and costs {}",
            needed_time.exact(),
            fastest.cost
        ),
        format!(
            "the deadline is {} ({}): {} too short",
            deadline.exact(),
            policy.source.location("limits.deadline"),
            (needed_time - deadline).exact()
        ),
        format!(
            "help: set deadline = \"{}\" or later",
            round_up(needed_time).exact()
        ),
    ]
}

/// Returns what the cheapest plan costs that keeps all but the budget.
fn budget_too_low(unmet_limits: &UnmetLimits, Files { policy, .. }: Files<'_>) -> Vec<String> {
    let (Some(budget), Some(cheapest)) = (policy.value.budget, unmet_limits.cheapest) else {
        return Vec::new();
    };
    let within_words = match policy.value.deadline {
        Some(_) => " by the deadline",
        None => "",
    };
    vec![
        format!(
            "the cheapest plan under these rules{within_words} costs {} and takes {}",
            cheapest.cost.exact(),
            cheapest.makespan.exact()
        ),
        format!(
            "the budget is {} ({}): {} too low",
            budget.exact(),
            policy.source.location("limits.budget"),
            (cheapest.cost - budget).exact()
        ),
        format!("help: set budget = \"{}\" or more", cents_up(cheapest.cost)),
    ]
}

/// Returns which limits cannot be kept even one by one, and what the cheapest plan without them
/// costs.
fn limits_together(cheapest: PlacementFigures, Files { policy, .. }: Files<'_>) -> Vec<String> {
    let deadline = policy.source.location("limits.deadline");
    let budget = policy.source.location("limits.budget");
    let set_deadline = format!(
        "deadline = \"{}\" or later",
        round_up(cheapest.makespan).exact()
    );
    let set_budget = format!("budget = \"{}\" or more", cents_up(cheapest.cost));
    let (mut lines, without, help) = match (policy.value.deadline, policy.value.budget) {
        (Some(_), Some(_)) => (
            vec![
                format!("the deadline ({deadline}) and the budget ({budget})"),
                "cannot be kept, not even one of them alone".to_owned(),
            ],
            "without both",
            format!("{set_budget} and {set_deadline}"),
        ),
        (Some(_), None) => (
            vec![format!("the deadline ({deadline}) cannot be kept")],
            "without it",
            set_deadline,
        ),
        (None, Some(_)) => (
            vec![format!("the budget ({budget}) cannot be kept")],
            "without it",
            set_budget,
        ),
        (None, None) => {
            let message = "no placement keeps all quotas, spreads and deadlines of stages at once";
            return vec![message.to_owned()];
        }
    };
    lines.push(format!(
        "{without}, the cheapest plan costs {} and takes {}",
        cheapest.cost.exact(),
        cheapest.makespan.exact()
    ));
    lines.push(format!("help: set {help}"));
    lines
}

/// Returns which artifacts cannot be moved, because the catalog has no egress price for them.
fn egress_prices_missing(unreachable: &[String], job: &Parsed<Job>) -> Vec<String> {
    if unreachable.is_empty() {
        return vec![
            "data cannot get from where it is to where it is needed: the catalog lacks egress prices"
                .to_owned(),
            "help: add the egress prices that it lacks, or let the stages run nearer to each other"
                .to_owned(),
        ];
    }
    let mut missing_lines: Vec<String> = unreachable
        .iter()
        .take(LISTED)
        .map(|artifact| {
            format!(
                "the catalog has no egress price to bring `{artifact}` {}",
                from_where_to_where(artifact, job)
            )
        })
        .collect();
    if unreachable.len() > LISTED {
        missing_lines.push(format!("and for {} others", unreachable.len() - LISTED));
    }
    missing_lines.push(
        "help: add the prices to the catalog's egress.csv, give your own as `[[links]]` in the policy, or let"
            .to_owned(),
    );
    missing_lines.push("the stages run where the data is".to_owned());
    missing_lines
}
