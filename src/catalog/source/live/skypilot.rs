//! SkyPilot's hosted catalogs: one CSV per cloud, read by the importer of such folders.
//!
//! Schemas 6 to 8 kept the columns of 5 and added others (`Arch` for AWS in 8, `UpstreamCloudId`,
//! `Generation`); columns are found by name, so one reader does for all. Not every cloud has a list
//! in the newest schema: older ones are looked into then.

use super::super::Options;
use super::endpoints::below;
use super::file::{self, Fetched};
use super::http::host;
use super::{Fault, Harvest, Http, Job, Yield};
use jiff::civil::Date;
use reqwest::Url;
use reqwest::header::HeaderMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::rc::Rc;

/// No list of a cloud is so long, in bytes.
const MOST: u64 = 256 << 20;

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
pub(super) async fn fetch(http: Rc<Http>, job: Rc<Job>) -> Vec<Harvest> {
    let mut harvests = Vec::new();
    for (theirs, ours) in CLOUDS.iter().filter(|(_, ours)| job.wants(ours)) {
        let result = list(&http, &job, theirs, ours).await;
        harvests.push(Harvest::new("skypilot", ours, "", result));
    }
    harvests
}

async fn list(http: &Http, job: &Job, theirs: &str, ours: &str) -> Result<Yield, Fault> {
    let unit = format!("skypilot {ours}");
    for schema in SCHEMAS {
        let path = format!("v{schema}/{theirs}/vms.csv");
        let url = below(&job.endpoints.skypilot, &path);
        let mut fetched = match file::fetch(http, &unit, &url, "skypilot", MOST).await {
            Err(fault) if fault.0.ends_with(" answers 404 Not Found") => continue,
            other => other?,
        };
        let mut notes = Vec::new();
        if !fetched.mark.dated {
            match committed(http, job, &unit, &path).await {
                Some(day) => (fetched.mark.day, fetched.mark.dated) = (Some(day), true),
                None => notes.push(format!("When SkyPilot's list of {ours} was changed is not known: it is dated by the day when it was first fetched.")),
            }
        }
        if !ends_with_a_line(&fetched.path) {
            return Err(Fault(format!("the list of {ours} ends in the middle of a row: it was cut off")));
        }
        let day = fetched.mark.day.unwrap_or_else(crate::util::clock::today);
        return Ok(of_file(ours, schema, day, &url, fetched, notes));
    }
    Ok(Yield::skip(format!("{} has no list of {ours}", host(&job.endpoints.skypilot))))
}

fn of_file(cloud: &str, schema: u32, day: Date, url: &Url, fetched: Fetched, notes: Vec<String>) -> Yield {
    let options = Options {
        cloud: Some(cloud.to_owned()),
        dates: vec![day.to_string()],
        about: Some(format!("SkyPilot catalog of {cloud}, schema {schema}")),
        url: Some(url.to_string()),
        ..Options::default()
    };
    Yield::import(super::super::skypilot::import, fetched, options, day, notes)
}

/// Whether the last line of a file has an end.
fn ends_with_a_line(path: &Path) -> bool {
    let last = || -> std::io::Result<u8> {
        let mut file = std::fs::File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    };
    last().is_ok_and(|byte| byte == b'\n')
}

/// The day of the last change of a list: the file host does not say it.
async fn committed(http: &Http, job: &Job, unit: &str, path: &str) -> Option<Date> {
    let mut url = job.endpoints.skypilot_commits.clone()?;
    url.query_pairs_mut().append_pair("path", &format!("catalogs/{path}")).append_pair("per_page", "1");
    let body = http.body(unit, &url, &HeaderMap::new(), 1 << 20).await.ok()?;
    let value: serde_json::Value = serde_json::from_slice(&body.bytes).ok()?;
    value.get(0)?.get("commit")?.get("committer")?.get("date")?.as_str()?.get(..10)?.parse().ok()
}
