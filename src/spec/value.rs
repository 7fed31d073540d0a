//! Single values: quantities with their limits, names, places, patterns.

use crate::model::{
    Allocation, Bandwidth, Bytes, DataRate, Millis, Money, Pattern, PlaceName, Rate, Tee, units,
};
use crate::spec::Diagnostic;
use crate::spec::table::{Entry, Findings, Item, shown, suggestion};
use crate::spec::write::allocation_word;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use toml::de::DeValue;

/// Longest time that one entry may say: ten years. With it, [`MOST_BYTES`] and the limit on
/// nodes, every sum of a plan stays far inside 64 bits.
pub(super) const LONGEST: Millis = Millis(10 * 36_525 * 864_000);
/// Largest size, of one artifact and of all together: 1 EB.
pub(super) const MOST_BYTES: Bytes = Bytes(1_000_000_000_000_000_000);
/// Dearest hour of a machine.
const MOST_HOURLY: Money = Money(1_000_000_000_000);
/// Largest budget: a million million dollars.
const MOST_MONEY: Money = Money(1_000_000_000_000_000_000);
/// Dearest gigabyte: with [`MOST_BYTES`], no more than [`MOST_MONEY`].
const MOST_DATA_RATE: DataRate = DataRate(1_000_000_000_000);
pub(super) const LONGEST_NAME: usize = 128;
/// What stands behind the number of a time in examples.
const MINUTES: &str = " m";
/// Units, and the words that people write for them.
const UNIT_WORDS: [(&str, &[&str]); 8] = [
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("d", &["day", "days"]),
    ("kB", &["k"]),
    ("MB", &["m", "meg", "megs"]),
    ("GB", &["g", "gig", "gigs"]),
    ("TB", &["t"]),
];

/// Text that `parse` reads as a quantity; a bare number is told how to get its unit.
fn read_quantity<T>(
    entry: &Entry<'_, '_>,
    value_noun: &str,
    unit: (&str, &str),
    parse: impl Fn(&str) -> Result<T, units::UnitError>,
    findings: &mut Findings,
) -> Option<T> {
    let (before, after) = unit;
    let example = format!(
        "write it like `{} = \"{before}1{after}\"`",
        shown(entry.key)
    );
    match entry.value {
        DeValue::String(text) => parse(text)
            .map_err(|error| {
                findings.push(bad_quantity(entry, text, (value_noun, example), &error))
            })
            .ok(),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number_words = number_text(entry.value).trim_start_matches('-').to_owned();
            let message = format!("`{}` is a number without a unit", entry.key);
            let mut hint = format!(
                "write it like `{} = \"{before}{number_words}{after}\"`",
                entry.key
            );
            if after == MINUTES {
                // Whoever leaves the unit of a time out may well mean hours.
                hint += &format!(" for minutes, or `\"{number_words} h\"` for hours");
            }
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("no unit")
                    .with_hint(hint),
            );
            None
        }
        _ => {
            entry.wrong_type(value_noun, &example, findings);
            None
        }
    }
}

/// Why `text` is not a quantity, with the unit that was probably meant.
fn bad_quantity(
    entry: &Entry<'_, '_>,
    text: &str,
    (what, example): (&str, String),
    error: &units::UnitError,
) -> Diagnostic {
    let (message, hint) = error.0.split_once("; ").unwrap_or((&error.0, &example));
    let number_words = text.trim().trim_start_matches('$').trim().to_lowercase();
    let message = if number_words.starts_with('-') {
        format!("`{}` is negative", shown(entry.key))
    } else if number_words.starts_with("nan")
        || number_words.starts_with("inf")
        || number_words.starts_with("+inf")
    {
        format!("`{}` is not a finite number", shown(text))
    } else {
        message.to_owned()
    };
    let unit = units::number_and_unit(text).1;
    let known_units = hint
        .split_once("(units: ")
        .map_or("", |(_, units)| units.trim_end_matches(')'))
        .split(", ");
    let meant_unit = UNIT_WORDS
        .iter()
        .find(|(_, words)| words.contains(&unit.to_lowercase().as_str()))
        .map(|(unit, _)| *unit)
        .filter(|meant| known_units.clone().any(|unit| unit == *meant))
        .or_else(|| {
            known_units
                .clone()
                .find(|known| known.eq_ignore_ascii_case(unit))
        });
    let hint = match meant_unit {
        Some(meant) => format!("did you mean `{meant}`? {hint}"),
        None => hint.to_owned(),
    };
    Diagnostic::error(entry.span.clone(), message)
        .with_label(format!("not {what}"))
        .with_hint(hint)
}

