//! AWS's spot advisor feed, public: read by the importer of such files.

use super::http_client::HttpClient;
use super::source_answer::AnswerData;
use super::source_request::SourceRequest;
use super::{Fault, cached_body};
use crate::feeds::{ImportOptions, interruptions};

pub(super) async fn fetch(http: &HttpClient, request: &SourceRequest) -> Result<AnswerData, Fault> {
    let url = &request.endpoints.spot_advisor;
    let fetched_body = cached_body::fetch(
        http,
        "aws-spot-advisor",
        url,
        "advisor",
        crate::catalog::files::MAX_FILE_BYTES,
    )
    .await?;
    let day = fetched_body
        .mark
        .day
        .unwrap_or_else(crate::util::clock::today);
    let options = ImportOptions {
        cloud: Some("aws".to_owned()),
        dates: vec![day.to_string()],
        url: Some(url.to_string()),
        ..ImportOptions::default()
    };
    Ok(AnswerData::import(
        interruptions::import,
        fetched_body,
        options,
        day,
        Vec::new(),
    ))
}
