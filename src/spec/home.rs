//! `[home]` of the policy: what is declared about the machine that `sky` runs on.

use crate::model::geography::countries;
use crate::model::{Bandwidth, Home, Reach};
use crate::spec::country::unknown_country;
use crate::spec::table::{Entry, Findings, Item, Section};
use crate::spec::{Diagnostic, value};

/// Keys that count only for a machine whose country is declared.
pub(super) const RULED: [&str; 6] = [
    "operator",
    "parent",
    "parent_country",
    "us_cloud_act",
    "certifications",
    "tee",
];

/// Reads the table.
pub(super) fn home(mut section: Section<'_, '_>, findings: &mut Findings) -> Home {
    let without_country = RULED
        .into_iter()
        .find(|key| section.has(key) && !section.has("country"));
    if let Some(key) = without_country {
        let message = format!("`home.{key}` is given without `home.country`");
        let hint =
            "a machine whose country is not declared satisfies no rule: add `country = \"DE\"`";
        findings.push(
            Diagnostic::error(section.span.clone(), message)
                .with_label("`country` is missing")
                .with_hint(hint),
        );
    }
    let country = section
        .take("country", findings)
        .and_then(|entry| one_country(&entry, findings));
    let text = |entry: Entry<'_, '_>, findings: &mut Findings| {
        entry.text("Example GmbH", findings).map(str::to_owned)
    };
    let operator = section
        .take("operator", findings)
        .and_then(|entry| text(entry, findings));
    let parent = section
        .take("parent", findings)
        .and_then(|entry| text(entry, findings));
    let parent_country = section
        .take("parent_country", findings)
        .and_then(|entry| self::one_country(&entry, findings));
    let reach = [
        ("no", Reach::No),
        ("yes", Reach::Yes),
        ("contested", Reach::Contested),
        ("unknown", Reach::Unknown),
    ];
    let us_cloud_act = section
        .take("us_cloud_act", findings)
        .and_then(|entry| value::choice(&entry, &reach, findings));
    let schemes = section
        .take("certifications", findings)
        .map(|entry| entry.texts("C5", findings));
    let certifications = schemes
        .unwrap_or_default()
        .iter()
        .map(|item| item.text.trim().to_lowercase())
        .collect();
    let tee = section
        .take("tee", findings)
        .map(|entry| value::tees(entry.texts("sev-snp", findings), findings));
    let uplink = section
        .take("uplink", findings)
        .and_then(|entry| uplink_speed(&entry, findings));
    let downlink = section
        .take("downlink", findings)
        .and_then(|entry| uplink_speed(&entry, findings));
    section.finish(findings);
    Home {
        country,
        operator,
        parent,
        parent_country,
        us_cloud_act,
        certifications,
        tee: tee.unwrap_or_default(),
        uplink,
        downlink,
    }
}

/// One country, not a bloc: a machine stands in one.
fn one_country(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<String> {
    let country_item = Item {
        text: entry.text("DE", findings)?,
        span: entry.span.clone(),
    };
    match countries(country_item.text).as_deref() {
        Some([country]) => Some((*country).to_owned()),
        Some(_) => {
            let message = format!("`{}` is a bloc of countries", country_item.text);
            let hint = "this machine stands in one country: write its ISO 3166 code, such as `DE`";
            findings.push(
                Diagnostic::error(country_item.span, message)
                    .with_label("not one country")
                    .with_hint(hint),
            );
            None
        }
        None => {
            findings.push(unknown_country(&country_item));
            None
        }
    }
}

fn uplink_speed(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Bandwidth> {
    let speed = value::bandwidth(entry, findings)?;
    if speed.0 == 0 {
        let message = format!("with `{} = 0` no data would ever arrive", entry.key);
        findings.push(Diagnostic::error(entry.span.clone(), message).with_label("no speed"));
        return None;
    }
    Some(speed)
}
