//! Why a plan is as it is, for people and for programs.

use super::conflict::Files;
use super::plan_text::machine;
use crate::catalog::Catalog;
use crate::model::units::{div_half_even, grouped, saturate};
use crate::model::{Millis, Money, Objective, Offer, Purchase, Rate, Unit};
use crate::plan::{Plan, PlannedStage};
use crate::planning::{BreakEven, Elsewhere, Explanation, Figures, Ruled, Why};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The subject of an explanation: a plan and its inputs.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The catalog that was planned with.
    pub catalog: &'a Catalog,
    /// The job and the policy.
    pub files: Files<'a>,
}

/// Paragraphs of at most 80 columns, unless names are longer.
pub fn text(explanation: &Explanation, subject: Subject<'_>) -> String {
    let plan = subject.plan;
    let goal = match plan.objective.first() {
        Objective::Cost => "least cost",
        Objective::Time => "least time",
    };
    let proven_words = if plan.solver.status == "optimal" {
        "proven optimal"
    } else {
        "not proven optimal"
    };
    let totals = &plan.totals;
    let mut text = format!(
        "Why {} costs {} and ends after {} ({goal}, {proven_words})\n",
        plan.job, totals.cost_micro_usd, totals.makespan_ms
    );
    for why in &explanation.stages {
        let Some(stage) = plan.stages.iter().find(|stage| stage.name == why.stage) else {
            continue;
        };
        text.push('\n');
        of_stage(&mut text, why, stage, subject);
    }
    if explanation.left_out > 0 {
        let _ = writeln!(
            text,
            "\n{} stages that cost less are left out; `sky explain PLAN STAGE` explains each.",
            explanation.left_out
        );
    }
    put_rules(&mut text, explanation, subject);
    text
}

/// Those that cost something one by one, the others in a list.
fn put_rules(text: &mut String, explanation: &Explanation, subject: Subject<'_>) {
    let costs = |rule: &&Ruled| saved_without_rule(rule, subject.plan) != (0, 0);
    let (dear, free): (Vec<&Ruled>, Vec<&Ruled>) = explanation.rules.iter().partition(costs);
    if !dear.is_empty() {
        text.push_str("\nWhat each rule costs: the best plan without it, all others in force\n");
    }
    for rule in dear {
        let _ = writeln!(
            text,
            "\n  {}\n    {}",
            subject.files.named(&rule.constraint),
            rule_price(rule, subject.plan)
        );
    }
    if !free.is_empty() {
        text.push_str(
            "\nThese rules cost nothing: without any one of them the plan would be the same\n",
        );
    }
    for rule in free {
        let _ = writeln!(text, "  {}", subject.files.named(&rule.constraint));
    }
}

/// A line about a stage: its head, which is empty where a line goes on with the one above, and
/// the text.
type Line = (&'static str, String);

fn of_stage(text: &mut String, why: &Why, stage: &PlannedStage, subject: Subject<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "{} at {}: {}",
        stage.name,
        stage.place,
        machine(stage)
    );
    let (rate, unit) = rate_of(stage);
    let costs = format!(
        "{} at {}{}",
        stage.cost_micro_usd,
        rounded_rate(rate, unit),
        each_words(stage, unit)
    );
    let mut stage_lines = vec![("costs", costs)];
    stage_lines.extend(wait_line(stage));
    stage_lines.extend(offers_left(why, subject));
    stage_lines.extend(best_elsewhere(why.elsewhere.as_ref(), subject));
    stage_lines.extend(break_even(&why.break_even, stage, subject));
    for (head, said) in stage_lines {
        let _ = writeln!(text, "  {head:<11} {said}");
    }
}

/// How long a stage waits for room under a limit, and for which stages.
fn wait_line(stage: &PlannedStage) -> Option<Line> {
    if stage.wait_ms == Millis(0) {
        return None;
    }
    let limits: BTreeSet<&str> = stage
        .waits_for
        .iter()
        .map(|wait| wait.limit.as_str())
        .collect();
    let limits: Vec<&str> = limits.into_iter().collect();
    Some((
        "waits",
        format!("{} for room under {}", stage.wait_ms, limits.join(" and ")),
    ))
}

fn rate_of(stage: &PlannedStage) -> (Rate, Unit) {
    match &stage.usage {
        Some(usage) => (usage.rate_nano_usd_per_unit, usage.unit),
        None => (stage.rate_nano_usd_per_hour, Unit::Hour),
    }
}

/// ` each`, where the rate is that of one of several machines.
fn each_words(stage: &PlannedStage, unit: Unit) -> &'static str {
    if stage.nodes > 1 && unit == Unit::Hour {
        " each"
    } else {
        ""
    }
}

