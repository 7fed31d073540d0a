//! What shows only when job and policy are read together.

use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Allocation, Job, Policy};
use crate::spec::table::suggestion;
use crate::spec::{Diagnostic, Diagnostics, Parsed};
use std::collections::BTreeSet;

/// Warnings about lines of the policy that bind nothing in this job: a mistyped label would
/// leave data without the protection that its author meant.
pub fn check(job: &Parsed<Job>, policy: &Parsed<Policy>) -> Diagnostics {
    let carried: BTreeSet<&str> =
        job.value.datasets.values().flat_map(|dataset| dataset.labels.iter().map(String::as_str)).collect();
    let residency = policy.value.residency.keys().map(|label| ("residency", label));
    let trust = policy.value.trust.keys().map(|label| ("trust", label));
    let certified = policy.value.certifications.keys().map(|label| ("certifications", label));
    let mut list: Vec<Diagnostic> = residency
        .chain(trust)
        .chain(certified)
        .filter(|(_, label)| *label != DEFAULT_LABEL && !carried.contains(label.as_str()))
        .map(|(table, label)| {
            let span = policy.source.span(&format!("{table}.{label}")).unwrap_or(0..0);
            let hint = match carried.is_empty() {
                true => "add `labels` to the datasets that carry it".to_owned(),
                false => suggestion(label, "labels of this job", carried.iter().copied()),
            };
            Diagnostic::warning(span, format!("no dataset of the job carries the label `{label}`"))
                .with_label("binds nothing")
                .with_hint(hint)
        })
        .collect();
    list.extend(buying(&job.value, policy));
    list.sort_by_key(|diagnostic| diagnostic.span.start);
    Diagnostics { source: policy.source.clone(), list }
}

/// Lines about spot machines that forbid what a stage asks for, or that no stage leaves room for.
fn buying(job: &Job, policy: &Parsed<Policy>) -> Vec<Diagnostic> {
    let span = |key: &str| policy.source.span(key).unwrap_or(0..0);
    let mut list = Vec::new();
    let asking = job.stages.iter().find(|(_, stage)| stage.allocation == Some(Allocation::Spot));
    if let (Some(false), Some((name, _))) = (policy.value.allow_spot, asking) {
        let message = format!("stage `{name}` asks for spot machines only, which are not allowed");
        let hint = "allow them, or take `allocation` out of the stage";
        list.push(Diagnostic::warning(span("spot.allow"), message).with_label("leaves it none").with_hint(hint));
    }
    if policy.value.allocation.is_some() && job.stages.values().all(|stage| stage.allocation.is_some()) {
        let message = "every stage says itself how its machines are bought";
        list.push(Diagnostic::warning(span("spot.allocation"), message).with_label("binds nothing"));
    }
    list
}
