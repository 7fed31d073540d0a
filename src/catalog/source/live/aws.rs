//! AWS's public price list: an index of regions, and one file per region with all that EC2 sells,
//! some hundred MB. <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api-fetching-price-list-files-manually.html>
//!
//! The CSV form is read row by row as it lies in the cache, and dropped: what was read of it is kept
//! instead. A file's address has its version in it, so a version is fetched once.

use super::super::Report;
use super::file::{self, Fetched};
use super::http::host;
use super::quotes::{Quotes, Size, hourly};
use super::{Fault, Harvest, Http, Job, Yield};
use crate::model::units::scaled;
use jiff::civil::Date;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tokio::sync::Semaphore;

/// So many files are fetched at the same time.
const AT_ONCE: usize = 3;

/// Changed when what is kept of a file changes its form.
const KIND: &str = "aws 1";

/// The index has a line for each region.
const INDEX: usize = 16 << 20;

#[derive(Deserialize)]
struct Index {
    regions: BTreeMap<String, Region>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    current_version_url: String,
}

/// The prices of all regions that the catalog knows.
pub(super) async fn fetch(http: Rc<Http>, job: Rc<Job>) -> Vec<Harvest> {
    let index = match index(&http, &job).await {
        Ok(index) => index,
        Err(fault) => return vec![Harvest::new("aws", "aws", "", Err(fault))],
    };
    let mut unknown = Report::default();
    let (gate, mut tasks) = (Rc::new(Semaphore::new(AT_ONCE)), Vec::new());
    for (name, region) in index.regions {
        if !job.places.contains(&format!("aws:{name}")) {
            unknown.leave_of("aws: unknown region", &name);
            continue;
        }
        // A file is large: only what is asked for is fetched.
        if !super::asked_for(&job.wanted.regions, "aws", &name) {
            continue;
        }
        let (http, job, gate, of) = (http.clone(), job.clone(), gate.clone(), name.clone());
        let task = tokio::task::spawn_local(async move {
            let _turn = gate.acquire().await.map_err(|error| Fault(error.to_string()))?;
            one(&http, &job.endpoints.aws_prices, &of, &region.current_version_url).await
        });
        tasks.push((name, task));
    }
    let mut harvests = Vec::new();
    for (name, task) in tasks {
        let result = task.await.unwrap_or_else(|error| Err(Fault(format!("it was not asked: {error}"))));
        // What no region can say, the first one does.
        let left = std::mem::take(&mut unknown);
        let result = result.map(|(mut quotes, fetched)| {
            quotes.add_left_out(&left);
            let mut answer = Yield::quotes(quotes);
            answer.bodies.push(fetched);
            answer
        });
        harvests.push(Harvest::new("aws", "aws", &name, result));
    }
    if harvests.is_empty() {
        let fault = match job.wanted.regions.is_empty() {
            true => Err(Fault("the index has no region that the catalog knows".to_owned())),
            false => Ok(Yield::skip("none of its regions is asked for".to_owned())),
        };
        harvests.push(Harvest::new("aws", "aws", "", fault));
    }
    harvests
}

async fn index(http: &Http, job: &Job) -> Result<Index, Fault> {
    let url = &job.endpoints.aws_prices;
    let body = http.body("aws", url, &HeaderMap::new(), INDEX).await?;
    serde_json::from_slice(&body.bytes)
        .map_err(|error| Fault(format!("{}: this is no index of regions: {error}", host(url))))
}

async fn one(http: &Http, index: &Url, region: &str, version: &str) -> Result<(Quotes, Fetched), Fault> {
    let wrong = |error: &dyn std::fmt::Display| Fault(format!("the index has no address of {region}: {error}"));
    let url = index.join(version).map_err(|error| wrong(&error))?;
    if url.origin() != index.origin() {
        return Err(wrong(&format!("it leads to {}", host(&url))));
    }
    let mut csv = url.clone();
    csv.set_path(&url.path().replace("index.json", "index.csv"));
    let fetched = file::fetch(http, &format!("aws {region}"), &csv, KIND).await?;
    let about = "AWS price list: Linux machines on demand, shared tenancy";
    let empty = |day| Quotes::new("aws", "aws-list", day, about, index);
    let broken = |error: &dyn std::fmt::Display| Fault(format!("what is kept of {region} is broken: {error}"));
    if !fetched.changed {
        let text = std::fs::read(&fetched.path).map_err(|error| broken(&error))?;
        let quotes = Quotes::from_text(&text, empty(Date::default())).map_err(|error| broken(&error))?;
        return Ok((quotes, fetched));
    }
    let (path, of) = (fetched.path.clone(), region.to_owned());
    let start = empty(fetched.mark.day.unwrap_or_else(crate::util::clock::today));
    let read = tokio::task::spawn_blocking(move || read(&path, &of, start));
    let quotes = read.await.map_err(|error| broken(&error))??;
    fetched.keep_made(&quotes.to_text().map_err(|error| broken(&error))?)?;
    Ok((quotes, fetched))
}

