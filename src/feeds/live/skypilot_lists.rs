//! SkyPilot's hosted catalogs: one CSV per cloud, read by the importer of such folders.
//!
//! Schemas 6 to 8 kept the columns of 5 and added others (`Arch` for AWS in 8, `UpstreamCloudId`,
//! `Generation`); columns are found by name, so one reader does for all. Not every cloud has a list
//! in the newest schema: older ones are looked into then.

use super::Fault;
use super::cached_body::{self, CachedBody};
use super::endpoints::below;
use super::http_client::{HttpClient, host_of};
use super::source_answer::{AnswerData, SourceAnswer};
use super::source_request::SourceRequest;
use crate::feeds::{ImportOptions, skypilot};
use jiff::civil::Date;
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

/// No list of a cloud is so long, in bytes.
const MAX_LIST_BYTES: u64 = 256 << 20;

/// Clouds with a list, as SkyPilot names them, and as we do.
pub(super) const CLOUDS: &[(&str, &str)] = &[
    ("aws", "aws"),
    ("azure", "azure"),
    ("cudo", "cudo"),
    ("do", "do"),
    ("fluidstack", "fluidstack"),
    ("gcp", "gcp"),
    ("hyperbolic", "hyperbolic"),
    ("hyperstack", "hyperstack"),
    ("ibm", "ibm"),
    ("jarvislabs", "jarvislabs"),
    ("lambda", "lambda"),
    ("lium", "lium"),
    ("mithril", "mithril"),
    ("nebius", "nebius"),
    ("oci", "oci"),
    ("ovhcloud", "ovh"),
    ("paperspace", "paperspace"),
    ("primeintellect", "primeintellect"),
    ("runpod", "runpod"),
    ("scaleway", "scaleway"),
    ("scp", "scp"),
    ("seeweb", "seeweb"),
    ("shadeform", "shadeform"),
    ("simplepod", "simplepod"),
    ("spheron", "spheron"),
    ("vast", "vast"),
    ("verda", "verda"),
    ("yotta", "yotta"),
];

/// The newest first.
const SCHEMAS: [u32; 4] = [8, 7, 6, 5];

/// The lists of the wanted clouds, one after the other.
pub(super) async fn fetch(http: Rc<HttpClient>, request: Rc<SourceRequest>) -> Vec<SourceAnswer> {
    let mut answers = Vec::new();
    for (theirs, ours) in CLOUDS.iter().filter(|(_, ours)| request.wants(ours)) {
        let list_result = fetch_list(&http, &request, theirs, ours).await;
        answers.push(SourceAnswer::new("skypilot", ours, "", list_result));
    }
    answers
}

async fn fetch_list(
    http: &HttpClient,
    request: &SourceRequest,
    theirs: &str,
    ours: &str,
) -> Result<AnswerData, Fault> {
    let unit = format!("skypilot {ours}");
    for schema in SCHEMAS {
        let path = format!("v{schema}/{theirs}/vms.csv");
        let url = below(&request.endpoints.skypilot, &path);
        let mut fetched_body =
            match cached_body::fetch(http, &unit, &url, "skypilot", MAX_LIST_BYTES).await {
                Err(fault) if fault.0.ends_with(" answers 404 Not Found") => continue,
                other => other?,
            };
        let mut list_notes = Vec::new();
        if !fetched_body.mark.dated {
            match day_of_last_commit(http, request, &unit, &path).await {
                Some(day) => (fetched_body.mark.day, fetched_body.mark.dated) = (Some(day), true),
                None => list_notes.push(format!("When SkyPilot's list of {ours} was changed is not known: it is dated by the day when it was first fetched.")),
            }
        }
        if !ends_with_a_line(&fetched_body.path) {
            return Err(Fault(format!(
                "the list of {ours} ends in the middle of a row: it was cut off"
            )));
        }
        let day = fetched_body
            .mark
            .day
            .unwrap_or_else(crate::util::clock::today);
        return Ok(imported_file(
            ours,
            schema,
            day,
            &url,
            fetched_body,
            list_notes,
        ));
    }
    Ok(AnswerData::skip(format!(
        "{} has no list of {ours}",
        host_of(&request.endpoints.skypilot)
    )))
}

fn imported_file(
    cloud: &str,
    schema: u32,
    day: Date,
    url: &Url,
    fetched: CachedBody,
    notes: Vec<String>,
) -> AnswerData {
    let options = ImportOptions {
        cloud: Some(cloud.to_owned()),
        dates: vec![day.to_string()],
        about: Some(format!("SkyPilot catalog of {cloud}, schema {schema}")),
        url: Some(url.to_string()),
        ..ImportOptions::default()
    };
    AnswerData::import(skypilot::import, fetched, options, day, notes)
}

/// Whether the last line of a file has an end.
fn ends_with_a_line(path: &Path) -> bool {
    let last_byte = || -> std::io::Result<u8> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last_byte().is_ok_and(|byte| byte == b'\n')
}

/// The day of the last change of a list: the file host does not say it.
async fn day_of_last_commit(
    http: &HttpClient,
    request: &SourceRequest,
    unit: &str,
    path: &str,
) -> Option<Date> {
    let mut url = request.endpoints.skypilot_commits.clone()?;
    url.query_pairs_mut()
        .append_pair("path", &format!("catalogs/{path}"))
        .append_pair("per_page", "1");
    let body = http
        .body(unit, &url, &HeaderMap::new(), 1 << 20)
        .await
        .ok()?;
    let commit_json: serde_json::Value = serde_json::from_slice(&body.bytes).ok()?;
    commit_json
        .get(0)?
        .get("commit")?
        .get("committer")?
        .get("date")?
        .as_str()?
        .get(..10)?
        .parse()
        .ok()
}
