//! AWS's public price list: an index of regions, and one file per region with all that EC2 sells,
//! some hundred MB.
//! <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api-fetching-price-list-files-manually.html>
//!
//! The CSV form is read row by row as it lies in the cache, and dropped: what was read of it is
//! kept instead. A file's address has its version in it, so a version is fetched once.

use super::aws_price_row::{PriceListRow, TermPrice, is_wanted, take_price};
use super::cached_body::{self, CachedBody};
use super::http_client::{HttpClient, host_of};
use super::price_quotes::PriceQuotes;
use super::source_answer::{AnswerData, SourceAnswer};
use super::source_request::SourceRequest;
use super::source_selection::asked_for;
use super::{Fault, aws_price_list_json};
use crate::feeds::ImportReport;
use jiff::civil::Date;
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use tokio::sync::Semaphore;

/// Most files that are fetched at the same time.
const MAX_PARALLEL_FILES: usize = 3;

/// More than this is not fetched unless regions are named: few want gigabytes by accident.
const MAX_BYTES_UNASKED: u64 = 256_000_000;

/// Changed when what is kept of a file changes its form.
const CACHE_KIND: &str = "aws 1";

/// The index has a line for each region.
const MAX_INDEX_BYTES: usize = 16 << 20;

/// No list of a region is so long, in bytes.
const MAX_LIST_BYTES: u64 = 2 << 30;

