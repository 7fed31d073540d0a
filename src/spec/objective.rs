//! `[objective]`: what to minimise.

use crate::model::units::{div_half_even, scaled};
use crate::model::{Objective, Policy, Rate};
use crate::spec::Diagnostic;
use crate::spec::table::{Entry, Findings, Section};
use crate::spec::value::{self, number_text};
use toml::de::DeValue;

const OBJECTIVES: [(&str, Objective); 2] = [("cost", Objective::Cost), ("time", Objective::Time)];
/// Weights are read in units of 10⁻⁹.
const PER_UNIT: i128 = 1_000_000_000;
/// Dearest hour: a thousand million dollars.
const MOST_RATE: i64 = 1_000_000_000_000_000_000;

/// `minimize` and `weights`.
pub(super) fn objective(
    section: &mut Section<'_, '_>,
    policy: &mut Policy,
    findings: &mut Findings,
) {
    let minimize = section
        .take("minimize", findings)
        .and_then(|entry| objective_order(&entry, findings));
    policy.minimize = minimize.unwrap_or_default();
    let Some(entry) = section.take("weights", findings) else {
        return;
    };
    if minimize == Some(Objective::Time) {
        let message = "`weights` add cost and time up: there is no first one to minimise";
        findings.push(
            Diagnostic::error(entry.key_span.clone(), message)
                .with_label("besides `minimize = \"time\"`")
                .with_hint("take one of the two lines out"),
        );
    }
    policy.hour = time_weight(&entry, findings);
}

/// `"cost"`, or `["cost", "time"]`: the order says what counts first.
fn objective_order(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Objective> {
    let DeValue::Array(_) = entry.value else {
        return value::choice(entry, &OBJECTIVES, findings);
    };
    let mut first_objective = None;
    for item in entry.some_texts("cost", findings) {
        let known_objective = OBJECTIVES
            .iter()
            .find(|(name, _)| *name == item.text)
            .map(|(_, objective)| *objective);
        if known_objective.is_none() {
            findings.push(value::no_choice(
                entry.key,
                item.text,
                item.span,
                OBJECTIVES.iter().map(|(name, _)| *name),
            ));
        }
        first_objective = first_objective.or(known_objective);
    }
    first_objective
}

/// US dollars per hour of makespan: `time / cost`.
fn time_weight(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Rate> {
    let mut section = entry.section(findings)?;
    let cost = match section.take("cost", findings) {
        Some(entry) => positive_weight(&entry, findings)?,
        None => PER_UNIT,
    };
    let time = section.require("time", "`weights`", "2.5", findings);
    section.finish(findings);
    let time = time?;
    let rate = div_half_even(positive_weight(&time, findings)? * PER_UNIT, cost);
    match i64::try_from(rate) {
        Ok(rate) if (1..=MOST_RATE).contains(&rate) => Some(Rate(rate)),
        _ => {
            let message =
                "`time` divided by `cost` is not between 1e-9 and 1e9 US dollars per hour";
            let diagnostic = Diagnostic::error(time.span, message).with_label("out of range");
            findings.push(
                diagnostic.with_hint("`weights = { time = 2.5 }` says that an hour is worth $2.50"),
            );
            None
        }
    }
}

/// A positive number.
fn positive_weight(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<i128> {
    let hint = format!("write it like `{} = 2.5`", entry.key);
    if !matches!(entry.value, DeValue::Integer(_) | DeValue::Float(_)) {
        entry.wrong_type("a number", &hint, findings);
        return None;
    }
    let number_words = number_text(entry.value);
    let message = match scaled(&number_words, PER_UNIT) {
        Ok(weight) if weight > 0 => return Some(i128::from(weight)),
        Ok(_) => format!("`{number_words}` is not more than 0, at nine decimals"),
        Err(error) => error.0,
    };
    findings.push(
        Diagnostic::error(entry.span.clone(), message)
            .with_label("not a weight")
            .with_hint(hint),
    );
    None
}
