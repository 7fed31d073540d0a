//! What a machine must have: the table `needs` of a stage.

use crate::model::units::scaled;
use crate::model::{AcceleratorNeed, Needs};
use crate::spec::Diagnostic;
use crate::spec::table::{Entry, Findings, Section, shown};
use crate::spec::value::{self, number_text};
use toml::de::DeValue;

/// CPU architectures, and what else people call them.
const ARCHITECTURES: [(&str, &[&str]); 2] = [("x86_64", &["amd64", "x86", "x64"]), ("arm64", &["aarch64", "arm"])];
/// Most virtual CPUs that a stage may ask of one machine.
const MOST_CPUS: i64 = 1_000_000;

/// Reads `needs`.
pub(super) fn needs(mut section: Section<'_, '_>, findings: &mut Findings) -> Needs {
    let mut needs = Needs::default();
    if let Some(entry) = section.take("cpus", findings) {
        needs.vcpu_thousandths = cpus(&entry, findings).unwrap_or_default();
    }
    if let Some(entry) = section.take("memory", findings) {
        needs.memory = value::bytes(&entry, findings).unwrap_or_default();
    }
    if let Some(entry) = section.take("accelerators", findings) {
        for item in entry.some_texts("V100:4", findings) {
            match AcceleratorNeed::parse(item.text) {
                Ok(need) => drop(needs.accelerators.insert(need)),
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
        needs.instance_types = value::name_patterns("instance type", entry.some_texts("m5.*", findings), findings);
    }
    section.finish(findings);
    needs
}

fn cpus(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<u64> {
    let hint = "write it like `cpus = 8` or `cpus = 0.5`";
    if !matches!(entry.value, DeValue::Integer(_) | DeValue::Float(_)) {
        entry.wrong_type("a number", hint, findings);
        return None;
    }
    let number = number_text(entry.value);
    let (message, label) = match scaled(&number, 1000) {
        Ok(thousandths) if thousandths <= MOST_CPUS * 1000 => return u64::try_from(thousandths).ok(),
        Ok(_) => (format!("`{number}` is more than a million"), "no machine has so many"),
        Err(error) => (error.0, "not a number of virtual CPUs"),
    };
    findings.push(Diagnostic::error(entry.span.clone(), message).with_label(label).with_hint(hint));
    None
}

fn architecture(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<String> {
    let text = entry.text("x86_64", findings)?;
    let lower = text.to_ascii_lowercase();
    let meant = ARCHITECTURES.iter().find(|(name, others)| *name == lower || others.contains(&lower.as_str()));
    match meant {
        Some((name, _)) if *name == text => return Some(text.to_owned()),
        _ => {
            let message = format!("`{}` is not an architecture that sky knows", shown(text));
            let hint = match meant {
                Some((name, _)) => format!("did you mean `{name}`?"),
                None => "known: x86_64, arm64".to_owned(),
            };
            findings.push(Diagnostic::error(entry.span.clone(), message).with_label("unknown").with_hint(hint));
        }
    }
    None
}
