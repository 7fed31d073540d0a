//! Why there is no plan, in sentences that name the lines of policy and job.

use super::diagnostic;
use crate::compile::{Funnel, Refusal};
use crate::model::units::grouped;
use crate::model::{Job, Millis, Money, Policy};
use crate::planner::NoPlan;
use crate::solve::Shortfall;
use crate::spec::{Diagnostic, Parsed, SourceFile};
use std::fmt::Write;

/// A message for people, starting with `error:`, and whether it is an answer (`true`: the
/// problem has no solution) or a mistake.
pub fn text(reason: &NoPlan, job: &Parsed<Job>, policy: &Parsed<Policy>, colour: bool) -> (String, bool) {
    match reason {
        NoPlan::Solver(error) => (format!("error: {error}"), false),
        NoPlan::Refused(Refusal::Unknown { key, message, hint }) => {
            let diagnostic = unknown(&job.source, key, message, hint.as_deref());
            (diagnostic::text(&job.source, &[diagnostic], colour).trim_end().to_owned(), false)
        }
        NoPlan::Refused(Refusal::NoCandidates(funnels)) => (starved(funnels, job, policy), true),
        NoPlan::Infeasible(shortfall) => (short(shortfall, policy), true),
    }
}

/// A name in the job that the catalog does not know, at its line.
pub fn unknown(source: &SourceFile, key: &str, message: &str, hint: Option<&str>) -> Diagnostic {
    let hint = hint.unwrap_or("`sky catalog list` shows what there is");
    Diagnostic::error(source.span(key).unwrap_or(0..0), message).with_label("not in the catalog").with_hint(hint)
}

/// What was said, in one sentence, for programs.
pub fn summary(reason: &NoPlan) -> &'static str {
    match reason {
        NoPlan::Solver(_) => "the solver failed",
        NoPlan::Refused(Refusal::Unknown { .. }) => "the job names something that the catalog does not have",
        NoPlan::Refused(Refusal::NoCandidates(_)) => "some stages have no offer that meets their needs and the policy",
        NoPlan::Infeasible(_) => "no plan keeps the limits",
    }
}

fn starved(funnels: &[Funnel], job: &Parsed<Job>, policy: &Parsed<Policy>) -> String {
    let mut text = "error: no plan satisfies the job and the policy\n".to_owned();
    for funnel in funnels {
        let at = job.source.location(&format!("stages.{}", funnel.stage));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\n  stage `{}` ({at}) needs {}", funnel.stage, funnel.needs);
        if funnel.fitting == 0 {
            text.push_str("  no offer in the catalog meets that; offers fail first at\n");
            let mut unmet: Vec<(&String, &u64)> = funnel.unmet.iter().collect();
            unmet.sort_by_key(|(need, count)| (std::cmp::Reverse(**count), (*need).clone()));
            for (need, count) in unmet {
                let _ = writeln!(text, "  {:>9}  {}", grouped(i128::from(*count)), need_line(need, &funnel.stage, job));
            }
            continue;
        }
        let _ = match funnel.fitting {
            1 => writeln!(text, "  1 offer meets that; the policy forbids it:"),
            many => writeln!(text, "  {} offers meet that; the policy forbids all of them:", grouped(i128::from(many))),
        };
        let mut forbidden: Vec<(&String, &u64)> = funnel.forbidden.iter().collect();
        forbidden.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), (*key).clone()));
        for (key, count) in forbidden {
            let _ = writeln!(text, "  {:>9}  by {key} ({})", grouped(i128::from(*count)), policy.source.location(key));
        }
    }
    text.push_str("\n  help: relax one of these lines; `sky catalog list` shows what is offered");
    text
}

fn need_line(need: &str, stage: &str, job: &Parsed<Job>) -> String {
    let key = match need {
        "duration" | "interruptions" => format!("stages.{stage}"),
        "allocation" => format!("stages.{stage}.allocation"),
        need => format!("stages.{stage}.needs.{need}"),
    };
    format!("{need} ({})", job.source.location(&key))
}

fn short(shortfall: &Shortfall, policy: &Parsed<Policy>) -> String {
    let at = |key: &str| policy.source.location(key);
    let mut text = "error: no plan satisfies the job and the policy\n\n".to_owned();
    let mut line = |line: String| {
        let _ = writeln!(text, "  {line}");
    };
    if let (Some(deadline), Some((cost, time))) = (policy.value.deadline, shortfall.fastest) {
        let needed = crate::plan::millis(time);
        let within = if policy.value.budget.is_some() { " within the budget" } else { "" };
        line(format!("the fastest plan under these rules{within} takes {} and costs {}", needed.exact(), Money(cost)));
        line(format!(
            "the deadline is {} ({}): {} too short",
            deadline.exact(),
            at("limits.deadline"),
            (needed - deadline).exact()
        ));
        line(format!("help: set deadline = \"{}\" or later", round_up(needed).exact()));
    }
    if let (Some(budget), Some((cost, time))) = (policy.value.budget, shortfall.cheapest) {
        let within = if policy.value.deadline.is_some() { " by the deadline" } else { "" };
        line(format!(
            "the cheapest plan under these rules{within} costs {} and takes {}",
            Money(cost).exact(),
            crate::plan::millis(time).exact()
        ));
        line(format!(
            "the budget is {} ({}): {} too low",
            budget.exact(),
            at("limits.budget"),
            (Money(cost) - budget).exact()
        ));
        line(format!("help: set budget = \"{}\" or more", cents_up(Money(cost))));
    }
    let limited = shortfall.fastest.is_some() || shortfall.cheapest.is_some();
    match shortfall.unlimited {
        Some((cost, time)) if !limited => {
            line(format!(
                "deadline ({}) and budget ({}) cannot be kept, not even one of them alone",
                at("limits.deadline"),
                at("limits.budget")
            ));
            line(format!(
                "without both, the cheapest plan costs {} and takes {}",
                Money(cost).exact(),
                crate::plan::millis(time).exact()
            ));
            line(format!(
                "help: set budget = \"{}\" or more and deadline = \"{}\" or later",
                cents_up(Money(cost)),
                round_up(crate::plan::millis(time)).exact()
            ));
        }
        None if shortfall.stuck.is_empty() => {
            line(
                "data cannot get from where it is to where it is needed: the catalog has no price for some ways"
                    .to_owned(),
            );
            line("help: add the egress prices that it lacks, or let the stages run nearer to each other".to_owned());
        }
        None => {
            let stuck = shortfall.stuck.join(", ");
            line(format!(
                "the catalog has no egress price from any place where {stuck} may be to any place of a reader"
            ));
            line("help: add the prices to the catalog's egress.csv, or let the stages run in one place".to_owned());
        }
        Some(_) => {}
    }
    text.trim_end().to_owned()
}

/// Up to the next full second: a limit that can be typed.
fn round_up(Millis(time): Millis) -> Millis {
    Millis(time.div_ceil(1000) * 1000)
}

/// Up to the next cent.
fn cents_up(Money(cost): Money) -> String {
    let cents = (cost + 9_999) / 10_000;
    format!("${}.{:02}", cents / 100, cents % 100)
}
