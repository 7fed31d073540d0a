//! What shows only when job and policy are read together.

use crate::model::policy::DEFAULT_LABEL;
use crate::model::{Allocation, Job, Policy};
use crate::spec::table::suggestion;
use crate::spec::{Diagnostic, Diagnostics, Parsed};
use crate::util::nearest_name::nearest_name;
use std::collections::BTreeSet;

/// Returns what is wrong or hardly meant about lines of the policy in the light of this job.
///
/// A rule for a label that no dataset carries is an error, because a mistyped label would leave
/// data without the protection that its author meant; unless the policy says `optional = true`.
pub fn check(job: &Parsed<Job>, policy: &Parsed<Policy>) -> Diagnostics {
    let carried: BTreeSet<&str> = job
        .value
        .datasets
        .values()
        .flat_map(|dataset| dataset.labels.iter().map(String::as_str))
        .collect();
    let mut unused_rules: Vec<Diagnostic> = label_rules(&policy.value)
        .filter(|(table, label)| {
            let optional = policy
                .value
                .optional_labels
                .contains(&format!("{table}.{label}"));
            *label != DEFAULT_LABEL && !optional && !carried.contains(label)
        })
        .map(|(table, label)| uncarried_label(table, label, &carried, policy))
        .collect();
    unused_rules.extend(check_buying(&job.value, policy));
    unused_rules.sort_by_key(|diagnostic| diagnostic.span.start);
    Diagnostics {
        source: policy.source.clone(),
        list: unused_rules,
    }
}

/// Warnings about labels of datasets that no rule of the policy names, where a rule names one that
/// is almost the same.
pub fn check_labels(job: &Parsed<Job>, policy: &Parsed<Policy>) -> Diagnostics {
    let ruled: BTreeSet<&str> = label_rules(&policy.value).map(|(_, label)| label).collect();
    let named_labels = job
        .value
        .datasets
        .iter()
        .flat_map(|(name, dataset)| dataset.labels.iter().map(move |l| (name, l)));
    let similar = |(name, label): (&String, &String)| {
        let is_known = ruled.contains(label.as_str());
        let meant_rule = nearest_name(
            label,
            ruled.iter().copied().filter(|rule| *rule != DEFAULT_LABEL),
        );
        let meant_rule = meant_rule.filter(|_| !is_known)?;
        let span = job
            .source
            .span(&format!("datasets.{name}.labels.{label}"))
            .unwrap_or(0..0);
        let message =
            format!("no rule of the policy is about the label `{label}` of dataset `{name}`");
        let hint =
            format!("the policy has rules for `{meant_rule}`: is that the label that you mean?");
        Some(
            Diagnostic::warning(span, message)
                .with_label("protected by no rule of its own")
                .with_hint(hint),
        )
    };
    let mut similar_labels: Vec<Diagnostic> = named_labels.filter_map(similar).collect();
    similar_labels.sort_by_key(|diagnostic| diagnostic.span.start);
    Diagnostics {
        source: job.source.clone(),
        list: similar_labels,
    }
}

/// The table and the label of every rule of the policy that is about labels.
fn label_rules(policy: &Policy) -> impl Iterator<Item = (&'static str, &str)> {
    let residency = policy
        .residency
        .keys()
        .map(|label| ("residency", label.as_str()));
    let trust = policy.trust.keys().map(|label| ("trust", label.as_str()));
    let certified = policy
        .certifications
        .keys()
        .map(|label| ("certifications", label.as_str()));
    residency.chain(trust).chain(certified)
}

fn uncarried_label(
    table: &str,
    label: &str,
    carried: &BTreeSet<&str>,
    policy: &Parsed<Policy>,
) -> Diagnostic {
    let span = policy
        .source
        .span(&format!("{table}.{label}"))
        .unwrap_or(0..0);
    let known_labels = carried.iter().copied().chain([DEFAULT_LABEL]);
    let meant_label = match (nearest_name(label, known_labels), carried.is_empty()) {
        (Some(meant), _) => format!("did you mean `{meant}`? "),
        (None, true) => "add `labels` to the datasets that carry it; ".to_owned(),
        (None, false) => format!(
            "{}; ",
            suggestion(label, "labels of this job", carried.iter().copied())
        ),
    };
    let hint = format!(
        "{meant_label}a rule for jobs that may lack the label is written `{label} = {{ in = […], optional = true }}`"
    );
    Diagnostic::error(
        span,
        format!("no dataset of the job carries the label `{label}`"),
    )
    .with_label("protects nothing")
    .with_hint(hint)
}

/// Lines about spot machines that forbid what a stage asks for, or that no stage leaves room for.
fn check_buying(job: &Job, policy: &Parsed<Policy>) -> Vec<Diagnostic> {
    let span = |key: &str| policy.source.span(key).unwrap_or(0..0);
    let mut buying_findings = Vec::new();
    let asking = job
        .stages
        .iter()
        .find(|(_, stage)| stage.allocation == Some(Allocation::Spot));
    if let (Some(false), Some((name, _))) = (policy.value.allow_spot, asking) {
        let message = format!("stage `{name}` asks for spot machines only, which are not allowed");
        let hint = "allow them, or take `allocation` out of the stage";
        buying_findings.push(
            Diagnostic::warning(span("spot.allow"), message)
                .with_label("leaves it none")
                .with_hint(hint),
        );
    }
    if policy.value.allocation.is_some()
        && job.stages.values().all(|stage| stage.allocation.is_some())
    {
        let message = "every stage says itself how its machines are bought";
        buying_findings.push(
            Diagnostic::warning(span("spot.allocation"), message).with_label("binds nothing"),
        );
    }
    buying_findings
}
