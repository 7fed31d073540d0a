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

/// More than this is not fetched unless regions are named: few want gigabytes by accident.
const UNASKED: u64 = 256_000_000;

/// Changed when what is kept of a file changes its form.
const KIND: &str = "aws 1";

/// The index has a line for each region.
const INDEX: usize = 16 << 20;

/// No list of a region is so long, in bytes.
const MOST: u64 = 2 << 30;

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
    if job.wanted.regions.is_empty()
        && let Some(why) = too_much(&http, &job, &index).await
    {
        return vec![Harvest::new("aws", "aws", "", Ok(Yield::skip(why)))];
    }
    for (name, region) in index.regions {
        if !job.places.contains(&format!("aws:{name}")) {
            unknown.leave_of("aws: unknown region", &name);
            continue;
        }
        // A file is large: only what is asked for is fetched.
        if !super::lay::asked_for(&job.wanted.regions, "aws", &name) {
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

/// Why all regions of the catalog are not fetched without being asked for: how much that would be.
async fn too_much(http: &Http, job: &Job, index: &Index) -> Option<String> {
    let known = index.regions.iter().filter(|(name, _)| job.places.contains(&format!("aws:{name}")));
    let (mut files, mut bytes, mut unsaid) = (0_usize, 0_u64, false);
    for (name, region) in known {
        let Ok((url, csv)) = addresses(&job.endpoints.aws_prices, name, &region.current_version_url) else { continue };
        if file::is_kept(http, &csv, KIND) || file::is_kept(http, &url, KIND) {
            continue;
        }
        let unit = format!("aws {name}");
        let size = match http.size(&unit, &csv).await {
            Err(_) if csv != url => http.size(&unit, &url).await,
            other => other,
        };
        match size {
            Ok(Some(size)) => bytes += size,
            Ok(None) => unsaid = true,
            // That file will say itself what is wrong with it.
            Err(_) => continue,
        }
        files += 1;
    }
    if bytes <= UNASKED && !unsaid {
        return None;
    }
    let size = match unsaid {
        true => "some hundred MB each".to_owned(),
        false => format!("{} MB in all", bytes.div_ceil(1_000_000)),
    };
    Some(format!(
        "it has {files} files for the regions of the catalog, {size}: name regions with --region 'us-*', or all of them \
         with --region '*'"
    ))
}

/// Where the list of a region is: the form that the index names, and its CSV form.
fn addresses(index: &Url, region: &str, version: &str) -> Result<(Url, Url), Fault> {
    let wrong = |error: &dyn std::fmt::Display| Fault(format!("the index has no address of {region}: {error}"));
    let url = index.join(version).map_err(|error| wrong(&error))?;
    if url.origin() != index.origin() {
        return Err(wrong(&format!("it leads to {}", host(&url))));
    }
    let mut csv = url.clone();
    csv.set_path(&url.path().replace("index.json", "index.csv"));
    Ok((url, csv))
}

async fn one(http: &Http, index: &Url, region: &str, version: &str) -> Result<(Quotes, Fetched), Fault> {
    let (url, csv) = addresses(index, region, version)?;
    let unit = format!("aws {region}");
    // Mirrors may have but the form that the index names.
    let (fetched, is_json) = match file::fetch(http, &unit, &csv, KIND, MOST).await {
        Err(fault) if csv != url && fault.0.ends_with(" answers 404 Not Found") => {
            (file::fetch(http, &unit, &url, KIND, MOST).await?, true)
        }
        other => (other?, false),
    };
    let about = "AWS price list: Linux machines on demand, shared tenancy";
    let empty = |day| Quotes::new("aws", "aws-list", day, about, index).full();
    let broken = |error: &dyn std::fmt::Display| Fault(format!("what is kept of {region} is broken: {error}"));
    if !fetched.changed {
        let text = std::fs::read(&fetched.path).map_err(|error| broken(&error))?;
        let quotes = Quotes::from_text(&text, empty(Date::default())).map_err(|error| broken(&error))?;
        return Ok((quotes, fetched));
    }
    let (path, of) = (fetched.path.clone(), region.to_owned());
    let start = empty(fetched.mark.day.unwrap_or_else(crate::util::clock::today));
    let read = tokio::task::spawn_blocking(move || {
        if is_json { super::aws_json::read(&path, &of, start) } else { read(&path, &of, start) }
    });
    let quotes = read.await.map_err(|error| broken(&error))??;
    fetched.keep_made(&quotes.to_text().map_err(|error| broken(&error))?)?;
    Ok((quotes, fetched))
}

/// Columns that are read; the first are needed.
const COLUMNS: [&str; 20] = [
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
];
const NEEDED: usize = 10;

/// What is sold, and at what price.
#[derive(Default)]
pub(super) struct Row<'a> {
    pub family: &'a str,
    pub machine: &'a str,
    pub tenancy: &'a str,
    pub system: &'a str,
    pub licence: &'a str,
    pub software: &'a str,
    pub capacity: &'a str,
    pub market: &'a str,
    pub location_type: &'a str,
    pub region: &'a str,
    pub vcpus: &'a str,
    pub memory: &'a str,
    pub gpus: &'a str,
    pub processor: &'a str,
    pub price: Price<'a>,
}

/// A price of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Price<'a> {
    pub term: &'a str,
    pub unit: &'a str,
    pub amount: &'a str,
    pub currency: &'a str,
    pub effective: &'a str,
    pub from: &'a str,
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
        let cell = |index: usize| record.get(columns[index]).unwrap_or("").trim();
        let price = Price {
            term: cell(0),
            unit: cell(1),
            amount: cell(2),
            currency: cell(3),
            effective: cell(10),
            from: cell(11),
        };
        let row = Row {
            family: cell(4),
            machine: cell(5),
            tenancy: cell(6),
            system: cell(7),
            capacity: cell(8),
            software: cell(9),
            licence: cell(12),
            market: cell(13),
            location_type: cell(14),
            region: cell(15),
            vcpus: cell(16),
            memory: cell(17),
            gpus: cell(18),
            processor: cell(19),
            price,
        };
        if is_wanted(&row, region, &mut quotes) {
            take(&row, region, &mut quotes);
        }
    }
    Ok(quotes)
}