/// A unit error as a message: the fault, then the way out.
pub(super) fn unit_error(span: Range<usize>, error: &units::UnitError) -> Diagnostic {
    let (message, hint) = error.0.split_once("; ").unwrap_or((&error.0, ""));
    Diagnostic::error(span, message).with_hint(hint)
}

/// The digits of a number as they stand in the file (decimal).
pub(super) fn number_text(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
        DeValue::Integer(integer) => {
            i128::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
                .map_or_else(|_| integer.to_string(), |number| number.to_string())
        }
        DeValue::Float(float) => float.as_str().to_owned(),
        _ => String::new(),
    }
}

/// A size.
pub(super) fn bytes(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Bytes> {
    let bytes = read_quantity(entry, "a size", ("", " GB"), Bytes::parse, findings)?;
    if bytes > MOST_BYTES {
        let message = format!("`{}` is larger than 1 EB (1,000 PB)", entry.key);
        findings.push(Diagnostic::error(entry.span.clone(), message).with_label("too large"));
        return None;
    }
    Some(bytes)
}

/// A time that is not zero.
pub(super) fn time(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Millis> {
    let time = time_or_none(entry, findings)?;
    if time == Millis(0) {
        let message = format!("`{}` is zero", shown(entry.key));
        let hint = "the least is 1 ms, the most 3652 d";
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("out of range")
                .with_hint(hint),
        );
        return None;
    }
    Some(time)
}

/// A time that may be zero.
pub(super) fn time_or_none(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Millis> {
    let time = read_quantity(entry, "a time", ("", MINUTES), Millis::parse, findings)?;
    if time > LONGEST {
        let message = format!("`{}` is longer than 10 years", shown(entry.key));
        let hint = "the least is 1 ms, the most 3652 d";
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("out of range")
                .with_hint(hint),
        );
        return None;
    }
    Some(time)
}

/// A price per GB of data.
pub(super) fn data_rate(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<DataRate> {
    let parse = |text: &str| {
        Money::parse(text)?;
        let text = text.trim();
        let plain_number = text
            .strip_prefix('$')
            .or_else(|| text.strip_suffix("USD"))
            .unwrap_or(text);
        DataRate::parse_usd(plain_number.trim())
    };
    let rate = read_quantity(entry, "an amount in US dollars", ("$", ""), parse, findings)?;
    if rate > MOST_DATA_RATE {
        let message = format!("`{}` is more than $1,000", entry.key);
        findings
            .push(Diagnostic::error(entry.span.clone(), message).with_label("too much for a GB"));
        return None;
    }
    Some(rate)
}

/// A whole number in a range.
pub(super) fn whole(
    entry: &Entry<'_, '_>,
    range: RangeInclusive<u64>,
    findings: &mut Findings,
) -> Option<u64> {
    let hint = format!(
        "write it like `{} = {}`",
        shown(entry.key),
        range.end().min(&4).max(range.start())
    );
    let DeValue::Integer(_) = entry.value else {
        entry.wrong_type("a whole number", &hint, findings);
        return None;
    };
    let text = number_text(entry.value);
    let whole_number = text
        .replace('_', "")
        .parse::<u64>()
        .ok()
        .filter(|number| range.contains(number));
    if whole_number.is_none() {
        let message = format!(
            "`{} = {}` is not between {} and {}",
            shown(entry.key),
            shown(&text),
            range.start(),
            range.end()
        );
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("out of range")
                .with_hint(hint),
        );
    }
    whole_number
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    entry: &Entry<'_, '_>,
    choices: &[(&'static str, T)],
    findings: &mut Findings,
) -> Option<T> {
    let text = entry.text(choices[0].0, findings)?;
    let chosen_value = choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    if chosen_value.is_none() {
        findings.push(no_choice(
            entry.key,
            text,
            entry.span.clone(),
            choices.iter().map(|(name, _)| *name),
        ));
    }
    chosen_value
}

/// A word that is none of some.
pub(super) fn no_choice(
    key: &str,
    text: &str,
    span: Range<usize>,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Diagnostic {
    let message = format!("`{key}` cannot be `{}`", shown(text));
    Diagnostic::error(span, message)
        .with_label("not a choice")
        .with_hint(suggestion(text, "choices", names))
}

/// How machines are bought.
pub(super) fn allocation(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Allocation> {
    let all_allocations = [
        Allocation::OnDemand,
        Allocation::Spot,
        Allocation::SpotIfAvailable,
        Allocation::Cheapest,
    ];
    choice(
        entry,
        &all_allocations.map(|allocation| (allocation_word(allocation), allocation)),
        findings,
    )
}

/// How fast data moves.
pub(super) fn bandwidth(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Bandwidth> {
    read_quantity(
        entry,
        "a speed",
        ("", " Mbit/s"),
        Bandwidth::parse,
        findings,
    )
}

/// An amount of US dollars.
pub(super) fn money(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Money> {
    let money = read_quantity(
        entry,
        "an amount in US dollars",
        ("$", ""),
        Money::parse,
        findings,
    )?;
    if money > MOST_MONEY {
        let message = format!("`{}` is more than a million million dollars", entry.key);
        findings.push(Diagnostic::error(entry.span.clone(), message).with_label("too much"));
        return None;
    }
    Some(money)
}

/// An amount of US dollars for an hour, `"$2.50"` or `"$2.50/h"`.
pub(super) fn hourly_rate(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Rate> {
    let parse = |text: &str| {
        let amount = ["/hour", "/hr", "/h"]
            .iter()
            .find_map(|per| text.trim_end().strip_suffix(per))
            .unwrap_or(text);
        Money::parse(amount)
    };
    let money = read_quantity(entry, "an amount in US dollars", ("$", ""), parse, findings)?;
    if money > MOST_HOURLY {
        let message = format!("`{}` is more than a million dollars an hour", entry.key);
        findings.push(Diagnostic::error(entry.span.clone(), message).with_label("too much"));
        return None;
    }
    Some(Rate(money.0.saturating_mul(1000)))
}

/// Why `name` cannot be the name of a stage, a dataset, an artifact, a label or a job. Dots
/// would break `stage.artifact`; the names become names of files.
pub(super) fn name_fault(name: &str) -> Option<&'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > LONGEST_NAME {
        Some("is longer than 128 characters")
    } else if name.starts_with('-') {
        Some("begins with `-`")
    } else if !name.chars().all(is_plain) {
        Some("has a character that is not allowed")
    } else {
        None
    }
}

/// Reports a name that cannot be one.
pub(super) fn name(value_noun: &str, name: &str, span: &Range<usize>, findings: &mut Findings) {
    let Some(fault) = name_fault(name) else {
        return;
    };
    let mut hint = "names are made of letters, digits, `_` and `-`".to_owned();
    let separator = |c: char| matches!(c, '.' | '/' | ':' | ' ');
    let plain_name: String = name
        .chars()
        .map(|c| if separator(c) { '-' } else { c })
        .collect();
    let trimmed_name = plain_name.trim_matches('-');
    if !trimmed_name.is_empty() && name_fault(trimmed_name).is_none() {
        hint.push_str(&format!(", such as `{trimmed_name}`"));
    }
    let message = if name.is_empty() {
        format!("a {value_noun} has an empty name")
    } else {
        format!("{value_noun} `{}` {fault}", shown(name))
    };
    findings.push(
        Diagnostic::error(span.clone(), message)
            .with_label("not a name")
            .with_hint(hint),
    );
}

/// A list of labels.
pub(super) fn labels(entry: &Entry<'_, '_>, findings: &mut Findings) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for item in entry.texts("personal", findings) {
        name("label", item.text, &item.span, findings);
        if item.text == crate::model::policy::DEFAULT_LABEL {
            let message = "the label `default` is taken: in a policy it stands for all data";
            findings.push(Diagnostic::error(item.span, message).with_label("choose another name"));
            continue;
        }
        labels.insert(item.text.to_owned());
    }
    labels
}

/// Trusted execution environments.
pub(super) fn tees(items: Vec<Item<'_>>, findings: &mut Findings) -> BTreeSet<Tee> {
    let mut tees = BTreeSet::new();
    for item in items {
        match Tee::parse(item.text) {
            Some(tee) => {
                tees.insert(tee);
            }
            None => {
                let message = format!(
                    "`{}` is not a trusted execution environment",
                    shown(item.text)
                );
                let hint = suggestion(item.text, "known", Tee::ALL.map(Tee::name));
                findings.push(
                    Diagnostic::error(item.span, message)
                        .with_label("unknown")
                        .with_hint(hint),
                );
            }
        }
    }
    tees
}

/// One place.
pub(super) fn place(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<PlaceName> {
    let text = entry.text("azure:eastus", findings)?;
    let place =
        PlaceName::parse(text).filter(|place| !place.region.chars().any(char::is_whitespace));
    match place {
        None => {
            let message = format!("`{}` is not a place", shown(text));
            let hint = "write one place as `cloud:region`, such as `azure:eastus`";
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("not a place")
                    .with_hint(hint),
            );
        }
        Some(ref place) => lower_case_cloud(&place.cloud, &entry.span, findings),
    }
    place
}

/// Patterns over places, `cloud:region` with `*`.
pub(super) fn place_patterns(items: Vec<Item<'_>>, findings: &mut Findings) -> BTreeSet<Pattern> {
    let mut patterns = BTreeSet::new();
    for item in items {
        match item.text.split_once(':') {
            Some((cloud, region)) if plain_pattern(cloud) && plain_pattern(region) => {
                lower_case_cloud(cloud, &item.span, findings);
            }
            _ => {
                let message = format!("`{}` is not a pattern over places", shown(item.text));
                let hint = match item.text {
                    cloud if plain_pattern(cloud) => {
                        format!(
                            "write `cloud:region`, such as `aws:{cloud}`, or `{cloud}:*` for a whole cloud"
                        )
                    }
                    _ => "write `cloud:region`, such as `aws:eu-*`".to_owned(),
                };
                findings.push(
                    Diagnostic::error(item.span, message)
                        .with_label("no `cloud:region`")
                        .with_hint(hint),
                );
                continue;
            }
        }
        patterns.insert(Pattern(item.text.to_owned()));
    }
    patterns
}

/// Patterns over names without a colon: clouds, instance types.
pub(super) fn name_patterns(
    value_noun: &str,
    items: Vec<Item<'_>>,
    findings: &mut Findings,
) -> BTreeSet<Pattern> {
    let mut patterns = BTreeSet::new();
    for item in items {
        if plain_pattern(item.text) {
            if value_noun == "cloud" {
                lower_case_cloud(item.text, &item.span, findings);
            }
            patterns.insert(Pattern(item.text.to_owned()));
            continue;
        }
        let message = format!(
            "`{}` is not a pattern over names of {value_noun}s",
            shown(item.text)
        );
        let hint = if value_noun == "cloud" && item.text.contains(':') {
            "places are allowed and denied under `[places]`"
        } else {
            ""
        };
        findings.push(
            Diagnostic::error(item.span, message)
                .with_label("not a name")
                .with_hint(hint),
        );
    }
    patterns
}

pub(super) fn plain_pattern(text: &str) -> bool {
    !text.is_empty()
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == ':')
}

/// A cloud that nothing is called would deny, or allow, nothing without a word.
pub(super) fn lower_case_cloud(cloud: &str, span: &Range<usize>, findings: &mut Findings) {
    if cloud.chars().any(char::is_uppercase) {
        let message = format!("cloud `{}` is not in lower case", shown(cloud));
        let hint = format!("did you mean `{}`?", shown(&cloud.to_lowercase()));
        findings.push(
            Diagnostic::error(span.clone(), message)
                .with_label("no such cloud")
                .with_hint(hint),
        );
    }
}

/// Why a path cannot be used.
pub(super) enum PathFault {
    /// The path names a place of one machine only.
    Absolute,
    /// The path is empty, or has a character that no file name has.
    Unusable,
}

/// A path relative to the job file, with `.` and doubled slashes taken out.
pub(super) fn relative_path(text: &str) -> Result<String, PathFault> {
    let drive = text.as_bytes().get(1) == Some(&b':')
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    if text.starts_with(['/', '~', '\\']) || drive {
        return Err(PathFault::Absolute);
    }
    let path_parts: Vec<&str> = text
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if path_parts.is_empty() || text.chars().any(char::is_control) {
        return Err(PathFault::Unusable);
    }
    Ok(path_parts.join("/"))
}
