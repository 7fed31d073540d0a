//! How long a stage runs: `duration` or `work`.

use crate::model::units::{UnitError, decimal, div_half_even, number_and_unit};
use crate::model::{AcceleratorNeed, Millis, Needs, Work};
use crate::spec::Diagnostic;
use crate::spec::table::{Entry, Findings, Section, shown};
use crate::spec::value::{self, number_text};
use std::collections::{BTreeMap, BTreeSet};
use toml::de::DeValue;

/// Number formats that accelerators have rates for.
pub(super) const PRECISIONS: [&str; 4] = ["fp32", "fp16", "bf16", "fp8"];
/// The units of work, each with its power of ten above one operation.
pub(super) const WORK_UNITS: [(&str, u32); 5] = [
    ("FLOP", 0),
    ("GFLOP", 9),
    ("TFLOP", 12),
    ("PFLOP", 15),
    ("EFLOP", 18),
];
/// Share of the peak rate that well-tuned training reaches.
const USUAL_EFFICIENCY_PERCENT: u32 = 40;
/// 10²⁷ operations, in units of 10⁹.
const MOST_GIGAFLOP: i128 = 1_000_000_000_000_000_000;

/// Exactly one of `duration` and `work`.
pub(super) fn work(
    stage: &mut Section<'_, '_>,
    name: &str,
    needs: &Needs,
    findings: &mut Findings,
) -> Work {
    // Of all alternatives, which are filled up with what is common to them.
    let alternatives = needs.any_of.iter().flat_map(|needs| &needs.accelerators);
    let common_accelerators = if needs.any_of.is_empty() {
        Some(&needs.accelerators)
    } else {
        None
    };
    let accelerators: BTreeSet<AcceleratorNeed> = alternatives
        .chain(common_accelerators.into_iter().flatten())
        .cloned()
        .collect();
    let work_read = match (
        stage.take("duration", findings),
        stage.take("work", findings),
    ) {
        (Some(duration), None) => by_duration(&duration, name, &accelerators, findings),
        (None, Some(work)) => by_work(&work, name, findings),
        (Some(duration), Some(work)) => {
            let later_entry = if duration.key_span.start > work.key_span.start {
                duration
            } else {
                work
            };
            findings.push(
                Diagnostic::error(
                    later_entry.key_span,
                    format!("stage `{name}` has both `duration` and `work`"),
                )
                .with_label("one too many")
                .with_hint("a stage's time is either given or follows from its work"),
            );
            None
        }
        (None, None) => {
            findings.push(
                Diagnostic::error(
                    stage.span.clone(),
                    format!("stage `{name}` has neither `duration` nor `work`"),
                )
                .with_label("how long does it run?")
                .with_hint("add `duration = \"33 m\"`, or `work = { fp16 = \"500 PFLOP\" }`"),
            );
            None
        }
    };
    if let Some(Work::DurationBy(_)) = work_read {
        without_duration(&stage.path, needs, findings);
    }
    // Whatever stands here after an error is never used.
    work_read.unwrap_or(Work::Duration(Millis(1)))
}

/// Alternatives without an accelerator, of a stage that says how long it takes on each.
fn without_duration(stage: &str, needs: &Needs, findings: &mut Findings) {
    let alternatives_key = if needs.ordered { "ordered" } else { "any_of" };
    for (index, _) in needs
        .any_of
        .iter()
        .enumerate()
        .filter(|(_, needs)| needs.accelerators.is_empty())
    {
        let span = findings.span(&format!("{stage}.needs.{alternatives_key}.{index}"));
        let message = "no machine is taken for this alternative: `duration` is by accelerator, and it has none";
        let hint = "give it `accelerators`, or one `duration` for all";
        findings.push(
            Diagnostic::warning(span, message)
                .with_label("binds nothing")
                .with_hint(hint),
        );
    }
}

fn by_duration(
    entry: &Entry<'_, '_>,
    name: &str,
    accelerators: &BTreeSet<AcceleratorNeed>,
    findings: &mut Findings,
) -> Option<Work> {
    if !matches!(entry.value, DeValue::Table(_)) {
        return value::time(entry, findings).map(Work::Duration);
    }
    let mut times: BTreeMap<AcceleratorNeed, Millis> = BTreeMap::new();
    for entry in entry.section(findings)?.entries(findings) {
        let time = value::time(&entry, findings).unwrap_or(Millis(1));
        let need = match AcceleratorNeed::parse(entry.key) {
            Ok(need) => need,
            Err(error) => {
                findings.push(value::unit_error(entry.key_span, &error));
                continue;
            }
        };
        if !accelerators.contains(&need) {
            let listed_accelerators = accelerators
                .iter()
                .map(|need| format!("`{need}`"))
                .collect::<Vec<_>>()
                .join(", ");
            let hint = match listed_accelerators.as_str() {
                "" => format!(
                    "add `needs = {{ accelerators = [\"{}\"] }}`, or give one `duration`",
                    shown(entry.key)
                ),
                listed => format!("it needs any of {listed}"),
            };
            findings.push(
                Diagnostic::error(
                    entry.key_span,
                    format!(
                        "stage `{name}` has a duration for `{}`, which it does not ask for",
                        shown(entry.key)
                    ),
                )
                .with_label("not in `needs.accelerators`")
                .with_hint(hint),
            );
        } else if times.insert(need, time).is_some() {
            let message = format!(
                "stage `{name}` has two durations for `{}`",
                shown(entry.key)
            );
            findings.push(Diagnostic::error(entry.key_span, message).with_label("again"));
        }
    }
    for need in accelerators.iter().filter(|need| !times.contains_key(need)) {
        findings.push(
            Diagnostic::error(
                entry.span.clone(),
                format!("stage `{name}` has no duration on `{need}`"),
            )
            .with_label(format!("no key `{need}`"))
            .with_hint(format!(
                "add `\"{need}\" = \"33 m\"`, or take it out of `needs.accelerators`"
            )),
        );
    }
    Some(Work::DurationBy(times))
}

