//! What a machine must have: the table `needs` of a stage.

use crate::model::geography::{blocs, countries};
use crate::model::offer::ANY_ARCH;
use crate::model::service::ServiceNeedError;
use crate::model::units::scaled;
use crate::model::{AcceleratorNeed, Latency, Needs, ServiceNeed};
use crate::spec::Diagnostic;
use crate::spec::country::unknown_country;
use crate::spec::table::{Entry, Findings, Item, Section, shown};
use crate::spec::value::{self, number_text};
use toml::de::DeValue;

/// CPU architectures, and what else people call them.
pub(super) const ARCHITECTURES: [(&str, &[&str]); 2] = [
    ("x86_64", &["amd64", "x86", "x64"]),
    ("arm64", &["aarch64", "arm"]),
];
/// Most virtual CPUs that a stage may ask of one machine.
pub(super) const MOST_CPUS: i64 = 1_000_000;

/// Most calls of one stage.
pub(super) const MOST_REQUESTS: u64 = 1_000_000_000_000_000;

/// Keys of `needs` that an alternative may set.
const KEYS: [&str; 10] = [
    "cpus",
    "memory",
    "accelerators",
    "tee",
    "arch",
    "places",
    "instance_types",
    "latency",
    "max_price",
    "service",
];
/// Most alternatives: each is one more look at the whole catalog.
pub(super) const MOST_ALTERNATIVES: usize = 100;

/// Reads `needs`, with its alternatives.
pub(super) fn needs(mut section: Section<'_, '_>, findings: &mut Findings) -> Needs {
    let mut needs = Needs::default();
    own_needs(&mut section, &mut needs, findings);
    service_quantities(&mut section, &mut needs, findings);
    let given_keys: Vec<&'static str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    let path = section.path.clone();
    let any_of = section.take("any_of", findings);
    let ordered = section.take("ordered", findings);
    section.finish(findings);
    if let (Some(any_of), Some(ordered)) = (&any_of, &ordered) {
        let later_entry = if any_of.key_span.start > ordered.key_span.start {
            any_of
        } else {
            ordered
        };
        findings.push(
            Diagnostic::error(
                later_entry.key_span.clone(),
                "these needs have both `any_of` and `ordered`",
            )
            .with_label("one too many")
            .with_hint("`ordered` is `any_of` in order of preference: keep one"),
        );
    }
    let is_ordered = any_of.is_none() && ordered.is_some();
    if let Some(entry) = any_of.or(ordered) {
        let (alternatives, set) = alternative_needs(&entry, &needs, findings);
        // What every alternative says for itself is common to none.
        for key in given_keys
            .iter()
            .filter(|key| !set.is_empty() && set.iter().all(|set| set.contains(*key)))
        {
            let message = format!("every alternative has its own `{key}`");
            let hint = "an alternative takes from here what it does not say itself";
            let span = findings.span(&format!("{path}.{key}"));
            findings.push(
                Diagnostic::warning(span, message)
                    .with_label("binds nothing")
                    .with_hint(hint),
            );
        }
        needs.any_of = alternatives;
        needs.ordered = is_ordered && !needs.any_of.is_empty();
    }
    needs
}

