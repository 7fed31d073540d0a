//! How large a job, a policy or a list of hosts may be. What is larger is refused before anything
//! is computed: it would take gigabytes of memory or minutes of time without an answer.

use crate::model::{ArtifactRef, Job, Stage};
use crate::spec::Diagnostic;
use crate::spec::table::Findings;

/// Most stages of a job, each replica of a stage with `count` counted. Planning takes time and
/// memory in proportion.
pub(super) const MOST_STAGES: u64 = 20_000;
/// Most dependencies between the stages of a job, after `count` has been multiplied out: one for
/// each artifact that a stage reads, and one for each stage that it comes `after`. Measured on
/// 2026-11-30 in a release build with the shipped catalog, where each stage reads the outputs of
/// all before it: 100 stages, which have 4,950 dependencies, take 2.5 CPU seconds and 83 MB; 300
/// stages, which have 44,850, take 21 CPU seconds and 440 MB.
pub(super) const MOST_DEPENDENCIES: u64 = 50_000;
/// Most replicas under one `[[spread]]`: every one of them binds all the others. Replicas that do
/// not wait for each other are counted, not placed one by one. Measured on 2026-11-30 in a debug
/// build with the shipped catalog, one stage spread over five places: 100 replicas take 1.4 CPU
/// seconds, 1,000 take 5.0.
pub(super) const MOST_SPREAD: u64 = 1000;
/// Most `[[links]]` of a policy: each is matched with every pair of places.
pub(super) const MOST_LINKS: usize = 1000;

/// Reports a job that is too large to be planned.
pub(super) fn check(job: &Job, findings: &mut Findings) {
    let stages: u64 = job
        .stages
        .values()
        .map(|stage| u64::from(stage.count))
        .sum();
    if stages > MOST_STAGES {
        let message = format!(
            "the job has {stages} stages, replicas included, which is more than {MOST_STAGES}"
        );
        too_large(
            findings,
            "stages",
            message,
            "split it into several jobs, or give each stage more of the work",
        );
    }
    let dependencies = job
        .stages
        .values()
        .map(|stage| dependency_count(job, stage))
        .fold(0, u64::saturating_add);
    if dependencies > MOST_DEPENDENCIES {
        let message = format!(
            "the job has {dependencies} dependencies between its stages, which is more than {MOST_DEPENDENCIES}"
        );
        let hint = "leave out what follows from others, or put a stage in between that collects what many stages read";
        too_large(findings, "stages", message, hint);
    }
    for spread in &job.spread {
        let stages = spread.stages.iter().filter_map(|name| job.stages.get(name));
        let replicas: u64 = stages.map(|stage| u64::from(stage.count)).sum();
        if replicas > MOST_SPREAD {
            let message = format!(
                "a spread over {replicas} replicas is more than the {MOST_SPREAD} that can be planned"
            );
            too_large(
                findings,
                "spread",
                message,
                "spread fewer replicas, each with more of the work",
            );
        }
    }
}

/// The dependencies of all replicas of a stage.
fn dependency_count(job: &Job, stage: &Stage) -> u64 {
    let replicas = |name: &str| {
        job.stages
            .get(name)
            .map_or(1, |other| u64::from(other.count))
    };
    let replicas_read = |read: &ArtifactRef| match read {
        ArtifactRef::Output { stage, .. } if !read.is_element() => replicas(stage),
        _ => 1,
    };
    let dependencies_of_each: u64 = stage.reads.iter().map(replicas_read).sum::<u64>()
        + stage.after.iter().map(|name| replicas(name)).sum::<u64>();
    dependencies_of_each.saturating_mul(u64::from(stage.count))
}

fn too_large(findings: &mut Findings, key: &str, message: String, hint: &str) {
    let span = findings.span(key);
    findings.push(
        Diagnostic::error(span, message)
            .with_label("too large to be planned")
            .with_hint(hint),
    );
}

#[cfg(test)]
mod tests {
    use crate::spec::{job, policy};
    use std::fmt::Write;

    fn refusal(text: &str) -> String {
        job::parse("job.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn a_job_of_too_many_stages_is_refused_with_the_limit() {
        let stage = |name: usize| format!("[stages.s{name}]\nduration = \"1 m\"\ncount = 10000\n");
        let text = format!(
            "name = \"large\"\n{}",
            (0..3).map(stage).collect::<String>()
        );
        assert!(
            refusal(&text)
                .contains("the job has 30000 stages, replicas included, which is more than 20000")
        );
        let text = format!(
            "name = \"large\"\n{}",
            (0..2).map(stage).collect::<String>()
        );
        assert!(job::parse("job.toml", &text).is_ok());
    }

    #[test]
    fn a_job_of_too_many_dependencies_is_refused_with_the_limit() {
        let mut text = "name = \"dense\"\n".to_owned();
        for stage in 0..400 {
            let reads: Vec<String> = (0..stage)
                .map(|other| format!("\"s{other}.o{other}\""))
                .collect();
            let reads = reads.join(", ");
            let _ = writeln!(
                text,
                "[stages.s{stage}]\nduration = \"1 m\"\nreads = [{reads}]\nwrites = {{ o{stage} = \"1 GB\" }}"
            );
        }
        let said = refusal(&text);
        assert!(
            said.contains(
                "the job has 79800 dependencies between its stages, which is more than 50000"
            ),
            "{said}"
        );
    }

    #[test]
    fn a_spread_of_too_many_replicas_is_refused_with_the_limit() {
        let text = "name = \"wide\"\n[stages.web]\nduration = \"1 h\"\ncount = 10000\n[[spread]]\nstages = [\"web\"]\n\
                    over = \"place\"\nat_most = 500\n";
        assert!(
            refusal(text)
                .contains("a spread over 10000 replicas is more than the 1000 that can be planned")
        );
    }

    #[test]
    fn a_policy_of_too_many_links_is_refused_with_the_limit() {
        let text = "[[links]]\nfrom = \"aws:*\"\nto = \"gcp:*\"\nper_gb = \"$0\"\n".repeat(20_000);
        let said = policy::parse("policy.toml", &text).unwrap_err().to_string();
        assert!(
            said.contains("the policy has 20000 links, which is more than 1000"),
            "{said}"
        );
    }

    #[test]
    fn more_findings_than_anybody_reads_are_counted() {
        let unknown: String = (0..50_000)
            .map(|number| format!("key{number} = 1\n"))
            .collect();
        let found = job::parse("job.toml", &format!("name = \"j\"\n{unknown}")).unwrap_err();
        assert_eq!(found.list.len(), 101);
        assert_eq!(
            found.list.last().unwrap().message,
            "49901 more errors and 0 more warnings are not shown"
        );
    }
}