/// Columns that are read; the first are needed.
const COLUMNS: [&str; 21] = [
    "TermType",
    "Unit",
    "PricePerUnit",
    "Currency",
    "Product Family",
    "Instance Type",
    "Tenancy",
    "Operating System",
    "CapacityStatus",
    "Pre Installed S/W",
    "EffectiveDate",
    "StartingRange",
    "License Model",
    "MarketOption",
    "Location Type",
    "Region Code",
    "vCPU",
    "Memory",
    "GPU",
    "Physical Processor",
    "operation",
];
const NEEDED: usize = 10;

/// One row, by [`COLUMNS`].
struct Row<'a> {
    record: &'a csv::StringRecord,
    columns: &'a [usize; COLUMNS.len()],
}

impl<'a> Row<'a> {
    fn cell(&self, index: usize) -> &'a str {
        self.record.get(self.columns[index]).unwrap_or("").trim()
    }
}

/// Reads a file of one region, however large, row by row.
pub(super) fn read(path: &Path, region: &str, mut quotes: Quotes) -> Result<Quotes, Fault> {
    let fault = |error: csv::Error| Fault(format!("the list of {region} is no CSV: {error}"));
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(path).map_err(fault)?;
    let mut record = csv::StringRecord::new();
    // Some lines of two cells, then the header.
    let mut header = None;
    while header.is_none() && reader.read_record(&mut record).map_err(fault)? {
        match (record.get(0), record.len()) {
            (Some("Publication Date"), 2) => {
                if let Some(day) = record.get(1).and_then(|text| text.get(..10)?.parse().ok()) {
                    quotes.day = day;
                }
            }
            (_, few) if few > 2 => header = Some(record.clone()),
            _ => {}
        }
    }
    let header = header.ok_or_else(|| Fault(format!("the list of {region} has no header")))?;
    let mut columns = [usize::MAX; COLUMNS.len()];
    for (index, name) in COLUMNS.iter().enumerate() {
        let found = header.iter().position(|known| known.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name));
        columns[index] = match found {
            Some(column) => column,
            None if index < NEEDED => return Err(Fault(format!("the list of {region} has no column `{name}`"))),
            None => usize::MAX,
        };
    }
    while reader.read_record(&mut record).map_err(fault)? {
        take(&Row { record: &record, columns: &columns }, region, &mut quotes);
    }
    Ok(quotes)
}

fn take(row: &Row, region: &str, quotes: &mut Quotes) {
    let [family, tenancy, system, status, software] = [4, 6, 7, 8, 9].map(|index| row.cell(index));
    let plain = |text: &str| text.is_empty() || text == "NA";
    if !family.starts_with("Compute Instance") {
        return quotes.leave_of("no machine", family);
    }
    if row.cell(0) != "OnDemand" {
        return quotes.leave("reserved term");
    }
    if tenancy != "Shared" {
        return quotes.leave_of("dedicated host or other tenancy", tenancy);
    }
    if system != "Linux" || row.cell(12) == "Bring your own license" {
        return quotes.leave_of("another operating system", system);
    }
    if !plain(software) {
        return quotes.leave_of("software counted in", software);
    }
    if status != "Used" {
        return quotes.leave_of("capacity reservation", status);
    }
    if !plain(row.cell(13)) && row.cell(13) != "OnDemand" {
        return quotes.leave_of("another way of buying", row.cell(13));
    }
    let elsewhere = !plain(row.cell(14)) && row.cell(14) != "AWS Region";
    if elsewhere || (!plain(row.cell(15)) && row.cell(15) != region) {
        return quotes.leave_of("a zone outside of the region", row.cell(15));
    }
    if row.cell(3) != "USD" {
        return quotes.leave_of("not in US dollars", row.cell(3));
    }
    if row.cell(10).get(..10).and_then(|day| day.parse::<Date>().ok()).is_some_and(|day| day > quotes.day) {
        return quotes.leave("not yet in force");
    }
    if !matches!(row.cell(11), "" | "0") {
        return quotes.leave("for larger volumes only");
    }
    let machine = row.cell(5);
    if plain(machine) {
        return quotes.leave("no instance type");
    }
    let nano = match hourly(row.cell(2), row.cell(1)) {
        Ok(nano) => nano,
        Err(why @ "not by the hour") => return quotes.leave_of(why, row.cell(1)),
        Err(why) => return quotes.leave(why),
    };
    let figure = |index: usize, per| scaled(&row.cell(index).replace(',', ""), per).map_or(0, i64::unsigned_abs);
    let memory = row
        .cell(17)
        .strip_suffix(" GiB")
        .map_or(0, |text| scaled(&text.replace(',', ""), 1 << 30).map_or(0, i64::unsigned_abs));
    let arm = ["Graviton", "Apple M"].iter().any(|name| row.cell(19).contains(name));
    let size = Size {
        vcpu_thousandths: figure(16, 1000),
        memory,
        cards: u32::try_from(figure(18, 1000)).unwrap_or(0),
        arch: if arm { "arm64" } else { "x86_64" }.to_owned(),
    };
    quotes.sizes.entry(machine.to_owned()).or_insert(size);
    quotes.put(region, machine, false, nano, (false, row.cell(10).to_owned()));
}
