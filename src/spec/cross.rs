//! What shows only when job and policy are read together.

use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Job, Policy};
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
    let mut list: Vec<Diagnostic> = residency
        .chain(trust)
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
    list.sort_by_key(|diagnostic| diagnostic.span.start);
    Diagnostics { source: policy.source.clone(), list }
}
