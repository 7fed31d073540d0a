//! Whether the stages of a job fit together: what they read exists, nothing waits for itself,
//! and sums stay in range.

use crate::model::dag::{labels, order};
use crate::model::{ArtifactRef, Job, Millis, Stage, Work};
use crate::spec::missing_artifact::why_missing;
use crate::spec::table::{Findings, shown, suggestion};
use crate::spec::value::{LONGEST, MOST_BYTES};
use crate::spec::{Diagnostic, Severity, limits, outputs};
use std::collections::BTreeMap;

/// Most machine time of a whole job.
const MOST_MACHINE_TIME: u128 = LONGEST.0 as u128 * 1000;

/// Reports what is wrong between the parts of a job; `findings` has the spans of its entries.
pub(super) fn check(job: &Job, findings: &mut Findings) {
    for name in job
        .stages
        .keys()
        .filter(|name| job.datasets.contains_key(*name))
    {
        findings.push(
            Diagnostic::error(
                findings.span(&format!("stages.{name}")),
                format!("`{name}` is a dataset and a stage"),
            )
            .with_label("taken by a dataset")
            .with_hint("rename one of them: `reads` names both"),
        );
    }
    for (name, stage) in &job.stages {
        check_reads(job, name, stage, findings);
        check_after(job, name, stage, findings);
    }
    outputs::check(job, findings);
    limits::check(job, findings);
    check_cycle(job, findings);
    check_sums(job, findings);
    if findings
        .list
        .iter()
        .all(|finding| finding.severity == Severity::Warning)
    {
        check_removals(job, findings);
    }
}

fn check_reads(job: &Job, name: &str, stage: &Stage, findings: &mut Findings) {
    let mut seen_names: BTreeMap<&str, &ArtifactRef> = BTreeMap::new();
    for read in &stage.reads {
        let span = findings.span(&format!("stages.{name}.reads.{read}"));
        if let Some((message, hint)) = why_missing(job, &read.whole()) {
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("not there")
                    .with_hint(hint),
            );
        } else if let Some((message, hint)) = uneven_counts(job, stage, read) {
            findings.push(
                Diagnostic::error(span, message)
                    .with_label("no copy for each")
                    .with_hint(hint),
            );
        } else if read.is_element() && stage.count == 1 {
            let message = format!(
                "both stages have one copy: `{read}` is the same as `{}`",
                read.whole()
            );
            let hint = "give both stages a `count`, or leave out `[i]`";
            findings.push(
                Diagnostic::warning(span, message)
                    .with_label("binds nothing")
                    .with_hint(hint),
            );
        } else if let Some(other) = seen_names.insert(read.file_name(), read) {
            let file = read.file_name();
            findings.push(
                Diagnostic::error(
                    span,
                    format!("stage `{name}` reads two artifacts named `{file}`"),
                )
                .with_label(format!("besides `{other}`"))
                .with_hint(format!(
                    "both would be `$SKY_INPUTS/{file}`; rename one of them"
                )),
            );
        }
    }
}

/// Why the copies of a stage cannot each read their own copy's artifact.
fn uneven_counts(job: &Job, reader: &Stage, read: &ArtifactRef) -> Option<(String, String)> {
    let ArtifactRef::Output { stage, .. } = read else {
        return None;
    };
    let replicas = job.stages.get(stage)?.count;
    if !read.is_element() || replicas == reader.count {
        return None;
    }
    let message = format!(
        "`{read}` is read by {} copies, and written by {replicas}",
        reader.count
    );
    Some((
        message,
        format!(
            "give both stages the same `count`, or read `{}` of all copies",
            read.whole()
        ),
    ))
}

