//! `retries`: how often a command that fails is run again, in a stage or in the policy.

use crate::model::Retries;
use crate::spec::Diagnostic;
use crate::spec::table::{Entry, Findings, shown};
use crate::spec::value::{self, number_text};
use std::collections::BTreeSet;
use std::ops::Range;
use toml::de::DeValue;

/// The most times that a command is run again.
pub(super) const MOST_RETRIES: u64 = 100;
const EXAMPLE: &str =
    "write it like `on = [75, 137]`; a command ended by signal N has the exit code 128 + N";

/// Reads `retries = 3`, or `retries = { times = 3, on = [75, 137] }`.
pub(super) fn retries(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Retries> {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    match entry.value {
        DeValue::Integer(_) => {
            let times = value::whole(entry, 0..=MOST_RETRIES, findings)?;
            return Some(Retries {
                times: count(times),
                on: BTreeSet::new(),
            });
        }
        DeValue::Table(_) => {}
        _ => {
            entry.wrong_type(
                "a number or a table",
                "write `retries = 3` or `retries = { times = 3, on = [75] }`",
                findings,
            );
            return None;
        }
    }
    let mut section = entry.section(findings)?;
    let times = section.require("times", "`retries`", "3", findings);
    let times = times.and_then(|entry| value::whole(&entry, 0..=MOST_RETRIES, findings));
    let on = section
        .take("on", findings)
        .map(|entry| exit_codes(&entry, findings))
        .unwrap_or_default();
    section.finish(findings);
    Some(Retries {
        times: count(times?),
        on,
    })
}

/// One exit code, or a list of them.
fn exit_codes(entry: &Entry<'_, '_>, findings: &mut Findings) -> BTreeSet<i32> {
    let mut codes = BTreeSet::new();
    match entry.value {
        DeValue::Integer(_) => codes.extend(exit_code(entry.value, &entry.span, findings)),
        DeValue::Array(list) if list.is_empty() => findings.push(
            Diagnostic::error(entry.span.clone(), "`on` is an empty list")
                .with_label("nothing would be run again")
                .with_hint(
                    "name at least one exit code, or leave `on` out: then every failure counts",
                ),
        ),
        DeValue::Array(list) => {
            for item in list.iter() {
                codes.extend(exit_code(item.get_ref(), &item.span(), findings));
            }
        }
        _ => entry.wrong_type("a list of exit codes", EXAMPLE, findings),
    }
    codes
}

fn exit_code(value: &DeValue<'_>, span: &Range<usize>, findings: &mut Findings) -> Option<i32> {
    let text = number_text(value);
    let code = text
        .replace('_', "")
        .parse::<i32>()
        .ok()
        .filter(|code| (1..=255).contains(code));
    if code.is_none() {
        let message = match value {
            DeValue::Integer(_) => format!("`{}` is not an exit code of a failure", shown(&text)),
            _ => "`on` lists something that is not an exit code".to_owned(),
        };
        let diagnostic =
            Diagnostic::error(span.clone(), message).with_label("not between 1 and 255");
        findings.push(diagnostic.with_hint(EXAMPLE));
    }
    code
}