fn plain(text: &str) -> bool {
    text.is_empty() || text == "NA"
}

/// Whether it is a machine as one rents it; what is not is counted.
pub(super) fn is_wanted(row: &Row, region: &str, quotes: &mut Quotes) -> bool {
    let elsewhere = !plain(row.location_type) && row.location_type != "AWS Region";
    let refused = if !row.family.starts_with("Compute Instance") {
        Some(("no machine", row.family))
    } else if row.tenancy != "Shared" {
        Some(("dedicated host or other tenancy", row.tenancy))
    } else if row.system != "Linux" {
        Some(("another operating system", row.system))
    } else if row.licence == "Bring your own license" {
        Some(("another licence", row.licence))
    } else if !plain(row.software) {
        Some(("software counted in", row.software))
    } else if row.capacity != "Used" {
        Some(("capacity reservation", row.capacity))
    } else if !plain(row.market) && row.market != "OnDemand" {
        Some(("another way of buying", row.market))
    } else if elsewhere || (!plain(row.region) && row.region != region) {
        Some(("a zone outside of the region", row.region))
    } else if plain(row.machine) {
        Some(("no instance type", row.machine))
    } else {
        None
    };
    if let Some((why, name)) = refused {
        quotes.leave_of(why, name);
    }
    refused.is_none()
}

/// Takes a price of a wanted machine.
pub(super) fn take(row: &Row, region: &str, quotes: &mut Quotes) {
    let price = row.price;
    if price.term != "OnDemand" {
        return quotes.leave("reserved term");
    }
    if price.currency != "USD" {
        return quotes.leave_of("not in US dollars", price.currency);
    }
    if price.effective.get(..10).and_then(|day| day.parse::<Date>().ok()).is_some_and(|day| day > quotes.day) {
        return quotes.leave("not yet in force");
    }
    if !matches!(price.from, "" | "0") {
        return quotes.leave("for larger volumes only");
    }
    let nano = match hourly(price.amount, price.unit) {
        Ok(nano) => nano,
        Err(why @ "not by the hour") => return quotes.leave_of(why, price.unit),
        Err(why) => return quotes.leave(why),
    };
    let figure = |text: &str, per| scaled(&text.replace(',', ""), per).map_or(0, i64::unsigned_abs);
    let arm = ["Graviton", "Apple M"].iter().any(|name| row.processor.contains(name));
    let size = Size {
        vcpu_thousandths: figure(row.vcpus, 1000),
        memory: row.memory.strip_suffix(" GiB").map_or(0, |text| figure(text, 1 << 30)),
        cards: u32::try_from(figure(row.gpus, 1000)).unwrap_or(0),
        card: None,
        arch: if arm { "arm64" } else { "x86_64" }.to_owned(),
    };
    quotes.sizes.entry(row.machine.to_owned()).or_insert(size);
    let day = price.effective.get(..10).unwrap_or_default();
    quotes.put(region, row.machine, false, nano, (false, day.to_owned()));
}