fn check_after(job: &Job, name: &str, stage: &Stage, findings: &mut Findings) {
    for before in stage
        .after
        .iter()
        .filter(|before| !job.stages.contains_key(*before))
    {
        let span = findings.span(&format!("stages.{name}.after.{before}"));
        let (message, hint) = match before.split_once('.') {
            _ if job.datasets.contains_key(before) => (
                format!("`{before}` is a dataset, not a stage"),
                "it is there before the job starts".to_owned(),
            ),
            Some((stage, _)) if job.stages.contains_key(stage) => (
                format!("`{}` is not a stage", shown(before)),
                format!("`after` names stages: write `{stage}`"),
            ),
            _ => {
                let stages = job
                    .stages
                    .keys()
                    .map(String::as_str)
                    .filter(|stage| *stage != name);
                (
                    format!("there is no stage `{}`", shown(before)),
                    suggestion(before, "stages", stages),
                )
            }
        };
        findings.push(
            Diagnostic::error(span, message)
                .with_label("not there")
                .with_hint(hint),
        );
    }
}

fn check_cycle(job: &Job, findings: &mut Findings) {
    let Err(cycle) = order(job) else { return };
    let (Some(first), Some(last)) = (cycle.first(), cycle.last()) else {
        return;
    };
    let Some(stage) = job.stages.get(first) else {
        return;
    };
    // The line in the first stage that waits for the last one.
    let read_before = stage
        .reads
        .iter()
        .find(|read| matches!(read, ArtifactRef::Output { stage, .. } if stage == last));
    let span = match read_before {
        Some(read) => findings.span(&format!("stages.{first}.reads.{read}")),
        None => findings.span(&format!("stages.{first}.after.{last}")),
    };
    let message = match cycle.len() {
        1 => format!("stage `{first}` waits for itself"),
        _ => format!(
            "the stages wait for each other: {} -> {first}",
            cycle.join(" -> ")
        ),
    };
    findings.push(
        Diagnostic::error(span, message)
            .with_label(format!("`{first}` waits for `{last}` here"))
            .with_hint("take one step out of the cycle"),
    );
}

/// Sums that a plan forms stay far inside 64 bits.
fn check_sums(job: &Job, findings: &mut Findings) {
    let mut machine_time: u128 = 0;
    let mut bytes: u128 = job
        .datasets
        .values()
        .map(|dataset| u128::from(dataset.size.0))
        .sum();
    for stage in job.stages.values() {
        let longest_time = match &stage.work {
            Work::Duration(time) | Work::VcpuTime(time) => *time,
            Work::DurationBy(times) => times.values().max().copied().unwrap_or_default(),
            Work::Flops { .. } => Millis(0),
        };
        machine_time +=
            u128::from(longest_time.0) * u128::from(stage.nodes) * u128::from(stage.count);
        bytes += stage
            .writes
            .values()
            .map(|size| u128::from(size.0))
            .sum::<u128>()
            * u128::from(stage.count);
    }
    if machine_time > MOST_MACHINE_TIME {
        findings.push(
            Diagnostic::error(
                findings.span("stages"),
                "the stages add up to more than 10,000 years of machine time",
            )
            .with_label("too much for one job")
            .with_hint("check the units, or split the job"),
        );
    }
    if bytes > u128::from(MOST_BYTES.0) {
        findings.push(
            Diagnostic::error(
                findings.span("stages"),
                "the datasets and artifacts add up to more than 1 EB",
            )
            .with_label("too much for one job")
            .with_hint("check the units, or split the job"),
        );
    }
}

fn check_removals(job: &Job, findings: &mut Findings) {
    let labels = labels(job);
    for (name, stage) in &job.stages {
        let Some(carried) = labels.of_stage.get(name) else {
            continue;
        };
        for label in stage.removes.difference(carried) {
            let span = findings.span(&format!("stages.{name}.removes.{label}"));
            let message = format!(
                "stage `{name}` removes the label `{label}`, which nothing that it reads carries"
            );
            let hint = suggestion(label, "carried", carried.iter().map(String::as_str));
            findings.push(
                Diagnostic::warning(span, message)
                    .with_label("without effect")
                    .with_hint(hint),
            );
        }
    }
}