/// Returns how many offers there are, and how many each rule leaves.
fn offers_left(why: &Why, subject: Subject<'_>) -> Vec<Line> {
    let count = |count: u64| grouped(i128::from(count));
    let meet = if why.fitting == 1 { "meets" } else { "meet" };
    let all_offers = format!(
        "{} in the catalog, {} {meet} the needs",
        count(why.offers),
        count(why.fitting)
    );
    let mut offer_lines = vec![("offers", all_offers)];
    offer_lines.extend(why.left.iter().map(|(constraint, left)| {
        let rule = subject.files.short(constraint);
        ("", format!("{} left by {rule}", count(*left)))
    }));
    offer_lines
}

/// Returns what the best plan costs that has the stage in another place.
fn best_elsewhere(elsewhere: Option<&Elsewhere>, subject: Subject<'_>) -> Vec<Line> {
    let Some(elsewhere) = elsewhere else {
        let none_elsewhere = "no plan is possible with it in another place".to_owned();
        return vec![("elsewhere", none_elsewhere)];
    };
    let others_words = match elsewhere.moved {
        0 => String::new(),
        1 => "; 1 other stage moves".to_owned(),
        several => format!("; {several} other stages move"),
    };
    let beyond = match elsewhere.beyond {
        true => ": beyond the limits",
        false => "",
    };
    let difference = figures_change(&elsewhere.figures, subject.plan);
    vec![
        ("elsewhere", offer_text(&elsewhere.offer, subject.catalog)),
        ("", format!("{difference}{others_words}{beyond}")),
    ]
}

/// Returns the rate from which another offer is better.
fn break_even(break_even: &BreakEven, stage: &PlannedStage, subject: Subject<'_>) -> Vec<Line> {
    match break_even {
        BreakEven::Never => vec![(
            "break-even",
            "none: without this offer no plan keeps the limits".to_owned(),
        )],
        BreakEven::Slower(time) => vec![(
            "break-even",
            format!(
                "none: without this offer the plan takes {} more",
                time.exact()
            ),
        )],
        BreakEven::At {
            rate: limit,
            figures,
            offer,
        } => {
            let (rate, unit) = rate_of(stage);
            let limit_text = format!(
                "{}{}, {}; above that",
                rounded_rate(*limit, unit),
                each_words(stage, unit),
                percent_change(rate, *limit)
            );
            vec![
                ("break-even", limit_text),
                ("", offer_text(offer, subject.catalog)),
                ("", format!("is better, at {} in all", figures.cost)),
            ]
        }
    }
}

/// `aws:us-east-1 inf1.xlarge at $0.228/h`.
fn offer_text(offer: &Offer, catalog: &Catalog) -> String {
    let spot = if offer.purchase == Purchase::Spot {
        " (spot)"
    } else {
        ""
    };
    let (place, machine) = (catalog.place(offer), catalog.machine(offer));
    format!(
        "{} {}{spot} at {}",
        place.name,
        machine.instance_type,
        rounded_rate(offer.rate, machine.unit())
    )
}

/// Rounded to a ten-thousandth of a dollar.
fn rounded_rate(Rate(rate): Rate, unit: Unit) -> String {
    let rounded = div_half_even(i128::from(rate), 100_000) * 100_000;
    format!("{}{}", Rate(saturate(rounded)), unit.after_price())
}

/// `+24.3 %`.
fn percent_change(Rate(now): Rate, Rate(then): Rate) -> String {
    if now <= 0 {
        return "from nothing".to_owned();
    }
    let tenths = div_half_even((i128::from(then) - i128::from(now)) * 1000, i128::from(now));
    let sign_mark = if tenths < 0 { "-" } else { "+" };
    format!(
        "{sign_mark}{}.{} %",
        grouped(tenths.abs() / 10),
        tenths.abs() % 10
    )
}

/// `$0.24 more, 12 m 3 s later`.
fn figures_change(figures: &Figures, plan: &Plan) -> String {
    let Money(cost) = figures.cost - plan.totals.cost_micro_usd;
    let cost = match cost {
        0 => "the same cost".to_owned(),
        more if more > 0 => format!("{} more", Money(more)),
        less => format!("{} less", Money(-less)),
    };
    let (now, then) = (plan.totals.makespan_ms, figures.makespan);
    let time = match then.cmp(&now) {
        std::cmp::Ordering::Equal => "the same time".to_owned(),
        std::cmp::Ordering::Greater => format!("{} later", then - now),
        std::cmp::Ordering::Less => format!("{} sooner", now - then),
    };
    let proven_words = if figures.proven { "" } else { " (not proven)" };
    format!("{cost}, {time}{proven_words}")
}

