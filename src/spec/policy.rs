//! The policy file: what must hold, and what to minimise. Every table of it may be left out.

use crate::model::geography::countries;
use crate::model::offer::CLASSES;
use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Allocation, Allowance, Pattern, Policy};
use crate::spec::country::unknown_country;
use crate::spec::table::{Entry, Findings, Item, Section, shown, suggestion};
use crate::spec::write::allocation_word;
use crate::spec::{
    Diagnostic, Diagnostics, Parsed, accounts, home, needs, objective, retries, value,
};
use std::collections::BTreeSet;
use toml::de::DeValue;

/// Reads a policy file. An error holds every mistake in it, in order of the file.
pub fn parse(file_name: &str, text: &str) -> Result<Parsed<Policy>, Diagnostics> {
    crate::spec::table::read(file_name, text, decode_policy)
}

fn decode_policy(mut document: Section<'_, '_>, findings: &mut Findings) -> Policy {
    let mut policy = Policy::default();
    if let Some(mut objective) = document.take_table("objective", findings) {
        objective::objective(&mut objective, &mut policy, findings);
        objective.finish(findings);
    }
    read_limits(&mut document, &mut policy, findings);
    max_price(&mut document, &mut policy, findings);
    policy.retries = document
        .take("retries", findings)
        .and_then(|entry| retries::retries(&entry, findings));
    read_residency(&mut document, &mut policy, findings);
    read_operators(&mut document, &mut policy, findings);
    read_certifications(&mut document, &mut policy, findings);
    read_trust(&mut document, &mut policy, findings);
    policy.clouds = read_allowance(&mut document, "clouds", "aws", cloud_patterns, findings);
    policy.places = read_allowance(
        &mut document,
        "places",
        "aws:eu-*",
        value::place_patterns,
        findings,
    );
    if let Some(mut partitions) = document.take_table("partitions", findings) {
        if let Some(entry) = partitions.take("allow", findings) {
            policy.partitions = closed_class_names(entry.some_texts("us-gov", findings), findings);
        }
        partitions.finish(findings);
    }
    read_spot(&mut document, &mut policy, findings);
    accounts::read(&mut document, &mut policy, findings);
    if let Some(mut needs) = document.take_table("needs", findings) {
        policy.arch = needs
            .take("arch", findings)
            .and_then(|entry| needs::architecture(&entry, findings));
        needs.finish(findings);
    }
    if let Some(mut transfers) = document.take_table("transfers", findings) {
        policy.relay = transfers
            .take("relay", findings)
            .and_then(|entry| entry.boolean(findings));
        transfers.finish(findings);
    }
    if let Some(home) = document.take_table("home", findings) {
        policy.home = home::home(home, findings);
    }
    document.finish(findings);
    policy
}

/// Reads `[limits]`: the deadline, the budget and the highest price an hour.
fn read_limits(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(mut limits) = document.take_table("limits", findings) else {
        return;
    };
    policy.deadline = limits
        .take("deadline", findings)
        .and_then(|entry| value::time(&entry, findings));
    policy.budget = limits
        .take("budget", findings)
        .and_then(|entry| value::money(&entry, findings));
    policy.max_price = limits
        .take("max_price", findings)
        .and_then(|entry| value::hourly_rate(&entry, findings));
    limits.finish(findings);
}

/// Reads `[residency]`: where data with a label may be.
fn read_residency(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(residency) = document.take_table("residency", findings) else {
        return;
    };
    for entry in residency.entries(findings) {
        label_key(&entry, findings);
        let Some(rule) = label_rule(&entry, "[\"EU\"]", policy, findings) else {
            continue;
        };
        let allowed_countries = allowed_residence(&rule, findings);
        policy
            .residency
            .insert(entry.key.to_owned(), allowed_countries);
    }
    without_overlap(policy, findings);
}

/// Reads `[operators]`: whose clouds may be used, by their names, by the homes of their parents and
/// by whether the Cloud Act binds them.
fn read_operators(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(mut operators) = document.take_table("operators", findings) else {
        return;
    };
    if let Some(entry) = operators.take("us_cloud_act", findings) {
        let exclude = value::choice(&entry, &[("exclude", true), ("allow", false)], findings);
        policy.exclude_cloud_act = exclude.unwrap_or_default();
    }
    if let Some(entry) = operators.take("parents", findings) {
        policy.parents = Some(allowed_residence(&entry, findings));
    }
    if let Some(entry) = operators.take("allow", findings) {
        policy.operators.allow = Some(patterns_of(&entry.some_texts("OVH*", findings)));
    }
    if let Some(entry) = operators.take("deny", findings) {
        policy.operators.deny = patterns_of(&entry.texts("Amazon*", findings));
    }
    operators.finish(findings);
}

