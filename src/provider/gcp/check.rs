//! What a project lets us do.

use super::super::ErrorKind;
use super::super::check::{Finding, Need, Topic, in_time};
use super::Gcp;

/// All that can be seen.
pub(super) async fn check(gcp: &Gcp, _needs: &[Need]) -> Vec<Finding> {
    let api = match in_time(gcp.api(), "gcp").await {
        Ok(api) => api,
        Err(error) => return vec![Finding::failed(Topic::Credentials, "gcp", &error)],
    };
    let about = format!("project {}", api.project);
    match in_time(gcp.look("name = \"sky-check\""), "gcp").await {
        Ok(_) => vec![Finding::there(Topic::Credentials, about, "Google takes them")],
        Err(error) if error.kind == ErrorKind::Denied => vec![Finding::failed(Topic::Credentials, about, &error)],
        Err(error) => vec![Finding::failed(Topic::Reach, about, &error)],
    }
}