/// Returns what a rule costs, by the plan's objective.
fn rule_price(rule: &Ruled, plan: &Plan) -> String {
    let (cost, time) = saved_without_rule(rule, plan);
    let free_figures = &rule.free;
    let proven_words = if free_figures.proven { "" } else { " at least" };
    let then_words = format!(
        "without it {}, ends after {}",
        free_figures.cost, free_figures.makespan
    );
    match plan.objective.first() {
        Objective::Cost if cost > 0 => format!("costs{proven_words} {}: {then_words}", Money(cost)),
        Objective::Time if time > 0 => {
            format!("costs{proven_words} {}: {then_words}", signed_span(time))
        }
        _ if cost == 0 && time == 0 => "costs nothing".to_owned(),
        Objective::Cost if cost == 0 && time > 0 => {
            format!("costs no money, but {}: {then_words}", signed_span(time))
        }
        Objective::Time if time == 0 && cost > 0 => {
            format!("costs no time, but {}: {then_words}", Money(cost))
        }
        // The plan is not the best one, or was made under a weighting of the two.
        _ => then_words,
    }
}

/// Returns what the plan would save without the rule: micro-USD and milliseconds.
fn saved_without_rule(rule: &Ruled, plan: &Plan) -> (i64, i64) {
    let signed = |Millis(time): Millis| saturate(i128::from(time));
    let Money(cost) = plan.totals.cost_micro_usd - rule.free.cost;
    (
        cost,
        signed(plan.totals.makespan_ms) - signed(rule.free.makespan),
    )
}

fn signed_span(milliseconds: i64) -> String {
    Millis(milliseconds.unsigned_abs()).to_string()
}

/// For programs.
pub fn json(explanation: &Explanation, subject: Subject<'_>) -> Value {
    let plan = subject.plan;
    json!({
        "format_version": "1.0",
        "job": plan.job,
        "totals": plan.totals,
        "stages": explanation.stages.iter().map(|why| stage_json(why, subject)).collect::<Vec<_>>(),
        "left_out": explanation.left_out,
        "rules": explanation.rules.iter().map(|rule| rule_json(rule, subject)).collect::<Vec<_>>(),
    })
}

fn stage_json(why: &Why, subject: Subject<'_>) -> Value {
    let constraint_left = |(constraint, left): &(crate::planning::Constraint, u64)| json!({ "key": constraint.key, "range": subject.files.range(constraint), "left": left });
    let elsewhere = why.elsewhere.as_ref().map(|elsewhere| {
        let mut offer_value = offer_json(&elsewhere.offer, subject.catalog);
        offer_value["total_cost_micro_usd"] = json!(elsewhere.figures.cost);
        offer_value["makespan_ms"] = json!(elsewhere.figures.makespan);
        offer_value["proven"] = json!(elsewhere.figures.proven);
        offer_value["within_limits"] = json!(!elsewhere.beyond);
        offer_value["other_stages_moved"] = json!(elsewhere.moved);
        offer_value
    });
    let break_even = match &why.break_even {
        BreakEven::Never => Value::Null,
        BreakEven::Slower(time) => json!({ "slower_ms": time }),
        BreakEven::At {
            rate,
            figures,
            offer,
        } => {
            let mut offer_value = offer_json(offer, subject.catalog);
            offer_value["total_cost_micro_usd"] = json!(figures.cost);
            offer_value["proven"] = json!(figures.proven);
            let stage_taken = subject
                .plan
                .stages
                .iter()
                .find(|stage| stage.name == why.stage);
            let price_key = match stage_taken.and_then(|stage| stage.usage) {
                Some(_) => "rate_nano_usd_per_unit",
                None => "rate_nano_usd_per_hour",
            };
            json!({ price_key: rate, "then": offer_value })
        }
    };
    json!({
        "name": why.stage,
        "offers": why.offers,
        "meet_needs": why.fitting,
        "left": why.left.iter().map(constraint_left).collect::<Vec<_>>(),
        "elsewhere": elsewhere,
        "break_even": break_even,
    })
}

fn offer_json(offer: &Offer, catalog: &Catalog) -> Value {
    let machine = catalog.machine(offer);
    let mut offer_value = json!({
        "place": catalog.place(offer).name,
        "instance_type": machine.instance_type,
        "purchase": offer.purchase,
    });
    match machine.unit() {
        Unit::Hour => offer_value["rate_nano_usd_per_hour"] = json!(offer.rate),
        unit => {
            offer_value["rate_nano_usd_per_unit"] = json!(offer.rate);
            offer_value["unit"] = json!(unit);
        }
    }
    offer_value
}

fn rule_json(rule: &Ruled, subject: Subject<'_>) -> Value {
    let (cost, time) = saved_without_rule(rule, subject.plan);
    json!({
        "key": rule.constraint.key,
        "range": subject.files.range(&rule.constraint),
        "default": rule.default,
        "binds": cost != 0 || time != 0,
        "costs_micro_usd": cost,
        "costs_ms": time,
        "total_cost_micro_usd": rule.free.cost,
        "makespan_ms": rule.free.makespan,
        "proven": rule.free.proven,
    })
}