fn patterns_of<C: FromIterator<Pattern>>(items: &[Item<'_>]) -> C {
    items
        .iter()
        .map(|item| Pattern(item.text.to_owned()))
        .collect()
}

/// Reads `[certifications]`: the schemes that a place must be certified by, for data with a label.
fn read_certifications(
    document: &mut Section<'_, '_>,
    policy: &mut Policy,
    findings: &mut Findings,
) {
    let Some(certifications) = document.take_table("certifications", findings) else {
        return;
    };
    for entry in certifications.entries(findings) {
        label_key(&entry, findings);
        let Some(rule) = label_rule(&entry, "[\"C5\"]", policy, findings) else {
            continue;
        };
        let schemes = rule.some_texts("C5", findings);
        let schemes = schemes
            .iter()
            .map(|item| item.text.trim().to_lowercase())
            .collect();
        policy.certifications.insert(entry.key.to_owned(), schemes);
    }
}

/// Reads `[trust]`: the trusted execution environments that may see data with a label.
fn read_trust(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(trust) = document.take_table("trust", findings) else {
        return;
    };
    for entry in trust.entries(findings) {
        label_key(&entry, findings);
        let Some(rule) = label_rule(&entry, "[\"sev-snp\"]", policy, findings) else {
            continue;
        };
        let tees = value::tees(rule.some_texts("sev-snp", findings), findings);
        policy.trust.insert(entry.key.to_owned(), tees);
    }
}

/// Reads `[spot]`: whether spot machines are allowed, and whether they are asked for.
fn read_spot(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(mut spot) = document.take_table("spot", findings) else {
        return;
    };
    policy.allow_spot = spot
        .take("allow", findings)
        .and_then(|entry| entry.boolean(findings));
    policy.allocation = spot
        .take("allocation", findings)
        .and_then(|entry| value::allocation(&entry, findings));
    spot.finish(findings);
    report_contradiction(policy, findings);
}

/// `max_price` outside of any table is the same as `limits.max_price`.
fn max_price(document: &mut Section<'_, '_>, policy: &mut Policy, findings: &mut Findings) {
    let Some(entry) = document.take("max_price", findings) else {
        return;
    };
    if policy.max_price.is_some() {
        findings.push(
            Diagnostic::error(
                entry.key_span,
                "`max_price` is given twice, here and in `[limits]`",
            )
            .with_label("one too many")
            .with_hint("take one of the two lines out"),
        );
        return;
    }
    policy.max_price = value::hourly_rate(&entry, findings);
    let span = findings.span("max_price");
    findings.spans.insert("limits.max_price".to_owned(), span);
}

/// Reports an `allocation` that `allow = false` forbids or leaves without a meaning.
fn report_contradiction(policy: &Policy, findings: &mut Findings) {
    let (Some(false), Some(allocation)) = (policy.allow_spot, policy.allocation) else {
        return;
    };
    let word = allocation_word(allocation);
    let span = findings.span("spot.allocation");
    let diagnostic = match allocation {
        Allocation::OnDemand => return,
        Allocation::Spot => {
            let message =
                "`allow = false` forbids the spot machines that `allocation = \"spot\"` asks for";
            Diagnostic::error(span, message).with_label("no machine could be bought")
        }
        Allocation::SpotIfAvailable | Allocation::Cheapest => {
            let message = format!("with `allow = false`, `{word}` is the same as `on-demand`");
            Diagnostic::warning(span, message).with_label("binds nothing")
        }
    };
    findings.push(diagnostic.with_hint("take one of the two lines out"));
}

/// A key that is a label, or `default`.
fn label_key(entry: &Entry<'_, '_>, findings: &mut Findings) {
    if entry.key != DEFAULT_LABEL {
        value::name("label", entry.key, &entry.key_span, findings);
    }
}

/// The list of a rule for a label: the value itself, or `in` of `{ in = […], optional = true }`.
///
/// An optional rule is noted in the policy.
fn label_rule<'d, 'i>(
    entry: &Entry<'d, 'i>,
    example: &str,
    policy: &mut Policy,
    findings: &mut Findings,
) -> Option<Entry<'d, 'i>> {
    let DeValue::Table(_) = entry.value else {
        return Some(entry.clone());
    };
    let mut section = entry.section(findings)?;
    let country_list = section.require(
        "in",
        &format!("the rule for `{}`", shown(entry.key)),
        example,
        findings,
    );
    let optional = section
        .take("optional", findings)
        .and_then(|entry| entry.boolean(findings))
        .unwrap_or(false);
    section.finish(findings);
    if optional && entry.key == DEFAULT_LABEL {
        let span = findings.span(&format!("{}.optional", entry.path));
        let message = "`default` holds for all data, so `optional` says nothing there";
        findings.push(Diagnostic::warning(span, message).with_label("changes nothing"));
    } else if optional {
        policy.optional_labels.insert(entry.path.clone());
    }
    country_list
}

/// Countries and blocs, as countries.
fn allowed_residence(entry: &Entry<'_, '_>, findings: &mut Findings) -> BTreeSet<String> {
    let mut allowed_countries = BTreeSet::new();
    for item in entry.some_texts("EU", findings) {
        match countries(item.text) {
            Some(members) => allowed_countries.extend(members.into_iter().map(str::to_owned)),
            None => findings.push(unknown_country(&item)),
        }
    }
    allowed_countries
}

/// Data with a label obeys its own rule and the one for all data.
fn without_overlap(policy: &Policy, findings: &mut Findings) {
    let Some(default) = policy
        .residency
        .get(DEFAULT_LABEL)
        .filter(|allowed| !allowed.is_empty())
    else {
        return;
    };
    for (label, allowed) in policy
        .residency
        .iter()
        .filter(|(_, allowed)| !allowed.is_empty())
    {
        if allowed.is_disjoint(default) {
            let span = findings.span(&format!("residency.{label}"));
            let message =
                format!("no country satisfies both `residency.{label}` and `residency.default`");
            let hint = "data with a label obeys both rules";
            findings.push(
                Diagnostic::warning(span, message)
                    .with_label("nothing in common")
                    .with_hint(hint),
            );
        }
    }
}

/// Closed classes of places.
fn closed_class_names(items: Vec<Item<'_>>, findings: &mut Findings) -> BTreeSet<String> {
    let mut classes = BTreeSet::new();
    for item in items {
        match CLASSES.iter().find(|(name, _)| *name == item.text) {
            Some((name, false)) => {
                classes.insert((*name).to_owned());
            }
            Some((name, true)) => {
                let message = format!("`{name}` places are open without this line");
                findings
                    .push(Diagnostic::warning(item.span, message).with_label("changes nothing"));
            }
            None => {
                let message = format!("`{}` is not a class of places", shown(item.text));
                let closed_classes = CLASSES
                    .iter()
                    .filter(|(_, open)| !open)
                    .map(|(name, _)| *name);
                let hint = suggestion(item.text, "closed classes", closed_classes);
                findings.push(
                    Diagnostic::error(item.span, message)
                        .with_label("unknown")
                        .with_hint(hint),
                );
            }
        }
    }
    classes
}

fn cloud_patterns(items: Vec<Item<'_>>, findings: &mut Findings) -> BTreeSet<Pattern> {
    value::name_patterns("cloud", items, findings)
}

fn read_allowance(
    document: &mut Section<'_, '_>,
    key: &'static str,
    example: &str,
    patterns: impl Fn(Vec<Item<'_>>, &mut Findings) -> BTreeSet<Pattern>,
    findings: &mut Findings,
) -> Allowance {
    let Some(mut section) = document.take_table(key, findings) else {
        return Allowance::default();
    };
    let allow = section
        .take("allow", findings)
        .map(|entry| entry.some_texts(example, findings));
    let allow = allow.map(|items| patterns(items, findings));
    let deny = section
        .take("deny", findings)
        .map(|entry| entry.texts(example, findings))
        .unwrap_or_default();
    let deny = patterns(deny, findings);
    section.finish(findings);
    for pattern in allow
        .iter()
        .flatten()
        .filter(|pattern| deny.contains(pattern))
    {
        let span = findings.span(&format!("{key}.deny.{pattern}"));
        let message = format!("`{pattern}` is both allowed and denied");
        findings.push(Diagnostic::warning(span, message).with_label("a denial wins"));
    }
    Allowance { allow, deny }
}
