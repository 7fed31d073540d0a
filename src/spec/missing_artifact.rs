//! Messages about artifacts that a job names and that no stage writes.

use crate::model::{ArtifactRef, Job, Stage};
use crate::spec::table::{shown, suggestion};
use crate::util::nearest_name::nearest_name;

/// Returns a message that says why `read` does not exist, and a hint that says what to write
/// instead.
pub(super) fn why_missing(job: &Job, read: &ArtifactRef) -> Option<(String, String)> {
    match read {
        ArtifactRef::Dataset(name) if job.datasets.contains_key(name) => None,
        ArtifactRef::Dataset(name) => Some(match job.stages.get(name) {
            Some(stage) => (
                format!("`{name}` is a stage, not an artifact"),
                name_the_artifact(name, stage),
            ),
            None => (
                format!("there is no dataset `{}`", shown(name)),
                artifacts_like(job, name),
            ),
        }),
        ArtifactRef::Output { stage, name } => match job.stages.get(stage) {
            Some(body) if body.writes.contains_key(name) => None,
            Some(body) => {
                let message = format!("stage `{stage}` writes no `{}`", shown(name));
                let hint = match nearest_name(name, body.writes.keys().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{stage}.{meant}`?"),
                    None if body.writes.is_empty() => {
                        format!("it writes nothing; add it to `writes` of `{stage}`")
                    }
                    None => name_the_artifact(stage, body),
                };
                Some((message, hint))
            }
            None if job.datasets.contains_key(stage) => Some((
                format!("`{stage}` is a dataset, which has no parts"),
                format!("write `{stage}`"),
            )),
            None => {
                let message = format!("there is no stage `{}`", shown(stage));
                Some((message, artifacts_like(job, &read.to_string())))
            }
        },
    }
}

fn artifacts_like(job: &Job, name: &str) -> String {
    let outputs = job.stages.iter().flat_map(|(stage, body)| {
        body.writes
            .keys()
            .map(move |name| format!("{stage}.{name}"))
    });
    let artifacts: Vec<String> = job.datasets.keys().cloned().chain(outputs).collect();
    suggestion(name, "artifacts", artifacts.iter().map(String::as_str))
}

fn name_the_artifact(name: &str, stage: &Stage) -> String {
    match stage
        .writes
        .keys()
        .map(|output| format!("`{name}.{output}`"))
        .collect::<Vec<_>>()
        .join(" or ")
    {
        none if none.is_empty() => {
            format!("it writes nothing; to wait for it write `after = [\"{name}\"]`")
        }
        names => format!("name the artifact: {names}"),
    }
}
