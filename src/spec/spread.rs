//! `[[spread]]`: stages that are kept apart.

use crate::model::{Domain, Job, Pattern, Spread};
use crate::spec::table::{Entry, Findings, Section, shown, suggestion};
use crate::spec::{Diagnostic, value};
use std::collections::BTreeSet;
use std::ops::Range;

/// All tables of that name; sorted, each once.
pub(super) fn spread(entry: &Entry<'_, '_>, job: &Job, findings: &mut Findings) -> Vec<Spread> {
    let example = "`[[spread]]` with `stages = [\"serve\"]`, `over = \"place\"`, `at_most = 1`";
    let sections = entry.sections(example, findings);
    let mut all_spreads: Vec<Spread> = sections
        .into_iter()
        .filter_map(|section| read_spread(section, job, findings))
        .collect();
    all_spreads.sort();
    all_spreads.dedup();
    all_spreads
}

fn read_spread(mut section: Section<'_, '_>, job: &Job, findings: &mut Findings) -> Option<Spread> {
    let span = section.span.clone();
    let stages = section.require("stages", "this spread", "[\"serve\"]", findings);
    let stages = stages.map(|entry| spread_members(&entry, job, findings));
    let over_entry = section.require("over", "this spread", "\"place\"", findings);
    let spread_domain = over_entry.and_then(|entry| {
        value::choice(
            &entry,
            &[("place", Domain::Place), ("cloud", Domain::Cloud)],
            findings,
        )
    });
    let at_most = section.take("at_most", findings);
    let survivors = section.take("survivors", findings);
    section.finish(findings);
    let stages = stages?.filter(|stages| !stages.is_empty())?;
    // All replicas of all of them; a gang stands and falls as one.
    let replicas: u64 = stages
        .iter()
        .filter_map(|name| job.stages.get(name))
        .map(|stage| u64::from(stage.count))
        .sum();
    let allowed_counts = 1..=u64::from(u32::MAX);
    let (entry, at_most) = match (at_most, survivors) {
        (Some(entry), None) => {
            let at_most = value::whole(&entry, allowed_counts, findings)?;
            (entry, at_most)
        }
        (None, Some(entry)) => {
            let survivors = value::whole(&entry, allowed_counts, findings)?;
            let at_most = at_most_for(survivors, replicas, &entry, findings)?;
            (entry, at_most)
        }
        (Some(at_most), Some(survivors)) => {
            findings.push(both_given(&at_most, &survivors));
            return None;
        }
        (None, None) => {
            findings.push(neither_given(span));
            return None;
        }
    };
    if at_most >= replicas {
        findings.push(binds_nothing(&entry, at_most, replicas, spread_domain));
    }
    Some(Spread {
        stages,
        over: spread_domain?,
        at_most: u32::try_from(at_most).ok()?,
    })
}

/// How many replicas may be in one domain, so that so many are left when any one domain is lost.
fn at_most_for(
    survivors: u64,
    replicas: u64,
    entry: &Entry<'_, '_>,
    findings: &mut Findings,
) -> Option<u64> {
    let at_most = replicas
        .checked_sub(survivors)
        .filter(|at_most| *at_most > 0);
    if at_most.is_none() {
        let message = format!("{survivors} of {replicas} cannot be left after any one loss");
        let hint =
            "one of them at least is somewhere: raise `count`, name more stages, or ask for less";
        findings.push(
            Diagnostic::error(entry.span.clone(), message)
                .with_label("too many")
                .with_hint(hint),
        );
    }
    at_most
}

fn both_given(at_most: &Entry<'_, '_>, survivors: &Entry<'_, '_>) -> Diagnostic {
    let later_entry = match at_most.key_span.start > survivors.key_span.start {
        true => at_most,
        false => survivors,
    };
    let message = "this spread has both `at_most` and `survivors`";
    Diagnostic::error(later_entry.key_span.clone(), message)
        .with_label("one too many")
        .with_hint("they say the same thing: keep one")
}

fn neither_given(span: Range<usize>) -> Diagnostic {
    let hint = "add `at_most = 1`, or `survivors = 2` for so many left after any one loss";
    Diagnostic::error(span, "this spread has neither `at_most` nor `survivors`")
        .with_label("how far apart?")
        .with_hint(hint)
}

fn binds_nothing(
    entry: &Entry<'_, '_>,
    at_most: u64,
    replicas: u64,
    spread_domain: Option<Domain>,
) -> Diagnostic {
    let domain = match spread_domain {
        Some(Domain::Place) => "place",
        _ => "cloud",
    };
    let message = format!("at most {at_most} of {replicas} in one {domain} is always so");
    Diagnostic::warning(entry.span.clone(), message)
        .with_label("binds nothing")
        .with_hint("raise `count`, name more stages, or lower the number")
}

/// Names of stages, with patterns resolved. `None` after an error.
fn spread_members(
    entry: &Entry<'_, '_>,
    job: &Job,
    findings: &mut Findings,
) -> Option<BTreeSet<String>> {
    let items = entry.some_texts("serve", findings);
    let mut member_names = BTreeSet::new();
    let mut sound = true;
    for item in items {
        let pattern = Pattern(item.text.to_owned());
        let matching_stages: Vec<&String> = job
            .stages
            .keys()
            .filter(|name| pattern.matches(name))
            .collect();
        if matching_stages.is_empty() {
            sound = false;
            let message = match item.text.contains('*') {
                true => format!("`{}` matches no stage of this job", shown(item.text)),
                false => format!("there is no stage `{}`", shown(item.text)),
            };
            let hint = suggestion(item.text, "stages", job.stages.keys().map(String::as_str));
            findings.push(
                Diagnostic::error(item.span, message)
                    .with_label("not there")
                    .with_hint(hint),
            );
        }
        member_names.extend(matching_stages.into_iter().cloned());
    }
    sound.then_some(member_names)
}