fn by_work(entry: &Entry<'_, '_>, name: &str, findings: &mut Findings) -> Option<Work> {
    let mut section = entry.section(findings)?;
    let span = section.span.clone();
    let mut amounts: Vec<Entry<'_, '_>> = PRECISIONS
        .iter()
        .filter_map(|precision| section.take(precision, findings))
        .collect();
    amounts.extend(section.take("vcpu", findings));
    amounts.sort_by_key(|amount| amount.key_span.start);
    let efficiency = section.take("efficiency", findings);
    let unknown_keys = section.finish(findings);
    if let Some(second) = amounts.get(1) {
        findings.push(
            Diagnostic::error(
                second.key_span.clone(),
                format!("the work of stage `{name}` is given twice"),
            )
            .with_label(format!("besides `{}`", amounts[0].key))
            .with_hint("keep one of fp32, fp16, bf16, fp8, vcpu"),
        );
    }
    let Some(amount) = amounts.first() else {
        if !unknown_keys.is_empty() {
            return None;
        }
        findings.push(
            Diagnostic::error(span, format!("the work of stage `{name}` has no amount"))
                .with_label("one of fp32, fp16, bf16, fp8, vcpu is missing")
                .with_hint("write it like `work = { fp16 = \"500 PFLOP\" }` or `work = { vcpu = \"16 h\" }`"),
        );
        return None;
    };
    if amount.key == "vcpu" {
        if let Some(efficiency) = efficiency {
            findings.push(
                Diagnostic::error(
                    efficiency.key_span,
                    "`efficiency` cannot be used with `vcpu`",
                )
                .with_label("only for floating-point work"),
            );
        }
        return value::time(amount, findings).map(Work::VcpuTime);
    }
    let efficiency_percent = match efficiency {
        Some(efficiency) => read_percent(&efficiency, findings)?,
        None => USUAL_EFFICIENCY_PERCENT,
    };
    let gigaflop = read_operations(amount, findings)?;
    Some(Work::Flops {
        precision: amount.key.to_owned(),
        gigaflop,
        efficiency_percent,
    })
}

fn read_operations(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<u64> {
    let text = match entry.value {
        DeValue::String(text) => text,
        DeValue::Integer(_) | DeValue::Float(_) => {
            let hint = format!(
                "write it like `{} = \"{} FLOP\"`",
                entry.key,
                number_text(entry.value)
            );
            findings.push(
                Diagnostic::error(
                    entry.span.clone(),
                    format!("`{}` is a number without a unit", entry.key),
                )
                .with_label("no unit")
                .with_hint(hint),
            );
            return None;
        }
        _ => {
            entry.wrong_type(
                "an amount of work",
                &format!("write it like `{} = \"500 PFLOP\"`", entry.key),
                findings,
            );
            return None;
        }
    };
    match read_gigaflop(text) {
        Ok(gigaflop) if gigaflop > 0 => Some(gigaflop),
        Ok(_) => {
            let message = format!("`{}` is less than 1 GFLOP", entry.key);
            let hint = "for work that takes no time worth planning, give a `duration`";
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("out of range")
                    .with_hint(hint),
            );
            None
        }
        Err(error) => {
            findings.push(value::unit_error(entry.span.clone(), &error));
            None
        }
    }
}

/// Reads `"3.2e18 FLOP"`, `"500 PFLOP"` in units of 10⁹ operations.
fn read_gigaflop(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = number_and_unit(text);
    let (digits, scale) = decimal(if number.is_empty() { text } else { number })?;
    let known_unit = WORK_UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit));
    let Some((_, power)) = known_unit else {
        let found_unit = if unit.is_empty() {
            "has no unit".to_owned()
        } else {
            format!("has the unknown unit `{unit}`")
        };
        return Err(UnitError(format!(
            "`{text}` {found_unit}; an amount of work is written like `500 PFLOP` (units: FLOP, GFLOP, TFLOP, PFLOP, EFLOP)"
        )));
    };
    let too_much = || UnitError(format!("`{text}` is out of range; the most is 1e9 EFLOP"));
    let shift = i64::from(*power) - 9 - i64::from(scale);
    let magnitude = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX));
    let amount = match magnitude {
        _ if digits == 0 => 0,
        Some(factor) if shift >= 0 => digits.checked_mul(factor).ok_or_else(too_much)?,
        Some(divisor) => div_half_even(digits, divisor),
        None if shift >= 0 => return Err(too_much()),
        None => 0,
    };
    u64::try_from(amount)
        .ok()
        .filter(|_| amount <= MOST_GIGAFLOP)
        .ok_or_else(too_much)
}

fn read_percent(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<u32> {
    let hint = format!("write it like `{} = \"40 %\"`", entry.key);
    let text = match entry.value {
        DeValue::String(text) => text,
        _ => {
            entry.wrong_type("a percentage", &hint, findings);
            return None;
        }
    };
    let percent_number = text.trim().strip_suffix('%').map(str::trim);
    let percent = percent_number
        .and_then(|number| number.parse::<u32>().ok())
        .filter(|percent| (1..=100).contains(percent));
    if percent.is_none() {
        let message = format!(
            "`{}` is not a whole percentage from 1 % to 100 %",
            shown(text)
        );
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("not a share")
                .with_hint(hint),
        );
    }
    percent
}