/// Whole sets of needs, each filled up with what is common; and the keys that each says itself.
fn alternative_needs(
    entry: &Entry<'_, '_>,
    common: &Needs,
    findings: &mut Findings,
) -> (Vec<Needs>, Vec<Vec<&'static str>>) {
    let example = format!(
        "`{} = [{{ cpus = 64 }}, {{ accelerators = [\"T4\"] }}]`",
        entry.key
    );
    let sections = entry.sections(&example, findings);
    let hint = "name at least two, or leave the line out";
    match entry.value.as_array().map_or(2, |list| list.len()) {
        0 => findings.push(
            Diagnostic::error(
                entry.span.clone(),
                format!("`{}` is an empty list", entry.key),
            )
            .with_label("no machine would do")
            .with_hint(hint),
        ),
        1 => findings.push(
            Diagnostic::warning(
                entry.span.clone(),
                format!("`{}` has one alternative only", entry.key),
            )
            .with_label("the same as in `needs` itself")
            .with_hint(hint),
        ),
        count if count > MOST_ALTERNATIVES => findings.push(
            Diagnostic::error(
                entry.span.clone(),
                format!(
                    "`{}` has more than {MOST_ALTERNATIVES} alternatives",
                    entry.key
                ),
            )
            .with_label("too many")
            .with_hint("patterns, and lists within one alternative, say more in fewer lines"),
        ),
        _ => {}
    }
    let (mut all, mut set): (Vec<Needs>, Vec<Vec<&'static str>>) = (Vec::new(), Vec::new());
    for mut section in sections {
        let mut needs = common.clone();
        own_needs(&mut section, &mut needs, findings);
        for key in ["any_of", "ordered"] {
            if section.has(key)
                && let Some(nested) = section.take(key, findings)
            {
                findings.push(
                    Diagnostic::error(nested.key_span, "an alternative cannot have alternatives")
                        .with_label("one level too deep")
                        .with_hint("write each combination as an alternative of its own"),
                );
            }
        }
        set.push(KEYS.into_iter().filter(|key| section.has(key)).collect());
        let span = section.span.clone();
        section.finish(findings);
        if all.contains(&needs) {
            let hint = "an alternative is what it says and what `needs` says, together";
            findings.push(
                Diagnostic::warning(span, "this alternative is the same as an earlier one")
                    .with_label("binds nothing")
                    .with_hint(hint),
            );
        }
        all.push(needs);
    }
    (all, set)
}

/// The needs that a table says itself, over what `needs` already has.
fn own_needs(section: &mut Section<'_, '_>, needs: &mut Needs, findings: &mut Findings) {
    if let Some(entry) = section.take("cpus", findings) {
        needs.vcpu_thousandths = cpus(&entry, findings).unwrap_or_default();
    }
    if let Some(entry) = section.take("memory", findings) {
        needs.memory = value::bytes(&entry, findings).unwrap_or_default();
    }
    if let Some(entry) = section.take("accelerators", findings) {
        needs.accelerators.clear();
        for item in entry.some_texts("V100:4", findings) {
            match AcceleratorNeed::parse(item.text) {
                Ok(need) => {
                    needs.accelerators.insert(need);
                }
                Err(error) => findings.push(value::unit_error(item.span, &error)),
            }
        }
    }
    if let Some(entry) = section.take("tee", findings) {
        needs.tee = value::tees(entry.some_texts("sev-snp", findings), findings);
    }
    if let Some(entry) = section.take("arch", findings) {
        needs.arch = architecture(&entry, findings);
    }
    if let Some(entry) = section.take("places", findings) {
        needs.places = value::place_patterns(entry.some_texts("aws:eu-*", findings), findings);
    }
    if let Some(entry) = section.take("instance_types", findings) {
        needs.instance_types = value::name_patterns(
            "instance type",
            entry.some_texts("m5.*", findings),
            findings,
        );
    }
    if let Some(entry) = section.take("latency", findings) {
        needs.latency = latency_need(&entry, findings);
    }
    if let Some(entry) = section.take("max_price", findings) {
        needs.max_price = value::hourly_rate(&entry, findings);
    }
    if let Some(entry) = section.take("service", findings) {
        needs.service = service_need(&entry, findings);
    }
}

/// Reads the quantities that a service is asked for, whichever service it is.
fn service_quantities(section: &mut Section<'_, '_>, needs: &mut Needs, findings: &mut Findings) {
    if let Some(entry) = section.take("scans", findings) {
        needs.scans = value::bytes(&entry, findings).unwrap_or_default();
    }
    if let Some(entry) = section.take("requests", findings) {
        needs.requests = value::whole(&entry, 1..=MOST_REQUESTS, findings).unwrap_or_default();
    }
}

/// A service and its versions.
fn service_need(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<ServiceNeed> {
    let text = entry.text("spark>=3.4", findings)?;
    match ServiceNeed::parse(text) {
        Ok(need) => Some(need),
        Err(error) => {
            let diagnostic =
                Diagnostic::error(entry.span.clone(), error.message()).with_label("not a service");
            findings.push(diagnostic.with_hint(ServiceNeedError::HINT));
            None
        }
    }
}

fn latency_need(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Latency> {
    let mut section = entry.section(findings)?;
    let to_entry = section.require("to", "`latency`", "\"DE\"", findings);
    let at_most = section.require("at_most", "`latency`", "\"50 ms\"", findings);
    section.finish(findings);
    let to_country = to_entry.and_then(|entry| one_country(&entry, findings));
    let at_most = at_most.and_then(|entry| value::time(&entry, findings));
    Some(Latency {
        to: to_country?,
        at_most: at_most?,
    })
}

/// One country: a bloc is too wide to be near to.
fn one_country(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<String> {
    let text = entry.text("DE", findings)?;
    if blocs().any(|bloc| bloc == text) {
        let message = format!("`{text}` is a bloc, not a country");
        let hint = "name the country where the users are, such as `DE`";
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("too wide")
                .with_hint(hint),
        );
        return None;
    }
    if countries(text).is_none() {
        findings.push(unknown_country(&Item {
            text,
            span: entry.span.clone(),
        }));
        return None;
    }
    Some(text.to_owned())
}

/// A number of virtual CPUs, in thousandths.
pub(super) fn cpus(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<u64> {
    let hint = "write it like `cpus = 8` or `cpus = 0.5`";
    if !matches!(entry.value, DeValue::Integer(_) | DeValue::Float(_)) {
        entry.wrong_type("a number", hint, findings);
        return None;
    }
    let number_words = number_text(entry.value);
    let (message, label) = match scaled(&number_words, 1000) {
        Ok(thousandths) if thousandths <= MOST_CPUS * 1000 => {
            return u64::try_from(thousandths).ok();
        }
        Ok(_) => (
            format!("`{number_words}` is more than a million"),
            "no machine has so many",
        ),
        Err(error) => (error.0, "not a number of virtual CPUs"),
    };
    findings.push(
        Diagnostic::error(entry.span.clone(), message)
            .with_label(label)
            .with_hint(hint),
    );
    None
}

/// The name of an architecture, or `any`.
pub(super) fn architecture(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<String> {
    let text = entry.text("x86_64", findings)?;
    if text == ANY_ARCH {
        return Some(text.to_owned());
    }
    let lower_case = text.to_ascii_lowercase();
    let meant_architecture = ARCHITECTURES
        .iter()
        .find(|(name, others)| *name == lower_case || others.contains(&lower_case.as_str()));
    match meant_architecture {
        Some((name, _)) if *name == text => return Some(text.to_owned()),
        _ => {
            let message = format!("`{}` is not an architecture that sky knows", shown(text));
            let hint = match meant_architecture {
                Some((name, _)) => format!("did you mean `{name}`?"),
                None => "known: x86_64, arm64, or any for both".to_owned(),
            };
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("unknown")
                    .with_hint(hint),
            );
        }
    }
    None
}