#[derive(Deserialize)]
struct RegionIndex {
    regions: BTreeMap<String, RegionEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RegionEntry {
    current_version_url: String,
}

/// The prices of all regions that the catalog knows.
pub(super) async fn fetch(http: Rc<HttpClient>, request: Rc<SourceRequest>) -> Vec<SourceAnswer> {
    let index = match fetch_index(&http, &request).await {
        Ok(index) => index,
        Err(fault) => return vec![SourceAnswer::new("aws", "aws", "", Err(fault))],
    };
    let mut unknown_regions = ImportReport::default();
    let (gate, mut tasks) = (Rc::new(Semaphore::new(MAX_PARALLEL_FILES)), Vec::new());
    if request.wanted.regions.is_empty()
        && let Some(why) = refusal_of_all_regions(&http, &request, &index).await
    {
        return vec![SourceAnswer::new(
            "aws",
            "aws",
            "",
            Ok(AnswerData::skip(why)),
        )];
    }
    for (name, region) in index.regions {
        if !request.places.contains(&format!("aws:{name}")) {
            unknown_regions.leave_of("aws: unknown region", &name);
            continue;
        }
        // A file is large: only what is asked for is fetched.
        if !asked_for(&request.wanted.regions, "aws", &name) {
            continue;
        }
        let (http, request, gate, of) = (http.clone(), request.clone(), gate.clone(), name.clone());
        let task = tokio::task::spawn_local(async move {
            let _turn = gate
                .acquire()
                .await
                .map_err(|error| Fault(error.to_string()))?;
            fetch_region(
                &http,
                &request.endpoints.aws_prices,
                &of,
                &region.current_version_url,
            )
            .await
        });
        tasks.push((name, task));
    }
    let mut answers = Vec::new();
    for (name, task) in tasks {
        let region_result = task
            .await
            .unwrap_or_else(|error| Err(Fault(format!("it was not asked: {error}"))));
        // What no region can say, the first one does.
        let left_regions = std::mem::take(&mut unknown_regions);
        let region_result = region_result.map(|(mut quotes, fetched)| {
            quotes.add_left_out(&left_regions);
            let mut answer_data = AnswerData::quotes(quotes);
            answer_data.bodies.push(fetched);
            answer_data
        });
        answers.push(SourceAnswer::new("aws", "aws", &name, region_result));
    }
    if answers.is_empty() {
        let fault = match request.wanted.regions.is_empty() {
            true => Err(Fault(
                "the index has no region that the catalog knows".to_owned(),
            )),
            false => Ok(AnswerData::skip(
                "none of its regions is asked for".to_owned(),
            )),
        };
        answers.push(SourceAnswer::new("aws", "aws", "", fault));
    }
    answers
}

async fn fetch_index(http: &HttpClient, request: &SourceRequest) -> Result<RegionIndex, Fault> {
    let url = &request.endpoints.aws_prices;
    let body = http
        .body("aws", url, &HeaderMap::new(), MAX_INDEX_BYTES)
        .await?;
    serde_json::from_slice(&body.bytes).map_err(|error| {
        Fault(format!(
            "{}: this is not an index of regions: {error}",
            host_of(url)
        ))
    })
}

/// Why all regions of the catalog are not fetched without being asked for: how much that would be.
async fn refusal_of_all_regions(
    http: &HttpClient,
    request: &SourceRequest,
    index: &RegionIndex,
) -> Option<String> {
    let known_regions = index
        .regions
        .iter()
        .filter(|(name, _)| request.places.contains(&format!("aws:{name}")));
    let (mut files, mut bytes, mut unsaid) = (0_usize, 0_u64, false);
    for (name, region) in known_regions {
        let Ok((url, csv)) = list_addresses(
            &request.endpoints.aws_prices,
            name,
            &region.current_version_url,
        ) else {
            continue;
        };
        if cached_body::is_kept(http, &csv, CACHE_KIND)
            || cached_body::is_kept(http, &url, CACHE_KIND)
        {
            continue;
        }
        let unit = format!("aws {name}");
        let list_size = match http.size(&unit, &csv).await {
            Err(_) if csv != url => http.size(&unit, &url).await,
            other => other,
        };
        match list_size {
            Ok(Some(size)) => bytes += size,
            Ok(None) => unsaid = true,
            // That file will say itself what is wrong with it.
            Err(_) => continue,
        }
        files += 1;
    }
    if bytes <= MAX_BYTES_UNASKED && !unsaid {
        return None;
    }
    let size_words = match unsaid {
        true => "some hundred MB each".to_owned(),
        false => format!("{} MB in all", bytes.div_ceil(1_000_000)),
    };
    Some(format!(
        "it has {files} files for the regions of the catalog, {size_words}: name regions with --region 'us-*', or all of them \
         with --region '*'"
    ))
}

/// The addresses of the list of a region: of the form that the index names, and of its CSV form.
fn list_addresses(index: &Url, region: &str, version: &str) -> Result<(Url, Url), Fault> {
    let wrong_index = |error: &dyn std::fmt::Display| {
        Fault(format!("the index has no address of {region}: {error}"))
    };
    let url = index.join(version).map_err(|error| wrong_index(&error))?;
    if url.origin() != index.origin() {
        return Err(wrong_index(&format!("it leads to {}", host_of(&url))));
    }
    let mut csv = url.clone();
    csv.set_path(&url.path().replace("index.json", "index.csv"));
    Ok((url, csv))
}

async fn fetch_region(
    http: &HttpClient,
    index: &Url,
    region: &str,
    version: &str,
) -> Result<(PriceQuotes, CachedBody), Fault> {
    let (url, csv) = list_addresses(index, region, version)?;
    let unit = format!("aws {region}");
    // Mirrors may have but the form that the index names.
    let (fetched, is_json) =
        match cached_body::fetch(http, &unit, &csv, CACHE_KIND, MAX_LIST_BYTES).await {
            Err(fault) if csv != url && fault.0.ends_with(" answers 404 Not Found") => (
                cached_body::fetch(http, &unit, &url, CACHE_KIND, MAX_LIST_BYTES).await?,
                true,
            ),
            other => (other?, false),
        };
    let about_source = "AWS price list: Linux machines on demand, shared tenancy";
    let empty_list = |day| PriceQuotes::new("aws", "aws-list", day, about_source, index).full();
    let broken = |error: &dyn std::fmt::Display| {
        Fault(format!("what is kept of {region} is broken: {error}"))
    };
    if !fetched.changed {
        let text = std::fs::read(&fetched.path).map_err(|error| broken(&error))?;
        let quotes = PriceQuotes::from_text(&text, empty_list(Date::default()))
            .map_err(|error| broken(&error))?;
        return Ok((quotes, fetched));
    }
    let (path, of) = (fetched.path.clone(), region.to_owned());
    let start = empty_list(fetched.mark.day.unwrap_or_else(crate::util::clock::today));
    let reading = tokio::task::spawn_blocking(move || {
        if is_json {
            aws_price_list_json::read(&path, &of, start)
        } else {
            read(&path, &of, start)
        }
    });
    let quotes = reading.await.map_err(|error| broken(&error))??;
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
const REQUIRED_COLUMNS: usize = 10;

/// Reads a file of one region, however large, row by row.
pub(super) fn read(
    path: &Path,
    region: &str,
    mut quotes: PriceQuotes,
) -> Result<PriceQuotes, Fault> {
    let fault = |error: csv::Error| Fault(format!("the list of {region} is not a CSV: {error}"));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_path(path)
        .map_err(fault)?;
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
        let column_index = header.iter().position(|known| {
            known
                .trim_start_matches('\u{feff}')
                .eq_ignore_ascii_case(name)
        });
        columns[index] = match column_index {
            Some(column) => column,
            None if index < REQUIRED_COLUMNS => {
                return Err(Fault(format!(
                    "the list of {region} has no column `{name}`"
                )));
            }
            None => usize::MAX,
        };
    }
    while reader.read_record(&mut record).map_err(fault)? {
        let cell = |index: usize| record.get(columns[index]).unwrap_or("").trim();
        let price = TermPrice {
            term: cell(0),
            unit: cell(1),
            amount: cell(2),
            currency: cell(3),
            effective: cell(10),
            from: cell(11),
        };
        let price_row = PriceListRow {
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
        if is_wanted(&price_row, region, &mut quotes) {
            take_price(&price_row, region, &mut quotes);
        }
    }
    Ok(quotes)
}
