//! `[outputs]` of the job: where the outputs of stages go.

use crate::model::{ArtifactRef, Destination, Job};
use crate::spec::Diagnostic;
use crate::spec::missing_artifact::why_missing;
use crate::spec::table::{Entry, Findings, Section, shown};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// Reads the table; `"train.model" = "home"` and `train.model = "home"` are the same.
pub(super) fn outputs(
    section: &Section<'_, '_>,
    findings: &mut Findings,
) -> BTreeMap<ArtifactRef, Destination> {
    let mut outputs = BTreeMap::new();
    for entry in section.entries(findings) {
        match entry.value {
            DeValue::Table(_) if !entry.key.contains('.') => {
                let Some(stage) = entry.section(findings) else {
                    continue;
                };
                for output in stage.entries(findings) {
                    let name = format!("{}.{}", entry.key, output.key);
                    insert_destination(&mut outputs, name, &output, findings);
                }
            }
            _ => insert_destination(&mut outputs, entry.key.to_owned(), &entry, findings),
        }
    }
    outputs
}

fn insert_destination(
    outputs: &mut BTreeMap<ArtifactRef, Destination>,
    name: String,
    entry: &Entry<'_, '_>,
    findings: &mut Findings,
) {
    let Some(destination) = read_destination(entry, findings) else {
        return;
    };
    if outputs
        .insert(ArtifactRef::from(name.clone()), destination)
        .is_some()
    {
        let message = format!("the destination of `{}` is given twice", shown(&name));
        findings.push(Diagnostic::error(entry.key_span.clone(), message).with_label("again"));
    }
}

fn read_destination(entry: &Entry<'_, '_>, findings: &mut Findings) -> Option<Destination> {
    let hint = "write \"home\" to bring it to this machine, or \"there\" to leave it in the place where it is made";
    match entry.text("home", findings)? {
        "home" => Some(Destination::Home),
        "there" => Some(Destination::There),
        text if text.contains("://") => {
            let message = format!(
                "`{}` is an address, which is not supported as a destination yet",
                shown(text)
            );
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("an address")
                    .with_hint(hint),
            );
            None
        }
        text => {
            let message = format!("`{}` is not a destination", shown(text));
            findings.push(
                Diagnostic::error(entry.span.clone(), message)
                    .with_label("unknown")
                    .with_hint(hint),
            );
            None
        }
    }
}

/// Reports destinations of what no stage writes.
pub(super) fn check(job: &Job, findings: &mut Findings) {
    for output in job.outputs.keys() {
        let span = findings.span(&format!("outputs.{output}"));
        let replica_of = match output {
            ArtifactRef::Output { stage, .. } => stage.split_once('[').map(|(base, _)| base),
            ArtifactRef::Dataset(name) => {
                let message = match job.datasets.contains_key(name) {
                    true => format!("`{}` is a dataset: it stays where it is", shown(name)),
                    false => format!("`{}` names no output of a stage", shown(name)),
                };
                let hint =
                    "write `\"stage.artifact\" = \"home\"`, such as `\"train.model\" = \"home\"`";
                findings.push(
                    Diagnostic::error(span, message)
                        .with_label("not an output")
                        .with_hint(hint),
                );
                continue;
            }
        };
        if let Some(base) = replica_of.or_else(|| output.is_element().then_some("the stage")) {
            let message = format!("`{output}` names one of several copies");
            let hint =
                format!("name the output of `{base}` once, without `[…]`: it holds for all copies");
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("one copy")
                    .with_hint(hint),
            );
        } else if let Some((message, hint)) = why_missing(job, output) {
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("not there")
                    .with_hint(hint),
            );
        }
    }
}
